"""What a precision means in bytes: weights, gradients, the float32 master copy, activations.

Mixed precision in the usual form (Micikevicius et al., arXiv 1710.03740; ZeRO, arXiv 1910.02054): weights and
activations in the short type, gradients in the short type or in float32, a float32 master copy beside the optimizer's
state. float8 and float4 are types of the matrix products only: weights, activations and gradients stay bfloat16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigwise.layouts.layout import PRECISIONS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """Bytes an element of each tensor, one array entry a layout.

    product: operands of matrix products. activation: everything else that flows. weight: the copy that computes.
    gradient: as it is exchanged and kept. master: float32 copy beside the optimizer's state, 0 where the weight is
    float32 itself.
    """

    product: Floats
    activation: Floats
    weight: Floats
    gradient: Floats
    master: Floats


#                      float32 tf32 float16 bfloat16 float8 float4
_PRODUCT = np.array([4.0, 4.0, 2.0, 2.0, 1.0, 0.5])
_SHORT = np.array([4.0, 4.0, 2.0, 2.0, 2.0, 2.0])
_MASTER = np.array([0.0, 0.0, 4.0, 4.0, 4.0, 4.0])
assert len(PRECISIONS) == len(_PRODUCT)


def element_bytes(precision: NDArray[np.int64], gradient_bytes: float | None = None) -> Bytes:
    """Bytes an element for precision codes (indices into PRECISIONS).

    gradient_bytes: what the software stack keeps for gradients in mixed precision (Megatron: 4), None for the type of
    the weights.

    >>> b = element_bytes(np.array([0, 3]), gradient_bytes=4.0)
    >>> b.weight.tolist(), b.gradient.tolist(), b.master.tolist()
    ([4.0, 2.0], [4.0, 4.0], [0.0, 4.0])
    """
    short = _SHORT[precision]
    return Bytes(
        product=_PRODUCT[precision],
        activation=short,
        weight=short,
        gradient=short if gradient_bytes is None else np.maximum(short, gradient_bytes),
        master=_MASTER[precision],
    )
