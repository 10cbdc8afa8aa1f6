"""Weight gradients apart from input gradients, as zero-bubble schedules want them.

In the backward pass of a linear layer or a convolution the gradient of the input is made at once; what the gradient of
the weights is made of is put into a `Store`, and made when the schedule says so (Qi et al., arXiv 2401.10241). Biases,
norms and embeddings, which cost little, are not put off. A gradient made late enters where an early one would: in the
weight's own accumulation, hooks included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from rigwise.run.parallel.nodes import name_of, written

_LATER = ("linear", "conv1d", "conv2d", "conv3d")
Tensor = torch.Tensor


class Store:
    """What is put off: `take` after the backward pass of a micro-batch gives its rest."""

    def __init__(self) -> None:
        self._rest: list[tuple[Tensor, Callable[[], Tensor]]] = []

    def put(self, weight: Tensor, make: Callable[[], Tensor]) -> None:
        """Put a gradient off."""
        self._rest.append((weight, make))

    def take(self) -> list[tuple[Tensor, Callable[[], Tensor]]]:
        """All that was put off since the last time."""
        rest, self._rest = self._rest, []
        return rest


def settle(rest: list[tuple[Tensor, Callable[[], Tensor]]]) -> None:
    """Make the gradients and add each to its weight's, one after the other, letting go what they were made of."""
    rest.reverse()
    while rest:
        weight, make = rest.pop()
        torch.autograd.backward([weight], [make()])


class _Linear(torch.autograd.Function):
    """x . W^T + b; W's gradient is put off."""

    @staticmethod
    def forward(ctx: Any, store: Store, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.store, ctx.has_bias = store, bias is not None
        ctx.save_for_backward(x)
        ctx.weight = weight  # itself, where what is saved may be a copy (recompute)
        return torch.nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,) = grads
        (x,), weight = ctx.saved_tensors, ctx.weight
        flat = grad.reshape(-1, grad.shape[-1])
        if ctx.needs_input_grad[2]:
            source = x.reshape(-1, x.shape[-1])
            ctx.store.put(weight, lambda: (flat.t() @ source.to(flat.dtype)).to(weight.dtype))
        given = grad @ weight.to(grad.dtype) if ctx.needs_input_grad[1] else None
        return None, given, None, flat.sum(0) if ctx.has_bias and ctx.needs_input_grad[3] else None


class _Convolution(torch.autograd.Function):
    """A convolution; the gradient of its kernels is put off."""

    @staticmethod
    def forward(ctx: Any, store: Store, x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
        ctx.store, ctx.how, ctx.has_bias = store, how, bias is not None
        ctx.save_for_backward(x)
        ctx.weight = weight
        return torch.convolution(x, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,) = grads
        (x,), weight = ctx.saved_tensors, ctx.weight
        how = ctx.how

        def one(mask: list[bool]) -> Any:
            return torch.ops.aten.convolution_backward(grad, x, weight, None, *how, mask)

        if ctx.needs_input_grad[2]:
            ctx.store.put(weight, lambda: one([False, True, False])[1])
        given = one([True, False, False])[0] if ctx.needs_input_grad[1] else None
        dims = [d for d in range(grad.dim()) if d != 1]
        bias = grad.sum(dims) if ctx.has_bias and ctx.needs_input_grad[3] else None
        return None, given, None, bias, *(None for _ in how)


class Later:
    """A layer of a graph whose weight gradient is put off."""

    def __init__(self, plain: Any, kind: str, store: Store, rewritten: bool) -> None:
        self.plain, self.kind, self.store = plain, kind, store
        self.rewritten = rewritten  # what follows writes into the result, which torch forbids for a view
        self.__name__ = f"later_{kind}"

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """The layer; its weight's gradient goes to the store."""
        weight = args[1]
        if not (torch.is_grad_enabled() and weight.is_leaf and weight.requires_grad):
            return self.plain(*args, **keywords)
        x, bias = args[0], args[2] if len(args) > 2 else keywords.get("bias")
        if self.kind == "linear":
            made: Tensor = _Linear.apply(self.store, x, weight, bias)  # type: ignore[no-untyped-call]
            return made.clone() if self.rewritten else made
        how = _how(x, args, keywords, weight.dim() - 2)
        return _Convolution.apply(self.store, x, weight, bias, *how)  # type: ignore[no-untyped-call]


def _how(x: Tensor, args: Any, keywords: Any, dims: int) -> tuple[Any, ...]:
    """Stride, padding, dilation, not transposed, output padding and groups, each as torch.convolution wants it."""
    names = ("stride", "padding", "dilation", "groups")
    given = dict(zip(names, args[3:], strict=False)) | {k: v for k, v in keywords.items() if k in names}
    stride, padding, dilation = (
        [n] * dims if isinstance(n, int) else list(n) * (dims // len(n))
        for n in (given.get("stride", 1), given.get("padding", 0), given.get("dilation", 1))
    )
    return stride, padding, dilation, False, [0] * dims, given.get("groups", 1)


def put_off(graph: fx.GraphModule, store: Store) -> None:
    """Have the linear layers and convolutions of a graph put their weight gradients off, in place."""
    for node in graph.graph.nodes:
        text = "padding" in getattr(node.target, "_overloadname", "")  # padding="same" has another meaning
        if name_of(node) in _LATER and not text:
            node.target = Later(node.target, name_of(node), store, any(node in written(user) for user in node.users))
    graph.recompile()
