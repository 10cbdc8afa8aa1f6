"""The parts of a machine's pace, and which of them an operation keeps step with.

What runs beside a program on the same silicon (a neighbour's thread on the same core, another's traffic to memory) does
not slow all work alike: on a shared core short calls moved by a factor of 1.7, products by 1.2, convolutions by 1.1, in
the same seconds.
"""

from __future__ import annotations

PARTS = ("product", "conv", "stream", "call")
_PRODUCTS = frozenset({"product", "batched", "attention", "causal attention"})
_CONVS = frozenset({"conv", "recurrent"})  # both are oneDNN's


def part_of(kind: str) -> str:
    """The part that the work of an operation keeps step with; what a call costs besides keeps step with "call".

    >>> part_of("causal attention"), part_of("recurrent"), part_of("gelu")
    ('product', 'conv', 'stream')
    """
    return "product" if kind in _PRODUCTS else "conv" if kind in _CONVS else "stream"
