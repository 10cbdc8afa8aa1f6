"""Optimizer states and activations on the host change no number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import nn

from rigwise.errors import UsageError
from rigwise.run.parallel.offload import activations_on_host, optimizer_on_host

META = torch.device("meta")
MAKERS: list[Callable[[Iterable[Any]], torch.optim.Optimizer]] = [
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    lambda p: torch.optim.AdamW(p, lr=0.01),
    lambda p: torch.optim.Adagrad(p, lr=0.01),
    lambda p: torch.optim.Adafactor(p, lr=0.01),
]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def trained(make: Callable[[Iterable[Any]], torch.optim.Optimizer], moved: bool) -> tuple[Any, Any]:
    model = network()
    weights = [*model.parameters()]
    optimizer = make([{"params": weights[:1], "lr": 0.05}, {"params": weights[1:]}])
    if moved:
        optimizer_on_host(optimizer)
    for step in range(4):
        torch.manual_seed(step)
        model(torch.randn(6, 5)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return [w.detach() for w in weights], optimizer.state_dict()


@pytest.mark.parametrize("make", MAKERS)
def test_one_parameter_after_the_other_is_bit_for_bit_the_same(make: Any) -> None:
    (weights, state), (others, other) = (trained(make, moved) for moved in (False, True))
    assert all(torch.equal(w, o) for w, o in zip(weights, others, strict=True))
    assert state["param_groups"] == other["param_groups"]
    torch.testing.assert_close(state["state"], other["state"], rtol=0, atol=0)


def test_states_are_at_the_host_between_steps() -> None:
    """A host without data shows where they are."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer_on_host(optimizer, META)
    model(torch.randn(2, 5)).sum().backward()
    optimizer.step()
    assert {s.device for kept in optimizer.state.values() for s in kept.values() if s.dim()} == {META}
    assert len(optimizer.param_groups[0]["params"]) == 4


def test_activations_leave_and_weights_stay() -> None:
    model, kept = network(), []
    hooks = activations_on_host(META)

    def pack(tensor: torch.Tensor) -> Any:
        kept.append(hooks.pack_hook(tensor))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.randn(2, 5)).sum().backward()
    assert [k for k in kept if isinstance(k, tuple)]
    assert all(isinstance(k[1], torch.Tensor) and k[1].is_meta for k in kept if isinstance(k, tuple))
    assert all(isinstance(k if k._base is None else k._base, nn.Parameter) for k in kept if not isinstance(k, tuple))


def test_what_steps_all_together_is_refused() -> None:
    with pytest.raises(UsageError, match="LBFGS"):
        optimizer_on_host(torch.optim.LBFGS(network().parameters()))
