"""The rates that the closed forms of convolutions start from: measured, and written to convolution/data/rates.toml.

    python benchmarks/convolution_rates.py [--machine "what it is"] [--print]

One thread, float32. torch's rates are those of `rigwise.convolution.tune()`, on the geometries that it names; NumPy's
are the same work in NumPy, with SciPy's transforms where it is installed. Each is the least time of several runs, to
three digits. --print writes nothing.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from math import log10
from pathlib import Path

RATES = Path(__file__).parents[1] / "src" / "rigwise" / "convolution" / "data" / "rates.toml"
HEAD = """\
# Rates of the kinds of work that `counts.py` tells apart, for the closed forms of `choose.py`: FLOP/s, bytes/s, and
# seconds a call. One thread, float32; float64 halves the FLOP/s and doubles the bytes. Written by
# `python benchmarks/convolution_rates.py` on {date}: {machine},
# torch {torch}, NumPy {numpy}.
# `rigwise.convolution.tune()` measures torch's on the machine at hand; what each is measured on is said there.
"""


def of_numpy() -> dict[str, float]:
    """NumPy's rates, on the work that `tuning.measure` gives torch."""
    import numpy as np

    from rigwise.convolution.counts import COMPLEX_MULTIPLY_ADD, transform_flops
    from rigwise.convolution.fourier import engine
    from rigwise.convolution.torch_kernels.tuning import SMALL_CALLS, least

    draw = np.random.default_rng(0)
    a, b = draw.random((128, 128), np.float32), draw.random((128, 20_000), np.float32)
    left, right = draw.random((1200, 8, 64), np.float32), draw.random((1200, 64, 64), np.float32)
    image, flat = draw.random((128, 72, 72), np.float32), draw.random(1 << 19, np.float32)
    spectrum = (draw.random(1 << 18) + 1j * draw.random(1 << 18)).astype(np.complex64)
    much, single = draw.random(1 << 23, np.float32), np.ones(1, np.float32)
    to = np.empty_like(much)
    return {
        "matmul": 2.0 * 128 * 128 * 20_000 / least(lambda: a @ b),
        "batched": 2.0 * 1200 * 8 * 64 * 64 / least(lambda: left @ right),
        "small": 2.0 * flat.size / least(lambda: flat * np.float32(1.5) + flat),
        "pointwise": COMPLEX_MULTIPLY_ADD * spectrum.size / least(lambda: spectrum * spectrum + spectrum),
        "fft": 128 * transform_flops((72, 72)) / least(lambda: engine().rfftn(image, axes=(1, 2))),
        "bandwidth": 8.0 * much.size / least(lambda: np.multiply(much, np.float32(1.5), out=to)),
        "call": SMALL_CALLS * 1e-3 * least(lambda: [single + single for _ in range(1000)]),
    }


def table(name: str, rates: Mapping[str, float]) -> str:
    """A table of TOML, three digits a rate."""
    rows = [f"{key} = {rounded(value)!r}" for key, value in rates.items()]
    return "\n".join([f"\n[{name}]", *rows])


def rounded(value: float) -> float:
    """Three digits of a rate."""
    return float(f"{value:.2e}") if abs(log10(value)) > 3 else round(value, 3)


def machine() -> str:
    """The processor and how many cores are seen of it."""
    from rigwise.hardware.cpus import read_processor
    from rigwise.hardware.detect import cores

    return f"one of {cores()} cores of {read_processor().name or 'a processor without a name'}"


def main(argv: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default="", help="by default the processor's name")
    parser.add_argument("--print", action="store_true", help="to the screen, and no file")
    asked = parser.parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from rigwise.convolution.torch_kernels.tuning import measure

    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    named = asked.machine or machine()
    text = HEAD.format(date=today, machine=named, torch=version("torch"), numpy=version("numpy"))
    text += f"{table('torch', measure())}\n{table('numpy', of_numpy())}\n"
    if asked.print:
        print(text, end="")
        return 0
    from rigwise.files import replace_text

    replace_text(RATES, text)
    print(f"written: {RATES}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
