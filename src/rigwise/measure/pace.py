"""The machine's pace: seconds of a fixed piece of work, which tells one minute's clock from another's.

A shared or a hot machine computes products, convolutions and copies slower by about the same share at the same time.
What was timed is told together with the pace at which it was timed, and a prediction is made for the pace of its own
moment.
"""

from __future__ import annotations

import time

import torch
from torch.nn import functional

_ROWS, _WIDTH = 512, 512  # of the product
_IMAGES, _CHANNELS, _SIDE = 2, 64, 32  # of the convolution
_COPIED = 2**21  # float32 numbers, 8 MiB to read and 8 to write
SAMPLES = 15


class Pace:
    """The work, its tensors made once."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._left = torch.ones(_ROWS, _WIDTH, device=device)
        self._right = torch.ones(_WIDTH, _WIDTH, device=device)
        self._images = torch.ones(_IMAGES, _CHANNELS, _SIDE, _SIDE, device=device)
        self._kernels = torch.ones(_CHANNELS, _CHANNELS, 3, 3, device=device)
        self._source, self._target = torch.ones(_COPIED, device=device), torch.zeros(_COPIED, device=device)
        self._work()

    def sample(self) -> float:
        """Seconds of doing it once."""
        start = time.perf_counter()
        self._work()
        return time.perf_counter() - start

    def samples(self) -> list[float]:
        """A moment's worth, about a quarter of a second on one core."""
        return [self.sample() for _ in range(SAMPLES)]

    def _work(self) -> None:
        with torch.no_grad():
            torch.mm(self._left, self._right)
            functional.conv2d(self._images, self._kernels, padding=1)
            self._target.copy_(self._source)
        if self._cuda:
            torch.cuda.synchronize()
