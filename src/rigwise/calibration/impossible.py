"""Rows whose figures cannot be what their columns say: products faster than the arithmetic, one run's two peaks.

    r = FLOP / (t P)    t: seconds of a product; P: the device's peak in the stated number format, FLOP/s

Products, and convolutions of one tap or with a stride, leave no algorithm arithmetic to save, so r > 1 means another
format or another device. A clock above the rated one explains a few percent in a few rows; where more than 5 % of the
products of a sheet lie beyond 1.05, its convolutions or products of that device and format are told as suspect. Leaves
out: convolutions that Winograd or Fourier make cheaper, which are not counted, but are suspect with the others.
Source: the check is ours, on the tables we carry (DeepBench's "Psuedo FP16" of a P100: up to 1.66).

A step takes the same bytes each time that it is run. Where rows of one source agree in every column and word and their
peaks of memory differ by more than 5 %, something differs that no column tells, and all of them are suspect: two kinds
of adapter under one label, two networks under one name. Times do vary from run to run, and are left as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import replace

from rigwise.calibration.cases import KernelCase, case_of
from rigwise.cost.bound import BEYOND
from rigwise.errors import RigwiseError
from rigwise.measurements.tables import Row, unit

_SHARE = 0.05  # of a sheet's products beyond it
_VARY = 0.05  # of a peak of memory from run to run: more than caches of the libraries explain


def marked(rows: Iterable[Row]) -> list[Row]:
    """The rows, with a note and so suspect (Row.suspect) where their sheet's arithmetic cannot be what it says."""
    every = list(rows)
    sheets: dict[Hashable, list[tuple[Row, float | None]]] = defaultdict(list)
    for row in every:
        case = _kernel(row)
        if case is not None:
            sheets[row.source, case.device, case.precision, case.conv is None].append((row, _share_of_peak(case)))
    notes = {row.id: note for members in sheets.values() if (note := _note(members)) for row, _ in members}
    notes |= _two_peaks(every)
    return [replace(row, notes=f"{row.notes}; {notes[row.id]}") if row.id in notes else row for row in every]


def _two_peaks(rows: Iterable[Row]) -> dict[str, str]:
    """A note for each row whose peak of memory another row that says the same contradicts, by id."""
    same: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        if row.metric == "peak_mem_gib" and row.value and not row.suspect:
            words = "; ".join(note for note in row.remarks if not note.startswith("same run as"))
            same[replace(row, id="", value=None, notes=words)].append(row)
    found: dict[str, str] = {}
    for members in same.values():
        peaks = sorted(row.value for row in members if row.value)
        if peaks[-1] > (1 + _VARY) * peaks[0]:
            told = " and ".join(f"{peak:g}" for peak in (peaks[0], peaks[-1]))
            note = f"SUSPECT: {len(members)} rows that say the same have peaks of {told}"
            found |= {row.id: note for row in members}
    return found


def _kernel(row: Row) -> KernelCase | None:
    if row.metric != "ms" or not row.headline:
        return None
    try:
        case = case_of(row)
    except RigwiseError:
        return None
    return case if isinstance(case, KernelCase) else None


def _share_of_peak(case: KernelCase) -> float | None:
    """The r of the law above; None where an algorithm can save arithmetic, or the device's peak is not known."""
    peak = case.on.peak.get(case.precision, case.on.peak.get("float32"))
    if case.conv is None:
        m, n, k = case.product
        work = 2.0 * m * n * k
    elif max(case.conv.kernel) > 1 and max(case.conv.stride) == 1:
        return None
    else:
        work = case.conv.flops * case.batch
    return work / (case.row.value * unit("ms") * peak) if peak and case.row.value else None


def _note(members: list[tuple[Row, float | None]]) -> str:
    known = [share for _, share in members if share is not None]
    beyond = [share for share in known if share > BEYOND]
    if len(beyond) <= _SHARE * len(known):
        return ""
    return (
        f"SUSPECT: {len(beyond)} of {len(known)} products of this sheet take less time than its arithmetic, "
        f"up to {max(beyond):.2f} times the peak"
    )
