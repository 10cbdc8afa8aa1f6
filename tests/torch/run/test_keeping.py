"""Checkpoints are complete or not there, hold what was there when they were begun, and fit any layout."""

from __future__ import annotations

import errno
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rigwise.errors import LaunchError, UsageError
from rigwise.run.keeping import folder, keeper
from rigwise.run.keeping.boxes import boxes
from rigwise.run.keeping.contents import Contents, of_model
from rigwise.run.keeping.filling import fill, read, weights
from rigwise.run.keeping.keeper import Keeper, Restored, restore, shared
from rigwise.run.parallel.held import Held, runs_of
from rigwise.run.ranks import Ranks

ALONE = Ranks(rank=0, world=1, device=torch.device("cpu"))
OWN = {"task": "t", "batch": 8, "seed": 0}
LOADER: dict[str, Any] = {"position": None}
Optimizer = Callable[[Any], torch.optim.Optimizer]


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def contents(model: nn.Module, optimizer: torch.optim.Optimizer, **parts: Any) -> Contents:
    return of_model(model, optimizer, **parts)


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, seed: int = 0) -> None:
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 3, generator=draw)).square().mean().backward()
        optimizer.step()


def saved(output: Path, step: int, value: float = 1.0) -> Path:
    model = network()
    nn.init.constant_(model[0].weight, value)
    made = Keeper(output, ALONE, contents(model, adam(model.parameters())), OWN)
    made.save(step, LOADER, wait=True)
    return made.path


def back(output: Path) -> Restored:
    return restore(output, ALONE)


