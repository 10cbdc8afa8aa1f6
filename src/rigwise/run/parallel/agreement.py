"""Before anything is cut: the ranks hold the same model, draw the same numbers and see the same samples."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
import torch.distributed as dist
from torch import fx, nn
from torch.utils._pytree import tree_leaves

from rigwise.errors import UsageError
from rigwise.run.parallel.mesh import Mesh


def check_models(model: nn.Module, mesh: Mesh) -> None:
    """Refuse weights that differ between ranks, of which each would keep a piece of another model."""
    tensors = [*model.parameters(), *model.buffers()]
    sums = [f"{float(t.detach().double().sum()):.9e}" for t in tensors if t.numel()]
    _agree(
        str(sums),
        mesh.group("dp", "cp", "tp"),
        "the ranks built different models",
        "the same seed on all ranks before the model is built",
    )


def check_samples(inputs: Any, mesh: Mesh) -> None:
    """Refuse samples that differ between tensor ranks."""
    sums = [f"{float(t.double().sum()):.9e}" for t in tree_leaves(inputs) if isinstance(t, torch.Tensor)]
    _agree(
        str(sums),
        mesh.group("tp"),
        "tensor ranks of one copy were given different samples",
        "the same inputs on all ranks with one place along dp",
    )


def check_draws(graph: fx.GraphModule, mesh: Mesh) -> None:
    """Refuse random numbers that differ between tensor ranks, where the model draws some."""
    tags = (getattr(node.target, "tags", ()) for node in graph.graph.nodes)
    draws = any(torch.Tag.nondeterministic_seeded in own for own in tags)
    if draws or any("dropout" in str(node.target) for node in graph.graph.nodes):
        _agree(
            hashlib.sha256(bytes(torch.get_rng_state().tolist())).hexdigest(),
            mesh.group("tp"),
            "tensor ranks of one copy draw different random numbers, and the model has dropout or the like",
            "torch.manual_seed alike on all ranks with one place along dp",
        )


def _agree(value: str, group: dist.ProcessGroup | None, says: str, nearest: str) -> None:
    if group is None:
        return
    values: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(values, value, group=group)
    if len(set(values)) > 1:
        raise UsageError(says, rule="a layout shares one training out over the ranks", nearest=nearest)
