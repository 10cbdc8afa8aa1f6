"""Tables and figures of a page in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

UNKNOWN = "unknown"


def table(head: Sequence[str], lines: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table. words: how many of the first columns are words and stand to the left; the others stand to the right.

    >>> print(table(["rows", "n"], [["a", "1"]]))
    | rows | n |
    |---|---:|
    | a | 1 |
    """
    rule = ["---" if place < words else "---:" for place in range(len(head))]
    body = [head, *lines]
    text = [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in body]
    return "\n".join([text[0], f"|{'|'.join(rule)}|", *text[1:]])


def percent(value: float | None, *, signed: bool = False) -> str:
    """A share as a percentage with one decimal.

    >>> percent(0.0412), percent(-0.02, signed=True), percent(None)
    ('4.1%', '-2.0%', 'unknown')
    """
    if value is None:
        return UNKNOWN
    return f"{value:+.1%}" if signed else f"{value:.1%}"


def number(value: float | None, digits: int = 2) -> str:
    """A plain number with some decimals, or "unknown"."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"
