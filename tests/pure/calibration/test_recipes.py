"""What the recipes of fine-tunings say and their tables leave out."""

from __future__ import annotations

from statistics import NormalDist

import pytest

from rigwise.calibration.cases import StepCase, case_of, padding
from rigwise.measurements.published import rows


def test_fine_tunings_on_several_devices_are_read_as_their_page_says() -> None:
    """The table says one device and no recomputation; the page and its script two or four, and blocks run again."""
    asked = [case_of(row) for row in rows() if "LoRA on Multiple GPUs" in row.source and row.metric == "ms"]
    found = {case.row.id: case for case in asked if isinstance(case, StepCase)}
    assert {case.layouts[0].dp for case in found.values()} == {2, 4}
    assert {(case.layouts[0].zero, case.layouts[0].recompute) for case in found.values()} == {(3, "full")}


def test_a_micro_batch_is_padded_to_its_longest_sample() -> None:
    lengths = [padding(0.5, micro) for micro in (1, 2, 4, 8)]
    assert lengths == sorted(lengths)
    assert lengths[1] == pytest.approx(2 * NormalDist().cdf(0.5 / 2**0.5), rel=1e-4)  # of two in closed form
    assert padding(0.0, 8) == pytest.approx(1.0, rel=1e-6)