def test_the_last_that_was_saved_comes_back(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        saved(tmp_path, step, step)
    restored = back(tmp_path)
    assert restored.path.name == "step-00000003"
    assert restored.record["step"] == 3
    assert restored.skipped == ()
    assert torch.equal(weights(restored.path)["0.weight"], torch.full((4, 3), 3.0))
    assert [path.name for path in folder.found(tmp_path)] == ["step-00000003", "step-00000002"]


def test_latest_decides_and_not_the_highest_number(tmp_path: Path) -> None:
    saved(tmp_path, 4)
    newest = saved(tmp_path, 5)
    (newest.parent / "LATEST").write_text("step-00000004\n")
    assert back(tmp_path).record["step"] == 4


OPTIMIZERS: list[Optimizer] = [
    lambda p: torch.optim.SGD(p, lr=0.1),
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    adam,
    lambda p: torch.optim.AdamW(p, amsgrad=True, betas=(0.8, 0.95)),
    lambda p: torch.optim.RMSprop(p, momentum=0.5, centered=True),
    lambda p: torch.optim.Adagrad(p),
    lambda p: torch.optim.NAdam(p),
    lambda p: torch.optim.Adafactor(p),
    lambda p: torch.optim.Adam(p, lr=torch.tensor(0.01)),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_training_that_goes_on_is_bit_for_bit_training_that_did_not_stop(tmp_path: Path, make: Optimizer) -> None:
    model = network()
    optimizer = make(model.parameters())
    trained(model, optimizer, 3)
    Keeper(tmp_path, ALONE, contents(model, optimizer), OWN).save(3, LOADER, wait=True)
    other = network()
    again = make(other.parameters())
    restored = back(tmp_path)
    assert fill(contents(other, again), restored.path, restored.record) == []
    assert again.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    for net, how in ((model, optimizer), (other, again)):
        trained(net, how, 3, seed=1)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_settings_that_a_task_changed_on_the_way_are_kept(tmp_path: Path) -> None:
    model = network()
    groups = [
        {"params": model[0].parameters()},
        {"params": [*model[1].parameters(), *model[2].parameters()], "lr": 1.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    optimizer.param_groups[1]["lr"] = 0.25
    Keeper(tmp_path, ALONE, contents(model, optimizer), OWN).save(1, LOADER, wait=True)
    optimizer.param_groups[1]["lr"] = 1.0
    fill(contents(model, optimizer), back(tmp_path).path, back(tmp_path).record)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.25]


def test_a_checkpoint_holds_the_moment_it_was_begun_at(tmp_path: Path) -> None:
    model = network()
    optimizer = adam(model.parameters())
    trained(model, optimizer, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = Keeper(tmp_path, ALONE, contents(model, optimizer), OWN)
    made.save(2, LOADER, wait=False)
    trained(model, optimizer, 5)
    found = weights(made.finish())
    assert all(torch.equal(found[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("where", ["_store", "finish"])
@pytest.mark.parametrize("wait", [True, False])
def test_a_disk_that_is_full_at_any_moment_leaves_the_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, wait: bool
) -> None:
    older = saved(tmp_path, 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keeper if where == "_store" else folder, where, full)
    model = network()
    made = Keeper(tmp_path, ALONE, contents(model, adam(model.parameters())), OWN)
    with pytest.raises(LaunchError, match=r"step 2 .*No space left on device; .* are free there") as caught:
        made.save(2, LOADER, wait=wait) or made.finish()
    assert str(older) in caught.value.nearest
    assert back(tmp_path).record["step"] == 1
    assert not list(tmp_path.glob("checkpoints/.partial-*"))


def test_a_folder_that_was_never_finished_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    aside = folder.aside(tmp_path, 2)
    aside.mkdir()
    (aside / "__0_0.distcp").write_bytes(b"half")
    assert back(tmp_path).record["step"] == 1
    saved(tmp_path, 3)
    assert not aside.exists()


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata", "record.json"])
@pytest.mark.parametrize("how", ["cut", "gone", "one bit"])
def test_a_damaged_file_is_noticed_and_the_one_before_taken(tmp_path: Path, name: str, how: str) -> None:
    saved(tmp_path, 1)
    path = saved(tmp_path, 2) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    if how != "gone":
        path.write_bytes(data[: len(data) // 2] if how == "cut" else data)
    restored = back(tmp_path)
    assert restored.record["step"] == 1
    assert "step-00000002 cannot be read" in restored.skipped[0]


def test_another_model_is_refused(tmp_path: Path) -> None:
    restored_path, record = saved(tmp_path, 1), back(tmp_path).record
    wide = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    long = nn.Sequential(*network(), nn.Linear(2, 2))
    for model, words in (
        (wide, r"size mismatch for model/0.weight: \[4, 3\], here \[4, 5\]"),
        (long, "it has no model/3"),
    ):
        with pytest.raises(UsageError, match=f"does not fit the task's model or optimizer: {words}"):
            fill(contents(model, adam(model.parameters())), restored_path, record)


class Loud:
    """Says that it has been unpickled."""

    def __reduce__(self) -> Any:
        return print, ("code was run",)


def test_no_code_is_run_by_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint may come from elsewhere, digests and all."""
    path = saved(tmp_path, 1)
    (path / ".metadata").write_bytes(pickle.dumps(Loud()))
    record = json.loads((path / "record.json").read_text())
    record["files"][".metadata"] = folder.digest(path / ".metadata")
    del record["digest"]
    record["digest"] = folder._digest(record)
    (path / "record.json").write_text(json.dumps(record))
    model = network()
    with pytest.raises(UsageError, match=r"its index holds a builtins.print"):
        fill(contents(model, adam(model.parameters())), path, back(tmp_path).record)
    assert capsys.readouterr().out == ""


def test_torch_s_own_tools_read_a_checkpoint(tmp_path: Path) -> None:
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    dcp_to_torch_save(saved(tmp_path, 1, 7.0), tmp_path / "plain.pt")
    plain = torch.load(tmp_path / "plain.pt", weights_only=True)
    assert torch.equal(plain["model/0.weight"], torch.full((4, 3), 7.0))


class Residual:
    """What compressed gradients leave over."""

    def __init__(self, value: float) -> None:
        self.left, self.rounds = torch.full((3,), value), 4

    def state_dict(self) -> dict[str, Any]:
        return {"left": self.left, "rounds": self.rounds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.left, self.rounds = state["left"], state["rounds"]


def test_parts_go_on_where_they_were_and_begin_anew_where_there_is_nothing_for_them(tmp_path: Path) -> None:
    model = network()
    optimizer = adam(model.parameters())
    kept = contents(model, optimizer, compression=Residual(0.5))
    Keeper(tmp_path, ALONE, kept, OWN).save(1, LOADER, wait=True)
    restored, here, elsewhere = back(tmp_path), Residual(0.0), Residual(0.0)
    here.rounds = 0
    assert fill(contents(model, optimizer, compression=here), restored.path, restored.record) == []
    assert (here.left.tolist(), here.rounds) == ([0.5] * 3, 4)
    other = replace(contents(model, optimizer, compression=elsewhere), rank=3)
    assert "compression begins anew" in fill(other, restored.path, restored.record)[0]
    assert elsewhere.left.tolist() == [0.0] * 3


@st.composite
def splits(draw: st.DrawFn) -> tuple[tuple[int, ...], list[list[Held]]]:
    """A shape, and two ways to cut it into pieces: rows dealt at random to some ranks, columns to others."""
    shape = (draw(st.integers(1, 7)), draw(st.integers(1, 5)))
    ways = []
    for _ in range(2):
        dealt = [draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)) for size in shape]
        owned = [[[i for i, rank in enumerate(dim) if rank == r] for r in range(3)] for dim in dealt]
        runs = [(runs_of(rows), runs_of(columns)) for rows in owned[0] for columns in owned[1] if rows and columns]
        ways.append([Held(name="w", parameter=None, shape=shape, runs=each) for each in runs])
    return shape, ways


@settings(deadline=None, max_examples=25)
@given(made=splits())
def test_what_was_saved_in_one_split_is_read_in_any_other(
    made: tuple[tuple[int, ...], list[list[Held]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape, (first, second) = made
    whole = torch.randn(shape)
    path = tmp_path_factory.mktemp("split")
    keeper._store(path, [box for held in first for box in boxes("model/w", held, held.cut(whole))], None)
    for held in second:
        piece = torch.full(held.piece_shape, torch.nan)
        read(path, list(boxes("model/w", held, piece)))
        assert torch.equal(piece, held.cut(whole))


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)), min_size=1, max_size=4))
def test_everything_is_written_once_by_a_rank_that_has_it(each: list[dict[str, int]]) -> None:
    sizes = [{(name, ()): 3 for name in names} for names in each]
    writers = shared(sizes, {"a"})
    assert set(writers) == {key for held in sizes for key in held}
    assert all(key in sizes[rank] for key, rank in writers.items())
    if ("a", ()) in writers:
        assert writers["a", ()] == next(rank for rank, held in enumerate(sizes) if ("a", ()) in held)
