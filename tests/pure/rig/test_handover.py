"""From `advise` to `rig`, and from `rig` to `plan`: what one found the next one takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rigwise
from rigwise.errors import NotFoundError, UsageError
from rigwise.hardware.clusterfile import read_cluster
from rigwise.report.partslist import cluster_toml
from rigwise.rig.catalogue import catalogue
from rigwise.rig.handover import read_answer

ROW = {"device": "rtx-3090", "count": 4, "machines": 2, "condition": "used", "what": "RTX 3090"}
NEED = {"model": "gpt2", "batch": 64, "usd_per_kwh": 0.3}


def written(folder: Path, choices: list[dict], need: dict = NEED) -> Path:
    path = folder / "answer.json"
    path.write_text(json.dumps({"choices": choices, "need": need}), encoding="utf-8")
    return path


def test_a_real_answer_becomes_a_machine(tmp_path: Path) -> None:
    answer = rigwise.advise("resnet50", budget=2500.0, get=["new", "used"])
    known = {card.device.name for card in catalogue().of("gpu")}
    place, taken = next((i, one) for i, one in enumerate(answer.choices, 1) if one.candidate.device.name in known)
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(answer.to_dict()), encoding="utf-8")
    found = rigwise.rig_from(path, place)
    candidate = taken.candidate
    assert [card.device.name for card in found.build.gpus] == [candidate.device.name] * candidate.count
    assert found.use.work.question.model.name == "resnet50"
    assert found.use.work.question.batch == answer.need.batch
    assert found.passes


def test_machines_price_of_electricity_and_newness_come_along(tmp_path: Path) -> None:
    taken = read_answer(written(tmp_path, [ROW | {"condition": "rent"}, ROW]), 2)
    assert (taken.gpus, taken.model, taken.batch, taken.per_kwh, taken.new) == ("2x2xrtx-3090", "gpt2", 64, 0.3, False)
    fresh = written(tmp_path, [ROW | {"device": "rtx-5090", "count": 1, "machines": 1, "condition": "new"}])
    assert (read_answer(fresh).gpus, read_answer(fresh).new) == ("1xrtx-5090", True)


def test_what_is_asked_beside_it_counts_more(tmp_path: Path) -> None:
    path = written(tmp_path, [ROW])
    other = rigwise.rig_from(path, gpus="1xrtx-3060-12gb", model="resnet50", batch=32)
    assert (len(other.build.gpus), other.use.work.question.batch, other.use.per_kwh) == (1, 32, 0.3)


@pytest.mark.parametrize(
    ("text", "choice", "error"),
    [
        ("{", 1, UsageError),
        ("[]", 1, UsageError),
        ("{}", 1, UsageError),
        (json.dumps({"choices": [ROW], "need": NEED}), 2, NotFoundError),
        (json.dumps({"choices": [ROW], "need": NEED}), 0, NotFoundError),
        (json.dumps({"choices": [{"device": "rtx-3090"}], "need": NEED}), 1, UsageError),
        (json.dumps({"choices": [ROW | {"count": 3}], "need": NEED}), 1, UsageError),
        (json.dumps({"choices": [ROW | {"condition": "spot"}], "need": NEED}), 1, UsageError),
        (json.dumps({"choices": [ROW | {"device": "rtx-9999"}], "need": NEED}), 1, NotFoundError),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path: Path, text: str, choice: int, error) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error):
        rigwise.rig_from(path, choice)


def test_a_missing_answer_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        rigwise.rig_from(tmp_path / "nothing.json")


@pytest.mark.parametrize("gpus", ["2xrtx-3090"])
def test_a_machine_is_planned_on_as_the_cluster_that_it_is(tmp_path: Path, gpus: str) -> None:
    found = rigwise.rig(gpus, model="gpt2", batch=64)
    path = tmp_path / "machine.toml"
    path.write_text(cluster_toml(found), encoding="utf-8")
    cluster = read_cluster(path)
    assert cluster.node == found.cluster.node
    assert cluster.nodes == found.use.nodes
    best = rigwise.plan("gpt2", str(path), batch=64).best
    assert best.step_s == pytest.approx(found.step_s, rel=1e-3)


def test_a_list_without_a_gpu_is_no_cluster() -> None:
    with pytest.raises(UsageError):
        cluster_toml(rigwise.check_rig("CPU: EPYC 7302P\nRAM: DDR4-3200 2 x 16 GB\n"))
