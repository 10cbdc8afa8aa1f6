"""`Conv`, a drop-in for torch's convolution layers, and `replace`, which swaps them in a model where it pays."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rigwise.convolution.geometry import geometry
from rigwise.convolution.torch_kernels.choice import Plan, by_model, small
from rigwise.convolution.torch_kernels.function import FLOATS, apply, plan_of
from rigwise.errors import UsageError

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_MOST_SHAPES = 256  # that a layer remembers


class Conv(nn.Module):
    """A convolution layer over 1, 2 or 3 dims that takes the soonest algorithm for each pass.

    The parameters are those of torch's layer, so that state dicts fit both ways. padding: as `conv`'s; padding modes
    other than zeros are torch's own.
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: Any = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        algorithm: str = "auto",
    ) -> None:
        super().__init__()
        if dims not in (1, 2, 3):
            raise UsageError(f"dims={dims}", rule="1, 2 or 3 spatial dims")
        layer: Any = LAYERS[dims - 1]
        plain = layer(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias)
        self.weight, self.bias = plain.weight, plain.bias
        self.stride, self.padding, self.dilation = plain.stride, padding, plain.dilation
        self.groups, self.algorithm = groups, algorithm
        self._native: dict[Any, tuple[Any, ...]] = {}
        self._straight = self._always()

    @classmethod
    def like(cls, layer: nn.Module, algorithm: str = "auto") -> Conv:
        """A layer with the very parameters of one of torch's."""
        if not isinstance(layer, LAYERS):
            raise UsageError(f"a layer of type {type(layer).__name__}", rule="Conv1d, Conv2d or Conv3d")
        if layer.padding_mode != "zeros":
            raise UsageError(f"padding mode {layer.padding_mode}", rule="zeros", nearest="pad before the layer")
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.weight, made.bias = layer.weight, layer.bias
        made.stride, made.padding, made.dilation = layer.stride, layer.padding, layer.dilation
        made.groups, made.algorithm, made.training = layer.groups, algorithm, layer.training
        made._native = {}
        made._straight = made._always()
        return made

    def _always(self) -> tuple[Any, ...] | None:
        """What torch's own convolution takes, where kernels are so small that it is the soonest for every input."""
        w = self.weight
        if self.algorithm != "auto" or not small(w.shape) or isinstance(self.padding, str):
            return None
        dims = w.ndim - 2
        pad = (self.padding,) * dims if isinstance(self.padding, int) else tuple(self.padding)
        if len(pad) != dims or not all(isinstance(p, int) for p in pad):
            return None
        return self.stride, pad, self.dilation, False, (0,) * dims, self.groups

    def forward(self, x: Tensor) -> Tensor:
        """X (N, C, sizes) or (C, sizes), as torch's layers take it."""
        w, bias = self.weight, self.bias
        if self._straight is not None and x.ndim == w.ndim and x.dtype in FLOATS:
            try:
                z: Tensor = torch.convolution(x, w, bias, *self._straight)
                return z
            except RuntimeError:
                pass  # the longer road says what is wrong
        grown = torch.is_grad_enabled() and (x.requires_grad or w.requires_grad)
        key = (x.shape, x.dtype, x.device, grown, torch.get_num_threads(), self.algorithm)
        native = self._native.get(key)
        if native is not None:
            y: Tensor = torch.convolution(x, w, bias, *native)
            return y
        if x.ndim == w.ndim - 1:
            return self.forward(x.unsqueeze(0)).squeeze(0)
        return self._planned(x, key, grown)

    def _planned(self, x: Tensor, key: Any, grown: bool) -> Tensor:
        """The longer road; a shape for which torch's own is the soonest takes it once."""
        sizes = (self.stride, self.padding, self.dilation, self.groups)
        plan = plan_of(x, self.weight, self.bias, sizes, grown, self.algorithm)
        if plan.native is not None and not torch.is_autocast_enabled(x.device.type):
            if len(self._native) >= _MOST_SHAPES:
                self._native.clear()
            self._native[key] = plan.native
        return apply(x, self.weight, self.bias, plan, grown)

    def __getstate__(self) -> dict[str, Any]:
        """All but what is of this process."""
        return {**self.__dict__, "_native": {}}

    def extra_repr(self) -> str:
        """What torch prints of a layer."""
        k, c = self.weight.shape[:2]
        sizes = tuple(self.weight.shape[2:])
        return f"{c * self.groups}, {k}, kernel_size={sizes}, padding={self.padding}, algorithm={self.algorithm!r}"


def pays(layer: nn.Module) -> bool:
    """Whether another algorithm than torch's own may be sooner for some pass of a layer, by the closed forms."""
    if not isinstance(layer, LAYERS) or layer.padding_mode != "zeros" or max(layer.stride) > 1:
        return False
    w = layer.weight
    sides = [max(_SIDE[w.ndim - 2], 2 * d * r) for r, d in zip(w.shape[2:], layer.dilation)]
    shape = geometry(
        (_BATCH, w.shape[1] * layer.groups, *sides),
        w.shape,
        padding="same",
        dilation=layer.dilation,
        groups=layer.groups,
    )
    plan: Plan = by_model(shape, w.element_size(), torch.get_num_threads())
    return plan.native is None


_BATCH, _SIDE = 8, {1: 1024, 2: 56, 3: 16}  # sizes that a layer, which does not know its input, is judged at


def replace(model: nn.Module, algorithm: str = "auto") -> list[str]:
    """Swap the convolution layers of a model where another algorithm may pay, in place; names of those swapped.

    The new layers hold the very same parameters, so an optimizer made before goes on. A layer that is kept is
    untouched: it costs what it did. Subclasses of torch's layers, and layers with hooks, are left alone.
    """
    swapped: list[str] = []
    made: dict[int, Conv] = {}
    for name, parent in list(model.named_modules()):
        for child_name, child in list(parent._modules.items()):
            if child is None or (
                id(child) not in made and (type(child) not in LAYERS or _hooked(child) or not pays(child))
            ):
                continue
            made.setdefault(id(child), made.get(id(child)) or Conv.like(child, algorithm))
            setattr(parent, child_name, made[id(child)])
            swapped.append(f"{name}.{child_name}" if name else child_name)
    return swapped


def _hooked(layer: nn.Module) -> bool:
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return any(hooks) or hasattr(layer, "parametrizations")
