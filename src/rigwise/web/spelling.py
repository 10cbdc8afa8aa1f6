"""A request as a person would type it: the command line and the Python that give the same answer."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

_COMMANDS = {
    "plan": "plan",
    "estimate": "estimate",
    "export": "export",
    "scale": "scale",
    "split": "split",
    "advise": "advise",
    "rig": "rig",
    "brain-estimate": "brain estimate",
    "brain-compare": "brain compare",
    "brain-machines": "brain machines",
    "brain-forecast": "brain forecast",
    "brain-neuron": "brain neuron",
    "conv-features": "conv image",
    "conv-spectrum": "conv spectrum",
    "conv-layer": "conv",
    "conv-map": "conv map",
    "run": "run",
    "measure": "measure",
    "validation": "validate",
}
_FIRST = {"plan": "model", "estimate": "model", "scale": "model", "split": "shape", "advise": "model"}
_FIRST |= {"export": "model"}
_FIRST |= {"brain-neuron": "cell"}
_FIRST |= {"conv-features": "image", "conv-spectrum": "image", "conv-layer": "model", "run": "task"}
_VERBS = {"validation": "validate"}
_APART = "conv-"  # verbs that live in rigwise.api alone
_POSITIONAL = {"plan": ("model", "cluster"), "estimate": ("model", "layout", "cluster"), "scale": ("model", "cluster")}
_POSITIONAL |= {
    "split": ("shape",),
    "advise": ("model",),
    "rig": ("gpus",),
    "export": ("model", "cluster", "layout"),
    "brain-neuron": ("cell",),
    "run": ("task", "layout"),
    "conv-features": ("image",),
    "conv-spectrum": ("image",),
    "conv-layer": ("model", "layer"),
}
_OPTIONS = {
    ("advise", "vendors"): "vendor",
    ("advise", "quiet"): "low-noise",
    ("advise", "prices"): "price",
    ("advise", "chart"): "chart",
    ("rig", "limit"): "power-limit",
    ("brain-machines", "devices"): "device",
    ("conv-features", "kernels"): "kernel",
    ("conv-map", "which"): "pass",
}
_ONLY_COMMAND = {("advise", "why_not"), ("estimate", "explain")}
"""What the command line says in one go, and Python with a verb of its own."""


def same(verb: str, said: Mapping[str, Any]) -> dict[str, str]:
    """The command and the Python that ask what a request asks; "" where the command line has no such command.

    >>> same("plan", {"model": "gpt2", "cluster": "8xrtx-4090", "batch": 64})["command"]
    'rigwise plan gpt2 --cluster 8xrtx-4090 --batch 64'
    >>> same("plan", {"model": "gpt2", "cluster": "8xrtx-4090", "batch": 64})["python"]
    "rigwise.plan('gpt2', '8xrtx-4090', batch=64)"
    """
    if verb not in _COMMANDS:
        return {"command": "", "python": ""}
    return {"command": _command(verb, said), "python": _python(verb, said)}


def _command(verb: str, said: Mapping[str, Any]) -> str:
    words = ["rigwise", *_COMMANDS[verb].split()]
    first = _FIRST.get(verb, "")
    if first in said:
        words.append(str(said[first]))
    for key, value in said.items():
        if key != first:
            words += _option(verb, key, value)
    return shlex.join(words)


def _option(verb: str, key: str, value: Any) -> list[str]:
    if key == "pinned":
        return ["--pinned" if value else "--unpinned"]
    if key == "kind":
        return ["--correlate"] if value == "cross-correlation" else []
    name = f"--{_OPTIONS.get((verb, key), 'set' if key == 'sets' else key).replace('_', '-')}"
    if key == "devices" and verb == "scale":
        return [name, ",".join(str(n) for n in value)]
    if isinstance(value, bool):
        return [name] if value else []
    if isinstance(value, list):
        return [word for item in value for word in (name, str(item))]
    return [name, f"{value:g}" if isinstance(value, float) else str(value)]


def _python(verb: str, said: Mapping[str, Any]) -> str:
    places = _POSITIONAL.get(verb, ())
    rest = {key: value for key, value in said.items() if key not in places and (verb, key) not in _ONLY_COMMAND}
    words = [repr(said[key]) for key in places if key in said]
    words += [f"{key}={value!r}" for key, value in rest.items()]
    name = "explain" if verb == "estimate" and said.get("explain") else _VERBS.get(verb, verb.replace("-", "_"))
    home = "rigwise.api" if verb.startswith(_APART) else "rigwise"
    return f"{home}.{name}({', '.join(words)})"
