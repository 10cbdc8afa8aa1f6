"""What one row is worth: a common factor goes, scatter stays, and neighbours of other groups do not matter."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from rigwise.calibration.cases import case_of
from rigwise.calibration.oneshot import after_one_row, log_error
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.spread import EVERY, Seen, shares, steps
from rigwise.cost.interval import spread, stack_doubts, step_classes
from rigwise.measurements.tables import Row


def outcome(source: str, number: int, error: float, *, metric: str = "step_s", **more) -> Outcome:
    """A row measured exp(error) times as slow as predicted."""
    rate = metric != "step_s"
    facts = {"family": "llm", "model": "m", "device": "A100", "precision": "bf16", **more}
    row = Row(id=f"{source}-{number}", metric=metric, value=10.0, **facts)
    return Outcome(row=row, predicted=10.0 * exp(error if rate else -error))


def group(source: str, errors: list[float], **more) -> list[Outcome]:
    return [outcome(source, i, error, **more) for i, error in enumerate(errors)]


@pytest.mark.parametrize("metric", ["step_s", "tokens_per_s_per_gpu", "mfu"])
def test_the_error_of_a_row_is_that_of_its_seconds_whatever_its_metric(metric: str) -> None:
    assert log_error(outcome("a", 1, 0.3, metric=metric)) == pytest.approx(0.3)


def test_a_common_factor_goes_as_far_as_the_law_believes_it() -> None:
    whole, each = after_one_row([*group("a", [0.2] * 4), *group("b", [-0.3] * 3), *group("c", [0.5] * 2)])
    assert [(g.group, g.rows) for g in each] == [("a, modern, A100", 4), ("b, modern, A100", 3)]
    parts = stack_doubts(EVERY, spread(step_classes("transformer", EVERY), "source"))
    kept = parts["run"] ** 2 / sum(s**2 for s in parts.values())
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


def test_a_row_of_another_model_is_worth_less_and_alike_takes_only_its_own() -> None:
    same, other = (group("a", [0.4] * 4), [outcome("a", i, 0.4, model=f"m{i}") for i in range(4)])
    assert after_one_row(same)[0].after < after_one_row(other)[0].after < after_one_row(other)[0].before
    whole, each = after_one_row([*same, *(outcome("a", 4 + i, -0.2, model="n") for i in range(3))], alike=True)
    assert [one.group for one in each] == ["a, modern, A100, m, bf16", "a, modern, A100, n, bf16"]
    assert whole.rows == 7


def drawn(seed: int = 1) -> list[Seen]:
    """Runs of 8 sources on 4 devices, of 4 models in 2 precisions, 6 of each, with known deviations."""
    draw = np.random.default_rng(seed)
    seen = []
    for source in "abcdefgh":
        for device in "xyzu":
            shared = draw.normal(0, 0.5) + draw.normal(0, 0.2)
            models, precisions = draw.normal(0, 0.15, 4), draw.normal(0, 0.10, 2)
            for model in range(4):
                for precision in range(2):
                    for own in draw.normal(0, 0.08, 6):
                        facts = {"model": str(model), "precision": str(precision)}
                        error = float(shared + models[model] + precisions[precision] + own)
                        seen.append(Seen(source=source, stack="eager", kind="llm", device=device, error=error, **facts))
    return seen


def test_the_parts_of_a_spread_are_found_again() -> None:
    found = shares(drawn())
    assert found is not None
    assert found.models == pytest.approx(0.15, rel=0.3)
    assert found.precisions == pytest.approx(0.10, rel=0.4)
    assert found.within["eager"] == pytest.approx((0.15**2 + 0.1**2 + 0.08**2) ** 0.5, rel=0.25)
    assert found.within[EVERY] == found.within["eager"]
    assert found.devices > 0.3  # here each device of a source has a factor of its own


def test_few_runs_tell_nothing() -> None:
    assert shares(drawn()[:9]) is None
    assert shares([]) is None


def test_steps_are_those_that_were_predicted() -> None:
    row = {"family": "vision", "model": "ResNet-50", "metric": "images_per_s", "value": 300.0, "global_batch": 64}
    rows = [Row(id=f"s-{n}", device="V100-SXM2-16GB", n_devices=1, precision="fp32", **row) for n in range(3)]
    found = steps([case_of(one) for one in rows], [0.1, np.nan, 0.3])
    assert [(one.error, one.source, one.precision) for one in found] == [(0.1, "s", "float32"), (0.3, "s", "float32")]
