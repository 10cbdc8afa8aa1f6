"""What a precision means in bytes: what is computed with, what is sent, and what is held between steps.

Mixed precision in the usual form (Micikevicius et al., arXiv 1710.03740; ZeRO, arXiv 1910.02054): weights and
activations in the short type, a float32 copy of the weights beside the optimizer's state. How many copies stay, and in
which type, is the software's choice: states.toml lists the usual ones. float8 and float4 are types of the matrix
products only: weights, activations and gradients stay bfloat16.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import not_found
from rigwise.layouts.layout import PRECISIONS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """How software holds a trained weight in mixed precision; bytes an element, each explained in states.toml."""

    weight: float
    gradient: float
    master: float
    moments: float = 1.0
    cast: float = 0.0
    step: float = 0.0
    kept: bool = False
    bucket: float = 0.0
    whole: bool = False
    loss: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """Bytes an element of each tensor, one array entry a layout.

    product: operands of matrix products. activation: everything else that flows. weight: the copy that computes, and
    that zero 3 gathers. gradient: as it is sent. held_weight, held_gradient: as they stay between steps. master: the
    float32 copy beside the optimizer's state, 0 where the weight is float32 itself. cast: 16-bit copies of float32
    weights. step: what the optimizer's step takes besides. moments: factor of the optimizer's state.
    """

    product: Floats
    activation: Floats
    weight: Floats
    gradient: Floats
    held_weight: Floats
    held_gradient: Floats
    master: Floats
    cast: Floats
    step: Floats
    moments: Floats


#                      float32 tf32 float16 bfloat16 float8 float4
_PRODUCT = np.array([4.0, 4.0, 2.0, 2.0, 1.0, 0.5])
_SHORT = np.array([4.0, 4.0, 2.0, 2.0, 2.0, 2.0])
_MIXED = np.array([False, False, True, True, True, True])
assert len(PRECISIONS) == len(_PRODUCT)


def states(name: str) -> States:
    """A way of holding states by name. Raises NotFoundError for an unknown one.

    >>> s = states("megatron")
    >>> s.weight + s.gradient + s.master + 8 * s.moments
    18.0
    """
    known = _states()
    if name not in known:
        raise not_found("way of holding states", name, known, hint=", ".join(known))
    return known[name]


@cache
def _states() -> dict[str, States]:
    text = files("rigwise.layouts").joinpath("states.toml").read_text("utf-8")
    return {name: States(**facts) for name, facts in tomllib.loads(text).items()}


def element_bytes(
    precision: NDArray[np.int64], gradient_bytes: float | None = None, held: States | None = None
) -> Bytes:
    """Bytes an element for precision codes (indices into PRECISIONS).

    gradient_bytes: what the software stack sends gradients in, in mixed precision (Megatron: 4), None for the type of
    the weights. held: how it holds its states, None for weights and gradients in the type that computes and a float32
    copy.

    >>> b = element_bytes(np.array([0, 3]), gradient_bytes=4.0, held=states("deepspeed"))
    >>> b.weight.tolist(), b.gradient.tolist(), b.held_gradient.tolist(), b.master.tolist()
    ([4.0, 2.0], [4.0, 4.0], [4.0, 2.0], [0.0, 4.0])
    """
    held = held or States(weight=2.0, gradient=2.0, master=4.0)
    short, mixed = _SHORT[precision], _MIXED[precision]
    return Bytes(
        product=_PRODUCT[precision],
        activation=short,
        weight=short,
        gradient=short if gradient_bytes is None else np.maximum(short, gradient_bytes),
        held_weight=np.where(mixed, held.weight, 4.0),
        held_gradient=np.where(mixed, held.gradient, np.minimum(held.gradient * 4.0, 4.0)),
        master=np.where(mixed, held.master, 0.0),
        cast=np.where(mixed, held.cast, 0.0),
        step=np.where(mixed, held.step, 4.0 * (held.step > 0)),
        moments=np.where(mixed, held.moments, 1.0),
    )
