"""The packaged tasks, and tasks out of people's files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from rigwise.errors import NotFoundError, UsageError
from rigwise.run.feeding.feed import Feed
from rigwise.run.task import Task, load_task, locate, packaged


@pytest.mark.parametrize("name", sorted(packaged()))
def test_a_packaged_task_gives_batches_that_its_model_and_loss_take(name: str) -> None:
    task = load_task(name)
    inputs, targets = next(Feed(task.data, 0, 0).deal(batch=task.batch, share=slice(0, 4), start=0))
    loss = task.loss(task.model(inputs), targets)
    loss.backward()
    assert loss.shape == ()
    assert all(parameter.grad is not None for parameter in task.model.parameters())
    assert isinstance(task.optimizer(task.model.parameters()), torch.optim.Optimizer)


@pytest.mark.parametrize("name", sorted(packaged()))
def test_a_packaged_task_is_the_same_each_time_and_works_a_sample_at_a_time(name: str) -> None:
    """No layer mixes the samples of a batch, so any split of a batch trains the same."""
    torch.manual_seed(0)
    one = load_task(name)
    torch.manual_seed(0)
    two = load_task(name)
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True))
    inputs = one.data[0:4][0]
    assert torch.equal(inputs, two.data[0:4][0])
    single = torch.cat([two.model(inputs[at : at + 1]) for at in range(4)])
    torch.testing.assert_close(one.model(inputs), single, rtol=1e-5, atol=1e-6)


def test_the_digits_are_all_there() -> None:
    """Counts per digit as the UCI repository gives them for its test set."""
    data = load_task("digits").data
    assert isinstance(data, TensorDataset)
    images, digits = data.tensors
    assert images.shape == (1797, 1, 8, 8)
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert digits.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_characters_are_told_one_later() -> None:
    task = load_task("characters")
    inputs, targets = task.data[0:2]
    assert task.tokens == inputs.shape[1] == 128
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert inputs[1, 0] == targets[0, -1]


def test_the_transformer_does_not_see_what_comes() -> None:
    task = load_task("characters")
    inputs = task.data[0:1][0].clone()
    before = task.model(inputs)
    inputs[0, 100] = (inputs[0, 100] + 1) % 50
    after = task.model(inputs)
    torch.testing.assert_close(before[0, :100], after[0, :100])
    assert not torch.allclose(before[0, 100:], after[0, 100:])


FILE = """
from rigwise import Task
import helper
from torch import nn
import torch

def good():
    return Task(nn.Linear(2, 1), nn.functional.mse_loss, [], torch.optim.SGD, batch=helper.BATCH)

def number():
    return 3

def broken():
    x = 1
    return x / 0

def sizeless():
    return Task(nn.Linear(2, 1), nn.functional.mse_loss, [], torch.optim.SGD, batch=0)

def unnamed():
    return Task("linear", nn.functional.mse_loss, [], torch.optim.SGD)

def lossless():
    return Task(nn.Linear(2, 1), None, [], torch.optim.SGD)

def dataless():
    return Task(nn.Linear(2, 1), nn.functional.mse_loss, 3, torch.optim.SGD)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("BATCH = 7\n")
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path / "mine.py"


def test_a_task_file_may_import_its_neighbours(file: Path) -> None:
    assert load_task(f"{file}:good").batch == 7


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("number", "mine.py:number returned int"),
        ("broken", "the task function broken raised ZeroDivisionError at mine.py:15: division by zero"),
        ("sizeless", "has batch=0"),
        ("unnamed", "has a str for model"),
        ("lossless", "has a NoneType for loss"),
        ("dataless", "has a int for data"),
    ],
)
def test_what_is_no_task_is_refused_with_its_place(file: Path, function: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_task(f"{file}:{function}")


@pytest.mark.parametrize(
    ("text", "words"),
    [("def f(:\n", "broken.py:1"), ("import nothing_of_that_name\n", "broken.py:1"), ("1/0", "broken")],
)
def test_a_file_that_cannot_be_run_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(UsageError, match=words):
        load_task(f"{tmp_path / 'broken.py'}:f")


def test_a_function_that_is_not_there_is_told_with_those_that_are(file: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no function in mine.py 'goood'; nearest: good"):
        load_task(f"{file}:goood")


@pytest.mark.parametrize(
    ("spec", "family", "words"),
    [
        ("digts", NotFoundError, "no task 'digts'; nearest: digits"),
        ("task.py", UsageError, "names no function"),
        ("none.py:f", NotFoundError, "no task file 'none.py'"),
        (f"{__file__}:two words", UsageError, "is no name of a function"),
    ],
)
def test_a_spelling_that_means_no_task_is_refused(spec: str, family: type[Exception], words: str) -> None:
    with pytest.raises(family, match=words):
        locate(spec)


def test_a_task_is_frozen_and_takes_its_four_parts_in_order() -> None:
    task = Task(nn.Linear(1, 1), nn.functional.mse_loss, [], torch.optim.SGD)
    assert (task.batch, task.tokens) == (64, 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.batch = 3
