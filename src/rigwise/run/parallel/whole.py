"""The whole model's weights and optimizer state from the pieces of all ranks, and back: what a checkpoint keeps.

Both have the form that one process would give (state_dict of the model and of the optimizer), so that any layout can go
on from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist

from rigwise.run.parallel.held import Held, assemble
from rigwise.run.parallel.parallel import Parallel
from rigwise.run.parallel.sharing import local


def gathered(parallel: Parallel, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights by name, and the optimizer's state; on rank 0 whole, elsewhere empty. All ranks call it together."""
    model = {held.name: _whole(parallel, held, held.parameter) for held in parallel.held()}
    kept = optimizer.state_dict()
    books = [held for held in parallel.held() if isinstance(held.parameter, torch.nn.Parameter)]
    state: dict[int, Any] = {}
    for index, held in enumerate(books):
        own = optimizer.state.get(held.parameter, {})
        if own:
            state[index] = {key: _whole(parallel, held, value) for key, value in own.items()}
    weights = {key: model[name] for key, name in parallel.names.items()}
    return weights, {**kept, "state": state}


def _whole(parallel: Parallel, held: Held, value: Any) -> Any:
    """A tensor of the whole's shape from a piece on every rank; anything else as this rank has it."""
    piece = local(value.detach()) if isinstance(value, torch.Tensor) else value
    if not isinstance(piece, torch.Tensor) or tuple(piece.shape) != held.piece_shape:
        return piece
    mesh = parallel.mesh
    if mesh.world == 1 or (held.is_whole and mesh.layout.pp == 1):
        return piece
    several = [None] * mesh.world if mesh.rank == 0 else None
    dist.gather_object((held.runs, piece.cpu()), several)
    if several is None:
        return piece
    shape = held.shape
    parts = [(Held(name=held.name, parameter=None, shape=shape, runs=runs), part) for runs, part in several]  # type: ignore[misc]
    return assemble(parts)


def scattered(
    parallel: Parallel, optimizer: torch.optim.Optimizer, model: Mapping[str, Any], kept: Mapping[str, Any]
) -> None:
    """Put this rank's pieces of whole weights and of a whole optimizer state in place."""
    by_name = {name: model[key] for key, name in parallel.names.items()}
    with torch.no_grad():
        for held in parallel.held():
            if held.name in by_name and held.parameter is not None:
                local(held.parameter).copy_(_piece(held, by_name[held.name]))
    books = [held for held in parallel.held() if isinstance(held.parameter, torch.nn.Parameter)]
    state = {
        index: {key: _placed(books[int(index)], value) for key, value in own.items()}
        for index, own in kept["state"].items()
    }
    optimizer.load_state_dict({**kept, "state": state})


def _piece(held: Held, whole: torch.Tensor) -> torch.Tensor:
    if tuple(whole.shape) != held.shape:
        raise ValueError(f"{held.name} has shape {list(whole.shape)}, and the model's has {list(held.shape)}")
    return held.cut(whole)


def _placed(held: Held, value: Any) -> Any:
    """A piece of the state as the optimizer keeps it beside its parameter."""
    if not isinstance(value, torch.Tensor) or tuple(value.shape) != held.shape:
        return value
    piece = held.cut(value)
    parameter: Any = held.parameter
    if not hasattr(parameter, "to_local"):
        return piece
    from torch.distributed.tensor import DTensor

    mesh, placements = parameter.device_mesh, parameter.placements
    return DTensor.from_local(
        piece.contiguous(), mesh, placements, shape=parameter.shape, stride=parameter.stride(), run_check=False
    )
