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
from rigwise.calibration.constants import constants_of, prior_of, read, with_values
from rigwise.calibration.crossvalidate import SCHEMES, cross_validate
from rigwise.calibration.fit import fit, loss_of
from rigwise.calibration.predict import Predictor
from rigwise.calibration.regimes import classes_of, covering, novelty_of, seen, spreads_of
from rigwise.calibration.sample import sample, set_aside
from rigwise.calibration.sensitivity import candidate_residuals, residuals, sensitivities
from rigwise.calibration.write import written
from rigwise.cost.efficiencies import current, shipped, using
from rigwise.cost.interval import Z80
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
    spoken = {c.path[:2] for c in constants_of(cases)}
    assert ("stack", "huggingface") not in spoken
    assert all(c.low <= c.prior <= c.high and c.sigma > 0 for c in constants_of(cases))


def test_a_fit_is_the_same_twice_and_never_worse() -> None:
    once, again = (fit(quick_cases(), rounds=1) for _ in range(2))
    assert once.values.tolist() == again.values.tolist()
    prior = prior_of(once.constants)
    began, ended = (
        loss_of(errors, once.weights, once.scales, prior.away(np.log(values)))
        for errors, values in (
            (once.before, [read(shipped(), constant.path) for constant in once.constants]),
            (once.after, once.values),
        )
    )
    assert ended < began


def test_candidates_answer_as_each_alone() -> None:
    cases, rng = quick_cases(), np.random.default_rng(1)
    constants = constants_of(cases)
    values = np.array([c.prior for c in constants]) * np.exp(rng.normal(0, 0.05, (3, len(constants))))
    together = candidate_residuals(cases, shipped(), constants, values)
    for row, one in zip(together, values, strict=True):
        alone = residuals(cases, with_values(shipped(), constants, one.tolist()))
        assert row == pytest.approx(alone, abs=1e-12)


def test_slopes_foretell_a_small_change() -> None:
    cases = quick_cases()
    constants = constants_of(cases)
    errors, slopes = sensitivities(cases, shipped(), constants)
    assert errors == pytest.approx(residuals(cases, shipped()), abs=1e-12)
    assert np.abs(slopes).max() < 1.5  # no prediction is steeper than one over its constant
    fastest = int(np.argmax(np.abs(slopes).sum(axis=0)))
    up = with_values(shipped(), [constants[fastest]], [read(shipped(), constants[fastest].path) * np.exp(0.01)])
    assert residuals(cases, up) - errors == pytest.approx(0.01 * slopes[:, fastest], abs=1e-3)


def test_a_family_without_evidence_follows_the_default() -> None:
    constants = constants_of(quick_cases())
    paths = [c.path for c in constants]
    prior = prior_of(constants)
    logs = np.log([c.prior for c in constants])
    assert prior.away(logs) == pytest.approx(np.zeros(len(logs)), abs=1e-9)
    family = next(p for p in paths if p[0] == "device" and p[1] != "default" and ("device", "default", p[2]) in paths)
    for path in (family, ("device", "default", family[2])):
        logs[paths.index(path)] += 0.1
    assert prior.away(logs)[paths.index(family)] == pytest.approx(0, abs=1e-9)


def test_rows_left_out_are_predicted_without_themselves() -> None:
    """A device that alone is half as fast pulls its own prediction with it, and not where it is left out."""
    cases = measured_with(quick_cases(), shipped())
    device = cases[0].device
    odd = [replace(c, row=replace(c.row, value=(c.row.value or 0) * 2)) if c.device == device else c for c in cases]
    found = fit(odd, rounds=3)
    errors = cross_validate(odd, found, range(len(odd)))
    here = np.array([c.device == device for c in odd])
    assert set(errors) == set(SCHEMES)
    assert np.abs(errors["device"][here]).mean() > np.abs(found.after[here]).mean()


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


