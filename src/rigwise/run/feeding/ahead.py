"""Double buffering: while a step computes, the next step's batch is loaded, and on a GPU already copied there.

A batch that is there in less than a millisecond is taken between the steps: to hand it over would cost as much. Which
of the two it is changes no number.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from rigwise.run.asking import asking
from rigwise.run.feeding.feed import Batch, Feed, place
from rigwise.run.feeding.loader import Loader, Tell

QUICK_S = 1e-3
_MAYBE_S = 1e-2
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is loaded: this rank's share (a slice) of a global batch of `batch` samples, from step `start` on (0 is the
    first). position: of an iterable, as a checkpoint kept it. loaders: processes; None decides by the first batch.
    """

    batch: int
    share: slice
    start: int
    position: Mapping[str, Any] | None = None
    loaders: int | None = None


class Ahead:
    """A rank's batches on its device, one after the other: `next` waits where a batch is not there yet."""

    def __init__(self, feed: Feed, wanted: Wanted, device: torch.device, tell: Tell) -> None:
        """tell: what is reported of an exception that the data raises (used in other processes)."""
        self.position: Mapping[str, Any] | None = None
        self._feed = feed
        self._device = device
        self._tell = tell
        self._loaders: list[Loader] = []
        self._batches = self._begun(wanted)
        self._taken = self._on_gpu() if device.type == "cuda" and self._loaders else self._batches

    @property
    def processes(self) -> int:
        """How many processes load."""
        return len(self._loaders)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch, self.position = next(self._taken)
        return place(batch, self._device)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the processes that load."""
        for loader in self._loaders:
            loader.close()

    def _begun(self, wanted: Wanted) -> Iterator[tuple[Batch, Any]]:
        """The first batch is loaded here and timed; then it is known who loads the others."""
        dealt = self._dealt(wanted, wanted.start, 1)
        first, seconds = _timed(dealt)
        loaders = wanted.loaders
        if loaders is None:
            if QUICK_S < seconds < _MAYBE_S and self._feed.indexed:  # the very first may be slow for other reasons
                first, seconds = _timed(self._dealt(wanted, wanted.start, 1))
            loaders = 0 if seconds < QUICK_S or not _forkable(self._feed, first) else 1
        if not self._feed.indexed:
            loaders = min(loaders, 1)
        position = self._feed.position()
        if loaders == 0:
            return self._between(first, dealt)
        for number in range(loaders):
            own = dealt
            if self._feed.indexed:
                own = self._dealt(wanted, wanted.start + 1 + number, loaders)
            self._loaders.append(Loader(own, self._feed.position, self._tell))
        return self._beside(first, position)

    def _dealt(self, wanted: Wanted, start: int, every: int) -> Iterator[Batch]:
        return self._feed.deal(
            batch=wanted.batch, share=wanted.share, start=start, every=every, position=wanted.position
        )

    def _between(self, first: Batch, dealt: Iterator[Batch]) -> Iterator[tuple[Batch, Any]]:
        """Loaded by the rank itself, between its steps."""
        yield first, self._feed.position()
        while True:
            with asking("data"), _alone():
                batch = next(dealt)
            yield batch, self._feed.position()

    def _beside(self, first: Batch, position: Any) -> Iterator[tuple[Batch, Any]]:
        """Loaded by processes, each in its turn."""
        yield first, position
        while True:
            for loader in self._loaders:
                yield loader.take()

    def _on_gpu(self) -> Iterator[tuple[Batch, Any]]:
        """A thread copies the next batch through pinned memory on a stream of its own. It draws no random numbers."""
        ready: queue.Queue[Any] = queue.Queue(maxsize=1)
        threading.Thread(target=self._copy, args=(ready,), daemon=True, name="batches to the GPU").start()
        while True:
            item, event = ready.get()
            if isinstance(item, BaseException):
                raise item
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(event)
            _recorded(item[0], stream)
            yield item

    def _copy(self, ready: queue.Queue[Any]) -> None:
        torch.cuda.set_device(self._device)
        stream = torch.cuda.Stream(self._device)
        try:
            while True:
                batch, position = next(self._batches)
                pinned = _pinned(batch)
                with torch.cuda.stream(stream):
                    there = place(pinned, self._device)
                event = stream.record_event()
                ready.put(((there, position), event))
        except BaseException as error:
            ready.put((error, None))


def _timed(dealt: Iterator[Batch]) -> tuple[Batch, float]:
    """The next batch, and the seconds it took."""
    before = time.perf_counter()
    with asking("data"), _alone():
        batch = next(dealt)
    return batch, time.perf_counter() - before


def _pinned(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _pinned(value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(_pinned(value) for value in tree)
    return tree.pin_memory() if tree.device.type == "cpu" else tree


def _recorded(tree: Any, stream: Any) -> None:
    """The memory of these tensors is not given to others while `stream` may use it."""
    if isinstance(tree, (dict, tuple)):
        for value in tree.values() if isinstance(tree, dict) else tree:
            _recorded(value, stream)
    else:
        tree.record_stream(stream)


def _forkable(feed: Feed, first: Batch) -> bool:
    """May another process load this? Not what lies on a GPU; nor an iterable that may load with processes or threads of
    its own, which a fork would not have.
    """
    alone = feed.indexed or (threading.active_count() == 1 and not getattr(feed.data, "num_workers", 0))
    return alone and all(getattr(leaf, "device", _CPU).type == "cpu" for leaf in _leaves(first))


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, (dict, tuple, list)):
        return [leaf for value in (tree.values() if isinstance(tree, dict) else tree) for leaf in _leaves(value)]
    return [tree]


@contextmanager
def _alone() -> Iterator[None]:
    """One thread, as a process that loads has: sums over many threads round otherwise."""
    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads > 1:
            torch.set_num_threads(threads)
