"""The tables of this room: what is trained, default batches, data sets, and what an assumption costs in certainty."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from rigwise.measurements.words import first, patterns_of


@cache
def table(name: str) -> Mapping[str, Any]:
    """A TOML file of this room's data folder."""
    text = resources.files(__package__).joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def find(name: str, text: str) -> Mapping[str, Any] | None:
    """The facts of the first `[[word]]` of a file whose pattern is found in the text, or None."""
    return first(_patterns(name), text)


@cache
def _patterns(name: str) -> Any:
    return patterns_of(table(name)["word"])


def spread_of(assumed: Iterable[str]) -> float:
    """Standard deviation, in natural logarithm, that some assumptions add together.

    >>> round(spread_of(["batch", "global_batch"]), 3)
    0.18
    """
    return math.sqrt(sum(table("assumptions")[name]["spread"] ** 2 for name in set(assumed)))


def said(assumed: Iterable[str]) -> str:
    """The assumptions in words.

    >>> said(["batch"])
    'batch assumed'
    """
    return ", ".join(table("assumptions")[name]["says"] for name in sorted(set(assumed)))
