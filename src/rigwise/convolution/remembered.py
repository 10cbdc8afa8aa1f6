"""What was timed on this machine, kept between runs: a small JSON file in the user's cache folder.

RIGWISE_CONVOLUTION_CACHE names another file; an empty value keeps nothing. A file that cannot be read or written is
as good as none: the choice is timed again.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from platform import machine, node
from typing import Any

from rigwise.files import replace_text

VARIABLE = "RIGWISE_CONVOLUTION_CACHE"
_MOST = 4096  # choices kept; the oldest go first


def place() -> Path | None:
    """The file, or None where nothing is to be kept."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    from platformdirs import user_cache_path

    return user_cache_path("rigwise") / "convolution.json"


@cache
def _kept(path: Path | None) -> dict[str, Any]:
    """The file's content: choices by key, rates by engine."""
    try:
        read = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
    except (OSError, ValueError):
        read = {}
    read = read if isinstance(read, dict) else {}
    return {part: value if isinstance(value := read.get(part), dict) else {} for part in ("choices", "rates")}


def recall(key: str) -> tuple[str, ...] | None:
    """The algorithms kept for a key, or None."""
    known = _kept(place())["choices"].get(_here(key))
    return tuple(known) if isinstance(known, list) and all(isinstance(name, str) for name in known) else None


def remember(key: str, names: tuple[str, ...]) -> None:
    """Keep a choice, in memory and in the file."""
    choices = _kept(place())["choices"]
    choices[_here(key)] = list(names)
    while len(choices) > _MOST:
        del choices[next(iter(choices))]
    _write()


def recall_rates(engine: str) -> dict[str, float]:
    """The rates measured on this machine, or none."""
    known = _kept(place())["rates"].get(_here(engine), {})
    usable = isinstance(known, dict) and all(isinstance(rate, float) and rate > 0 for rate in known.values())
    return known if usable else {}


def remember_rates(engine: str, rates: dict[str, float]) -> None:
    """Keep an engine's rates, in memory and in the file."""
    _kept(place())["rates"][_here(engine)] = rates
    _write()


def _write() -> None:
    path = place()
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(_kept(path), indent=0))
    except OSError:
        return


def forget() -> None:
    """Drop every choice, here and in the file."""
    path = place()
    _kept.cache_clear()
    if path is not None:
        path.unlink(missing_ok=True)


def _here(key: str) -> str:
    return f"{node()} {machine()} {key}"
