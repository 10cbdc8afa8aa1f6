"""What a rank sends others inside a step, counted, and how long it waits for them.

Exchanges say what they send where they are started; the additions that torch starts by itself (the buckets of
DistributedDataParallel, the copies of hybrid sharding) are seen in torch's dispatcher while somebody counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

from rigwise.layouts.exchange import LAWS, Collective
from rigwise.layouts.pieces import Pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One collective. elements: of the whole tensor (all_to_all: of what a rank holds); item: bytes of an element.
    leaving: elements that left this rank, where they are no equal parts.
    """

    of: Pass
    collective: Collective
    elements: int
    ranks: int
    item: int
    leaving: int | None = None

    @property
    def bytes(self) -> float:
        """Bytes that this rank sends: counted, or by the law that a cost reads (layouts/exchange.py)."""
        if self.leaving is not None:
            return float(self.leaving) * self.item
        return float(LAWS[self.collective](self.elements, self.ranks)) * self.item


@dataclass(slots=True)
class _Rank:
    """Of this process. own: inside an exchange of rigwise's own; waited: seconds so far."""

    own: bool = False
    waited: float = 0.0


_ledgers: list[list[Sent]] = []
_rank = _Rank()


class _Reduced(TorchDispatchMode):
    """Writes down the additions of gradients that torch starts by itself in this thread."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.c10d.allreduce_.default and not _rank.own:
            for tensor in args[0]:
                if tensor.is_floating_point():  # others say which parameters were used
                    ranks = dist.ProcessGroup.unbox(args[1]).size()
                    item = tensor.element_size()
                    _write(
                        Sent(of="gradient", collective="all_reduce", elements=tensor.numel(), ranks=ranks, item=item)
                    )
        return func(*args, **(kwargs or {}))


@contextmanager
def counting() -> Iterator[list[Sent]]:
    """Write down every collective of this rank that is started inside."""
    ledger: list[Sent] = []
    _ledgers.append(ledger)
    try:
        with _Reduced() if len(_ledgers) == 1 else nullcontext():  # type: ignore[no-untyped-call]
            yield ledger
    finally:
        _ledgers.remove(ledger)


@contextmanager
def sending(
    of: Pass,
    collective: Collective,
    tensor: torch.Tensor,
    ranks: int,
    elements: int | None = None,
    leaving: int | None = None,
) -> Iterator[None]:
    """Around one collective: written down where somebody counts, and waited for. elements: of the whole where that is
    not the tensor's own; leaving: as Sent has it.
    """
    size, item = tensor.numel() if elements is None else elements, tensor.element_size()
    _write(Sent(of=of, collective=collective, elements=size, ranks=ranks, item=item, leaving=leaving))
    with waiting():
        yield


@contextmanager
def waiting() -> Iterator[None]:
    """Around what waits for other ranks: on a CPU its time is that of communication."""
    before, _rank.own = _rank.own, True
    begun = time.perf_counter()
    try:
        yield
    finally:
        _rank.own = before
        _rank.waited += 0.0 if before else time.perf_counter() - begun


def waited() -> float:
    """Seconds that this process has waited for other ranks so far."""
    return _rank.waited


def _write(sent: Sent) -> None:
    for ledger in _ledgers:
        ledger.append(sent)
