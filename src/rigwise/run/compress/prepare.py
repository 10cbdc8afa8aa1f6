"""From the layout's word to an exchange that works: what must happen between wrapping a model and its first step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.distributed as dist

from rigwise.run.compress.auto import choose, try_link
from rigwise.run.compress.codecs import SLOW, codec, quick
from rigwise.run.compress.exchange import Exchange, Method
from rigwise.run.compress.low_rank import LowRank
from rigwise.run.compress.two_phase import TwoPhase

_STRAYS = "compress=1bit beside {}: it divides by what gradients were before, and their signs alone train it worse"


def prepare(
    exchange: Exchange,
    name: str,
    trained: Mapping[str, torch.Tensor],
    members: Sequence[int],
    rehearse: Callable[[], None],
) -> str:
    """Give the exchange its method: the one of a name, or for "auto" the quickest; the method's name or "none".

    trained: this rank's trained parameters by name. members: the ranks that average gradients; all of them call this.
    rehearse: one forward and backward pass of the wrapped model. It is done twice without exchanging anything: torch
    cuts buckets anew after the first pass, and what a codec rounds depends on the buckets; so a resumed run has the
    buckets of one that never stopped.
    """
    group = dist.new_group(list(members), use_local_synchronization=True)
    exchange.group, exchange.silent = group, True
    rehearse()
    begin = time.perf_counter()
    rehearse()
    if exchange.device.type == "cuda":
        torch.cuda.synchronize(exchange.device)
    compute_s = time.perf_counter() - begin
    exchange.silent = False
    if name == "auto":
        numbers = sum(parameter.numel() for parameter in trained.values())
        shared, tried = try_link(group, exchange.device, compute_s)
        name = choose(shared, numbers, tried)
    exchange.method = method(name, group, {id(p): label for label, p in trained.items()}, exchange.device)
    exchange.name = name
    return name


def ready(exchange: Exchange, name: str, trained: Mapping[str, torch.Tensor], members: Sequence[int]) -> None:
    """Give the exchange the method of a name where buckets never change, and nothing has to be tried (a pipeline)."""
    exchange.group = dist.new_group(list(members), use_local_synchronization=True)
    names = {id(parameter): label for label, parameter in trained.items()}
    exchange.method, exchange.name = method(name, exchange.group, names, exchange.device), name


def method(name: str, group: dist.ProcessGroup, names: Mapping[int, str], device: torch.device) -> Method | None:
    """The method of a name, its kernels compiled; None for "none"."""
    if name == "none":
        return None
    if name == "powersgd":
        return LowRank(group, names)
    made = codec(name, device)
    numbers, wire = torch.ones(1, device=device), torch.zeros(made.size(1), dtype=torch.uint8, device=device)
    for work in (made.encode, made.encode_rest):
        work(numbers, wire)
    for read in (made.decode, made.add):
        read(wire, numbers)
    return TwoPhase(made, group, names)


def warnings(name: str, asked: str, optimizer: torch.optim.Optimizer, device: torch.device) -> list[str]:
    """What a reader of the losses and the timings should know."""
    said = [f"compress=auto took {name}"] if asked == "auto" else []
    if name == "1bit" and "exp_avg_sq" in _state_names(optimizer):
        said.append(_STRAYS.format(type(optimizer).__name__))
    if device.type == "cpu" and name in ("8bit", "8bit-dynamic", "1bit") and not quick():
        said.append(SLOW)
    return said


def _state_names(optimizer: torch.optim.Optimizer) -> set[str]:
    """What the optimizer keeps; those of Adam's family, which keep nothing before their first step, by their name."""
    kept = {key for state in optimizer.state.values() for key in state}
    return kept | ({"exp_avg_sq"} if "adam" in type(optimizer).__name__.lower() else set())