def test_what_is_left_out_of_a_fit_is_named_by_its_reason() -> None:
    named = set_aside(rows())
    kept = {case.row.id for part in sample(rows()) for case in part}
    assert kept.isdisjoint(set().union(*named.values()))
    assert {row.id for row in rows()} == kept.union(*named.values())
    assert set(named["derived"]) == {row.id for row in rows() if row.derived_from}


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
        spreads={"convnet_eager": {"layout": 0.123, "device": 0.2, "family": 0.3, "source": 0.4}},
        sources=["here"],
        measured={"eager": ["rtx-3090", "v100-sxm2-16gb"]},
    )
    tables = tomllib.loads(found.text())
    for constant, value in zip(found.fit.constants, found.fit.values, strict=True):
        layer, name, key = constant.path
        assert tables[layer][name][key] == pytest.approx(value, rel=5e-3)
    assert tables["spread"]["convnet_eager"] == {"layout": 0.123, "device": 0.2, "family": 0.3, "source": 0.4}
    assert tables["measured"]["sources"] == ["here"]
    assert tables["measured"]["stacks"]["eager"] == ["rtx-3090", "v100-sxm2-16gb"]
    assert "here.csv" not in tables["provenance"]
    own = tomllib.loads(replace(found, tables=("here.csv",)).text())
    assert own["provenance"].startswith("rigwise calibrate here.csv;")
    said = found.to_dict()
    assert said["rows"] == len(cases)
    assert {g["group"] for g in said["groups"]} == {g.group for g in found.groups()}


def test_a_spread_is_the_deviation_that_has_four_in_five_inside() -> None:
    errors = np.random.default_rng(0).normal(0.0, 0.2, 4000)
    assert covering(errors, np.zeros(4000)) == pytest.approx(0.2, rel=0.05)
    assert covering(errors, np.full(4000, 0.15)) == pytest.approx(np.sqrt(0.2**2 - 0.15**2), rel=0.1)
    assert covering(errors, np.full(4000, 0.3)) == 0.0
    assert covering(np.array([np.nan]), np.zeros(1)) == 0.0
    few = np.linspace(0.1, 0.9, 9)  # a tenth may lie anywhere among nine: 80 % of ten are eight
    assert covering(few, np.zeros(9)) * Z80 == pytest.approx(0.8)
    assert covering(few[:3], np.zeros(3)) * Z80 == pytest.approx(0.3)  # of three there is no wider one to take


def test_a_class_with_few_cases_is_left_to_a_wider_one() -> None:
    case = next(case_of(row) for row in rows() if row.family == "vision" and row.metric != "peak_mem_gib")
    for count, names in ((29, {"step"}), (30, {"step", *classes_of(case)})):
        errors = {"layout": np.full(count, 0.1), "source": np.full(count, 0.3)}
        found = spreads_of([case] * count, errors)
        assert found.keys() == names
        assert found["step"]["source"] > found["step"]["layout"]


def test_what_is_new_about_a_case() -> None:
    case = next(case_of(row) for row in rows() if row.family == "vision" and row.metric != "peak_mem_gib")
    case = replace(case, assumed=())
    sources, measured = seen([case])
    assert (sources, measured) == ([case.row.prefix], {case.stack: [case.device]})
    tables = {**shipped(), "measured": {"sources": sources, "stacks": measured}}
    with using(tables):
        assert novelty_of(case) == "layout"
        assert novelty_of(replace(case, row=replace(case.row, id="elsewhere-1"))) == "source"
        assert novelty_of(replace(case, assumed=("stack",))) == "source"
    with using({**tables, "measured": {"sources": sources, "stacks": {case.stack: []}}}):
        assert novelty_of(case) == "device"


@pytest.mark.parametrize("novelty", ["layout", "device", "family", "source"])
def test_a_fit_that_saw_less_is_less_sure(novelty: str) -> None:
    known = shipped()["spread"]["step"]
    assert 0.047 <= known["layout"] <= known[novelty]
