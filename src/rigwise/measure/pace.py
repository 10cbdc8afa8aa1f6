"""The machine's pace: seconds of fixed pieces of work, which tell one minute's clock from another's.

A shared or a hot machine computes slower in one minute than in the next, and short calls more so than products. What
was timed is told together with the pace at which it was timed, and a prediction is made for the pace of its own moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch.nn import functional

from rigwise.measure.rows import Row, row
from rigwise.measure.sums import PACE

_ROWS, _WIDTH = 512, 512  # of the product
_IMAGES, _CHANNELS, _SIDE = 2, 64, 32  # of the convolution
_COPIED = 2**21  # float32 numbers, 8 MiB to read and 8 to write
_CALLS = 150
_SAMPLES = 25
Sample = Mapping[str, float]


class Pace:
    """The work of each part (measurements/pace.py), its tensors made once."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        left, right = torch.ones(_ROWS, _WIDTH, device=device), torch.ones(_WIDTH, _WIDTH, device=device)
        images = torch.ones(_IMAGES, _CHANNELS, _SIDE, _SIDE, device=device)
        kernels = torch.ones(_CHANNELS, _CHANNELS, 3, 3, device=device)
        source, target = torch.ones(_COPIED, device=device), torch.zeros(_COPIED, device=device)
        few = torch.zeros(8, device=device)
        self._works: Mapping[str, Callable[[], object]] = {
            "product": partial(torch.mm, left, right),
            "conv": partial(functional.conv2d, images, kernels, padding=1),
            "stream": partial(target.copy_, source),
            "call": partial(_called, few),
        }
        self.sample()

    def sample(self) -> Sample:
        """Seconds of doing each once, about 8 ms in all on one core."""
        found = {}
        with torch.no_grad():
            for part, work in self._works.items():
                start = time.perf_counter()
                work()
                if self._cuda:
                    torch.cuda.synchronize()
                found[part] = time.perf_counter() - start
        return found

    def samples(self) -> list[Sample]:
        """A moment's worth, about a fifth of a second on one core."""
        return [self.sample() for _ in range(_SAMPLES)]


def paced(samples: Sequence[Sample]) -> list[Row]:
    """A row for each part."""
    return [row(PACE, [sample[part] for sample in samples], part) for part in samples[0]]


def _called(few: torch.Tensor) -> None:
    for _ in range(_CALLS):
        few.add_(1)
