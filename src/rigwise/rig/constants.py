"""The numbers of data/cooling.toml: how much cards lose beside each other, how loud things are."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def cooling() -> dict[str, Any]:
    """The numbers of data/cooling.toml."""
    return tomllib.loads(files("rigwise.rig").joinpath("data/cooling.toml").read_text("utf-8"))
