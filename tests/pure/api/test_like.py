"""One's own measured runs correct estimate, plan and scale: settings that a run does not say are the question's."""

from __future__ import annotations

from itertools import pairwise
from math import log
from pathlib import Path

import pytest

import rigwise
from rigwise.api.explaining import explained
from rigwise.api.question import ask as ask_of
from rigwise.api.remembering import Listing, history_csv
from rigwise.calibration.like import runs_of
from rigwise.cost.bound import least_seconds
from rigwise.errors import RigwiseError, UsageError
from rigwise.measurements.history import Beside, Session
from rigwise.measurements.published import tables
from rigwise.measurements.record import Measurement
from rigwise.measurements.tables import COLUMNS, read_table

ASK = ("gpt3-1.3b", "dp=8,zero=1", "8xa100-sxm-80gb")
SAID = {"batch": 64, "seq": 2048}
PLAIN = rigwise.estimate(*ASK, **SAID)


def factor(like, **said) -> float:
    return rigwise.estimate(*ASK, **SAID | said, like=like).step_s / PLAIN.step_s


def test_the_same_run_that_took_as_long_as_predicted_changes_nothing_but_the_interval() -> None:
    found = rigwise.estimate(*ASK, **SAID, like=f"{PLAIN.step_s} s")
    assert found.step_s == pytest.approx(PLAIN.step_s)
    assert log(found.interval[1] / found.interval[0]) < log(PLAIN.interval[1] / PLAIN.interval[0])


@pytest.mark.parametrize(
    "like",
    [
        f"8xa100-sxm-80gb, gpt3-1.3b, dp=8, zero=1, {1.2 * PLAIN.step_s} s",
        f"a100-sxm-80gb 8x, gpt3-1.3b, {1.2 * PLAIN.step_s} s",
        f"{PLAIN.tokens_per_s_per_device / 1.2} tokens/s/gpu",
        f"{PLAIN.samples_per_s / 1.2} samples/s, zero=1",
        f"{100 * PLAIN.mfu / 1.2} % mfu",
    ],
)
def test_every_way_to_tell_the_run_means_the_same(like: str) -> None:
    assert factor(like) == pytest.approx(factor(f"{1.2 * PLAIN.step_s} s"), rel=1e-9)
    assert 1.05 < factor(like) < 1.2


def test_two_runs_say_more_than_one_and_another_device_less() -> None:
    slow = f"{1.3 * PLAIN.step_s} s"
    other = rigwise.estimate(*ASK[:2], "8xh100", **SAID).step_s
    one, two, far = (factor(like) for like in (slow, [slow, slow], f"8xh100, {1.3 * other} s, dp=8, zero=1"))
    assert 1 < far < one < two < 1.3


def test_a_run_of_the_same_model_says_more_than_one_of_another() -> None:
    slow = {}
    for model in ("gpt3-1.3b", "gpt2-xl"):
        plain = rigwise.estimate(model, "dp=8,zero=1", "8xa100-sxm-80gb", batch=64, seq=1024).step_s
        slow[model] = f"8xa100-sxm-80gb, {model}, seq=1024, {1.3 * plain} s, dp=8, zero=1"
    assert 1 < factor(slow["gpt2-xl"]) < factor(slow["gpt3-1.3b"]) < 1.3
    basis = rigwise.estimate(*ASK, **SAID, like=slow["gpt2-xl"]).basis
    assert "count for less: not on model of" in basis


def test_a_layout_that_is_not_told_is_that_of_the_best_plan_and_said_so() -> None:
    best = rigwise.plan(ASK[0], "8xh100", top=1, **SAID).best
    found = rigwise.estimate(*ASK, **SAID, like=f"8xh100, {best.step_s} s")
    assert found.step_s == pytest.approx(PLAIN.step_s)


def test_plan_and_scale_are_corrected_too_and_keep_their_order() -> None:
    like = f"{1.3 * PLAIN.step_s} s, dp=8, zero=1"
    plain, plan = (rigwise.plan(*ASK[::2], top=5, **SAID, **more) for more in ({}, {"like": like}))
    assert [row.layout for row in plan.layouts] == [row.layout for row in plain.layouts]
    for before, after in zip(plain.layouts, plan.layouts, strict=True):
        assert after.step_s == pytest.approx(before.step_s * factor(like))
    curves = [rigwise.scale(*ASK[::2], devices=[8], **SAID, **more).base.step_s for more in ({}, {"like": like})]
    assert curves[1] == pytest.approx(curves[0] * factor(like))


def test_a_run_of_another_kind_of_model_does_not_take_the_questions_sequence() -> None:
    assert factor("8xa100-sxm-80gb, resnet50, 20000 images/s, dp=8, micro=8") > 0


ROW = {
    "id": "mine-1",
    "family": "llm",
    "model": "GPT-3 1.3B",
    "layers": "24",
    "hidden": "2048",
    "heads": "16",
    "vocab": "51200",
    "seq_len": "2048",
    "precision": "bf16",
    "device": "A100-SXM-80GB",
    "n_devices": "8",
    "devices_per_node": "8",
    "dp": "8",
    "tp": "1",
    "pp": "1",
    "micro_batch": "1",
    "global_batch": "64",
    "recompute": "none",
    "metric": "step_s",
    "source": "my own",
    "verified": "yes",
}


