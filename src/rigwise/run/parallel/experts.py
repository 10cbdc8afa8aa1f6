"""Expert parallelism: the experts of every mixture shared out over the `ep` ranks, the tokens sent to them and back.

A run of ep neighbours among the data-parallel ranks holds each expert once. A rank sends the rows of its own tokens,
sorted by expert, in one all-to-all of uneven parts; the answers come back in another; both go the opposite way for the
gradients. First the ranks tell each other how many rows to expect: one number an expert.

A rank's expert is trained by the tokens of all ep ranks, each with a loss that is the mean over its own samples. Hence
its gradient is divided by ep and then averaged over the dp / ep ranks that hold the same expert (`edp`), while
everything else is averaged over all dp ranks. Under zero the ranks that hold the same experts share them
out once more: each keeps some, and the rest is gathered for a micro-batch.

Where a module is traced (tp, cp, pp) a mixture is one operation of the graph, `mixture`: what it routes to depends on
the data, and no pass has to look into it. Its experts' width may be cut by tp; the answers are then partial sums.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

from rigwise.errors import UsageError
from rigwise.layouts.pieces import Pass
from rigwise.run.experts import Compute, MixtureOfExperts
from rigwise.run.parallel import exchanges
from rigwise.run.parallel.exchanges import Cut
from rigwise.run.parallel.held import Held
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.sending import sending, waiting

_OURS = "rigwise.run.experts.MixtureOfExperts"
_LIKE = re.compile(r"Expert|Mixture|MoE|Moe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roads:
    """How many rows go to each rank and come from each: of one mixture in one forward pass."""

    group: dist.ProcessGroup
    rank: int
    sends: Sequence[int]
    receives: Sequence[int]

    @property
    def back(self) -> Roads:
        """The opposite way."""
        return Roads(group=self.group, rank=self.rank, sends=self.receives, receives=self.sends)

    def travel(self, rows: torch.Tensor, of: Pass) -> torch.Tensor:
        """Rows to where they belong: [sum(sends), H] -> [sum(receives), H], in the order of the ranks."""
        got = rows.new_empty(sum(self.receives), rows.shape[1])
        leaving = (len(rows) - self.sends[self.rank]) * rows.shape[1]
        with sending(of, "all_to_all", rows, len(self.sends), leaving=leaving):
            dist.all_to_all_single(got, rows.contiguous(), list(self.receives), list(self.sends), group=self.group)
        return got


class _Travel(torch.autograd.Function):
    """Rows go one way, their gradients the other."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, roads: Roads) -> torch.Tensor:
        ctx.roads = roads
        return roads.travel(rows, "forward")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.roads.back.travel(gradient, "backward"), None


class _Scaled(torch.autograd.Function):
    """A weight as it is; its gradient divided."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, over: int) -> torch.Tensor:
        ctx.over = over
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient / ctx.over, None


def _scaled(weight: torch.Tensor, over: int) -> torch.Tensor:
    return cast(torch.Tensor, _Scaled.apply(weight, over))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Takes a mixture's rows to the ranks that hold their experts, and brings the answers."""

    group: dist.ProcessGroup
    ranks: int
    rank: int
    shards: Cut | None = None  # how the experts of this rank lie on those that share them, under zero

    def here(self, weight: torch.Tensor) -> torch.Tensor:
        """This rank's experts. Their gradient is the mean over all samples of the ep ranks, under zero of all ranks."""
        if self.shards is None:
            return _scaled(weight, self.ranks)
        return exchanges.collect(_scaled(weight, self.ranks * self.shards.ranks), self.shards)

    def __call__(self, rows: torch.Tensor, counts: torch.Tensor, compute: Compute) -> torch.Tensor:
        """Rows [N, H] sorted by expert, counts [E] of all experts -> their answers [N, H]."""
        sends = counts.view(self.ranks, -1).int()
        receives = torch.empty_like(sends)  # from each rank: the rows of each expert here
        with sending("forward", "all_to_all", sends, self.ranks):
            dist.all_to_all_single(receives, sends, group=self.group)
        roads = Roads(group=self.group, rank=self.rank, sends=sends.sum(1).tolist(), receives=receives.sum(1).tolist())
        got = _travelled(rows, roads)
        here = torch.arange(receives.shape[1], device=rows.device).repeat(self.ranks)
        order = here.repeat_interleave(receives.flatten()).argsort(stable=True)
        answers = compute(got.index_select(0, order), receives.sum(0).tolist())
        return _travelled(answers.index_select(0, order.argsort()), roads.back)


def _travelled(rows: torch.Tensor, roads: Roads) -> torch.Tensor:
    return cast(torch.Tensor, _Travel.apply(rows, roads))  # type: ignore[no-untyped-call]


