"""The fit: it finds the constants behind measurements, leaves alone what none speaks of, and is the same twice."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigwise.calibration.calibrate import Calibration, calibrate
from rigwise.calibration.cases import Case, KernelCase, TransferCase, case_of
from rigwise.calibration.fit import constants_of, fit, residuals
from rigwise.calibration.predict import Predictor
from rigwise.calibration.sample import sample
from rigwise.calibration.spread import spreads
from rigwise.calibration.write import written
from rigwise.cost.efficiencies import current, shipped, using
from rigwise.errors import UsageError
from rigwise.measurements.tables import Row, read_table

SAMPLE = Path(__file__).parents[1] / "measurements" / "sample.csv"


def rows() -> list[Row]:
    return read_table(SAMPLE)


def quick_cases() -> list[Case]:
    return [case for case in sample(rows())[0] if isinstance(case, KernelCase | TransferCase)]


def measured_with(cases: list[Case], tables: dict[str, object]) -> list[Case]:
    """The same cases as if a machine with these constants had been measured."""
    with using(tables):
        predictor = Predictor(cases)
        return [replace(c, row=replace(c.row, value=predictor.predict(c).value)) for c in cases]


def test_using_other_tables_ends_with_its_block() -> None:
    other = copy.deepcopy(shipped())
    with using(other):
        assert current() is other
    assert current() is shipped()


def test_measurements_that_agree_stay_explained() -> None:
    """Only the priors pull then, and no harder than the measurements allow."""
    cases = measured_with(quick_cases(), shipped())
    found = fit(cases, rounds=2)
    assert found.before == pytest.approx(np.zeros(len(cases)), abs=1e-9)
    assert np.median(np.abs(found.after)) < 0.05


def test_a_faster_link_is_found() -> None:
    shape = next(case for case in quick_cases() if isinstance(case, TransferCase))
    kind = shape.machine.cluster.node.link.kind
    cases = [replace(shape, size=2.0**p) for p in range(26, 32)]
    truth = copy.deepcopy(shipped())
    default = truth["link"]["default"] | truth["link"][kind]
    truth["link"][kind]["share"] = 0.8 * default["share"]
    found = fit(measured_with(cases, truth), rounds=6)
    fitted = dict(zip((c.path for c in found.constants), found.values, strict=True))
    assert np.abs(found.after).max() < 0.5 * np.abs(found.before).max()
    assert fitted["link", kind, "share"] < 0.92 * default["share"]


def test_only_what_the_cases_touch_is_fitted() -> None:
    cases = quick_cases()
    spoken = {c.path[:2] for c in constants_of(shipped(), cases)}
    assert ("stack", "huggingface") not in spoken
    assert all(c.low <= c.prior <= c.high and c.sigma > 0 for c in constants_of(shipped(), cases))


def test_a_fit_is_the_same_twice_and_never_worse() -> None:
    once, again = (fit(quick_cases(), rounds=1) for _ in range(2))
    assert once.values.tolist() == again.values.tolist()
    assert np.nanmedian(np.abs(once.after)) <= np.nanmedian(np.abs(once.before)) * 1.05


def test_residuals_are_positive_where_the_machine_was_slower() -> None:
    case = quick_cases()[0]
    slower = replace(case, row=replace(case.row, value=(case.row.value or 0) * 2))
    one, two = (residuals([c], shipped())[0] for c in (case, slower))
    assert abs(abs(two - one) - np.log(2)) < 1e-9


def test_the_sample_leaves_out_rows_that_do_not_count() -> None:
    kept = {case.row.id for part in sample(rows()) for case in part}
    assert kept
    assert not any(row.derived_from or row.suspect for row in rows() if row.id in kept)
    assert [c.row.id for c in sample(rows())[0]] == [c.row.id for c in sample(reversed(rows()))[0]]


def test_writing_keeps_comments_and_reads_back() -> None:
    text = "# head\n[link.rdma]  # cards\nshare = 0.8  # of the rate\n\n[stack.eager]\nstream = 1.3\n"
    values = [(("link", "rdma", "share"), 0.71234), (("link", "rdma", "step_s"), 6.789e-6)]
    changed = written(text, values)
    assert tomllib.loads(changed) == {
        "link": {"rdma": {"share": 0.712, "step_s": 6.79e-6}},
        "stack": {"eager": {"stream": 1.3}},
    }
    assert "# head" in changed
    assert "# of the rate" in changed


def test_calibrate_needs_rows_and_rounds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rounds"):
        calibrate([SAMPLE], rounds=0)
    empty = tmp_path / "empty.csv"
    empty.write_text(SAMPLE.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no row"):
        calibrate([empty])


def test_what_a_calibration_writes_holds_the_fitted_values() -> None:
    cases = quick_cases()
    found = Calibration(
        cases=tuple(cases),
        fit=fit(cases, rounds=1),
        spreads={("eager", "spread"): 0.123, ("eager", "memory_spread"): 0.234},
    )
    tables = tomllib.loads(found.text())
    for constant, value in zip(found.fit.constants, found.fit.values, strict=True):
        layer, name, key = constant.path
        assert tables[layer][name][key] == pytest.approx(value, rel=5e-3)
    assert tables["stack"]["eager"]["spread"] == 0.123
    assert tables["stack"]["eager"]["memory_spread"] == 0.234
    said = found.to_dict()
    assert said["rows"] == len(cases)
    assert {g["group"] for g in said["groups"]} == {g.group for g in found.groups()}


def test_a_spread_is_the_deviation_that_has_four_in_five_inside() -> None:
    case = next(case_of(row) for row in rows() if row.family == "vision" and row.metric != "peak_mem_gib")
    many = [case] * 1000
    errors = np.random.default_rng(0).normal(0.0, 0.2, len(many))
    assert spreads(many, errors)[case.stack, "spread"] == pytest.approx(0.2, rel=0.1)
    assert spreads(many[:5], errors[:5]) == {}
    assert spreads(quick_cases(), np.zeros(len(quick_cases()))) == {}


def test_peaks_of_memory_have_a_spread_of_their_own_and_are_pooled_where_few() -> None:
    case = next(case_of(row) for row in rows() if row.metric == "peak_mem_gib")
    errors = np.random.default_rng(1).normal(0.0, 0.1, 40)
    found = spreads([case] * 40, errors)
    assert found.keys() == {(case.stack, "memory_spread"), ("modern", "memory_spread")}
    assert spreads([case] * 20, errors[:20]).keys() == {("modern", "memory_spread")}