def table(path: Path, *values: str, **more: str) -> Path:
    rows = [{**ROW, **more, "id": f"mine-{i}", "value": value} for i, value in enumerate(values)]
    columns = sorted(COLUMNS)
    path.write_text("\n".join([",".join(columns), *(",".join(row.get(c, "") for c in columns) for row in rows)]) + "\n")
    return path


def test_a_measured_table_counts_row_by_row(tmp_path: Path) -> None:
    slow = factor(table(tmp_path / "one.csv", "9"))
    slower = [factor(table(tmp_path / f"{n}.csv", *["9"] * n)) for n in (2, 3, 4)]
    assert all(a < b for a, b in pairwise([1.0, slow, *slower]))
    basis = rigwise.estimate(*ASK, **SAID, like=[tmp_path / "2.csv", "2.0 s"]).basis
    assert "corrected by 3 measured runs" in basis


def test_a_table_without_a_usable_row_says_why(tmp_path: Path) -> None:
    with pytest.raises(RigwiseError, match=r"no row of .* can be predicted: .*unverified rows do not count"):
        factor(table(tmp_path / "t.csv", "9", verified="no"))


@pytest.mark.parametrize(
    ("like", "says"),
    [
        ("8xa10o, gpt2, 3 s", "no device 'a10o', for a cluster"),
        ("gpt-2x, 3 s", "no model 'gpt-2x'"),
        ("gpt2, llama-8b, 3 s", "two models"),
        ("8xh100, 4xh100, 3 s", "two clusters"),
        ("3 s, batch=x", "batch is a whole number"),
        ("1xh100, gpt3-175b, 3 s", "its layout"),
    ],
)
def test_what_cannot_be_told_says_so(like: str, says: str) -> None:
    with pytest.raises(RigwiseError) as refused:
        factor(like)
    assert says in str(refused.value)


@pytest.mark.parametrize("like", ["0.001 s", "1e9 tokens/s", "1e9 samples/s", "8xh100, resnet50, 1e9 images/s"])
def test_a_run_quicker_than_its_arithmetic_is_refused_with_both_times(like: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be: .* arithmetic of .* alone takes"):
        factor(like)


def test_a_row_quicker_than_its_arithmetic_is_left_out_and_named(tmp_path: Path) -> None:
    right, wrong = table(tmp_path / "right.csv", "9", "9"), table(tmp_path / "wrong.csv", "9", "9", "0.01")
    found = rigwise.estimate(*ASK, **SAID, like=wrong)
    assert found.step_s == rigwise.estimate(*ASK, **SAID, like=right).step_s
    assert any("1 of 3 rows not taken: mine-2 cannot be" in warning for warning in found.warnings)
    with pytest.raises(UsageError, match="arithmetic"):
        factor(table(tmp_path / "only.csv", "0.01"))


def test_no_published_step_is_quicker_than_its_arithmetic() -> None:
    for name in ("torchtitan", "cnnbench"):
        path = next(path for path in tables() if Path(str(path)).stem == name)
        assert not [why for why in runs_of(read_table(path), "modern")[1] if "cannot be" in why]


def test_the_table_that_the_history_writes_is_read_with_its_layout_and_this_machine(tmp_path: Path) -> None:
    here = rigwise.load_cluster("this:1").device
    asked = ("resnet18", "dp=1,micro=64,recompute=full,precision=float32", "this:1")
    plain = rigwise.estimate(*asked, batch=64).step_s
    settings = {"layout": asked[1], "batch": 64, "micro": 64, "device": here.full_name, "precision": "float32"}
    session = Session(id=1, kind="run", name="resnet18", date="2026-11-23", machine={}, settings=settings)
    step = Measurement(id="step", metric="step_s", part="total", value=1.5 * plain)
    path = tmp_path / "runs.csv"
    path.write_text(history_csv(Listing(path=tmp_path, kept=None, sessions=[(session, [Beside(measured=step)])])))
    found = rigwise.estimate(*asked, batch=64, like=path)
    assert 1 < found.step_s / plain <= 1.5
    assert "corrected by 1 measured run" in found.basis
    assert rigwise.estimate(*asked, batch=64, like=f"{1.5 * plain} s").step_s == pytest.approx(found.step_s)


def test_a_corrected_step_and_its_interval_never_go_below_the_arithmetic() -> None:
    ask, said = ("gpt3-1.3b", "dp=8,zero=1,micro=8", "8xa100-sxm-80gb"), {"batch": 512, "seq": 2048}
    fast = f"8xa100-sxm-80gb, gpt2-xl, dp=8, zero=3, batch=8, seq=1024, {least_of('gpt2-xl', 8, 1024) * 1.01} s"
    found = rigwise.estimate(*ask, **said, like=fast)
    assert found.mfu == pytest.approx(1.0)
    assert found.interval[0] == pytest.approx(found.step_s)
    assert any("held to that" in warning for warning in found.warnings)
    assert sum(found.time.values()) == pytest.approx(found.step_s)
    told = explained(ask_of(*ask[::2], layout=ask[1], **said, like=fast), ask[1]).arithmetic
    assert told.step.amount == pytest.approx(found.step_s)


def least_of(model: str, batch: int, seq: int) -> float:
    """Seconds of the arithmetic of a step on eight A100."""
    cluster = rigwise.load_cluster("8xa100-sxm-80gb")
    return least_seconds(rigwise.load_model(model, seq=seq), cluster, batch, "bfloat16")
