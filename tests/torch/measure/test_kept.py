"""What a step keeps on a CPU, as it is predicted and as torch keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rigwise.cost.walk import workspace
from rigwise.measure.networks import Attention
from rigwise.models import operations
from rigwise.models.trace import trace_module


def kept_by(module: nn.Module, x: torch.Tensor) -> dict[int, int]:
    """Bytes of each storage that autograd keeps, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    found: dict[int, Any] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(x)
    return {key: tensor.untyped_storage().nbytes() for key, tensor in found.items()}


def test_attention_keeps_the_whole_storage_that_its_inputs_look_into() -> None:
    module, x = Attention(32, 4, causal=True), torch.randn(2, 24, 32)
    made = trace_module(module, x)
    told = sum((4 * o.saved + o.saved_bytes) * n for o, n in made.operations() if not o.name.startswith("loss"))
    assert 2 * told == pytest.approx(sum(kept_by(module, x).values()), rel=0.01)


@pytest.mark.parametrize(("steps", "batch", "inputs", "hidden"), [(16, 8, 64, 64), (20, 4, 96, 160), (12, 8, 256, 128)])
def test_the_workspace_of_an_lstm_layer_is_what_torch_allocates(
    steps: int, batch: int, inputs: int, hidden: int
) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN, whose workspace it is")
    module, x = nn.LSTM(inputs, hidden), torch.randn(steps, batch, inputs)
    real = max(kept_by(module, x).values())
    products = [
        operations.linear(f"cell/{k}", m=1.0, n=4.0 * hidden, k=float(k), bias=True, steps=steps)
        for k in (inputs, hidden)
    ]
    told = batch * float(np.max([workspace(one) for one in products]))
    assert told == pytest.approx(real, rel=0.03)
