"""What lies in the host's memory instead of the device's: the optimizer's states, and activations.

    optimizer    after a step the states of a parameter go to the host; the next one fetches them, one parameter after
                 the other, so that the device holds those of one
    activations  what autograd keeps goes to the host and comes back when the backward pass asks for it

On a CPU the host's memory is the device's, nothing moves, and the numbers are those of a run without. Moving changes no
number anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from rigwise.errors import UsageError

HOST = torch.device("cpu")


def optimizer_on_host(optimizer: torch.optim.Optimizer, host: torch.device = HOST) -> None:
    """Have an optimizer keep its states on the host; its `step` does one parameter after the other.

    UsageError: an optimizer that looks at all parameters together.
    """
    if isinstance(optimizer, torch.optim.LBFGS):
        raise UsageError(
            "offload=optimizer with LBFGS",
            rule="an optimizer is offloaded parameter by parameter, which LBFGS does not step apart",
            nearest="offload=none, or Adam",
        )
    plain = optimizer.step

    def step(closure: Callable[[], Any] | None = None) -> Any:
        loss = closure() if closure else None
        whole = [group["params"] for group in optimizer.param_groups]
        try:
            for group in optimizer.param_groups:
                group["params"] = []
            for group, parameters in zip(optimizer.param_groups, whole, strict=True):
                for parameter in parameters:
                    group["params"] = [parameter]
                    _move(optimizer, parameter, parameter.device)
                    plain()
                    _move(optimizer, parameter, host)
                group["params"] = []
        finally:
            for group, parameters in zip(optimizer.param_groups, whole, strict=True):
                group["params"] = parameters
        return loss

    optimizer.step = step  # type: ignore[method-assign]


def _move(optimizer: torch.optim.Optimizer, parameter: torch.Tensor, device: torch.device) -> None:
    """The states of one parameter; a step's number stays where the optimizer put it."""
    state = optimizer.state.get(parameter, {})
    for name, value in state.items():
        if isinstance(value, torch.Tensor) and value.dim():
            state[name] = value.to(device)


def activations_on_host(host: torch.device = HOST) -> saved_tensors_hooks:
    """A context in which autograd keeps tensors on the host, but for weights."""

    def pack(tensor: torch.Tensor) -> Any:
        base = tensor._base if tensor._base is not None else tensor
        if isinstance(base, nn.Parameter) or tensor.device == host:
            return tensor
        return tensor.device, tensor.to(host)

    def unpack(kept: Any) -> torch.Tensor:
        if isinstance(kept, torch.Tensor):
            return kept
        device, tensor = kept
        back: torch.Tensor = tensor.to(device)
        return back

    return saved_tensors_hooks(pack, unpack)
