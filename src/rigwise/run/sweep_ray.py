"""A sweep's runs on a Ray cluster: one Ray task each, with its ranks' cores or GPUs. Output is a shared folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rigwise.errors import LaunchError
from rigwise.run.chosen import Value
from rigwise.run.launch import Place
from rigwise.run.sweep import Common, Outcome, train

_POLL_S = 0.5


def require_ray() -> Any:
    """Ray, joined to the cluster that runs. LaunchError where there is none."""
    if find_spec("ray") is None:
        raise LaunchError("--on ray needs Ray, which is not installed", nearest="pip install 'ray>=2.50'")
    ray = import_module("ray")
    try:
        if not ray.is_initialized():
            ray.init(address="auto", log_to_driver=False, logging_level="error")
    except ConnectionError as error:
        raise LaunchError(
            "no Ray cluster is running here", rule="--on ray joins one", nearest="ray start --head"
        ) from error
    return ray


def over_ray(
    common: Common, output: Path, points: Sequence[Mapping[str, Value]], hear: Callable[[Outcome], None], gpus: bool
) -> bool:
    """All points as Ray tasks; True where they were stopped by Ctrl-C, which ends them: they go on from their last
    checkpoints.
    """
    ray = require_ray()
    path = ":".join(entry for entry in sys.path if entry)
    needs = {"num_gpus": common.ranks} if gpus else {"num_cpus": common.ranks}
    remote = ray.remote(max_retries=0, runtime_env={"env_vars": {"PYTHONPATH": path}}, **needs)(_one)
    waiting = {remote.remote(asdict(common), str(output.absolute()), dict(point)): point for point in points}
    try:
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1, timeout=_POLL_S)
            for each in ready:
                hear(_got(ray, each, waiting.pop(each), output))
    except KeyboardInterrupt:
        for each in waiting:
            ray.cancel(each, force=True)
        return True
    return False


def _got(ray: Any, each: Any, point: Mapping[str, Value], output: Path) -> Outcome:
    try:
        return Outcome(**ray.get(each))
    except ray.exceptions.RayError as error:
        words = str(error).strip().splitlines() or ["it said nothing"]
        return Outcome(point=point, state="failed", output=str(output), error=f"Ray: {words[-1]}")


def _one(common: dict[str, Any], output: str, point: dict[str, Value]) -> dict[str, Any]:
    return asdict(train(Common(**common), Path(output), point, Place(threads=1)))
