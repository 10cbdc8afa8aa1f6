"""The whole model's weights and optimizer state from the pieces of all ranks, and back: what a checkpoint keeps.

Both have the form that one process would give (state_dict of the model and of the optimizer), so that any layout can go
on from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist

from rigwise.run.parallel.held import Held, assemble
from rigwise.run.parallel.parallel import Parallel
from rigwise.run.parallel.sharing import local


def gathered(parallel: Parallel, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights by name, and the optimizer's state; on rank 0 whole, elsewhere empty. All ranks call it together."""
    books = [held for held in parallel.held() if isinstance(held.parameter, torch.nn.Parameter)]
    own = [dict(optimizer.state.get(held.parameter, {})) for held in books]  # type: ignore[arg-type]
    mine = {held.name for held in parallel.held() if not held.is_whole}, [list(keys) for keys in own]
    every = _from_all(parallel, mine)  # an empty shard has no state, and a shard that is all of its tensor is whole
    cut = set().union(*(names for names, _ in every))
    model = {held.name: _whole(parallel, held, held.parameter, cut) for held in parallel.held()}
    state: dict[int, Any] = {}
    for index, held in enumerate(books):
        keys = dict.fromkeys(key for _, ranks in every for key in ranks[index])
        if keys:
            state[index] = {key: _whole(parallel, held, own[index].get(key), cut) for key in keys}
    kept = optimizer.state_dict()
    weights = {key: model[name] for key, name in parallel.names.items()}
    return weights, {**kept, "state": state}


def _from_all(parallel: Parallel, value: Any) -> list[Any]:
    values = [value] * parallel.mesh.world
    if parallel.mesh.world > 1:
        dist.all_gather_object(values, value)
    return values


def _whole(parallel: Parallel, held: Held, value: Any, cut: set[str]) -> Any:
    """A tensor of the whole's shape from a piece on every rank; anything else as this rank has it."""
    piece = local(value.detach()) if isinstance(value, torch.Tensor) else value
    if held.name not in cut:
        return piece
    fits = isinstance(piece, torch.Tensor) and held.fits(piece)
    several: list[Any] | None = [None] * parallel.mesh.world if parallel.mesh.rank == 0 else None
    dist.gather_object((held.runs, piece.cpu() if isinstance(piece, torch.Tensor) else piece, fits), several)
    if several is None:
        return piece
    bare = Held(name=held.name, parameter=None, shape=held.shape, runs=held.runs)
    parts = [(replace(bare, runs=runs), part) for runs, part, fitting in several if fitting and part.numel()]
    return assemble(parts) if parts else next((part for _, part, _ in several if part is not None), None)


def scattered(
    parallel: Parallel, optimizer: torch.optim.Optimizer, model: Mapping[str, Any], kept: Mapping[str, Any]
) -> None:
    """Put this rank's pieces of whole weights and of a whole optimizer state in place."""
    by_name = {name: model[key] for key, name in parallel.names.items()}
    with torch.no_grad():
        for held in parallel.held():
            if held.name in by_name and held.parameter is not None:
                piece = _piece(held, by_name[held.name])
                if piece.numel():
                    local(held.parameter).copy_(piece)
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
