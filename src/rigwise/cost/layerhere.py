"""A layer's cost on this machine by rates that were measured on it, in place of the laws of devices.

The closed forms are those that `rigwise.convolution` chooses by (`convolution/choose.py`), and so are the algorithms:
torch's own convolution, the same on an input padded first, and spectra four ways.
"""

from __future__ import annotations

from dataclasses import replace

from rigwise.convolution.choose import LIBRARY, PADDED, TORCH, cannot, seconds
from rigwise.convolution.geometry import Geometry
from rigwise.cost.convolution import PASSES
from rigwise.cost.layercost import LayerCost

ELEMENTS = {"float32": 4, "float64": 8}
_FACTOR = 2.0  # what the closed forms are said to be good to


def measured_here(found: LayerCost, threads: int) -> LayerCost:
    """The same layer with this machine's seconds; as it was where the rates say nothing of its type or transpose."""
    if found.precision not in ELEMENTS or found.shape.transposed:
        return found
    shape, element = Geometry.of(found.shape, found.batch), ELEMENTS[found.precision]
    reasons = {name: why for name in TORCH if (why := cannot(name, shape))}
    if not any(before or after for before, after in shape.pad):
        reasons[PADDED] = "there is no padding"
    rows = {
        name: {
            which: None if name in reasons else seconds(name, which, shape, element, "torch", threads)
            for which in PASSES
        }
        for name in TORCH
    }
    library = {which: seconds(LIBRARY, which, shape, element, "torch", threads) for which in PASSES}
    basis = f"closed forms with the rates that were measured on this machine, {threads} threads"
    return replace(
        found, seconds=rows, why_not=reasons, library=library, factors=dict.fromkeys(PASSES, _FACTOR), basis=basis
    )
