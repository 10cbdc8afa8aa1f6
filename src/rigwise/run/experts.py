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

import torch
from torch import nn

from rigwise.errors import UsageError, check_whole

Compute = Callable[[torch.Tensor, Sequence[int]], torch.Tensor]
"""(rows sorted by expert [N, H], how many each expert has) -> the experts' answers [N, H]."""
Elsewhere = Callable[[torch.Tensor, torch.Tensor, Compute], torch.Tensor]
"""(rows sorted by expert [N, H], how many each of all experts has [E], what computes) -> answers in the same order."""


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
        activation: Callable[[torch.Tensor], torch.Tensor] = nn.functional.gelu,
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
        tokens = x.reshape(-1, x.shape[-1])
        gates, chosen = self.router(tokens).softmax(-1).topk(self.top_k)  # [T, k]
        order = chosen.flatten().argsort(stable=True)
        rows = tokens.index_select(0, order // self.top_k)  # [T k, H], those of the first expert first
        if rows.is_meta:  # a trace has no data to route by: even shares
            answers = self.compute(rows, _even(len(rows), self.experts))
        else:
            counts = chosen.flatten().bincount(minlength=self.experts)
            answers = (self.elsewhere or _here)(rows, counts, self.compute)
        back = answers.index_select(0, order.argsort()).unflatten(0, (-1, self.top_k))  # [T, k, H]
        mixed: torch.Tensor = (gates.unsqueeze(-1) * back).sum(1)
        return mixed.to(x.dtype).view(x.shape)

    def compute(self, rows: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """The answers of the experts that are here, in their order; one without rows has a gradient of zeros."""
        parts = zip(rows.split(list(counts)), self.up.unbind(), self.down.unbind(), strict=True)
        return torch.cat([self.activation(part @ up) @ down for part, up, down in parts])

    def extra_repr(self) -> str:
        """What print shows."""
        here, hidden, width = self.up.shape
        held = f", {here} of them here" if here < self.experts else ""
        return f"hidden={hidden}, width={width}, experts={self.experts}{held}, top_k={self.top_k}"


def _here(rows: torch.Tensor, counts: torch.Tensor, compute: Compute) -> torch.Tensor:
    numbers: list[int] = counts.tolist()
    return compute(rows, numbers)


def _even(rows: int, experts: int) -> list[int]:
    return [rows // experts + (number < rows % experts) for number in range(experts)]
