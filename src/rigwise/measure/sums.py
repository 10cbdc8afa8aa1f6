"""What the rows of a replay add up to. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.measure.rows import Row

PACE = "pace"  # of the machine, pace.py
HEAP = "heap"  # beyond the tensors of a process, heap.py
MEETING = "meeting"  # of ranks after work of their own, links.py
SAMPLES, WIDTH, CLASSES = 64, 256, 10  # of the network that is trained for the loop's own sake, loop.py
_FLOAT = 4  # bytes


def operations_s(rows: Sequence[Row]) -> float:
    """Seconds of a step's operations, each as often as the step has it, and nothing besides.

    >>> operations_s([Row(kind="relu", value=2.0, sizes={"often": 3.0}), Row(kind="pace", value=1.0)])
    6.0
    """
    return sum(r.sizes["often"] * r.value for r in rows if "often" in r.sizes)


def loop_heap(taken: float) -> Row:
    """What a process of the training loop took, as a row like those of heap.py: beyond weights and input, and what of
    it came and went (gradients; what the two layers put out, and their gradients)."""
    weights = WIDTH * WIDTH + WIDTH + WIDTH * CLASSES + CLASSES
    held = _FLOAT * (weights + SAMPLES * WIDTH)
    moving = _FLOAT * (weights + 2 * SAMPLES * (2 * WIDTH + CLASSES))
    return Row(
        kind=HEAP,
        which="loop",
        value=max(taken - held, 1.0),
        metric="peak_memory",
        sizes={"moving": float(moving), "blocks": 0.0},
    )
