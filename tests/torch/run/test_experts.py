"""The mixture of experts on one rank, and what expert parallelism refuses before anything is sent."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rigwise.errors import UsageError
from rigwise.models.trace import trace_module
from rigwise.run.experts import MixtureOfExperts
from rigwise.run.parallel.experts import mixtures_of

HIDDEN, WIDTH = 6, 10


def told(mixture: MixtureOfExperts, x: torch.Tensor) -> torch.Tensor:
    """By the definition, one token after the other."""
    answers = []
    for token in x.reshape(-1, x.shape[-1]):
        gates = mixture.router(token).softmax(-1)
        best = gates.argsort(descending=True)[: mixture.top_k].tolist()
        parts = [gates[e] * (mixture.activation(token @ mixture.up[e]) @ mixture.down[e]) for e in best]
        answers.append(torch.stack(parts).sum(0))
    return torch.stack(answers).view(x.shape)


@pytest.mark.parametrize(("experts", "top_k", "tokens"), [(4, 2, (5, 3)), (8, 1, (2,)), (3, 3, (4,)), (1, 1, (7,))])
def test_a_mixture_is_what_its_definition_says(experts: int, top_k: int, tokens: tuple[int, ...]) -> None:
    """Forward and backward, experts that no token meets among them."""
    torch.manual_seed(experts)
    mixture = MixtureOfExperts(HIDDEN, WIDTH, experts, top_k).double()
    x = torch.randn(*tokens, HIDDEN, dtype=torch.float64, requires_grad=True)
    wanted = [x, *mixture.parameters()]
    made, expected = mixture(x), told(mixture, x)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-14)
    found = torch.autograd.grad(made.square().sum(), wanted)
    for one, other in zip(found, torch.autograd.grad(expected.square().sum(), wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    assert found[1].abs().max() > 0 or experts == 1  # the router learns, with one expert a token too


def test_a_trace_counts_the_experts_that_tokens_meet() -> None:
    tokens, experts, top_k = 12, 4, 2
    mixture = MixtureOfExperts(HIDDEN, WIDTH, experts, top_k)
    model = trace_module(mixture, torch.empty(tokens, HIDDEN, device="meta"))
    assert model.parameters == sum(p.numel() for p in mixture.parameters())
    products = HIDDEN * experts + top_k * 2 * HIDDEN * WIDTH
    assert sum(o.flops * n for o, n in model.operations() if o.kind == "linear") == 2 * products


def test_bfloat16_goes_through() -> None:
    mixture = MixtureOfExperts(HIDDEN, WIDTH, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = mixture(torch.randn(5, HIDDEN))
    out.float().sum().backward()
    assert out.dtype == torch.float32
    assert mixture.up.grad is not None


def test_print_shows_the_sizes() -> None:
    assert "hidden=6, width=10, experts=4, top_k=2" in repr(MixtureOfExperts(HIDDEN, WIDTH, 4))


@pytest.mark.parametrize("sizes", [(0, 1, 1, 1), (4, 4, 2, 3), (4, 4, 2, 0)])
def test_sizes_that_make_no_mixture_are_refused(sizes: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError):
        MixtureOfExperts(*sizes)


class TheirMoeBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(HIDDEN, HIDDEN)])


class OurMoeBlock(nn.Module):
    def __init__(self, experts: int = 4) -> None:
        super().__init__()
        self.inside = MixtureOfExperts(HIDDEN, WIDTH, experts)


def test_experts_of_another_kind_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"module '1' \(TheirMoeBlock\)") as caught:
        mixtures_of(nn.Sequential(OurMoeBlock(), TheirMoeBlock()), 2)
    assert "rigwise.run.experts.MixtureOfExperts" in caught.value.nearest
    assert len(mixtures_of(nn.Sequential(OurMoeBlock(), nn.Linear(2, 2)), 2)) == 1


def test_a_model_without_experts_is_refused() -> None:
    with pytest.raises(UsageError, match="ep 2, and the model has no experts"):
        mixtures_of(nn.Linear(2, 2), 2)


def test_experts_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'inside' has 6 experts, which do not divide by ep 4") as caught:
        mixtures_of(OurMoeBlock(6), 4)
    assert caught.value.nearest == "ep of 1, 2, 3, 6"
