"""Every rank takes its part of one and the same global batch."""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from rigwise.errors import UsageError
from rigwise.models.trace import is_dataset
from rigwise.run.feeding.feed import Feed, cut, place, size
from rigwise.run.seeds import LOADING, TRAINING, order, reseed


def numbers(count: int) -> TensorDataset:
    rows = torch.arange(count)
    return TensorDataset(rows, -rows)


def taken(data: Any, *, batch: int, ranks: int, steps: int, start: int = 0, seed: int = 0) -> list[list[int]]:
    """The samples of each step, rank after rank."""
    each = batch // ranks
    feeds = [
        Feed(data, seed, rank).deal(batch=batch, share=slice(rank * each, (rank + 1) * each), start=start)
        for rank in range(ranks)
    ]
    return [[int(row) for feed in feeds for row in next(feed)[0]] for _ in range(steps)]


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(12, 60), ranks=st.sampled_from([1, 2, 3, 4, 6]), start=st.integers(0, 9), seed=st.integers(0, 3)
)
def test_the_global_batches_are_the_same_for_any_number_of_ranks(count: int, ranks: int, start: int, seed: int) -> None:
    alone = taken(numbers(count), batch=12, ranks=1, steps=start + 4, seed=seed)
    together = taken(numbers(count), batch=12, ranks=ranks, steps=4, start=start, seed=seed)
    assert together == alone[start:]


def test_an_epoch_shows_a_sample_once_and_the_next_is_in_another_order() -> None:
    steps = taken(numbers(24), batch=8, ranks=2, steps=6)
    first, second = list(chain(*steps[:3])), list(chain(*steps[3:]))
    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second


def test_the_order_is_the_seed_s() -> None:
    assert order(1, 0, 50).tolist() == order(1, 0, 50).tolist() != order(2, 0, 50).tolist()
    assert order(1, 0, 50).tolist() != order(1, 1, 50).tolist()


class Noisy(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A sample with its number and noise beside it."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(row), torch.rand(())


def test_a_dataset_s_noise_is_the_same_after_a_resume_and_differs_between_ranks() -> None:
    def noise(rank: int, start: int) -> list[float]:
        feed = Feed(Noisy(), 0, rank).deal(batch=4, share=slice(0, 2), start=start)
        return [float(targets[0]) for _, targets in islice(feed, 3)]

    assert noise(0, 0)[2] == noise(0, 2)[0]
    assert noise(0, 0) != noise(1, 0)


class Stream(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Three batches."""

    def __iter__(self) -> Any:
        return iter([(torch.full((4,), i), torch.zeros(4)) for i in range(3)])


@pytest.mark.parametrize(
    ("data", "indexed"),
    [(numbers(3), True), (Noisy(), True), (Stream(), False), ([(1, 2)], False), (DataLoader(numbers(3)), False)],
)
def test_samples_and_batches_are_told_apart(data: Any, indexed: bool) -> None:
    assert is_dataset(data) is indexed


def test_an_iterable_begins_again_and_short_batches_are_left_out() -> None:
    assert taken(Stream(), batch=4, ranks=2, steps=4) == [[0] * 4, [1] * 4, [2] * 4, [0] * 4]
    loader = DataLoader(numbers(10), batch_size=4)
    assert taken(loader, batch=4, ranks=2, steps=3) == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]


def test_a_shuffling_loader_is_shuffled_alike_on_all_ranks_and_after_a_resume() -> None:
    def loader() -> DataLoader[Any]:
        return DataLoader(numbers(20), batch_size=4, shuffle=True)

    alone = taken(loader(), batch=4, ranks=1, steps=8)
    assert taken(loader(), batch=4, ranks=1, steps=2, start=6) == alone[6:]
    assert sorted(chain(*alone[:5])) == list(range(20))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (numbers(3), "the dataset has 3 samples, the global batch 4"),
        (DataLoader(numbers(9), batch_size=3), "batch 4, but the data comes in batches of 3"),
        ([torch.zeros(4)], "the data gave a Tensor"),
        ([(1, 2, 3)], "the data gave a tuple of 3"),
        ([], "the data ended after 0 steps"),
    ],
)
def test_data_that_does_not_fit_is_refused(data: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        next(Feed(data, 0, 0).deal(batch=4, share=slice(0, 4), start=0))


def test_trees_of_tensors_are_cut_and_placed_leaf_by_leaf() -> None:
    tree = {"a": torch.arange(6), "b": (torch.arange(6), [torch.arange(12).view(6, 2)])}
    half = place(cut(tree, 2, 4), torch.device("cpu"))
    assert size(tree) == 6
    assert size(half) == 2
    assert half["b"][1][0].tolist() == [[4, 5], [6, 7]]


def test_a_seed_is_one_purpose_s_in_one_step_of_one_rank() -> None:
    def draw(purpose: int, step: int, rank: int) -> float:
        reseed(purpose, 7, step, rank)
        return float(torch.rand(()))

    draws = [draw(*where) for where in [(TRAINING, 1, 0), (TRAINING, 2, 0), (TRAINING, 1, 1), (LOADING, 1, 0)]]
    assert len(set(draws)) == 4
    assert draw(TRAINING, 1, 0) == draws[0]
