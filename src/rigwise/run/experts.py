"""A mixture of experts: a feed-forward layer of many, of which every token meets the top k.

    from rigwise.run.experts import MixtureOfExperts
    layer = MixtureOfExperts(hidden=64, width=256, experts=8, top_k=2)

A router scores the experts for each token; the k best see it, and their answers are added, each times its gate: its
share of the softmax over all experts (as in the Switch Transformer, arXiv 2101.03961: not normed over the k chosen, so
that the router learns with top_k 1 too). No expert has a limit, so no token is dropped, and a token's answer does not
depend on the others: any number of ranks trains the same. Experts are stacked in two tensors, which `ep` cuts along
their first dim (run/parallel/experts.py).

Shape letters: T tokens, H hidden, F width, E experts, k top_k.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from rigwise.errors import UsageError, check_whole

Compute = Callable[[torch.Tensor, Sequence[int]], torch.Tensor]
"""(rows sorted by expert [N, H], how many each expert has) -> the experts' answers [N, H]."""
Activation = Callable[[torch.Tensor], torch.Tensor]


class Elsewhere(Protocol):
    """Experts on several ranks."""

    def __call__(self, rows: torch.Tensor, counts: torch.Tensor, compute: Compute) -> torch.Tensor:
        """Rows [N, H] sorted by expert, counts [E] of all experts -> their answers [N, H], in the same order."""
        ...

    def here(self, weight: torch.Tensor) -> torch.Tensor:
        """The experts that this rank computes with, of what it holds of them."""
        ...


class MixtureOfExperts(nn.Module):
    """[..., H] -> [..., H]: down_e(activation(up_e(x))) of the top k experts e, each times its gate, added.

    router: a Linear [E, H] without bias. up [E, H, F] and down [E, F, H]: the experts, without biases. elsewhere: what
    takes rows to experts on other ranks; None where all are here.
    """

    def __init__(
        self,
        hidden: int,
        width: int,
        experts: int,
        top_k: int = 2,
        activation: Activation = nn.functional.gelu,
    ) -> None:
        """UsageError: a size below 1, or top_k above the number of experts."""
        super().__init__()
        check_whole(hidden=hidden, width=width, experts=experts, top_k=top_k)
        if top_k > experts:
            raise UsageError(f"top_k {top_k} of {experts} experts", rule="1 <= top_k <= experts", nearest=f"{experts}")
        self.experts, self.top_k, self.activation = experts, top_k, activation
        self.router = nn.Linear(hidden, experts, bias=False)
        self.up = nn.Parameter(torch.empty(experts, hidden, width))
        self.down = nn.Parameter(torch.empty(experts, width, hidden))
        self.elsewhere: Elsewhere | None = None
        for weight in (self.up, self.down):  # as nn.Linear does
            nn.init.uniform_(weight, -(weight.shape[1] ** -0.5), weight.shape[1] ** -0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., H] -> [..., H]."""
        return self.mix(x, self.router.weight, self.up, self.down)

    def mix(self, x: torch.Tensor, router: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        """The same with weights that may be pieces: of the experts (elsewhere), or of their width, which leaves
        partial sums.
        """
        tokens = x.reshape(-1, x.shape[-1])
        gates, chosen = nn.functional.linear(tokens, router).softmax(-1).topk(self.top_k)  # [T, k]
        order = chosen.flatten().argsort(stable=True)
        rows = tokens.index_select(0, order // self.top_k)  # [T k, H], those of the first expert first
        answers = self._answers(rows, chosen.flatten(), up, down)
        back = answers.index_select(0, order.argsort()).unflatten(0, (-1, self.top_k))  # [T, k, H]
        mixed: torch.Tensor = (gates.unsqueeze(-1) * back).sum(1)
        return mixed.to(x.dtype).view(x.shape)

    def _answers(self, rows: torch.Tensor, chosen: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        if isinstance(rows, FakeTensor):  # a graph is measured without data: as much work with one expert
            return self.activation(rows @ up.new_empty(up.shape[1:])) @ down.new_empty(down.shape[1:])
        if self.elsewhere is not None and not rows.is_meta:
            up, down = self.elsewhere.here(up), self.elsewhere.here(down)

        def compute(own: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
            """One without rows has a gradient of zeros."""
            parts = zip(own.split(list(counts)), up.unbind(), down.unbind(), strict=True)
            return torch.cat([self.activation(part @ first) @ second for part, first, second in parts])

        if rows.is_meta:  # a trace has no data to route by: even shares
            return compute(rows, _even(len(rows), len(up)))
        counts = chosen.bincount(minlength=self.experts)
        if self.elsewhere is None:
            numbers: list[int] = counts.tolist()
            return compute(rows, numbers)
        return self.elsewhere(rows, counts, compute)

    def extra_repr(self) -> str:
        """What print shows."""
        here, hidden, width = self.up.shape
        held = f", {here} of them here" if here < self.experts else ""
        return f"hidden={hidden}, width={width}, experts={self.experts}{held}, top_k={self.top_k}"


def _even(rows: int, experts: int) -> list[int]:
    return [rows // experts + (number < rows % experts) for number in range(experts)]
