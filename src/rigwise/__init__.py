"""rigwise: from the network you want to train to the machine it trains on.

Three nouns and one verb: `estimate(model, layout, cluster)`. A model is what is trained, a cluster what it trains on, a
layout how it is split. `plan` is `estimate` over every legal layout, `run` does what a layout says.

A name is imported when it is first used, so that `import rigwise` costs nothing and planning works without torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rigwise.api import (
        advise,
        brain_compare,
        brain_estimate,
        brain_forecast,
        brain_machines,
        brain_neuron,
        check_rig,
        estimate,
        explain,
        export,
        launch,
        load_cluster,
        load_model,
        parallelize,
        plan,
        rig,
        rig_from,
        run,
        scale,
        split,
        validate,
    )
    from rigwise.cost.record import Estimate
    from rigwise.errors import RigwiseError
    from rigwise.layouts.layout import Layout
    from rigwise.run import readers as data
    from rigwise.run.task import Task
    from rigwise.search.plan import Plan

__version__ = "0.1.0"

__all__ = [
    "Estimate",
    "Layout",
    "Plan",
    "RigwiseError",
    "Task",
    "__version__",
    "advise",
    "brain_compare",
    "brain_estimate",
    "brain_forecast",
    "brain_machines",
    "brain_neuron",
    "check_rig",
    "data",
    "estimate",
    "explain",
    "export",
    "launch",
    "load_cluster",
    "load_model",
    "parallelize",
    "plan",
    "rig",
    "rig_from",
    "run",
    "scale",
    "split",
    "validate",
]

_HOME = {
    "Estimate": "rigwise.cost.record",
    "Layout": "rigwise.layouts.layout",
    "Plan": "rigwise.search.plan",
    "RigwiseError": "rigwise.errors",
    "Task": "rigwise.run.task",
}
_ROOMS = {"data": "rigwise.run.readers"}


def __getattr__(name: str) -> object:
    """The name, imported from where it lives (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'rigwise' has no attribute {name!r}")
    value: object = import_module(_ROOMS[name]) if name in _ROOMS else None
    value = value or getattr(import_module(_HOME.get(name, "rigwise.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


class _Face(ModuleType):
    """A verb and a room may share a word: `rigwise.run` stays the verb when something imports the room run/."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in __all__ and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face
