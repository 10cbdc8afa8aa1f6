"""What the tables of the brain share: quantities in words, and the framed limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel

from rigwise.brain.caveats import CANNOT_SAY
from rigwise.cli.console import can_draw
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
