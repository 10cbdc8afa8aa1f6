"""Tables for people: numbers at the right, and on a narrow terminal the least needed columns go first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from rigwise.cli.console import can_draw

_PADDING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. drop: 0 stays always; among the others the highest goes first when the terminal is narrow."""

    head: str
    right: bool = True
    drop: int = 0
    style: str = ""


def table(
    screen: Console, columns: Sequence[Column], rows: Iterable[Sequence[str]], title: str = "", gap: int = _PADDING
) -> Table:
    """A table that fits the screen; gap: 1 for a table that is pressed together."""
    lines = [list(row) for row in rows]
    keep = _fitting(columns, lines, screen.width, gap)
    out = Table(
        title=_plain(title) or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if can_draw(screen) else box.ASCII2,
        header_style="bold",
        pad_edge=False,
        show_edge=False,
        padding=(0, 1 if gap > 1 else 0),
    )
    for place in keep:
        column = columns[place]
        out.add_column(
            column.head, justify="right" if column.right else "left", style=column.style or None, overflow="fold"
        )
    for line in lines:
        out.add_row(*(_plain(line[place]) for place in keep))
    return out


def _fitting(columns: Sequence[Column], lines: Sequence[Sequence[str]], width: int, gap: int) -> list[int]:
    wide = [max([cell_len(c.head), *(cell_len(line[i]) for line in lines)]) + gap for i, c in enumerate(columns)]
    keep = list(range(len(columns)))
    while sum(wide[i] for i in keep) > width and any(columns[i].drop for i in keep):
        keep.remove(max(keep, key=lambda i: columns[i].drop))
    return keep


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Words at the left, what they are at the right; a row without a value is left out."""
    out = Table.grid(padding=(0, _PADDING))
    out.add_column(style="bold", no_wrap=True)
    out.add_column(overflow="fold")
    for word, value in rows:
        if value:
            out.add_row(word, _plain(value))
    return out


def _plain(text: str) -> str:
    """Square brackets as themselves: rich would read them as markup."""
    return text.replace("[", r"\[")
