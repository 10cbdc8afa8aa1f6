"""Random numbers that do not depend on how a pipeline is cut.

Each operation of a graph that draws is given a seed of its own, made of the step's seed, the micro-batch and its number
in the whole graph, so that dropout drops the same in any part, on any stage and in any schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from rigwise.run.parallel.capture import plant
from rigwise.run.parallel.nodes import is_random

_UNNUMBERED = 1 << 20  # draws that a pass put in count from here, by part


class Draws:
    """The seed that counts now. Ranks that see the same samples start a step with equal generators."""

    def __init__(self) -> None:
        self.seed: tuple[int, ...] = (0,)
        self._micro: int | None = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """A step runs inside: its seed is drawn from torch's generator, which goes on from there afterwards."""
        self.seed = (int(torch.randint(1 << 62, ())),)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield

    @contextmanager
    def of(self, part: int, micro: int) -> Iterator[None]:
        """A forward pass of a part on one micro-batch runs inside."""
        self._micro = micro
        self.begin(_UNNUMBERED + part)
        try:
            yield
        finally:
            self._micro = None

    def again(self) -> Callable[[], AbstractContextManager[None]]:
        """What to enter where the forward pass of now is run again."""
        now = self._micro

        @contextmanager
        def replayed() -> Iterator[None]:
            before, self._micro = self._micro, now
            try:
                yield
            finally:
                self._micro = before

        return replayed

    def begin(self, number: int) -> None:
        """Operation `number` draws next."""
        if self._micro is not None:
            words = np.random.SeedSequence((*self.seed, self._micro, number)).generate_state(1, np.uint64)
            torch.manual_seed(int(words[0]))


class _Drawing:
    def __init__(self, plain: Any, number: int, draws: Draws) -> None:
        self.plain, self.number, self.draws = plain, number, draws
        self.__name__ = f"drawing_{number}"

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """The operation, from its own seed."""
        self.draws.begin(self.number)
        return self.plain(*args, **keywords)


class _DrawingModule(nn.Module):
    def __init__(self, plain: nn.Module, number: int, draws: Draws) -> None:
        super().__init__()
        self.plain, self.number, self.draws = plain, number, draws

    def forward(self, *args: Any) -> Any:
        """The module, from its own seed."""
        self.draws.begin(self.number)
        return self.plain(*args)


def number_draws(graph: fx.GraphModule) -> None:
    """Number the operations of the whole graph that draw; a part's copies keep their numbers."""
    for number, node in enumerate(node for node in graph.graph.nodes if is_random(node)):
        node.meta["draw"] = number


def seed_draws(part: fx.GraphModule, draws: Draws) -> None:
    """Give each numbered operation of a part its own seed, in place."""
    for node in part.graph.nodes:
        if "draw" not in node.meta or node.op not in ("call_module", "call_function"):
            continue  # what arrives from another part was drawn there
        if node.op == "call_module":
            plain = part.get_submodule(str(node.target))
            plant(part, str(node.target), _DrawingModule(plain, node.meta["draw"], draws))
        else:
            node.target = _Drawing(node.target, node.meta["draw"], draws)
    part.recompile()
