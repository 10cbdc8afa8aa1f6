"""How much of a network's input one element of a map sees: its receptive field.

A layer whose kernel reaches over r elements, on a map whose neighbours lie j input elements apart, sees (r - 1) j more
than its input does, and a stride s makes neighbours lie s j apart. Along several ways the widest counts. Source:
Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rigwise.models.operations import Conv


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What one element sees. field: elements of the network's input, each dim. jump: how far apart two neighbours are.

    exact: False where a layer on the way is not known, and field is a lower bound.
    """

    field: tuple[int, ...]
    jump: tuple[int, ...]
    exact: bool = True

    def through(self, shape: Conv) -> Reach:
        """Behind one more convolution or pooling.

        >>> first = Conv(c=3, k=64, size=(224, 224), kernel=(7, 7), stride=(2, 2), pad=(3, 3))
        >>> Reach(field=(1, 1), jump=(1, 1)).through(first)
        Reach(field=(7, 7), jump=(2, 2), exact=True)
        """
        spread = shape.dilation or (1,) * len(shape.kernel)
        if shape.transposed:  # an output meets every s-th tap, and neighbours lie nearer
            taps = [-(-r // s) for r, s in zip(shape.kernel, shape.stride, strict=True)]
            field = tuple(f + (n - 1) * j for f, n, j in zip(self.field, taps, self.jump, strict=True))
            jump = tuple(max(j // s, 1) for j, s in zip(self.jump, shape.stride, strict=True))
            return Reach(field=field, jump=jump, exact=self.exact)
        rows = zip(self.field, shape.kernel, spread, self.jump, strict=True)
        field = tuple(f + d * (r - 1) * j for f, r, d, j in rows)
        jump = tuple(j * s for j, s in zip(self.jump, shape.stride, strict=True))
        return Reach(field=field, jump=jump, exact=self.exact)

    def scaled(self, before: tuple[int, ...], after: tuple[int, ...]) -> Reach:
        """On a map that was sampled anew to another size; what the sampling itself looks at is left out."""
        rows = zip(self.jump, before, after, strict=True)
        return Reach(field=self.field, jump=tuple(max(round(j * b / a), 1) for j, b, a in rows), exact=False)


def widest(reaches: Iterable[Reach | None]) -> Reach | None:
    """What sees all that any of them sees; None where one sees everything."""
    found = list(reaches)
    known = [reach for reach in found if reach is not None]
    if not known or len(known) < len(found) or len({len(reach.field) for reach in known}) > 1:
        return None
    field = tuple(map(max, zip(*(reach.field for reach in known), strict=True)))
    return Reach(field=field, jump=known[-1].jump, exact=all(reach.exact for reach in known))
