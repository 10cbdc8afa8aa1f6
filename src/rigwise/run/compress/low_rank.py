"""PowerSGD: a matrix of gradients as the product of two thin ones (Vogels, Karimireddy, Jaggi, arXiv 1905.13727).

One power iteration a step, begun where the last one ended: P = M Q, the mean of P over ranks, its columns made
orthogonal, Q = M' P, the mean of Q; what P Q' does not say is added to the next step's gradients. Tensors that two thin
matrices would not shorten to a half travel as they are, in the message of P.

Replicas are equal to the last bit where all ranks multiply matrices alike, which is on equal processors.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist

from rigwise.layouts.layout import LOW_RANK
from rigwise.run.compress.bucket import Bucket
from rigwise.run.compress.residual import Residuals
from rigwise.run.compress.two_phase import ExactMean

_RIGHT = "right/"


class LowRank:
    """PowerSGD's way to the mean. group: of its own."""

    whole_steps, feedback = False, True

    def __init__(self, group: dist.ProcessGroup, names: Mapping[int, str], rank: int = LOW_RANK) -> None:
        self.group = group
        self.names = names
        self.rank = rank
        self.residuals = Residuals(names)
        self._right: dict[str, torch.Tensor] = {}  # Q of every matrix, [columns, rank]

    def mean(self, bucket: Bucket) -> int:
        """Replace the bucket's numbers by their mean over ranks; bytes that this rank sent."""
        pairs = list(zip(bucket.parameters(), bucket.gradients(), strict=True))
        thin = [self._thin(parameter) for parameter, _ in pairs]
        exact = [gradient for (_, gradient), is_thin in zip(pairs, thin, strict=True) if not is_thin]
        matrices = [self._add_unsent(*pair) for pair, is_thin in zip(pairs, thin, strict=True) if is_thin]
        names = [self.names[id(parameter)] for (parameter, _), is_thin in zip(pairs, thin, strict=True) if is_thin]
        lefts = [matrix @ self._begin(name, matrix) for name, matrix in zip(names, matrices, strict=True)]
        sent = ExactMean([*lefts, *(g for g in exact)], self.group).finish() if lefts or exact else 0
        lefts = [torch.linalg.qr(left).Q for left in lefts]
        rights = [matrix.T @ left for matrix, left in zip(matrices, lefts, strict=True)]
        sent += ExactMean(rights, self.group).finish() if rights else 0
        gradients = [gradient for (_, gradient), is_thin in zip(pairs, thin, strict=True) if is_thin]
        for name, matrix, left, right, gradient in zip(names, matrices, lefts, rights, gradients, strict=True):
            said = left @ right.T
            matrix.sub_(said)
            gradient.copy_(said.view(gradient.shape))
            if bool(right.any()):  # a gradient of zero says nothing of where to begin
                self._right[name] = right
        return sent

    def _thin(self, parameter: torch.Tensor) -> bool:
        if parameter.dim() < 2:
            return False
        rows, columns = parameter.shape[0], parameter.numel() // parameter.shape[0]
        return 2 * self.rank * (rows + columns) < parameter.numel() and self.rank <= min(rows, columns)

    def _add_unsent(self, parameter: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient and what was not sent before, [rows, columns], kept where what is not sent now will stand."""
        unsent = self.residuals.of([parameter]).view(gradient.shape[0], -1)
        return unsent.add_(gradient.reshape(unsent.shape))

    def _begin(self, name: str, matrix: torch.Tensor) -> torch.Tensor:
        if name not in self._right:  # the same on every rank
            draw = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            self._right[name] = torch.randn(matrix.shape[1], self.rank, generator=draw).to(matrix.device)
        return self._right[name]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this rank."""
        return {**self.residuals.state_dict(), **{f"{_RIGHT}{name}": q.clone() for name, q in self._right.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from state_dict."""
        self.residuals.load_state_dict(state)
        self._right = {key.removeprefix(_RIGHT): q for key, q in state.items() if key.startswith(_RIGHT)}
