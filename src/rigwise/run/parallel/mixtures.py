"""A mixture of experts in a captured graph: one operation, `mixture`, that runs the module's own code.

Where its tokens go depends on the data, so torch.export cannot look inside. While it traces, every mixture calls an
operation that has no code but only a shape; afterwards that operation becomes a call of the module's `mix` with its
weights as operands, which the passes may cut (the experts' width) or leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn

from rigwise.run.experts import MixtureOfExperts
from rigwise.run.parallel.axes import fresh, unify
from rigwise.run.parallel.relations import Axial, Relation, operands, rule


@torch.library.custom_op("rigwise::mixture", mutates_args=())
def _mixture(x: torch.Tensor, router: torch.Tensor, up: torch.Tensor, down: torch.Tensor, name: str) -> torch.Tensor:
    """Stands for a mixture while a module is traced."""
    raise RuntimeError(f"mixture {name!r} is a mark in a trace, which nobody runs")


@_mixture.register_fake
def _(x: torch.Tensor, router: torch.Tensor, up: torch.Tensor, down: torch.Tensor, name: str) -> torch.Tensor:
    return torch.empty_like(x)


class Mixture:
    """The operation of one module in a graph: (x, router, up, down) -> answers."""

    def __init__(self, module: MixtureOfExperts) -> None:
        self.module = module
        self.__name__ = "mixture"

    def __call__(self, *given: torch.Tensor) -> torch.Tensor:
        """[..., H] -> [..., H]."""
        return self.module.mix(*given)


@contextmanager
def opaque_mixtures(model: nn.Module) -> Iterator[None]:
    """Inside, every mixture is one operation for the tracer."""
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, MixtureOfExperts)]

    def stand_in(name: str, module: MixtureOfExperts) -> Any:
        return lambda x: torch.ops.rigwise.mixture(x, module.router.weight, module.up, module.down, name)

    for name, module in found:
        module.forward = stand_in(name, module)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for _, module in found:
            del module.forward


def call_mixtures(model: nn.Module, graph: fx.Graph) -> None:
    """Make the stand-ins of a captured graph call their modules, in place."""
    for node in graph.nodes:
        if node.target is torch.ops.rigwise.mixture.default:
            *weights, name = node.args
            module = model.get_submodule(str(name))
            assert isinstance(module, MixtureOfExperts)
            node.target, node.args = Mixture(module), tuple(weights)


@rule("mixture")
def _mixed(axial: Axial, node: fx.Node) -> Relation | None:
    """X [.., H], router [E, H], up [E, H, F], down [E, F, H]: each token alone; the width F is summed over."""
    x, router, up, down = operands(node)
    dims, first, second = axial.dims(x), axial.dims(up), axial.dims(down)
    if not unify(first[2], second[1]):
        return None
    whole = [(x, dims[-1]), *((router, axes) for axes in axial.dims(router))]
    whole += [(up, axes) for axes in first[:2]] + [(down, axes) for axes in (second[0], second[2])]
    return Relation([[*dims[:-1], fresh(x.meta["val"].shape[-1])]], whole=whole, summed=[first[2]])
