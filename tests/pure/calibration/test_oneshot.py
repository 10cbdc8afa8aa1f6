"""What one row is worth: a common factor goes, scatter stays, and neighbours of other groups do not matter."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from rigwise.calibration.cases import case_of
from rigwise.calibration.oneshot import after_one_row, log_error
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.spread import EVERY, Group, between_devices, steps, within
from rigwise.cost.interval import stack_doubts
from rigwise.measurements.tables import Row


def outcome(source: str, number: int, error: float, *, metric: str = "step_s", device: str = "A100", **more) -> Outcome:
    """A row measured exp(error) times as slow as predicted."""
    rate = metric != "step_s"
    row = Row(id=f"{source}-{number}", family="llm", model="m", metric=metric, value=10.0, device=device, **more)
    return Outcome(row=row, predicted=10.0 * exp(error if rate else -error))


def group(source: str, errors: list[float], **more) -> list[Outcome]:
    return [outcome(source, i, error, **more) for i, error in enumerate(errors)]


@pytest.mark.parametrize("metric", ["step_s", "tokens_per_s_per_gpu", "mfu"])
def test_the_error_of_a_row_is_that_of_its_seconds_whatever_its_metric(metric: str) -> None:
    assert log_error(outcome("a", 1, 0.3, metric=metric)) == pytest.approx(0.3)


def test_a_common_factor_goes_as_far_as_the_law_believes_it() -> None:
    whole, each = after_one_row([*group("a", [0.2] * 4), *group("b", [-0.3] * 3), *group("c", [0.5] * 2)])
    assert [(g.group, g.rows) for g in each] == [("a, modern, A100", 4), ("b, modern, A100", 3)]
    parts = stack_doubts(EVERY)
    common = parts["stack"] ** 2 + parts["device"] ** 2
    kept = 1 - common / (common + parts["run"] ** 2)
    assert each[0].before == pytest.approx(1 - exp(-0.2))
    assert each[0].after == pytest.approx(1 - exp(-0.2 * kept))
    assert each[1].after == pytest.approx(exp(0.3 * kept) - 1)
    assert whole.rows == 7
    assert whole.after < whole.before
    assert whole.inside == 1.0


def test_scatter_stays() -> None:
    errors = np.random.default_rng(0).normal(0.0, 0.05, 40).tolist()
    whole, _ = after_one_row(group("a", errors))
    assert whole.after > whole.before
    assert 0 < whole.mean_after < 2 * whole.mean_before


def test_rows_that_do_not_count_are_left_out_and_a_table_without_groups_is_refused() -> None:
    few = [*group("a", [0.2] * 2), outcome("a", 9, 0.2, notes="SUSPECT"), outcome("a", 8, 0.2, verified="no")]
    with pytest.raises(ValueError, match="no group"):
        after_one_row([*few, Outcome(row=few[0].row)])


def groups(**errors: list[float]) -> dict[Group, np.ndarray]:
    return {
        Group(source=name[0], stack="eager", family="llm", device=name[1:]): np.array(values)
        for name, values in errors.items()
    }


def test_a_runs_own_spread_is_around_its_group_and_devices_are_around_their_source() -> None:
    draw = np.random.default_rng(1)
    found = groups(
        **{
            f"{source}{device}": (shift + draw.normal(0, 0.2) + draw.normal(0, 0.1, 50)).tolist()
            for source, shift in zip("abcdefgh", draw.normal(0, 0.5, 8), strict=True)
            for device in ("x", "y", "z", "u")
        }
    )
    assert within(found)["eager"] == pytest.approx(0.1, rel=0.15)
    assert within(found)[EVERY] == within(found)["eager"]
    assert between_devices(found) == pytest.approx(0.2, rel=0.3)
    assert between_devices(groups(ax=[0.1] * 9)) is None
    assert within(groups(ax=[0.1] * 4)) == {}


def test_steps_are_grouped_by_what_they_share() -> None:
    row = {"family": "vision", "model": "ResNet-50", "metric": "images_per_s", "value": 300.0, "global_batch": 64}
    rows = [Row(id=f"s-{n}", device="V100-SXM2-16GB", n_devices=1, precision="fp32", **row) for n in range(3)]
    found = steps([case_of(one) for one in rows], [0.1, np.nan, 0.3])
    assert [values.tolist() for values in found.values()] == [[0.1, 0.3]]
    assert next(iter(found)).source == "s"
