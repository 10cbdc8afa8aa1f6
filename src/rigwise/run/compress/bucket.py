"""Gradients that travel together: what a method is given, from DistributedDataParallel or after a pipeline's passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


class Bucket(Protocol):
    """As torch's GradBucket has it."""

    def buffer(self) -> torch.Tensor:
        """All numbers."""

    def parameters(self) -> list[torch.Tensor]:
        """Whose gradients they are."""

    def gradients(self) -> list[torch.Tensor]:
        """The gradient of each, in the buffer."""

    def is_last(self) -> bool:
        """Whether it is the last of a step."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A bucket of one's own. flat: the gradients of the weights, one after the other."""

    weights: Sequence[torch.Tensor]
    flat: torch.Tensor
    last: bool

    def buffer(self) -> torch.Tensor:
        """All numbers."""
        return self.flat

    def parameters(self) -> list[torch.Tensor]:
        """Whose gradients they are."""
        return list(self.weights)

    def gradients(self) -> list[torch.Tensor]:
        """The gradient of each, in the buffer."""
        parts = self.flat.split([weight.numel() for weight in self.weights])
        return [part.view_as(weight) for part, weight in zip(parts, self.weights, strict=True)]

    def is_last(self) -> bool:
        """Whether it is the last of a step."""
        return self.last
