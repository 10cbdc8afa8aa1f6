"""The alarm for a run that became slow: which rank, or which rank's link, the others wait for.

Every rank sees the same figures of every step (ranks.py), so all decide alike and at the same step. A rank with more
work of its own is named by its times. Where all wait in the exchange, the times say nothing of whom they wait for: then
each rank in turn sends the next one some bytes, and the one that takes longest is named.
"""

from __future__ import annotations

import time
from collections import deque
from statistics import median

import torch
import torch.distributed as dist

from rigwise.run.ranks import Met, Ranks

_WARM_UP = 5  # steps that are slow by themselves
_USUAL = 50  # steps that say what is usual
_LEAST = 5  # of them before anything is called slow
_SLOW = 2.0  # times what is usual: more than threads or clocks of a machine make of a step
_IN_A_ROW = 3
_PROBE = 512 * 1024  # bytes: more than what token buckets let pass at once


class Alarm:
    """Looks at what the ranks told each other of every step."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.seen = 0
        self.usual: deque[float] = deque(maxlen=_USUAL)
        self.slow = 0
        self.told = False

    def look(self, met: Met) -> str:
        """What is to be said of a step; empty where it is as usual, or where it has been said. All ranks call this."""
        self.seen += 1
        if self.ranks.world == 1 or met.step_s <= 0 or self.seen <= _WARM_UP:
            return ""
        usual = median(self.usual) if len(self.usual) >= _LEAST else None
        if usual is None or met.step_s < _SLOW * usual:
            self.usual.append(met.step_s)
            self.slow, self.told = 0, False
            return ""
        self.slow += 1
        if self.told or self.slow < _IN_A_ROW:
            return ""
        self.told = True
        return f"a step takes {met.step_s / usual:.1f} x what it took: {self._why(met, usual)}"

    def _why(self, met: Met, usual: float) -> str:
        own = met.own_s
        rank = max(range(len(own)), key=own.__getitem__)
        others = median(each for number, each in enumerate(own) if number != rank)
        if own[rank] > _SLOW * max(others, usual):
            return f"rank {rank} works for {own[rank] / max(others, 1e-9):.1f} x as long as the others"
        sent = probe(self.ranks)
        rank = max(range(len(sent)), key=sent.__getitem__)
        others = median(each for number, each in enumerate(sent) if number != rank)
        rate = _PROBE / sent[rank] / 1e6
        if sent[rank] > _SLOW * others:
            return f"rank {rank} sends at {rate:.3g} MB/s, the others at {_PROBE / others / 1e6:.3g} MB/s"
        return f"all ranks alike; the slowest to send is rank {rank} at {rate:.3g} MB/s"


def probe(ranks: Ranks) -> list[float]:
    """Seconds that each rank's bytes take to the next rank, one after the other. All ranks call this."""
    before, after = (ranks.rank - 1) % ranks.world, (ranks.rank + 1) % ranks.world
    payload = torch.zeros(_PROBE, dtype=torch.uint8, device=ranks.device)
    took = torch.zeros(ranks.world, dtype=torch.float64, device=ranks.device)

    def receive() -> None:
        dist.recv(payload[:1], before)
        begun = time.perf_counter()
        dist.recv(payload, before)
        took[before] = float(payload[0]) + time.perf_counter() - begun  # reading it waits for a GPU

    def send() -> None:
        dist.send(payload[:1], after)
        dist.send(payload, after)

    for act in (send, receive) if ranks.rank == 0 else (receive, send):
        act()
    dist.all_reduce(took)
    return [float(each) for each in took]