def expert_parallel(model: nn.Module, mesh: Mesh) -> dict[str, Held]:
    """Leave this rank its run of every mixture's experts, in place; the book of the pieces.

    UsageError: no mixture of ours, another module of experts, experts that ep does not divide, or nothing else that is
    trained.
    """
    mixtures = mixtures_of(model, mesh.layout.ep)
    group = mesh.group("ep")
    assert group is not None
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    pieces: dict[int, nn.Parameter] = {}
    book: dict[str, Held] = {}
    for mixture in mixtures:
        each = mixture.experts // mesh.layout.ep
        shards = _shards(each, mesh)
        start, stop = _run(shards, each)
        start, stop = (each * mesh.coordinate("ep") + place for place in (start, stop))
        for which in ("up", "down"):
            whole: nn.Parameter = getattr(mixture, which)
            if id(whole) not in pieces:  # mixtures may share their experts
                held = Held.whole(names[id(whole)], whole)
                kept = nn.Parameter(whole.detach()[start:stop].clone(), whole.requires_grad)
                pieces[id(whole)] = kept
                book[held.name] = held.narrowed(0, start, stop, kept)
            setattr(mixture, which, pieces[id(whole)])
        mixture.elsewhere = Elsewhere(group=group, ranks=mesh.layout.ep, rank=mesh.coordinate("ep"), shards=shards)
    return book


def _shards(experts: int, mesh: Mesh) -> Cut | None:
    """How so many experts lie on the ranks that hold the same ones, in runs of ceil(experts / ranks); None where each
    keeps all.
    """
    group, ranks = mesh.group("edp"), mesh.degree("edp")
    if not mesh.layout.zero or group is None:
        return None
    each = -(-experts // ranks)
    held = tuple(np.arange(experts)[r * each : (r + 1) * each] for r in range(ranks))
    return Cut(dim=0, size=experts, held=held, group=group, rank=mesh.coordinate("edp"), weight=True)


def _run(shards: Cut | None, experts: int) -> tuple[int, int]:
    if shards is None:
        return 0, experts
    each = len(shards.held[0])
    return min(shards.rank * each, experts), min((shards.rank + 1) * each, experts)


def mixtures_of(model: nn.Module, ranks: int) -> list[MixtureOfExperts]:
    """The model's mixtures, each of which can be shared out over so many ranks."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, MixtureOfExperts)}
    for name, module in model.named_modules():
        inside = any(isinstance(child, MixtureOfExperts) for child in module.modules())
        part = any(name.startswith(f"{own}.") for own in found)
        if not inside and not part and _LIKE.search(type(module).__name__) and any(True for _ in module.parameters()):
            raise UsageError(
                f"module {name!r} ({type(module).__name__}) looks like experts that ep {ranks} would have to share out",
                rule=f"expert parallelism shares out {_OURS}",
                nearest=f"{_OURS} in its place, or the same layout without ep",
            )
    if not found:
        raise UsageError(
            f"ep {ranks}, and the model has no experts",
            rule=f"expert parallelism shares out the modules {_OURS}",
            nearest="the same layout without ep",
        )
    for name, mixture in found.items():
        if mixture.experts % ranks:
            some = [n for n in range(1, mixture.experts + 1) if not mixture.experts % n]
            raise UsageError(
                f"module {name!r} has {mixture.experts} experts, which do not divide by ep {ranks}",
                rule="every rank of ep holds as many experts",
                nearest=f"ep of {', '.join(map(str, some))}",
            )
    return list(found.values())


def leave_alone(module: nn.Module, experts: Collection[nn.Parameter]) -> None:
    """DDP neither averages nor sends these."""
    own = {id(parameter) for parameter in experts}
    if not any(p.requires_grad and id(p) not in own for p in module.parameters()):
        raise UsageError(
            "nothing is trained besides the experts",
            rule="under ep some other weight, such as a router, is trained and averaged over dp",
            nearest="the same layout without ep",
        )
    cut = [name for name, parameter in module.named_parameters(remove_duplicate=False) if id(parameter) in own]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, cut)


class ExpertGradients:
    """Averages the gradients of a rank's experts in a backward pass, as DDP does everything else's.

    It starts when a gradient is there, in the one order that all ranks have, and the pass ends when all have come; in
    a micro-batch that DDP does not exchange (no_sync) it waits for a later one.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], mesh: Mesh, beside: DistributedDataParallel) -> None:
        self.beside, self.group = beside, mesh.group("edp")
        self.ranks = mesh.degree("edp")
        self._works: list[dist.Work] = []
        self._queued = False
        for parameter in parameters:
            if parameter.requires_grad and self.group is not None:
                parameter.register_post_accumulate_grad_hook(self._start)

    def _start(self, parameter: torch.Tensor) -> None:
        gradient = parameter.grad
        if gradient is None or not self.beside.require_backward_grad_sync:
            return
        if not self._queued:
            self._queued = True
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)
        with sending("gradient", "all_reduce", gradient, self.ranks):
            work = dist.all_reduce(gradient, op=dist.ReduceOp.AVG, group=self.group, async_op=True)
        assert work is not None
        self._works.append(work)

    def _finish(self) -> None:
        self._queued = False
        works, self._works = self._works, []
        for work in works:
            with waiting():
                work.wait()
