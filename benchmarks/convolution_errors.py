"""How errors grow: what each algorithm's float32 loses against float64's direct sum, beside the bound it states.

    python benchmarks/convolution_errors.py

A table in roundoffs (2^-24) of the largest output: the largest error of the forward pass, and the bound, which
`rigwise.convolution.bounds` gives relative to the norms of input and kernels. Random arrays of a fixed seed; the last
digit is the machine's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from rigwise.convolution import ALGORITHMS, Geometry, run_pass
from rigwise.convolution.bounds import error_bound

NAMES = ("direct", "im2col", "fft", "overlap-save", "winograd-2", "winograd-4")
ROUNDOFF = float(np.finfo(np.float32).eps) / 2
# channels in and out, size, kernel: images grow, kernels grow, channels grow, dims grow
CASES = [
    (1, (32, 32), 3),
    (1, (128, 128), 3),
    (1, (512, 512), 3),
    (1, (512, 512), 7),
    (1, (512, 512), 31),
    (16, (32, 32), 3),
    (256, (32, 32), 3),
    (16, (256,), 3),
    (16, (12, 12, 12), 3),
]


def row(channels: int, size: tuple[int, ...], kernel: int) -> str:
    """A line of the table: seen / bound of each."""
    dims = len(size)
    pad = ((kernel // 2,) * 2,) * dims
    shape = Geometry(batch=1, c=channels, k=channels, size=size, kernel=(kernel,) * dims, pad=pad)
    draw = np.random.default_rng(0)
    x, w = (draw.standard_normal(s).astype(np.float32) for s in (shape.x_shape, shape.w_shape))
    exact = run_pass("forward", "direct", x.astype(np.float64), w.astype(np.float64), shape)
    unit = ROUNDOFF * float(np.abs(exact).max())
    norms = float(np.linalg.norm(x)) * float(np.linalg.norm(w))
    cells = [f"C{channels} {'x'.join(map(str, size))}, {'x'.join([str(kernel)] * dims)}"]
    for name in NAMES:
        if ALGORITHMS[name].cannot(shape):
            cells.append("")
            continue
        seen = float(np.abs(run_pass("forward", name, x, w, shape) - exact).max()) / unit
        bound = error_bound(name, "forward", shape, np.float32) * norms / unit
        cells.append(f"{seen:.1f} / {bound:.1e}")
    return "| " + " | ".join(cells) + " |"


def table() -> Iterator[str]:
    """The table, line by line."""
    yield "| layer | " + " | ".join(NAMES) + " |"
    yield "|---|" + "---:|" * len(NAMES)
    for case in CASES:
        yield row(*case)


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
    sys.exit(0)
