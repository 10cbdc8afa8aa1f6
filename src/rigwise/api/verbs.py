"""The verbs of planning: estimate, plan, scale, split, validate, cross_validate, calibrate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from rigwise.api.question import Settings, ask
from rigwise.errors import UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.calibration.backtest import Report
    from rigwise.calibration.calibrate import Calibration
    from rigwise.calibration.validation import Validation
    from rigwise.cost.record import Estimate
    from rigwise.hardware.cluster import Cluster
    from rigwise.layouts.compare import SplitReport
    from rigwise.layouts.layout import Layout
    from rigwise.models.model import Model
    from rigwise.search.plan import Plan
    from rigwise.search.scale import Scaling


def estimate(
    model: str | Model, layout: str | Layout, cluster: str | Cluster, **settings: Unpack[Settings]
) -> Estimate:
    """What one step of training costs in time, memory, energy and money, each part named.

    settings: see Settings; micro and precision fill what the layout does not say. Raises UsageError for an impossible
    layout, with the rule and the nearest that works. One that does not fit has fits = False, and among its warnings the
    smallest change that fits.
    """
    return ask(model, cluster, layout=layout, **settings).foretold(layout)


def plan(
    model: str | Model,
    cluster: str | Cluster,
    *,
    top: int = 10,
    objective: str = "time",
    fix: Mapping[str, Any] | Sequence[str] | None = None,
    full: bool = False,
    **settings: Unpack[Settings],
) -> Plan:
    """The best layouts for a model on a cluster, ranked, with the reasons.

    objective: time, cost, energy or memory. fix: axes held at one value, {"tp": 8} or ["tp=8"]. full: every option of
    every axis. settings: see Settings. Raises InfeasibleError with the binding constraint and the smallest change.
    """
    return ask(model, cluster, **settings).plan(top=top, objective=objective, fix=fix, full=full)


def scale(
    model: str | Model,
    cluster: str | Cluster,
    *,
    devices: Sequence[int] | None = None,
    **settings: Unpack[Settings],
) -> Scaling:
    """Speed-up over the number of devices for data, model, sharded and best layouts, and where more devices hurt.

    devices: numbers of devices of the cluster; powers of two up to all of them by default. settings: see Settings; the
    batch stays the same.
    """
    return ask(model, cluster, **settings).scale(devices)


def validate(
    path: str | Path | None = None,
    *,
    rows: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Predict every row of a table of measurements and compare.

    path: a CSV in the columns of measurements/tables.py; the tables that rigwise carries by default. rows: where to
    write one line a row. progress is called with (done, all). Raises NotFoundError or UsageError for a table that
    cannot be read, or that rows would overwrite.
    """
    from rigwise.calibration.backtest import validate as backtest

    _check_rows(path, rows)
    return backtest(path, rows, progress)


def cross_validate(
    path: str | Path | None = None,
    *,
    rows: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Validation:
    """The whole back-test: the rows predicted with constants fitted without their like, beside the aims and the peers.

    path, rows: as for `validate`; the rows of a table of one's own are no part of any fit, so the shipped constants
    predict them. progress is called with (what, done, all). Minutes, for the tables that rigwise carries.
    """
    from rigwise.calibration.backtest import write_rows
    from rigwise.calibration.validation import cross_validate as whole

    _check_rows(path, rows)
    found = whole(path, progress)
    if rows is not None:
        write_rows(Path(rows), found.schemes["shipped"])
    return found


def _check_rows(path: str | Path | None, rows: str | Path | None) -> None:
    if rows is not None and path is not None and Path(rows).resolve() == Path(path).resolve():
        raise UsageError(f"rows would overwrite the table {path}", rule="one line a row goes into a file of its own")


def calibrate(
    tables: Sequence[str | Path] = (), *, rounds: int = 4, progress: Callable[[str], None] | None = None
) -> Calibration:
    """Fit the constants of the laws to tables of measurements, by default those that rigwise carries.

    Raises as `validate` does. rounds: steps at most.
    """
    from rigwise.calibration.calibrate import calibrate as fit

    return fit(tables, rounds=rounds, progress=progress)


def split(
    shape: str | Sequence[int], *, ranks: int = 2, dtype: str = "float32", rate: str | float | None = None
) -> SplitReport:
    """One dense layer under every split: what each rank holds, what is added, what stacked, what is handed on.

    shape: batch x inputs x outputs, "128x1000x500" or three numbers. dtype: type of the numbers. rate: of the link
    between ranks, "40 Gbit/s" or bytes/s. Raises UsageError for sizes that cannot be.
    """
    import numpy as np

    from rigwise.layouts.compare import compare
    from rigwise.layouts.layout import PRECISIONS, Layout
    from rigwise.layouts.pieces import parse_problem
    from rigwise.layouts.precision import element_bytes
    from rigwise.units import parse

    check_whole(ranks=ranks)
    batch, inputs, outputs = parse_problem(shape if isinstance(shape, str) else "x".join(str(n) for n in shape))
    code = PRECISIONS.index(Layout.parse(f"precision={dtype}").precision)
    width = float(element_bytes(np.array(code)).product)
    speed = parse(rate, "B/s") if isinstance(rate, str) else rate
    return compare(batch, inputs, outputs, ranks, element_bytes=width, rate=speed)
