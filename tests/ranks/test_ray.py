"""Ray for real: the script of `rigwise launch --launcher ray`, and a sweep, on a cluster of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from training import train

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install ray")
WITHIN_S = 110.0
SWEEP = """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
from rigwise import api
words = dict(steps=4, device="cpu")
there = api.sweep("digits", ["lr=0.2,0.001"], output="there", on="ray", **words)
here = api.sweep("digits", ["lr=0.2,0.001"], output="here", **words)
assert [one.state for one in there.outcomes] == ["done"] * 2, there
assert [one.losses for one in there.outcomes] == [one.losses for one in here.outcomes]
"""


def environment() -> dict[str, str]:
    """With a `rigwise` of this interpreter in the path, which tasks of Ray call by name."""
    Path("bin").mkdir()
    command = Path("bin/rigwise")
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m rigwise "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent.absolute()), os.environ["PATH"]])
    own = {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own, "RAY_USAGE_STATS_ENABLED": "0"}


def test_the_script_of_launch_trains_on_ray() -> None:
    own = environment()
    words = ["launch", "digits", "--cluster", "this:2", "--launcher", "ray", "--steps", "6"]
    words += ["--output", str(Path("out").absolute()), "--script", "start.py"]
    subprocess.run([sys.executable, "-m", "rigwise", *words], env=own, check=True, capture_output=True, timeout=60)
    done = subprocess.run([sys.executable, "start.py"], env=own, capture_output=True, text=True, timeout=WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(Path("out/result.json").read_text())
    assert result["world"] == 2
    assert tuple(result["losses"]) == train("digits", steps=6).losses


def test_a_sweep_on_ray_has_the_losses_of_here() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWEEP], env=environment(), capture_output=True, text=True, timeout=WITHIN_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
