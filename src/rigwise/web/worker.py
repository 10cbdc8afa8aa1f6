"""The process of one job: reads a question on stdin, writes lines of JSON on stdout, and can be killed at any time.

    python -m rigwise.web.worker < {"verb": "plan", "request": {...}, "folder": null}

A line is {"progress": [done, all], "steps": [...], "stage": "..."}, {"answer": {...}} or {"problem": {...}}; the last one is one of the
latter two. Steps of a run are told a few at a time.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rigwise.web.problems import known, problem, unread
from rigwise.web.verbs import VERBS, payload

_PAUSE_S = 0.1


def work(question: dict[str, Any]) -> dict[str, Any]:
    """The last line of a job."""
    verb = VERBS[question["verb"]]
    folder = Path(question["folder"]) if question.get("folder") else None
    try:
        request = verb.request(**question["request"])
        return {"answer": payload(verb, request, folder, Teller())}
    except ValidationError as error:
        return {"problem": problem(unread(list(error.errors())))}
    except Exception as error:  # whatever happens is told as a problem
        return {"problem": problem(known(error))}


class Teller:
    """Tells progress at most ten times a second, and of a new stage and the end at once; no step is left out."""

    def __init__(self) -> None:
        self.steps: list[Mapping[str, Any]] = []
        self.told, self.stage = 0.0, ""

    def __call__(self, done: int, total: int, step: Mapping[str, Any] | None = None, stage: str = "") -> None:
        """Hear it."""
        self.steps += [step] if step else []
        now = time.monotonic()
        if now - self.told >= _PAUSE_S or done == total or stage != self.stage:
            _say({"progress": [done, total], "steps": self.steps, "stage": stage})
            self.steps, self.told, self.stage = [], now, stage


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _say(work(json.load(sys.stdin)))
