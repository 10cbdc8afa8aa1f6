"""Sheets that are faster than the arithmetic they name: found, told as suspect, and neither fitted nor counted."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rigwise.calibration.backtest import predict_rows
from rigwise.calibration.cases import KernelCase, case_of
from rigwise.calibration.impossible import BEYOND, marked
from rigwise.calibration.sample import sample
from rigwise.errors import UsageError
from rigwise.measurements.published import rows
from rigwise.measurements.tables import Row

SHEET = "P100.xlsx [Results - Psuedo FP16]"


def products(share: float) -> list[Row]:
    """A sheet of forty products, of which `share` take less time than the peak allows."""
    start = next(row for row in rows() if row.id.startswith("deepbench") and row.model.startswith("gemm"))
    case = case_of(start)
    assert isinstance(case, KernelCase)
    m, n, k = case.product
    least = 2.0 * m * n * k / case.on.peak.get(case.precision, case.on.peak["float32"]) * 1e3
    beyond = round(40 * share)
    values = [least / (2 * BEYOND) if i < beyond else 2 * least for i in range(40)]
    return [replace(start, id=f"sheet-{i}", source="lab:sheet", value=value) for i, value in enumerate(values)]


def test_one_published_sheet_is_beyond_its_peak_and_its_neighbours_are_not() -> None:
    sheets = [row for row in rows() if row.id.startswith("deepbench") and re.search("P100|1080|V100", row.device)]
    found = [row for row, before in zip(marked(sheets), sheets, strict=True) if row != before]
    assert {row.source.rpartition("_")[2] for row in found} == {SHEET}
    assert len(found) == 202
    assert all(row.suspect and "17 of 134 products" in row.notes and "1.66 times" in row.notes for row in found)
    assert all(row.model.startswith("conv") for row in found)  # its matrix products are what the sheet says


@pytest.mark.parametrize(("share", "suspect"), [(0.0, 0), (0.05, 0), (0.1, 40), (1.0, 40)])
def test_a_few_beyond_are_clocks_and_many_are_another_arithmetic(share: float, suspect: int) -> None:
    sheet = products(share)
    assert sum(row.suspect for row in marked(sheet)) == suspect
    assert sum(outcome.flag == "suspect" for outcome in predict_rows(sheet)) == suspect
    assert len(sample(sheet)[0]) == (0 if suspect else 24)


def test_a_row_is_suspect_once() -> None:
    once = marked(products(0.5))
    assert marked(once) == once


def test_one_device_that_cannot_hold_its_states_is_refused() -> None:
    row = next(row for row in rows() if row.id == "finetune-0155")
    with pytest.raises(UsageError, match="weights, gradients and optimizer take") as caught:
        case_of(row)
    assert caught.value.rule == "one device does not hold its states, and nothing is said of offload"
    assert case_of(replace(row, device="A100-SXM-80GB")).device == "a100-sxm-80gb"


def test_peaks_that_differ_where_nothing_else_does_are_suspect() -> None:
    fine = [row for row in rows() if row.prefix == "finetune"]
    found = {row.id: row for row, before in zip(marked(fine), fine, strict=True) if row != before}
    assert {"finetune-0073", "finetune-0085", "finetune-0123", "finetune-0129"} <= set(found)  # and Gemma 2
    assert all(row.metric == "peak_mem_gib" and row.suspect for row in found.values())
    assert "19.98 and 25.51" in found["finetune-0073"].notes
    assert marked(list(found.values())) == list(found.values())


def test_peaks_of_what_differs_or_hardly_differs_stand() -> None:
    row = next(row for row in rows() if row.id == "finetune-0073")
    again = replace(row, id="again", value=row.value * 1.04)
    other = replace(row, id="other", value=row.value * 2, micro_batch=2)
    assert marked([row, again, other]) == [row, again, other]
