"""A file.py:function is traced; whatever is wrong with it is an error that names file, line and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from rigwise.errors import LaunchError, NotFoundError, UsageError  # noqa: E402
from rigwise.models.trace import trace_file  # noqa: E402

pytestmark = pytest.mark.torch

FILE = """\
import torch
from dataclasses import dataclass
from torch import nn

@dataclass
class Task:
    model: object
    loss: object
    data: object
    optimizer: object
    tokens: int = 0

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(30, 8)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(5))
        self.head = nn.Linear(8, 30)
    def forward(self, x):
        x = self.table(x)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)

def words():
    return Words(), torch.zeros(3, 10, dtype=torch.long)

def loss(scores, targets):
    return nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten())

def dataset():
    rows = torch.zeros(40, 12, dtype=torch.long)
    return Task(Words(), loss, torch.utils.data.TensorDataset(rows, rows), None)

def batches():
    rows = torch.zeros(16, 12, dtype=torch.long)
    return Task(Words(), loss, [(rows, rows)], None, tokens=12)

def loader():
    rows = torch.zeros(16, 12, dtype=torch.long)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(rows, rows), batch_size=4, shuffle=True)
    return Task(Words(), loss, data, None)

class Asks(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 4)
        self.register_buffer("table", torch.tensor([1.0, 2.0]))
    def forward(self, x):
        return self.dense(x) * float(x.shape[0])

def attribute():
    module = Asks()
    module.example_inputs = {"x": torch.zeros(2, 4)}
    return module

def counts():
    scale = int(torch.tensor([3, 4]).sum().item())
    return nn.Linear(scale, 2), torch.zeros(2, scale)

def nothing():
    return nn.Linear(2, 2)

def number():
    return 7

def fails():
    width = 3
    raise ValueError(f"no layer of {width}")

def wrong():
    return nn.Linear(4, 4), torch.zeros(2, 5)

class Asking(nn.Module):
    def __init__(self, constant):
        super().__init__()
        self.cells = nn.LSTM(4, 4)
        self.constant = constant
    def forward(self, x):
        scale = torch.tensor(3.0).item() if self.constant else x.sum().item()
        return self.cells(x)[0] * scale

def constant():
    return Asking(True), torch.zeros(3, 2, 4)

def value():
    return Asking(False), torch.zeros(3, 2, 4)

def returns_nothing():
    return None

def endless():
    return Task(Words(), loss, [], None)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "nets.py"
    file.write_text(FILE)
    return file


def test_a_module_and_its_inputs(path: Path) -> None:
    model = trace_file(path, "words")
    assert (model.name, model.family, model.unit, model.tokens) == ("nets", "traced", "token", 10)
    assert model.parameters == 30 * 8 + 5 * 72 + 8 * 30 + 30
    assert model.units == 5
    assert model.flops == 10 * 2 * (5 * 64 + 240)


def test_seq_and_batch_replace_what_the_inputs_say(path: Path) -> None:
    short, long = (trace_file(path, "words", seq=seq, batch=7) for seq in (10, 20))
    assert long.tokens == 20
    assert long.flops == 2 * short.flops == 2 * trace_file(path, "words").flops


@pytest.mark.parametrize("function", ["dataset", "batches", "loader"])
def test_a_task_gives_one_batch_and_its_loss(path: Path, function: str) -> None:
    model = trace_file(path, function)
    last = model.blocks[-1]
    assert (model.tokens, last.name, last.role) == (12, "head", "last")
    assert any(o.name.startswith("loss.") for o in last.operations)
    assert model.flops == 12 * 2 * (5 * 64 + 240)
    assert model.input_bytes == 2 * 12 * 8


def test_inputs_may_be_an_attribute_and_a_dict(path: Path) -> None:
    assert trace_file(path, "attribute").parameters == 20


def test_a_module_that_asks_for_the_value_of_a_constant_is_traced_all_the_same(path: Path) -> None:
    model = trace_file(path, "constant")
    assert model.parameters == 4 * 4 * 4 * 2 + 2 * 16
    assert model.flops == 2 * 2 * 64 * 2


def test_a_function_that_computes_with_numbers_is_built_with_them(path: Path) -> None:
    assert trace_file(path, "counts").parameters == 7 * 2 + 2


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("fails", r"fails raised ValueError at nets.py:\d+: no layer of 3"),
        ("wrong", r"wrong raised RuntimeError at nets.py"),
        ("value", r"value raised \w+ at nets.py:\d+: "),
        ("number", "returned int"),
        ("returns_nothing", "returned NoneType"),
        ("nothing", "without example inputs"),
        ("endless", "gives no"),
    ],
)
def test_what_goes_wrong_is_said(path: Path, function: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        trace_file(path, function)


def test_the_line_is_that_of_the_file(path: Path) -> None:
    line = 1 + FILE[: FILE.index("raise ValueError")].count("\n")
    with pytest.raises(UsageError, match=f"nets.py:{line}:"):
        trace_file(path, "fails")


def test_an_unknown_function_names_the_near_ones(path: Path) -> None:
    with pytest.raises(NotFoundError, match="words"):
        trace_file(path, "word")


def test_without_torch_the_missing_package_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rigwise.models.trace.find_spec", lambda _: None)
    with pytest.raises(LaunchError, match="rigwise\\[run\\]"):
        trace_file(path, "words")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        trace_file(tmp_path / "absent.py", "model")


@pytest.mark.parametrize(
    ("text", "says"), [("x = 1 +", "SyntaxError at bad.py:1"), ("\nimport nowhere_at_all", "bad.py:2")]
)
def test_a_file_that_cannot_be_run(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        trace_file(file, "model")


@pytest.mark.parametrize(("seq", "batch"), [(0, None), (None, 0), (-3, None)])
def test_sizes_are_at_least_one(path: Path, seq: int | None, batch: int | None) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        trace_file(path, "words", seq=seq, batch=batch)
