"""Which rows a fit asks: the measured ones, thinned so that each kind of thing counts by its variety, not its length.

Rows that restate another, are suspect or were remembered are left out. Of rows that differ only in repeats, depth or
shape a fixed number is kept, evenly spread over the group in the order of their ids, so that a fit is the same twice.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from rigwise.calibration.cases import Case, KernelCase, StepCase, TransferCase, case_of
from rigwise.calibration.impossible import marked
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.patterns import table
from rigwise.errors import RigwiseError
from rigwise.measurements.tables import Row

_KEPT = {"kernel": 24, "step": 60}  # rows a group: enough to see a trend, few enough that tables weigh alike


def sample(rows: Iterable[Row]) -> tuple[list[Case], list[Case]]:
    """The cases that a fit asks, and those that it leaves for judging it, both in the order of their ids."""
    cases = [case for row in marked(rows) if not Outcome(row=row).flag and (case := _case(row)) is not None]
    groups: dict[tuple[object, ...], list[Case]] = defaultdict(list)
    for case in cases:
        if not _unfitted(case):
            groups[_kind(case)].append(case)
    kept = {case.row.id for kind, members in groups.items() for case in _spread(members, kind)}
    ordered = sorted(cases, key=lambda case: case.row.id)
    return [c for c in ordered if c.row.id in kept], [c for c in ordered if c.row.id not in kept]


def set_aside(rows: Iterable[Row]) -> dict[str, list[str]]:
    """The ids of the rows that neither fit nor judge: derived, suspect, unverified, or refused by the laws."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in marked(rows):
        if why := Outcome(row=row).flag or ("" if _case(row) else "refused"):
            found[why].append(row.id)
    return {why: sorted(found[why]) for why in sorted(found)}


def _case(row: Row) -> Case | None:
    try:
        return case_of(row)
    except RigwiseError:
        return None


def _unfitted(case: Case) -> bool:
    return any(re.search(rule["label"], case.row.model) for rule in table("fitted")["unfitted"])


def _kind(case: Case) -> tuple[object, ...]:
    row = case.row
    if isinstance(case, TransferCase):
        return "transfer", row.id
    if isinstance(case, KernelCase):
        return "kernel", case.device, row.precision, case.which if case.conv else "product"
    assert isinstance(case, StepCase), case
    model, cluster = case.subject.model, case.machine.cluster
    return "step", row.prefix, row.metric, case.device, case.stack, cluster.devices > 1, cluster.nodes > 1, model.family


def _spread(members: Sequence[Case], kind: tuple[object, ...]) -> list[Case]:
    ordered = sorted(members, key=lambda case: case.row.id)
    most = _KEPT.get(str(kind[0]), len(ordered))
    if len(ordered) <= most:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)]
