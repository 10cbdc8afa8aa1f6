"""Whole processes: what only shows where there is a real stdout, a real pipe and a real signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

import rigwise

HOME = os.path.dirname(os.path.dirname(rigwise.__file__))
SLOW = "import time, rigwise.api as api\napi.model_names = lambda: print('ready', flush=True) or time.sleep(30)\n"


def command(*words: str, code: str = "") -> list[str]:
    script = f"{code}\nimport sys\nfrom rigwise.cli.main import main\nsys.exit(main({list(words)!r}))"
    return [sys.executable, "-c", script]


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**kept, "PYTHONPATH": HOME, **more}


def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, env=environment(**more), timeout=60)


def test_the_module_runs_and_returns_its_code() -> None:
    words = [sys.executable, "-m", "rigwise", "model", "show", "gpt5000", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 4
    assert json.loads(done.stdout)["exit_code"] == 4
    assert done.stderr == ""


def test_a_pipe_gets_no_colour_and_stderr_stays_empty() -> None:
    done = run("plan", "gpt2", "--cluster", "8xh100", "--batch", "64")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_a_reader_that_leaves_is_no_error() -> None:
    with subprocess.Popen(
        command("hardware", "list", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        process.stdout.read(1)
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=60) == 0
    assert said == b""


@pytest.mark.parametrize("look", [(), ("--json",)])
def test_an_answer_that_cannot_be_written_is_an_error_in_words(look) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("model", "list", *look),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
            timeout=60,
        )
    assert done.returncode == 5
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_without_unicode_is_no_error() -> None:
    done = run("plan", "gpt2", "--cluster", "8xh100", "--batch", "64", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


@pytest.mark.parametrize("words", [("model", "list"), ("model", "list", "--json")], ids=" ".join)
def test_ctrl_c_ends_with_130_and_no_traceback(words) -> None:
    with subprocess.Popen(
        command(*words, code=SLOW), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert (json.loads(out)["error"] == "interrupted") if "--json" in words else ("interrupted" in err)


def test_help_imports_nothing_that_computes() -> None:
    code = (
        "import atexit\natexit.register(lambda: print(sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr))"
    )
    done = subprocess.run(command("--help", code=code), capture_output=True, text=True, env=environment(), timeout=60)
    loaded = set(json.loads(done.stderr.replace("'", '"')))
    assert {"cyclopts", "rich"} <= loaded
    assert not loaded & {"numpy", "torch", "pydantic", "psutil", "scipy"}
