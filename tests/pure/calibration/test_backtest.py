"""The back-test over a small table: every row answered, sums that add up, files whole or not there."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.calibration.backtest import HEADER, ROW_COLUMNS, Report, predict_rows, validate, write_rows
from rigwise.calibration.outcomes import Outcome, spearman, summarise, sweeps
from rigwise.calibration.predict import Predictor
from rigwise.errors import NotFoundError, UsageError
from rigwise.measurements.tables import RATES, Row, read_table

SAMPLE = Path(__file__).parents[1] / "measurements" / "sample.csv"


@cache
def report() -> Report:
    return validate(SAMPLE)


def by_id() -> dict[str, Outcome]:
    return {o.row.id: o for o in report().outcomes}


def test_every_row_is_predicted_or_refused_with_a_reason() -> None:
    rows = read_table(SAMPLE)
    assert [o.row.id for o in report().outcomes] == [row.id for row in rows]
    for outcome in report().outcomes:
        assert (outcome.predicted is None) == bool(outcome.why)
        if outcome.predicted is not None:
            assert outcome.low is not None
            assert outcome.high is not None
            assert 0 < outcome.low < outcome.predicted < outcome.high
            assert outcome.basis
    assert report().refused_share < 0.1


def test_predictions_are_of_the_right_magnitude() -> None:
    """A factor of four on any single row of another lab; the back-test's own figures say how good it is."""
    far = [o.row.id for o in report().outcomes if o.predicted and o.row.value and not _near(o)]
    assert len(far) <= 0.06 * len(report().outcomes), far


def _near(outcome: Outcome) -> bool:
    assert outcome.predicted is not None
    assert outcome.row.value is not None
    return 0.25 < outcome.predicted / outcome.row.value < 4


def test_a_rate_and_the_time_of_the_same_run_agree() -> None:
    row = next(o.row for o in report().outcomes if o.row.metric == "step_s" and o.row.seq_len)
    tokens = replace(row, id=f"{row.prefix}-x", metric="tokens_per_s_per_gpu", value=1.0)
    time, rate = predict_rows([row, tokens])
    assert time.predicted is not None
    assert time.low is not None
    assert rate.high is not None
    assert row.global_batch is not None
    assert row.seq_len is not None
    assert row.n_devices is not None
    work = row.global_batch * row.seq_len / row.n_devices
    assert rate.predicted == pytest.approx(work / time.predicted)
    assert rate.high == pytest.approx(work / time.low), "low and high of a rate come from high and low of the time"
    assert tokens.metric in RATES


def test_rows_asked_one_by_one_and_together_get_the_same_answer() -> None:
    rows = [o.row for o in report().outcomes if o.row.prefix == "vtrain"]
    alone = [predict_rows([row])[0].predicted for row in rows]
    assert alone == pytest.approx([by_id()[row.id].predicted for row in rows], rel=1e-12)


def test_flagged_rows_are_summed_apart() -> None:
    found = report()
    flagged = [o for o in found.outcomes if o.flag]
    assert {o.flag for o in flagged} == {"derived", "suspect", "unverified"}
    assert found.headline.rows + len(flagged) == len(found.outcomes)
    for what in ("source", "family", "device", "metric"):
        assert sum(s.rows for s in found.by(what).values()) == found.headline.rows
        assert sum(s.supported for s in found.by(what).values()) == found.headline.supported
    with pytest.raises(UsageError, match="source"):
        found.by("colour")


def test_json_and_printed_rows() -> None:
    data = json.loads(json.dumps(report().to_dict()))
    assert data["schema_version"] == 1
    assert data["rows"] == data["supported"] + data["refused"] == len(report().outcomes)
    assert data["by_family"]["llm"]["rows"] == report().by("family")["llm"].rows
    assert sum(entry["rows"] for entry in data["refusals"]) == data["refused"]
    assert data["layouts"]["groups"] == len(data["layouts"]["by_group"]) >= 1
    assert all(len(line) == len(HEADER) for line in report().rows("source"))


