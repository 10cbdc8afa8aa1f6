"""One forward pass before training finds out what DDP must know, and changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from rigwise.errors import UsageError
from rigwise.models.trace import call
from rigwise.run.parallel.probe import probe

INPUTS, TARGETS = torch.ones(4, 8), torch.zeros(4, 1)


class Skips(nn.Module):
    """Uses one of two layers; the other is frozen or not."""

    def __init__(self, frozen: bool) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(8, 1), nn.Linear(8, 1)
        self.idle.requires_grad_(not frozen)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.used(inputs)
        return out


@pytest.mark.parametrize(
    ("model", "unused", "changed", "normed"),
    [
        (nn.Linear(8, 1), (), (), ()),
        (Skips(frozen=False), ("idle.weight", "idle.bias"), (), ()),
        (Skips(frozen=True), (), (), ()),
        (
            nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 1)),
            (),
            ("0.running_mean", "0.running_var", "0.num_batches_tracked"),
            ("0",),
        ),
        (nn.Sequential(nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, 1)), (), (), ("0",)),
        (nn.Sequential(nn.GroupNorm(2, 8), nn.Linear(8, 1)), (), (), ()),
    ],
)
def test_a_probe_sees_and_leaves_the_model_as_it_was(
    model: nn.Module, unused: tuple[str, ...], changed: tuple[str, ...], normed: tuple[str, ...]
) -> None:
    before = copy.deepcopy(model.state_dict())
    seen = probe(model, nn.functional.mse_loss, INPUTS, TARGETS)
    assert (seen.unused, seen.changed, seen.normed) == (unused, changed, normed)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert bool(seen.warnings(1)) == bool(unused)
    assert bool(seen.warnings(2)) == bool(unused or normed)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda output, target: (output - target).abs(), r"the loss gave a tensor of shape \[4, 1\]"),
        (lambda output, target: 3.0, "the loss gave float"),
        (lambda output, target: target.sum(), "depends on no trainable parameter"),
    ],
)
def test_what_is_no_loss_is_refused(loss: Callable[..., torch.Tensor], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        probe(nn.Linear(8, 1), loss, INPUTS, TARGETS)


@pytest.mark.parametrize("inputs", [(2, 3), [2, 3], {"a": 2, "b": 3}])
def test_a_tuple_goes_in_as_arguments_and_a_dict_as_keywords(inputs: object) -> None:
    assert call(lambda a, b: a - b, inputs) == -1
    assert call(lambda a: a + 1, 2) == 3
