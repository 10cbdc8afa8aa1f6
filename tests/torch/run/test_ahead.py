"""Loading beside the training: the same batches whoever loads them, errors as they are, no process left."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from rigwise.errors import LaunchError, RigwiseError, UsageError
from rigwise.run.feeding import ahead
from rigwise.run.feeding.ahead import Ahead, Wanted
from rigwise.run.feeding.feed import Feed
from rigwise.run.seeds import TRAINING, reseed
from training import gone

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="loading beside the training is a fork")


class Noisy(Dataset[Any]):
    """A sample of nested parts, with noise of every generator."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, row: int) -> Any:
        noise = [torch.rand(2), torch.tensor([random.random()]), torch.from_numpy(np.random.rand(1))]  # noqa: NPY002
        return {"row": torch.tensor(row), "noise": noise}, torch.full((3,), row, dtype=torch.bfloat16)


class Stream:
    """Batches that can say where they stand."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Iterator[Any]:
        while self.at < 9:
            self.at += 1
            yield torch.full((4,), self.at) + torch.rand(4), torch.arange(4)
        self.at = 0

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]


def told(error: Exception) -> dict[str, Any]:
    found = error if isinstance(error, RigwiseError) else UsageError(f"the data raised {error!r}")
    return found.to_dict()


def made(data: Any, loaders: int | None, start: int = 0, position: Any = None) -> Ahead:
    wanted = Wanted(batch=4, share=slice(0, 2), start=start, position=position, loaders=loaders)
    return Ahead(Feed(data, 0, 0), wanted, CPU, told)


def flat(tree: Any) -> list[float]:
    if isinstance(tree, dict):
        return [value for key in sorted(tree) for value in flat(tree[key])]
    return [v for each in tree for v in flat(each)] if isinstance(tree, (tuple, list)) else tree.flatten().tolist()


def dealt(data: Any, loaders: int | None, steps: int = 25, **other: Any) -> list[list[float]]:
    batches = made(data, loaders, **other)
    try:
        found = []
        for step in range(steps):
            found.append(flat(next(batches)))
            reseed(TRAINING, 0, step)
            torch.rand(100)  # what training draws does not reach what loading draws
    finally:
        batches.close()
    return found


@pytest.mark.parametrize("loaders", [1, 2, 3])
def test_the_batches_are_the_same_whoever_loads_them(loaders: int) -> None:
    assert dealt(Noisy(), loaders) == dealt(Noisy(), 0)
    assert dealt(Noisy(), loaders, steps=5, start=13) == dealt(Noisy(), 0)[13:18]


def test_an_iterable_is_loaded_beside_the_training_too() -> None:
    rows = TensorDataset(torch.arange(18), torch.arange(18))
    for data in (Stream, lambda: DataLoader(rows, batch_size=4, shuffle=True)):
        assert dealt(data(), 2) == dealt(data(), 0)


@pytest.mark.parametrize("loaders", [0, 1])
def test_a_position_is_that_of_the_last_batch_taken(loaders: int) -> None:
    """Not that of the batches which are loaded already."""
    whole = dealt(Stream(), 0, steps=12)
    for stop in (1, 5, 9, 10):
        batches = made(Stream(), loaders)
        for _ in range(stop):
            next(batches)
        position = batches.position
        batches.close()
        assert position == {"at": stop if stop < 10 else stop - 9}
        assert dealt(Stream(), loaders, steps=2, start=stop, position=position) == whole[stop : stop + 2]


def test_a_batch_is_loaded_while_the_one_before_is_used() -> None:
    """Two pipes: loading waits for a word that only the user of the batch before gives."""
    ask, asked = os.pipe()
    answer, answered = os.pipe()

    class Waits(Dataset[Any]):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, row: int) -> Any:
            return torch.tensor(row), torch.tensor(row)

        def gather(self, rows: torch.Tensor) -> Any:
            os.write(asked, b".")
            os.read(answer, 1)
            return rows, rows

    os.write(answered, b".")
    batches = made(Waits(), 1)
    next(batches)
    os.read(ask, 1)
    os.read(ask, 1)  # the second is being loaded, though nobody has asked for it
    os.write(answered, b"..")
    next(batches)
    batches.close()
    for end in (ask, asked, answer, answered):
        os.close(end)


class Fails(Dataset[Any]):
    """At the third batch."""

    def __init__(self, act: Any) -> None:
        self.act = act
        self.calls = 0

    def __len__(self) -> int:
        return 40

    def __getitem__(self, row: int) -> Any:
        self.calls += 1
        if self.calls > 4:
            self.act()
        return torch.tensor(row), torch.tensor(row)


def refuse() -> None:
    raise KeyError("no such sample")


@pytest.mark.parametrize(
    ("act", "family", "words"),
    [
        (refuse, UsageError, "no such sample"),
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            LaunchError,
            "the process that loads the data was killed by SIGK",
        ),
        (lambda: os._exit(3), LaunchError, "the process that loads the data ended with exit code 3"),
    ],
)
def test_what_goes_wrong_in_the_other_process_is_told(act: Any, family: type[RigwiseError], words: str) -> None:
    batches = made(Fails(act), 1)
    process = batches._loaders[0].process
    with pytest.raises(family, match=words):
        list(islice(batches, 9))
    batches.close()
    assert gone(process)


def test_what_is_no_tensor_is_refused() -> None:
    class Words(Dataset[Any]):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, row: int) -> Any:
            return f"sample {row}", torch.tensor(row)

    batches = made(Words(), 1)
    with pytest.raises(UsageError, match="the data gave a str where a tensor is expected"):
        list(islice(batches, 2))
    batches.close()


def test_no_process_is_left_when_it_is_closed_in_the_middle() -> None:
    batches = made(Noisy(), 3)
    next(batches)
    processes = [loader.process for loader in batches._loaders]
    assert len(processes) == batches.processes == 3
    batches.close()
    assert all(gone(process) for process in processes)


def test_who_loads_is_decided_by_the_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def processes(quick: float, data: Any) -> int:
        monkeypatch.setattr(ahead, "QUICK_S", quick)
        batches = made(data, None)
        batches.close()
        return len(batches._loaders)

    own = DataLoader(TensorDataset(torch.arange(8), torch.arange(8)), batch_size=4, num_workers=1)
    assert processes(1e9, Noisy()) == 0
    assert processes(0.0, Noisy()) == 1
    assert processes(0.0, own) == 0
