"""Writing checkpoints while training goes on, and finding the one to go on from.

The ranks share the writing: each writes a part of what several hold, and copies only that part aside, so a checkpoint
costs a rank its share of the state in memory and the time of that copy; files, digests and the new name are a thread's
work, on a process group of its own. One checkpoint is under way at a time.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import disk_usage, rmtree
from typing import Any

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save

from rigwise.errors import LaunchError, RigwiseError, UsageError
from rigwise.run.keeping import folder
from rigwise.run.keeping.boxes import Box, SavePlanner
from rigwise.run.keeping.contents import Contents
from rigwise.run.keeping.filling import UNREADABLE
from rigwise.run.ranks import Ranks
from rigwise.units import show_bytes

_INDEX = ".metadata"
Key = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A checkpoint that is as it was written. skipped: newer ones that are not, with the reason."""

    path: Path
    record: Mapping[str, Any]
    skipped: tuple[str, ...]


class Keeper:
    """Saves a run. own: what a resumed run must agree with."""

    def __init__(self, output: Path, ranks: Ranks, contents: Contents, own: Mapping[str, Any]) -> None:
        self.output = output
        self.ranks = ranks
        self.contents = contents
        self.own = own
        self.path = output
        self._group = dist.new_group(backend="gloo") if ranks.world > 1 else None
        self._thread: threading.Thread | None = None
        self._error: RigwiseError | None = None
        if ranks.rank == 0:
            folder.clear(output)

    def save(self, step: int, loader: Mapping[str, Any], *, wait: bool) -> None:
        """Begin the checkpoint of a step, or write it and wait. Raises what the one before failed with.

        LaunchError says the reason and the space there is; then nothing of the new one is left, and LATEST still names
        the older. loader: where the data stands.
        """
        self.finish()
        mine, bytes_of_all = self._mine()
        if not wait:
            mine = [replace(box, tensor=box.tensor.detach().to("cpu", copy=True)) for box in mine]
        record = {**self.own, "world": self.ranks.world, "loader": dict(loader), **self._records()}
        work = threading.Thread(
            target=self._write, args=(step, mine, record, bytes_of_all), name=f"checkpoint {step}", daemon=True
        )
        if wait:
            work.run()
        else:
            work.start()
            self._thread = work
        self.check()

    def finish(self) -> Path:
        """Wait for the checkpoint that is under way; the path of the last one."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()
        return self.path

    def check(self) -> None:
        """Raise what a checkpoint under way has failed with."""
        if self._error is not None:
            raise self._error

    def _mine(self) -> tuple[list[Box], int]:
        """The boxes that this rank writes, and the bytes of all ranks."""
        boxes = {box.key: box for box in self.contents.tensors()}
        sizes = {key: box.tensor.nbytes for key, box in boxes.items()}
        everyone = self.ranks.gather((sizes, self.contents.first()), self._group)
        writers = shared([each for each, _ in everyone], set().union(*(first for _, first in everyone)))
        whole = {key: size for each, _ in everyone for key, size in each.items()}
        return [box for key, box in boxes.items() if writers[key] == self.ranks.rank], sum(whole.values())

    def _records(self) -> dict[str, Any]:
        """The plain values of all ranks together."""
        everyone = self.ranks.gather(self.contents.record(), self._group)
        groups: list[dict[str, Any]] = []
        numbers: dict[str, Any] = {}
        for number in range(max(len(record["groups"]) for record in everyone)):
            several = [record["groups"][number] for record in everyone if number < len(record["groups"])]
            names = dict.fromkeys(name for group in several for name in group["names"])
            groups.append({**several[0], "names": list(names)})
        for record in everyone:
            numbers |= record["numbers"]
        parts = {str(rank): record["parts"] for rank, record in enumerate(everyone) if record["parts"]}
        return {"tied": everyone[0]["tied"], "groups": groups, "numbers": numbers, "parts": parts}

    def _write(self, step: int, mine: list[Box], record: Mapping[str, Any], size: int) -> None:
        partial = folder.aside(self.output, step)
        try:
            _store(partial, mine, self._group)
            name = f"__{self.ranks.rank}_0.distcp"
            found = [name] if (partial / name).exists() else []
            digests = self.ranks.gather({name: folder.digest(partial / name) for name in found}, self._group)
            self._all(lambda: self._finished(step, partial, record, digests))
        except (CheckpointException, OSError, RuntimeError, ValueError) as error:
            if self.ranks.rank == 0:
                rmtree(partial, ignore_errors=True)
            self._error = self._refused(step, size, error)
            return
        self.path = folder.found(self.output)[0]

    def _finished(self, step: int, partial: Path, record: Mapping[str, Any], digests: list[dict[str, str]]) -> None:
        together = {name: value for each in digests for name, value in each.items()}
        folder.finish(self.output, step, record, {**together, _INDEX: folder.digest(partial / _INDEX)})

    def _all(self, work: Any) -> None:
        """Rank 0 does it; every rank raises what went wrong."""
        error = None
        if self.ranks.rank == 0:
            try:
                work()
            except OSError as failed:
                error = failed
        error = self.ranks.gather(error, self._group)[0]
        if error is not None:
            raise error

    def _refused(self, step: int, size: int, error: BaseException) -> LaunchError:
        try:
            free = f"; {show_bytes(disk_usage(self.output).free)} are free there"
        except OSError:
            free = ""
        older = folder.found(self.output)
        return LaunchError(
            f"cannot write the checkpoint of step {step} ({show_bytes(size)}) to {self.output / folder.FOLDER}: "
            f"{_reason(error)}{free}",
            rule="a checkpoint is complete or not there",
            nearest=f"{older[0]} is intact: make room, then resume" if older else "another output folder",
        )


def _store(partial: Path, mine: list[Box], group: dist.ProcessGroup | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that one rank writes by itself, which is meant
        writer = FileSystemWriter(partial)
        save({}, storage_writer=writer, planner=SavePlanner(mine), process_group=group, no_dist=group is None)


def shared(sizes: list[dict[Key, int]], first: set[str]) -> dict[Key, int]:
    """Which rank writes what several hold: the largest first, each to the rank with the least so far.

    sizes: for each rank, bytes by name and place. first: names of what the lowest rank writes.

    >>> shared([{("a", ()): 4, ("b", ()): 3}, {("a", ()): 4, ("b", ()): 3}], set())
    {('a', ()): 0, ('b', ()): 1}
    """
    holders: dict[Key, list[int]] = {}
    for rank, each in enumerate(sizes):
        for key in each:
            holders.setdefault(key, []).append(rank)
    load = [0] * len(sizes)
    writers = {}
    for key, ranks in sorted(holders.items(), key=lambda item: (-sizes[item[1][0]][item[0]], item[0])):
        writer = ranks[0] if key[0] in first else min(ranks, key=lambda rank: load[rank])
        writers[key] = writer
        load[writer] += sizes[writer][key]
    return writers


def _reason(error: BaseException) -> str:
    """What the system said: torch's writer covers it with errors of its own, and tells of other ranks' in a dict."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    inner: BaseException | None = error
    while inner:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__context__
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def restore(output: Path, ranks: Ranks) -> Restored:
    """The newest checkpoint whose files are what was written; the ranks share the reading."""
    skipped: list[str] = []
    for path in folder.found(output):
        record: dict[str, Any] = {}
        try:
            record = folder.read_record(path)
            says = folder.torn(path, sorted(record["files"])[ranks.rank :: ranks.world], record["files"])
        except UNREADABLE as error:
            says = str(error).splitlines()[0] if str(error) else type(error).__name__
        wrong = [what for what in ranks.gather(says) if what]
        if not wrong:
            return Restored(path=path, record=record, skipped=tuple(skipped))
        skipped.append(f"checkpoint {path} cannot be read ({wrong[0]})")
    raise UsageError(
        f"no checkpoint to resume from in {output / folder.FOLDER}" + "".join(f"; {what}" for what in skipped),
        rule="a run is resumed from its output folder",
        nearest="the same run without resume, in another output folder",
    )


def agree(record: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with another seed, batch or task than the checkpoint's: it would not be the same training."""
    for key, value in now.items():
        if record.get(key) != value:
            raise UsageError(
                f"the checkpoint was trained with {key} {record.get(key)}, this run has {key} {value}",
                rule="a resumed run goes on with the same task, batch and seed",
                nearest=f"{key} {record.get(key)}",
            )
