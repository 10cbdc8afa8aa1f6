"""What a task says about its training before it is run: for a plan, and for a prediction that is made first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from rigwise.errors import RigwiseError
from rigwise.layouts.layout import Layout
from rigwise.models.python_file import aside, function_of
from rigwise.run.chosen import Value
from rigwise.run.limits import read_layout, settle
from rigwise.run.task import Task, locate

RUNNABLE: Mapping[str, Any] = MappingProxyType(
    {
        "ep": 1,
        **dict.fromkeys(("recompute", "offload", "compress"), "none"),
    }
)
"""The axes that limits.py holds, with the one value that it allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """batch: samples of a step. optimizer: its name as models/optimizers.toml has it, or torch's if it is not there."""

    batch: int
    optimizer: str


@aside()
def told(spec: str, settings: Mapping[str, Value] = MappingProxyType({})) -> Told | None:
    """What a packaged task or `file.py:function` says; None for anything else, or where torch is missing.

    The task is made on the meta device, so that a large model costs no memory; where its code needs real tensors it is
    made as it is.
    """
    try:
        path, function = locate(spec)
        import torch

        make = partial(function_of(path, function), **settings)
    except (RigwiseError, ImportError):
        return None
    task = _made(make, torch.device("meta")) or _made(make, torch.device("cpu"))
    return Told(batch=_own_batch(task) or task.batch, optimizer=_optimizer(task)) if task else None


def _made(make: Callable[[], object], device: Any) -> Task | None:
    try:
        with device:
            made = make()
    except Exception:
        return None
    return made if isinstance(made, Task) else None


def _own_batch(task: Task) -> int | None:
    """The batch that data in batches fixes; None where the data cannot be asked here, which the run will say."""
    from rigwise.models.trace import is_dataset
    from rigwise.run.feeding.feed import pair, size

    if is_dataset(task.data):
        return None
    try:
        return size(pair(next(iter(task.data)))[0])
    except Exception:
        return None


def _optimizer(task: Task) -> str:
    try:
        made = task.optimizer(task.model.parameters())
    except Exception:
        return "adamw"
    name = type(made).__name__.lower()
    return "momentum" if name == "sgd" and any(group.get("momentum") for group in made.param_groups) else name


def settled(layout: Layout | str, batch: int) -> Layout:
    """The layout as a run takes it: float32, and one micro-batch a step where nothing is said of micro-batches."""
    said, whole = read_layout(layout)
    return settle(said, batch, whole)
