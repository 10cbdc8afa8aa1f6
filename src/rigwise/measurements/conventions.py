"""FLOP conventions: what a published TFLOP/s or MFU counts, which is the largest trap of measured tables.

Legend: P parameters, P' those without the input embedding, L layers, h hidden, s sequence length, V vocabulary; all
formulas give FLOP of one token, forward and backward.

    all-parameters   6 P  + 12 L h s             attention in full, no recomputation
    body-parameters  6 P' + 12 L h s             the same without the input embedding
    causal           6 P' +  6 L h s             causal attention counted half
    hardware-96      96 L h^2 (1 + s/6h + V/16Lh)   what the device does under full recomputation: 4/3 of model-96
    model-96         72 L h^2 (1 + s/6h + V/12Lh)   arXiv 2205.05198, appendix A: no recomputation
    eight-p          8 P                          the coarse form with recomputation

Left out by all: norms, softmax, dropout and the other kernels that only move memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rigwise.errors import not_found


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWork:
    """What the formulas ask of a model: parameters that a token meets, with and without the input embedding, shape.

    label_parameters: the size as the source prints it, which the coarse form uses.
    """

    parameters: float
    body_parameters: float
    layers: float
    hidden: float
    vocab: float
    seq: float
    label_parameters: float | None = None


def flops_per_token(convention: str, work: TokenWork) -> float:
    """FLOP of one token under a convention.

    Raises NotFoundError for a convention that is not in the table above.

    >>> gpt = TokenWork(parameters=1.0e9, body_parameters=0.9e9, layers=10, hidden=2000, vocab=50000, seq=1000)
    >>> f"{flops_per_token('all-parameters', gpt):.3g}", f"{flops_per_token('causal', gpt):.3g}"
    ('6.24e+09', '5.52e+09')
    """
    if convention not in _FORMULAS:
        raise not_found("FLOP convention", convention, _FORMULAS)
    return _FORMULAS[convention](work)


def _attention(work: TokenWork) -> float:
    return 12.0 * work.layers * work.hidden * work.seq


def _hardware(work: TokenWork) -> float:
    square = work.layers * work.hidden**2
    return 96 * square * (1 + work.seq / (6 * work.hidden) + work.vocab / (16 * work.layers * work.hidden))


def _model(work: TokenWork) -> float:
    square = work.layers * work.hidden**2
    return 72 * square * (1 + work.seq / (6 * work.hidden) + work.vocab / (12 * work.layers * work.hidden))


_FORMULAS: Mapping[str, Callable[[TokenWork], float]] = {
    "all-parameters": lambda work: 6 * work.parameters + _attention(work),
    "body-parameters": lambda work: 6 * work.body_parameters + _attention(work),
    "causal": lambda work: 6 * work.body_parameters + _attention(work) / 2,
    "hardware-96": _hardware,
    "model-96": _model,
    "eight-p": lambda work: 8 * (work.label_parameters or work.parameters),
}
CONVENTIONS = tuple(_FORMULAS)
