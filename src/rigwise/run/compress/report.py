"""How far a codec's numbers are from the gradients that it was given."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rigwise.run.compress.codecs import codec


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecError:
    """mean: of |sent - number| / |number| over numbers that are not zero; a number that is sent as zero counts 1.
    whole: the length of the error over the length of the gradients (L2).
    """

    mean: float
    whole: float


def codec_errors(name: str, gradients: torch.Tensor) -> CodecError:
    """The relative errors of one message of gradients [n].

    >>> codec_errors("8bit", torch.tensor([127.0, 63.4])).mean.__round__(5)
    0.00315
    """
    numbers = gradients.detach().reshape(-1).float().contiguous()
    made = codec(name, numbers.device)
    wire = torch.zeros(made.size(numbers.numel()), dtype=torch.uint8, device=numbers.device)
    made.encode(numbers, wire)
    sent = torch.empty_like(numbers)
    made.decode(wire, sent)
    off, there = (sent - numbers).double(), numbers != 0
    relative = off[there].abs() / numbers[there].abs()
    return CodecError(mean=float(relative.mean()), whole=float(off.norm() / numbers.double().norm()))
