"""Going on from a checkpoint: its boxes into this rank's pieces, whatever layout wrote them."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.tensor import DTensor

from rigwise.errors import UsageError
from rigwise.run.keeping.boxes import Box, LoadPlanner, Reader, boxes, saved
from rigwise.run.keeping.contents import MODEL, OPTIMIZER, Contents
from rigwise.run.keeping.folder import read_record
from rigwise.run.parallel.held import Held
from rigwise.run.parallel.sharing import local

UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, pickle.UnpicklingError)
"""What reading a damaged or a foreign file may raise."""


def fill(contents: Contents, path: Path, record: Mapping[str, Any]) -> list[str]:
    """Put a checkpoint's weights, optimizer state and parts in place; what could not be gone on with."""
    try:
        entries = saved(path)
        with torch.no_grad():
            read(path, [box for held, piece in contents.pieces() for box in boxes(f"{MODEL}/{held.name}", held, piece)])
            _fill_optimizer(contents, path, entries, record)
        return _fill_parts(contents, path, entries, record)
    except (*UNREADABLE, CheckpointException) as error:
        raise UsageError(
            f"{path} does not fit the task's model or optimizer: {_says(error)}",
            rule="a checkpoint is read by the task that wrote it",
        ) from error


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights and buffers of a checkpoint as whole tensors on the CPU, by name: what load_state_dict takes."""
    found = whole(path, f"{MODEL}/")
    tied = read_record(path)["tied"]
    return {**found, **{key: found[name] for key, name in tied.items()}}


def whole(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint whose names begin with prefix, which is left out, as whole tensors on the CPU."""
    made = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in saved(path).items()
        if name.startswith(prefix)
    }
    read(path, [box for name, tensor in made.items() for box in boxes(name, Held.whole(name, tensor), tensor)])
    return {name.removeprefix(prefix): tensor for name, tensor in made.items()}


def read(path: Path, parts: list[Box]) -> None:
    """Fill boxes from a checkpoint, each from as many saved ones as it overlaps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that every rank reads by itself, which is meant
        load({}, storage_reader=Reader(path), planner=LoadPlanner(parts), no_dist=True)


def _fill_optimizer(
    contents: Contents, path: Path, entries: Mapping[str, TensorStorageMetadata], record: Mapping[str, Any]
) -> None:
    keys: dict[str, list[str]] = {}
    for entry in entries:
        if entry.startswith(f"{OPTIMIZER}/"):
            name, _, key = entry.removeprefix(f"{OPTIMIZER}/").rpartition("/")
            keys.setdefault(name, []).append(key)
    states: dict[nn.Parameter, dict[str, Any]] = {}
    parts: list[Box] = []
    for held in contents.held:
        if not isinstance(held.parameter, nn.Parameter) or held.parameter in states:
            continue
        state: dict[str, Any] = dict(record["numbers"].get(held.name, {}))
        for key in keys.get(held.name, []):
            entry = f"{OPTIMIZER}/{held.name}/{key}"
            state[key], added = _empty(held, entry, entries[entry])
            parts += added
        states[held.parameter] = state
    read(path, parts)
    states = {p: {key: _beside(p, value) for key, value in state.items()} for p, state in states.items()}
    _install(contents.optimizer, states, _settings(contents, record))


def _empty(held: Held, name: str, entry: TensorStorageMetadata) -> tuple[torch.Tensor, list[Box]]:
    """A tensor of the optimizer that is yet to be read, and its boxes."""
    assert held.parameter is not None
    if tuple(entry.size) != held.shape:
        alone = torch.zeros(entry.size, dtype=entry.properties.dtype)
        return alone, list(boxes(name, Held.whole(name, alone), alone))
    piece = torch.empty_like(local(held.parameter.detach()), dtype=entry.properties.dtype)
    return piece, list(boxes(name, held, piece))


def _beside(parameter: nn.Parameter, value: Any) -> Any:
    """A tensor of the optimizer as it keeps it beside its parameter: a shard beside a shard."""
    if not isinstance(parameter, DTensor) or not isinstance(value, torch.Tensor) or not value.dim():
        return value
    mesh, placements = parameter.device_mesh, parameter.placements
    shape, stride = parameter.shape, parameter.stride()
    return DTensor.from_local(value, mesh, placements, shape=shape, stride=stride, run_check=False)


def _settings(contents: Contents, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The settings of each of the optimizer's groups, found by the names that it holds for."""
    names = contents._names()
    by_name = {name: group for group in record["groups"] for name in group["names"]}
    settings = []
    for group in contents.optimizer.param_groups:
        known = [by_name[names[id(p)]] for p in group["params"] if names.get(id(p)) in by_name]
        found = known[0] if known else {}
        settings.append({key: value for key, value in found.items() if key != "names" and value is not None})
    return settings


def _install(
    optimizer: torch.optim.Optimizer, states: Mapping[nn.Parameter, dict[str, Any]], settings: list[dict[str, Any]]
) -> None:
    """Through the optimizer's own load_state_dict, which knows where each tensor belongs; but types stay as saved."""
    order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    packed = optimizer.state_dict()
    numbers = {number: states[parameter] for number, parameter in enumerate(order) if states.get(parameter)}
    groups = []
    for group, said in zip(packed["param_groups"], settings, strict=True):
        kept = {key: _like(group.get(key), value) for key, value in said.items()}
        groups.append({**group, **kept, "params": group["params"]})
    optimizer.load_state_dict({**packed, "state": numbers, "param_groups": groups})
    for number, state in numbers.items():
        for key, value in state.items():
            loaded = optimizer.state[order[number]].get(key)
            if isinstance(value, torch.Tensor) and isinstance(loaded, torch.Tensor) and loaded.dtype != value.dtype:
                optimizer.state[order[number]][key] = value.to(loaded.device)


def _like(now: Any, value: Any) -> Any:
    """A setting in the kind that the optimizer has it: JSON knows neither tuples nor tensors."""
    if isinstance(now, tuple):
        return tuple(value)
    return torch.as_tensor(value, dtype=now.dtype, device=now.device) if isinstance(now, torch.Tensor) else value


def _fill_parts(
    contents: Contents, path: Path, entries: Mapping[str, TensorStorageMetadata], record: Mapping[str, Any]
) -> list[str]:
    """What each part kept for this rank; a part of another layout begins anew, and that is said."""
    anew = []
    for name, part in contents.parts.items():
        plain = (record["parts"].get(str(contents.rank)) or {}).get(name, {})
        prefix = f"rank-{contents.rank}/{name}/"
        state = {**plain, **whole(path, prefix)} if any(entry.startswith(prefix) for entry in entries) else dict(plain)
        try:
            if not state:
                raise KeyError(name)
            part.load_state_dict(state)
        except (KeyError, ValueError, RuntimeError, TypeError):
            if part.state_dict():
                anew.append(f"{name} begins anew: the checkpoint holds none that fits this layout")
    return anew


def _says(error: BaseException) -> str:
    """What a rank's reading failed with, without torch's frames."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    return " ".join(str(error).split()) or type(error).__name__
