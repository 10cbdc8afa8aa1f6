"""What the tables of the brain share: quantities in words, and the framed limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table

from rigwise.brain.caveats import CANNOT_SAY
from rigwise.cli.console import can_draw
from rigwise.cli.tables import Column, table
from rigwise.units import show_power_of_ten as ten

if TYPE_CHECKING:
    from rigwise.brain.quantity import Quantity

UNKNOWN = "unknown"


def percentiles(q: Quantity | None, show: Callable[[float], str]) -> list[str]:
    """value, p10, p50, p90 in words."""
    if q is None:
        return [UNKNOWN] * 4
    return [UNKNOWN if v is None else show(v) for v in (q.value, q.p10, q.p50, q.p90)]


def between(q: Quantity | None, show: Callable[[float], str]) -> str:
    """The value and its 80 % range on one line."""
    value, p10, _, p90 = percentiles(q, show)
    return value if p10 == p90 else f"{value}  ({p10} to {p90})"


def figures(screen: Console, rows: Iterable[tuple[str, float | Sequence[float], str, str]]) -> Table:
    """Figures that --set takes: name, value or two ends, how sure it is, and where it comes from, in short."""
    columns = (
        Column(head="figure", right=False),
        Column(head="value or range"),
        Column(head="how sure", right=False, drop=1),
        Column(head="source", right=False, drop=2),
    )
    lines = [[name, _ends(value), sure, _short(source)] for name, value, sure, source in rows]
    return table(screen, columns, lines, title="figures, each settable with --set name=value or name=low..high")


def _short(source: str) -> str:
    return re.split(r"[:;(]", source.removeprefix("assumed: "))[0].strip()


def _ends(value: float | Sequence[float]) -> str:
    return f"{value:g}" if isinstance(value, float | int) else "..".join(f"{end:g}" for end in value)


def caveats(screen: Console) -> None:
    """The plain limits, framed."""
    lines = "\n".join(f"- {line}" for line in CANNOT_SAY)
    frame = box.ROUNDED if can_draw(screen) else box.ASCII
    screen.print()
    screen.print(
        Panel(Padding(lines, (0, 1)), title="what this cannot say", title_align="left", box=frame, style="dim")
    )


def four_digits(value: float) -> str:
    """With the four digits that the article has."""
    return ten(value, 4)


def value_and_range(q: Quantity) -> tuple[str, str]:
    """The value, and its 80 % range where it has one."""
    value, p10, _, p90 = percentiles(q, ten)
    return value, "" if p10 == p90 else f"{p10} to {p90}"
