"""Blocks that a layout splits by model inside data parallelism: which weights those are, how their inputs come."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._pytree import tree_map

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.run.feeding.feed import cut, size
from rigwise.run.parallel.capture import capture
from rigwise.run.parallel.held import Held
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.portions import Portions
from rigwise.run.parallel.tensor import Along, mixed_parallel


def _by_model(model: nn.Module, layout: Layout) -> set[str]:
    """The weights of the blocks that a layout splits by model inside data parallelism."""
    names = [*layout.by_model]
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            raise UsageError(f"block {name!r}", rule="a block is a module of the model", nearest=", ".join(known[:8]))
    return {w for w, _ in model.named_parameters() for name in names if w.startswith(f"{name}.")}


def shared_out(model: nn.Module, mesh: Mesh, inputs: Any) -> tuple[nn.Module, dict[str, Held]] | None:
    """The module with the blocks that a layout splits by model shared out over the data ranks, and the book of their
    pieces, which DistributedDataParallel leaves alone; None where there are none.
    """
    within = _by_model(model, mesh.layout) if mesh.degree("dp") > 1 else set()
    if not within:
        return None
    module, book = _mixed(model, mesh, inputs, within)
    module.to(mesh.device)
    cut_names = [name for name, held in book.items() if not held.is_whole]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, cut_names)
    return module, book


def _mixed(model: nn.Module, mesh: Mesh, inputs: Any, within: set[str]) -> tuple[nn.Module, dict[str, Held]]:
    group = mesh.group("dp")
    assert group is not None
    ranks, own = mesh.degree("dp"), size(inputs)
    along = Along(group=group, ranks=ranks, rank=mesh.coordinate("dp"))
    everybody = tree_map(lambda t: torch.cat([t] * ranks) if isinstance(t, torch.Tensor) else t, inputs)
    graph = capture(model, everybody)
    (way,) = set(mesh.layout.by_model.values())
    if way == "model":
        return mixed_parallel(graph, along, within)
    if own < ranks:
        raise UsageError(
            f"blocks split by {way}, and a micro-batch of {own} samples on {ranks} ranks",
            rule="a portion has at least a sample for each rank",
            nearest=f"micro={ranks}",
        )
    portions = Portions.of(way, group, ranks, along.rank, own)
    return mixed_parallel(graph, along, within, (capture(model, cut(everybody, 0, portions.size)), portions))
