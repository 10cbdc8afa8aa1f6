"""Tables, figures and words of a page in Markdown."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources

UNKNOWN = "unknown"


def table(head: Sequence[str], lines: Iterable[Sequence[str]], align: str = "l") -> str:
    """A table. align: a letter a column, "l" for words that stand to the left, "r" for figures; the rest are "r".

    >>> print(table(["rows", "n"], [["a", "1"]]))
    | rows | n |
    |---|---:|
    | a | 1 |
    """
    rule = ["---" if letter == "l" else "---:" for letter in align.ljust(len(head), "r")]
    text = [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in (head, *lines)]
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


def words(page: str, name: str, **figures: object) -> str:
    """A paragraph of a page's file in data/, with the figures in it.

    >>> words("validation", "family", scheme="whole devices left out")
    'In the picture, and under mean, bias and inside: whole devices left out.'
    """
    return _paragraphs(page)[name].strip().format(**figures)


@cache
def _paragraphs(page: str) -> Mapping[str, str]:
    text = resources.files(__package__).joinpath("data", f"{page}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
