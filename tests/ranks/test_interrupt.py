"""Ctrl-C finishes the step, saves and says how to go on; a second one ends at once; no process is left."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rigwise.cli.main import main
from training import TASKS, gone, pids

LONG_S = 300.0
STEPS = "400"


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`rigwise run` of the slow task, from its first step on."""
    path = os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "rigwise", "run", f"{TASKS}:slow", "--layout", "dp=2", "--steps", STEPS, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    try:
        assert process.stderr
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith("step "):
                break
        else:
            pytest.fail("".join(told))
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_first_saves_and_says_how_to_go_on(how: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    with running("--output", "out") as process:
        os.killpg(process.pid, how)  # as a terminal does: the whole group hears it
        _, said = process.communicate(timeout=LONG_S)
    assert process.returncode == 130
    assert "finishing the step and saving" in said
    stopped = re.search(r"error: stopped after step (\d+), saved in (.*)", said)
    assert stopped, said
    assert Path("out/checkpoints/LATEST").read_text().strip() == Path(stopped[2]).name
    assert int(Path(stopped[2]).name.removeprefix("step-")) == int(stopped[1]) < int(STEPS)
    assert len(Path("out/log.jsonl").read_text().splitlines()) == int(stopped[1])
    left = pids(Path("out"))
    assert len(left) == 2
    assert all(gone(process) for process in left)
    again = re.search(r"nearest: rigwise (.*)", said)
    assert again
    words = shlex.split(again[1].replace(f"--steps {STEPS}", f"--steps {int(stopped[1]) + 1}"))
    assert main(words) == 0, capsys.readouterr().err


def test_the_second_ends_at_once() -> None:
    with running("--output", "out") as process:
        os.killpg(process.pid, signal.SIGSTOP)
        for rank in pids(Path("out")):  # ranks that cannot finish their step
            os.kill(rank, signal.SIGSTOP)
        os.killpg(process.pid, signal.SIGINT)
        os.killpg(process.pid, signal.SIGCONT)
        assert process.stderr
        while "finishing the step" not in (line := process.stderr.readline()):
            assert line
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=LONG_S)
    assert process.returncode == 130
    left = pids(Path("out"))
    assert len(left) == 2
    assert all(gone(rank) for rank in left)
