"""Training for tests: runs of taskfile.py on the CPU."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rigwise.run.result import RunResult
from rigwise.run.start import run

TASKS = Path(__file__).with_name("taskfile.py")
KILLER = "rigwise_test_killer"  # a file of this name in the working folder arms the task `killed`

GO = "rigwise_test_go"  # a file of this name in the working folder lets the task `held` go on


def train(task: str, layout: Any = "dp=2", **other: Any) -> RunResult:
    """Train ":name" of taskfile.py, or a packaged task, for 8 steps."""
    spec = f"{TASKS}{task}" if task.startswith(":") else task
    return run(spec, layout, **{"steps": 8, "device": "cpu", **other})


def pids(output: Path) -> list[int]:
    """The process ids that the ranks of `slow` printed."""
    return [int(path.read_text().split()[0]) for path in sorted((output / "ranks").glob("*.txt")) if path.read_text()]


def gone(process: int, within: float = 10.0) -> bool:
    """Is the process gone, or is it within so many seconds?"""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
