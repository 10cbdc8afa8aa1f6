"""Pictures in the terminal: parts of a whole as bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from rigwise.cli.console import can_draw

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEAST = 0.0005  # of the whole: parts below it are not drawn
_CELLS = 24  # of a bar, where there is room
_SHARE = 11  # characters of "100.0%", the indent and the gaps


def bar(share: float, cells: int, *, draw: bool = True) -> str:
    """A bar that fills `share` of `cells` characters, in eighths of a character where they can be drawn.

    >>> bar(0.5, 4), bar(0.5, 4, draw=False), bar(0.03, 4)
    ('██  ', '##  ', '▏   ')
    """
    share = min(max(share, 0.0), 1.0)
    if not draw:
        return ("#" * max(round(share * cells), share > 0)).ljust(cells)
    eighths = max(round(share * cells * 8), int(share > 0))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells)


def parts(screen: Console, title: str, amounts: Mapping[str, float], show: Iterable[str], whole: float) -> Table:
    """One bar a part, longest first, with its amount and its share of `whole`. show: the amounts in words."""
    rows = sorted(zip(amounts.items(), show, strict=True), key=lambda row: -row[0][1])
    drawn = [
        (name.replace("_", " "), amount / whole, words) for (name, amount), words in rows if amount >= _LEAST * whole
    ]
    out = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "right", "right"):
        out.add_column(justify=justify, no_wrap=True)
    taken = max(len(name) + len(words) for name, _, words in drawn) + _SHARE
    cells = max(min(_CELLS, screen.width - taken), 0)
    out.title, out.title_justify, out.title_style = title, "left", "bold"
    for name, share, words in drawn:
        out.add_row(f"  {name}", bar(share, cells, draw=can_draw(screen)), words, f"{share:.1%}")
    return out
