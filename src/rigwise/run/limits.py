"""The layout of a run as a person spells it, and the batch that fits it; what cannot be run is refused before a rank
starts (layouts/runnable.py).
"""

from __future__ import annotations

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout, said_keys
from rigwise.layouts.schedule import schedule


def read_layout(layout: Layout | str) -> tuple[Layout, bool]:
    """The layout of a run, and whether it says nothing of micro-batches (`whole`, see settle).

    A Layout is taken as it is; in a spelling, what is not said is float32.

    >>> read_layout("dp=2")[1], read_layout("dp=2,micro=8")[1], read_layout(Layout(dp=2))[1]
    (True, False, False)
    """
    if isinstance(layout, Layout):
        return layout, False
    return Layout.parse(layout, precision="float32"), "micro" not in said_keys(layout)


def settle(layout: Layout, batch: int, whole: bool) -> Layout:
    """The layout with its micro-batch settled for a global batch.

    whole: nothing was said of micro-batches: a rank takes its share of the batch in one, a pipeline in as many as it
    has stages where that divides. Otherwise every micro-batch must be full, as only then is the mean over micro-
    batches the mean over samples.

    >>> settle(Layout(dp=2), 64, whole=True).micro, settle(Layout(dp=2, pp=4), 64, whole=True).micro
    (32, 8)
    """
    unit = layout.dp if whole else layout.dp * layout.micro
    if batch % unit or batch < unit:
        below, above = batch // unit * unit, -(-batch // unit) * unit
        said = f"dp {layout.dp}" if whole else f"dp {layout.dp} x micro {layout.micro} = {unit}"
        raise UsageError(
            f"batch {batch} does not divide by {said}",
            rule="every rank takes as many full micro-batches",
            nearest=" or ".join(f"batch {size}" for size in dict.fromkeys((below, above)) if size),
        )
    share = batch // layout.dp
    settled = layout.but(micro=share // layout.pp if share % layout.pp == 0 else share) if whole else layout
    schedule(layout.pipeline, layout.pp, share // settled.micro, layout.vpp)
    return settled
