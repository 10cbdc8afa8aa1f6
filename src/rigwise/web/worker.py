"""The process of one job: reads a question on stdin, writes lines of JSON on stdout, and can be killed at any time.

    python -m rigwise.web.worker < {"verb": "plan", "request": {...}, "folder": null}

A line is {"progress": [done, all]}, {"answer": {...}} or {"problem": {...}}; the last one is one of the latter two.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rigwise.web.problems import known, problem, unread
from rigwise.web.verbs import VERBS, payload


def work(question: dict[str, Any]) -> dict[str, Any]:
    """The last line of a job."""
    verb = VERBS[question["verb"]]
    folder = Path(question["folder"]) if question.get("folder") else None
    try:
        request = verb.request(**question["request"])
        return {"answer": payload(verb, request, folder, lambda done, total: _say({"progress": [done, total]}))}
    except ValidationError as error:
        return {"problem": problem(unread(list(error.errors())))}
    except Exception as error:  # whatever happens is told as a problem
        return {"problem": problem(known(error))}


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _say(work(json.load(sys.stdin)))
