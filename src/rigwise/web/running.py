"""Runs asked for over HTTP: packaged tasks on the machine of the server, and what was run from this folder."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigwise import api
from rigwise.layouts.layout import Layout
from rigwise.run.start import RESULT, RUNS
from rigwise.run.task import packaged

if TYPE_CHECKING:
    from rigwise.run.job import StepRecord

_SHOWN = 30  # runs of a history
_FIELDS = ("task", "batch", "steps", "step_s", "samples_per_s", "tokens_per_s", "mfu", "world", "device")
_STEP = ("step", "loss", "step_s", "samples_per_s", "tokens_per_s", "mfu", "memory")


def run(said: dict[str, Any], progress: Callable[..., None]) -> Mapping[str, Any]:
    """Train, and set predicted beside measured; each step is told as it comes."""
    steps = said.get("steps", 200)

    def heard(record: StepRecord) -> None:
        told = record.to_dict()
        progress(record.step, steps, {name: told[name] for name in _STEP})

    return api.run(said.pop("task"), said.pop("layout", ""), on_step=heard, **said).to_dict()


def runs() -> Mapping[str, Any]:
    """The packaged tasks, and the last finished runs below ./rigwise-runs, the newest first."""
    tasks = [{"name": name, "says": _says(place)} for name, place in packaged().items()]
    places = sorted(Path(RUNS).glob(f"*/{RESULT}"), key=_when, reverse=True)[:_SHOWN]
    return {"tasks": tasks, "runs": [row for row in map(_row, places) if row]}


def _says(place: Path) -> str:
    """What a task's file says of itself, read without running it."""
    return (ast.get_docstring(ast.parse(place.read_text(encoding="utf-8"))) or "").split("\n")[0].split(" (")[0].rstrip(
        "."
    ) + "."


def _when(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:  # somebody tidies up just now
        return 0.0


def _row(place: Path) -> dict[str, Any] | None:
    """A finished run in a line; nothing where the file is not what a run wrote."""
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        row = {name: told[name] for name in _FIELDS}
        ends = {"first_loss": told["losses"][0], "last_loss": told["losses"][-1]}
        layout = str(Layout.from_dict(told["layout"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    when = datetime.fromtimestamp(_when(place), tz=UTC).isoformat(timespec="seconds")
    return {"name": place.parent.name, "when": when, "layout": layout, **row, **ends}
