"""Tasks that fail and ranks that die: a clear error of the right class, and no process is left."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rigwise.errors import InfeasibleError, LaunchError, NotFoundError, RigwiseError, UsageError
from rigwise.run.job import StepRecord
from training import TASKS, gone, pids, train

GONE_S = 60.0  # far more than an end takes: a launcher that hangs is a failure, a slow machine is not


@pytest.mark.parametrize(
    ("task", "family", "words"),
    [
        (":one_raises", UsageError, "rank 1 of 2: the task's model or loss raised KeyError at taskfile.py:.*rank one"),
        (":one_is_killed", LaunchError, "rank 1 of 2 was killed by SIGKILL"),
        (":one_leaves", LaunchError, "rank 0 of 2 ended with exit code 7 .*it last printed: I have had enough"),
        (":one_exits", UsageError, "rank 0 of 2: the task's model or loss raised SystemExit at taskfile.py:.*: 3"),
        (":explodes", UsageError, "the loss is (inf|nan) at step 2"),
        (":greedy", InfeasibleError, "rank . of 2 ran out of memory"),
        (":misfit", UsageError, "shapes cannot be multiplied"),
        (":no_mean", UsageError, r"the loss gave a tensor of shape \[24, 1\]"),
        (":once", UsageError, "the data ended after 2 steps"),
        (":unseeded", UsageError, "rank 0 has batches that begin with [0-9a-f]*, rank 1 has batches that begin with"),
        (":nowhere", NotFoundError, "no function in taskfile.py 'nowhere'"),
        ("digit", NotFoundError, "no task 'digit'; nearest: digits"),
        ("absent.py:task", NotFoundError, "no task file 'absent.py'"),
    ],
)
def test_what_goes_wrong_in_a_rank_is_told_as_it_is(task: str, family: type[RigwiseError], words: str) -> None:
    with pytest.raises(family, match=words):
        train(task, "dp=2")


def test_the_next_run_after_a_failure_is_as_good_as_the_first() -> None:
    before = train(":plain").losses
    with pytest.raises(LaunchError):
        train(":one_is_killed")
    assert train(":plain").losses == before


def test_a_disk_that_is_full_is_said_though_the_ranks_cannot_print() -> None:
    words = f"import sys; from rigwise.cli.main import main; sys.exit(main(['run', '{TASKS}:plain', '--steps', '40']))"
    done = subprocess.run(
        [sys.executable, "-c", words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )
    assert done.returncode == 5
    assert re.search(r"error: cannot write .*log\.jsonl: File too large", done.stderr)


def test_a_callback_that_raises_ends_all_ranks() -> None:
    def stop(record: StepRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(":slow", steps=10_000, output="out", on_step=stop)
    left = pids(Path("out"))
    assert len(left) == 2
    assert all(gone(process) for process in left)


SCRIPT = f"""
import sys
from rigwise.run.start import run

def say(record):
    print(record.step, "torch" in sys.modules, flush=True)

run("{TASKS}:slow", "dp=2", steps=10_000, device="cpu", output="out", on_step=say)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_however_the_launcher_ends_no_rank_is_left(how: signal.Signals) -> None:
    command = [sys.executable, "-c", SCRIPT]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as launcher:
        assert launcher.stdout
        assert launcher.stderr
        assert launcher.stdout.readline() == "1 False\n"  # the launcher itself never loads torch
        os.killpg(launcher.pid, how)  # as a terminal does: the whole group hears it
        said = launcher.stderr.read()
        code = launcher.wait(timeout=GONE_S)
    assert code == -how
    if how == signal.SIGINT:
        assert "KeyboardInterrupt: stopped after step" in said
    left = pids(Path("out"))
    assert len(left) == 2
    assert all(gone(process) for process in left)