def test_the_file_of_rows(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    small = tmp_path / "small.csv"
    lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    small.write_text("".join(lines[:4]), encoding="utf-8")
    seen: list[tuple[int, int]] = []
    validate(small, rows_out=out, progress=lambda done, of: seen.append((done, of)))
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == ROW_COLUMNS
    assert len(rows) == 3
    assert seen[-1] == (3, 3)
    assert list(tmp_path.glob(".out*")) == []


def test_places_that_cannot_be_written_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        validate(SAMPLE, rows_out=tmp_path / "none" / "out.csv")
    with pytest.raises(UsageError, match="folder"):
        validate(SAMPLE, rows_out=tmp_path)
    with pytest.raises(NotFoundError):
        validate(tmp_path / "nothing.csv", rows_out=tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.csv"
    out.write_text("before")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="No space left"):
        write_rows(out, report().outcomes)
    assert out.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_bad_cells_are_refused_and_the_rest_of_the_table_goes_on(tmp_path: Path) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "t.csv").write_text("".join([*lines[:3], "short,row\n", *lines[3:5]]), encoding="utf-8")
    found = validate(tmp_path / "t.csv")
    assert [o.predicted is None for o in found.outcomes] == [False, False, True, False, False]
    assert "row short" in found.outcomes[2].why


def outcomes(*pairs: tuple[float, float], **layouts: list[int]) -> Iterator[Outcome]:
    for place, (measured, predicted) in enumerate(pairs):
        axes: dict[str, Any] = {key: values[place] for key, values in layouts.items()}
        row = Row(id=f"a-{place}", family="llm", model="m", metric="step_s", value=measured, **axes)
        yield Outcome(row=row, predicted=predicted, low=predicted * 0.9, high=predicted * 1.1)


def test_a_summary_by_hand() -> None:
    found = summarise(
        [*outcomes((1.0, 1.05), (2.0, 1.0), (4.0, 5.0)), Outcome(row=next(outcomes((1.0, 1.0))).row, why="no")]
    )
    assert (found.rows, found.supported) == (4, 3)
    assert found.mean == pytest.approx((0.05 + 0.5 + 0.25) / 3)
    assert found.median == pytest.approx(0.25)
    assert found.maximal == pytest.approx(0.5)
    assert found.signed == pytest.approx((0.05 - 0.5 + 0.25) / 3)
    assert found.inside == pytest.approx(1 / 3)
    assert summarise([]).mean is None


def test_regret_and_rank_of_a_sweep_by_hand() -> None:
    """The second layout is best; the first is predicted best and 20 % slower. A layout run twice counts by its mean."""
    runs = outcomes((1.2, 1.0), (1.0, 1.1), (2.0, 3.0), (2.2, 3.0), tp=[1, 2, 4, 4], dp=[4, 2, 1, 1])
    (sweep,) = sweeps(runs)
    assert sweep.layouts == 3
    assert sweep.regret == pytest.approx(0.2)
    assert sweep.rank == pytest.approx(0.5)
    assert sweeps(outcomes((1.0, 1.0), tp=[1])) == []


@given(st.lists(st.floats(0.1, 100, allow_nan=False), min_size=3, max_size=20, unique=True))
def test_ranks_do_not_mind_a_monotone_scale(values: list[float]) -> None:
    x = np.array(values)
    assert spearman(x, x**3) == pytest.approx(1.0)
    assert spearman(x, -x) == pytest.approx(-1.0)


def test_ties_share_their_rank() -> None:
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0])) == pytest.approx(1.0)
    assert spearman(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])) is None
    assert spearman(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None


def test_a_question_that_the_laws_refuse_is_refused_for_each_of_its_rows() -> None:
    row = next(o.row for o in report().outcomes if o.row.prefix == "vtrain" and o.row.family == "llm")
    first, second = (replace(row, id=f"x-{n}", precision="NVFP4") for n in (1, 2))
    answers = predict_rows([first, second])
    assert all(o.predicted is None and "float4" in o.why and o.device for o in answers)
    assert Predictor()._answers == {}
