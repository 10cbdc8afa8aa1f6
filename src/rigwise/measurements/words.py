"""Free text of measured tables, read by tables of patterns.

Each file words/<topic>.toml is a list of `[[word]]` tables, tried in order; the first whose `match` is found in the
text (a regular expression, case does not matter) decides. Its other keys are the facts, to which the pattern's named
groups are added. A new spelling is a new line in a file, never a new line of code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

TOPICS = (
    "precision",
    "sharding",
    "recompute",
    "attention",
    "stacks",
    "conventions",
    "amounts",
    "timing",
    "messages",
    "kernels",
    "passes",
    "adaptations",
    "batches",
    "optimizers",
    "lengths",
    "loading",
    "epochs",
    "states",
    "memory",
    "peers",
    "figures",
    "systems",
)
_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")


Patterns = tuple[tuple[re.Pattern[str], dict[str, Any]], ...]


@lru_cache(maxsize=8192)
def read(topic: str, text: str) -> Mapping[str, Any] | None:
    """The facts that the first matching pattern of a topic gives, or None where none matches.

    >>> read("precision", "mixed fp16 (AMP)")
    {'precision': 'float16'}
    >>> read("epochs", "data parallel; 90 epochs ImageNet")["epochs"]
    90
    """
    return first(_topic(topic), text)


def first(patterns: Patterns, text: str) -> Mapping[str, Any] | None:
    """The facts of the first pattern that is found in the text, its named groups among them, or None."""
    for pattern, facts in patterns:
        found = pattern.search(text)
        if found:
            groups = {key: _value(value) for key, value in found.groupdict().items() if value is not None}
            return {**facts, **groups}
    return None


def patterns_of(words: Iterable[Mapping[str, Any]]) -> Patterns:
    """The `[[word]]` tables of a file, their patterns compiled."""
    return tuple(
        (
            re.compile(word["match"], re.IGNORECASE | re.DOTALL),
            {key: value for key, value in word.items() if key != "match"},
        )
        for word in words
    )


@lru_cache(maxsize=len(TOPICS))
def _topic(topic: str) -> Patterns:
    text = resources.files(__package__).joinpath("words", f"{topic}.toml").read_text(encoding="utf-8")
    return patterns_of(tomllib.loads(text)["word"])


def _value(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.isdigit() else float(text)
