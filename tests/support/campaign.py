"""A campaign of faults: a run that is killed again and again, whoever is hit at whatever instant, and started again.

Each time one process of the run gets SIGKILL: the launcher, the process that forks the ranks, or a rank; while it
starts, between steps, or while a checkpoint is written. What must hold is looked at after each.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from rigwise.run.keeping import folder
from training import TASKS

EVERY = 5  # steps between checkpoints
STARTING = 0.15  # of the kills fall before the first step
_FIRST_S, _AFTER_S = 2.5, 1.5
_PATIENCE_S = 600.0  # of whoever waits for a run: a slow machine is no failure
_NEVER = 1_000_000  # steps: it is killed before


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """victim: launcher, server or rank. step: the last one in the log then. kept: that of the newest checkpoint."""

    victim: str
    step: int
    kept: int


def campaign(kills: int, seed: int, output: Path, say: Callable[[str], None] = lambda words: None) -> list[Kill]:
    """Kill a run so many times. AssertionError: a process was left, a checkpoint is broken, or more is lost than the
    steps since the last checkpoint, or since the one before if it died while that was being written.
    """
    draw, done = random.Random(seed), []
    for number in range(kills):
        before = newest(output)
        victim, step = _struck(draw, output)
        broken = {path.name: says for path in folder.found(output) if (says := _broken(path))}
        assert not broken, f"kill {number + 1} of {kills}, {victim}: {broken}"
        kept = newest(output)
        assert kept >= before, f"kill {number + 1}, {victim}: step {before} was kept, and now {kept}"
        assert step - kept <= 2 * EVERY, f"kill {number + 1}, {victim}: at step {step}, and {kept} is kept"
        done.append(Kill(victim=victim, step=step, kept=kept))
        say(f"kill {number + 1}: {victim} at step {step}, {kept} is kept")
    return done


def finish(output: Path, steps: int) -> list[float]:
    """Go on undisturbed to a last step; the losses of all steps."""
    code = _start(output, steps).wait(_PATIENCE_S)
    assert code == 0, f"the last run ended with {code}"
    return [json.loads(line)["loss"] for line in (output / "log.jsonl").read_text().splitlines()]


def newest(output: Path) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    paths = folder.found(output)
    return int(paths[0].name.removeprefix("step-")) if paths else 0


def _start(output: Path, steps: int) -> subprocess.Popen[bytes]:
    words = [f"{TASKS}:slow", "--layout", "dp=2", "--device", "cpu", "--checkpoint-every", str(EVERY), "--quiet"]
    words += ["--steps", str(steps), "--output", str(output), "--resume-if-any"]
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "rigwise", "run", *words],
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _struck(draw: random.Random, output: Path) -> tuple[str, int]:
    """One run, to its end by a kill: who was hit, and the last step in the log."""
    launcher = _start(output, _NEVER)
    try:
        if draw.random() < STARTING:
            time.sleep(draw.uniform(0, _FIRST_S))
        else:
            begun = _logged(output)
            _until(lambda: _logged(output) != begun or launcher.poll() is not None, "no step was taken")
            time.sleep(draw.uniform(0, _AFTER_S))
        assert launcher.poll() is None, f"the run ended by itself with {launcher.returncode}"
        everyone = _everyone(launcher.pid)
        victim = draw.choice(("launcher", "server", "rank"))
        which = everyone[victim] or everyone["launcher"]
        draw.choice(which).kill()
        launcher.wait(_PATIENCE_S)
        _until(lambda: not any(_lives(each) for group in everyone.values() for each in group), "a process is left")
        return victim if everyone[victim] else "launcher", _last(output)
    finally:
        for each in [one for group in _everyone(launcher.pid).values() for one in group]:
            each.kill()
        launcher.wait()


def _everyone(launcher: int) -> dict[str, list[psutil.Process]]:
    """The processes of a run; those that load beside a rank are hit as little as they matter."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(launcher)
        if top.status() != psutil.STATUS_ZOMBIE:
            servers = top.children()
            ranks = [rank for server in servers for rank in server.children()]
            return {"launcher": [top], "server": servers, "rank": ranks}
    return {"launcher": [], "server": [], "rank": []}


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _until(so: Callable[[], bool], says: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, says
        time.sleep(0.02)


def _logged(output: Path) -> float:
    """When the log was last written to."""
    log = output / "log.jsonl"
    return log.stat().st_mtime_ns if log.exists() and log.stat().st_size else 0


def _last(output: Path) -> int:
    """The last step that stands whole in the log."""
    log = output / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    steps = []
    for line in lines:
        with suppress(ValueError):
            steps.append(json.loads(line)["step"])
    return max(steps, default=0)


def _broken(path: Path) -> str:
    try:
        digests = folder.read_record(path)["files"]
    except (OSError, ValueError) as error:
        return str(error)
    return folder.torn(path, digests, digests)
