"""What a task says of itself before it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rigwise import api
from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.layouts.runnable import check_layout
from rigwise.run.settings import RUNNABLE, settled, told

FILE = """
import rigwise, torch
from torch import nn

def task(optimizer=lambda p: torch.optim.Adam(p)):
    data = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.zeros(64, dtype=torch.long))
    return rigwise.Task(nn.Linear(8, 2), nn.functional.cross_entropy, data, optimizer, batch=48)

def with_numpy():
    torch.zeros(3).numpy()
    return task()

def odd():
    return task(lambda p: torch.optim.Rprop(p))

def module():
    return nn.Linear(8, 2), torch.zeros(2, 8)

def in_batches():
    batches = ((torch.randn(30, 8), torch.zeros(30, dtype=torch.long)) for _ in range(3))
    return rigwise.Task(nn.Linear(8, 2), nn.functional.cross_entropy, batches, torch.optim.Adam)

def chatty():
    print("so I say")
    return task()

def leaving():
    raise SystemExit(7)
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(FILE)
    return str(tmp_path / "mine.py")


def test_packaged_tasks_say_their_batch_and_optimizer() -> None:
    digits = told("digits")
    assert digits is not None
    assert (digits.batch, digits.optimizer) == (64, "momentum")


@pytest.mark.parametrize("function", ["task", "with_numpy"])
def test_a_persons_task_says_it_too(file, function) -> None:
    said = told(f"{file}:{function}")
    assert said is not None
    assert (said.batch, said.optimizer) == (48, "adam")


def test_data_in_batches_decides_the_batch_of_the_plan_as_of_the_run(file) -> None:
    said = told(f"{file}:in_batches")
    assert said is not None
    assert said.batch == 30
    assert api.ask(f"{file}:in_batches", "this:2").question.batch == 30


def test_what_a_task_prints_stays_out_of_the_answer(file, capsys) -> None:
    api.ask(f"{file}:chatty", "this:2")
    said = capsys.readouterr()
    assert said.out == ""
    assert "so I say" in said.err


def test_a_task_that_leaves_does_not_take_the_process_with_it(file) -> None:
    assert told(f"{file}:leaving") is None
    with pytest.raises(UsageError, match=r"function leaving raised SystemExit at mine.py:.*: 7"):
        api.load_model(f"{file}:leaving")


def test_a_layout_that_says_nothing_of_micro_batches_is_estimated_as_it_is_run(file) -> None:
    asked = api.ask(f"{file}:task", "this:2")
    assert asked.estimate("dp=2").layout.micro == settled("dp=2", 48).micro == 24
    assert asked.estimate("dp=2,micro=8").layout.micro == 8


def test_a_batch_that_does_not_divide_is_refused_before_anything_is_started(tmp_path) -> None:
    with pytest.raises(UsageError, match="batch 64 does not divide by dp 500"):
        api.run("digits", "dp=500", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spec", ["gpt2", "nowhere.py:task", "mine"])
def test_what_is_no_task_says_nothing(spec) -> None:
    assert told(spec) is None


def test_a_module_is_no_task(file) -> None:
    assert told(f"{file}:module") is None


def test_a_task_is_planned_as_it_would_be_run(file) -> None:
    asked = api.ask(f"{file}:task", "this:2")
    assert (asked.question.batch, asked.question.optimizer, asked.precision) == (48, "adam", "float32")
    assert asked.fix == RUNNABLE
    best = asked.plan(top=1, objective="time", fix=None, full=False).best.layout
    check_layout(best)


def test_on_another_cluster_nothing_is_held(file) -> None:
    assert api.ask(f"{file}:task", "8xh100").fix == {}


def test_an_optimizer_without_figures_is_refused_by_name_and_can_be_replaced(file) -> None:
    with pytest.raises(Exception, match="rprop"):
        api.plan(f"{file}:odd", "this:2")
    assert api.plan(f"{file}:odd", "this:2", optimizer="sgd", top=1).layouts


def test_a_layout_is_settled_as_the_run_settles_it() -> None:
    assert settled("dp=2", 64) == Layout(dp=2, micro=32, precision="float32")
    assert settled("dp=2,micro=8", 64).micro == 8
    assert settled(Layout(dp=2, micro=8), 64).micro == 8
    with pytest.raises(UsageError, match="batch 63"):
        settled("dp=2", 63)
