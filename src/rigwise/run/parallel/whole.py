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
    if parallel.layout.pp > 1:
        return _of_stages(parallel, optimizer)
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


def _of_stages(parallel: Parallel, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same where ranks hold different tensors: everything goes to rank 0 in one message."""
    names = {id(held.parameter): held.name for held in parallel.held()}
    own = [
        (replace(held, parameter=None), _cpu(held.parameter), {k: _cpu(v) for k, v in _state(optimizer, held).items()})
        for held in parallel.held()
    ]
    groups = [[names[id(weight)] for weight in group["params"]] for group in optimizer.param_groups]
    several: list[Any] | None = [None] * parallel.mesh.world if parallel.mesh.rank == 0 else None
    dist.gather_object((own, groups), several)
    if several is None:
        return {}, {}
    pieces: dict[str, list[Any]] = {}
    for held, value, state in (row for rows, _ in several for row in rows):
        pieces.setdefault(held.name, []).append((held, value, state))
    weights = {name: assemble([(held, value) for held, value, _ in rows]) for name, rows in pieces.items()}
    place = {name: index for index, name in enumerate(parallel.order)}
    states = {place[name]: made for name, rows in pieces.items() if (made := _joined(rows))}
    kept = optimizer.state_dict()["param_groups"]
    indices = [sorted({place[n] for _, rank in several for n in rank[number]}) for number in range(len(kept))]
    return (
        {key: weights[name] for key, name in parallel.names.items()},
        {
            "state": dict(sorted(states.items())),
            "param_groups": [{**group, "params": own} for group, own in zip(kept, indices, strict=True)],
        },
    )


def _joined(rows: list[Any]) -> dict[str, Any]:
    """The optimizer's state of one tensor from its pieces (held, value, state); a shard without rows has none."""
    made: dict[str, Any] = {}
    for key in dict.fromkeys(key for _, _, state in rows for key in state):
        several = [(held, state[key]) for held, _, state in rows if key in state]
        fitting = [(h, v) for h, v in several if isinstance(v, torch.Tensor) and h.fits(v) and v.numel()]
        made[key] = assemble(fitting) if fitting else several[0][1]
    return made


def _cpu(value: Any) -> Any:
    return local(value.detach()).cpu() if isinstance(value, torch.Tensor) else value


def _state(optimizer: torch.optim.Optimizer, held: Held) -> dict[str, Any]:
    found: dict[str, Any] = optimizer.state.get(held.parameter, {})  # type: ignore[arg-type]
    return found


def _of_own_stage(parallel: Parallel, optimizer: torch.optim.Optimizer, kept: Mapping[str, Any]) -> dict[str, Any]:
    """A whole optimizer's state as the optimizer of a stage numbers it."""
    names = {id(held.parameter): held.name for held in parallel.held()}
    place = {name: index for index, name in enumerate(parallel.order)}
    own = [place[names[id(weight)]] for group in optimizer.param_groups for weight in group["params"]]
    here = {index: number for number, index in enumerate(own)}
    groups = optimizer.state_dict()["param_groups"]
    if len(groups) != len(kept["param_groups"]):
        raise ValueError(f"{len(kept['param_groups'])} groups of parameters, and the optimizer has {len(groups)}")
    return {
        "state": {here[index]: value for index, value in kept["state"].items() if index in here},
        "param_groups": [
            {**group, "params": mine["params"]} for group, mine in zip(kept["param_groups"], groups, strict=True)
        ],
    }


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
    if parallel.layout.pp > 1:
        kept = _of_own_stage(parallel, optimizer, kept)
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
