"""Convolution against torch's own and SciPy's, side by side: forward plus backward, as ratios.

    python benchmarks/convolution.py [--threads N] [--parts layers,small,...] [--state FILE] [--budget S]

The baseline is the sooner of torch's plain `padding=` and of padding first; both run in turns with ours, in one
process, and a figure is the least of several rounds. With --state a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from turns import State, Work, hopeful, paired, rivals, rounds

PARTS = ("layers", "small", "grid", "scipy", "network", "digits")
# what, batch, channels in, channels out, size, kernel, groups, the gain that is asked for
LAYERS = [
    ("dense 11x11", 4, 16, 16, 56, 11, 1, 0.97),
    ("dense 15x15", 4, 64, 64, 32, 15, 1, 0.97),
    ("dense 31x31", 4, 16, 16, 56, 31, 1, 4),
    ("dense 31x31", 4, 64, 64, 32, 31, 1, 4),
    ("dense 63x63", 2, 8, 8, 96, 63, 1, 30),
    ("depthwise 7x7", 4, 64, 64, 56, 7, 64, 0.97),
    ("depthwise 11x11", 4, 64, 64, 56, 11, 64, 3),
    ("depthwise 31x31", 4, 64, 64, 56, 31, 64, 7),
    ("depthwise 31x31", 8, 128, 128, 14, 31, 128, 7),
    ("depthwise 31x31", 4, 128, 128, 28, 31, 128, 7),
    ("depthwise 63x63", 1, 64, 64, 96, 63, 64, 40),
    ("one channel 11x11", 1, 1, 1, 512, 11, 1, 6),
    ("one channel 31x31", 1, 1, 1, 512, 31, 1, 20),
]
SMALL = [
    ("3x3", 1, 1, 1, 8, 3, 1),
    ("3x3", 1, 1, 1, 64, 3, 1),
    ("3x3", 8, 3, 16, 32, 3, 1),
    ("3x3", 8, 64, 64, 32, 3, 1),
    ("3x3", 4, 256, 256, 16, 3, 1),
    ("depthwise 3x3", 8, 64, 64, 28, 3, 64),
    ("depthwise 5x5", 1, 16, 16, 10, 5, 16),
    ("1x1", 1, 16, 16, 16, 1, 1),
    ("1x1", 8, 64, 64, 32, 1, 1),
    ("5x5", 1, 1, 64, 10, 5, 1),
    ("5x5", 8, 64, 64, 32, 5, 1),
    ("7x7", 2, 3, 32, 14, 7, 1),
    ("7x7", 8, 3, 64, 64, 7, 1),
]
Shape = tuple[int, int, int, int, int, int]
SEED, TRIED = 2026, ((15, 227), (99, 85))  # of the grid; and of what `auto` was tried on before, which is no test of it
SCIPY = [(16, 3), (32, 5), (64, 11), (128, 7), (256, 31), (512, 63), (1024, 63), (2048, 11), (2048, 31), (2048, 63)]


def works_of(shape: Shape, small: bool = False) -> dict[str, Work]:
    """Forward plus backward: ours, torch's with padding=, torch's of a padded input.

    small: also torch's once more, which shows the noise, and both as layers (`Conv`, `nn.Conv2d`).
    """
    import torch
    from torch import nn
    from torch.nn import functional

    from rigwise.convolution import Conv, conv

    n, c, k, size, kernel, groups = shape
    x = torch.randn(n, c, size, size, requires_grad=True)
    module = nn.Conv2d(c, k, kernel, padding=kernel // 2, groups=groups, bias=False)
    w, pad, own = module.weight, kernel // 2, Conv.like(module)
    g = torch.randn(n, k, size, size)

    def step(y: torch.Tensor) -> object:
        return torch.autograd.grad(y, (x, w), g)

    works: dict[str, Work] = {
        "ours": lambda: step(conv(x, w, padding=pad, groups=groups)),
        "plain": lambda: step(functional.conv2d(x, w, padding=pad, groups=groups)),
    }
    if pad:
        works["padded"] = lambda: step(functional.conv2d(functional.pad(x, (pad,) * 4), w, groups=groups))
    if small:
        works["again"] = works["plain"]
        works["our layer"], works["its layer"] = lambda: step(own(x)), lambda: step(module(x))
        works["our layer"]()
    works["ours"]()  # the first call of a shape times what is worth it, once
    return works


def layer(shape: Shape) -> dict[str, float]:
    """Seconds of each."""
    return rivals(works_of(shape), least_s=0.3, most=2000)


def small_layer(shape: Shape) -> dict[str, float]:
    """Seconds of ours and of the sooner of torch's; how many times as fast ours is, alone and as a layer; the noise."""
    took = rounds(works_of(shape, small=True), least_s=0.5, most=2000)
    seconds = {name: statistics.median(each) for name, each in took.items()}
    best = min(("plain", "padded"), key=lambda name: seconds.get(name, float("inf")))
    return {
        "torch": seconds[best],
        "ours": seconds["ours"],
        "gain": paired(took, "ours", best),
        "as layers": paired(took, "our layer", "its layer"),
        "itself": paired(took, "again", "plain"),
    }


def layers(state: State) -> Iterator[str]:
    """The table of large kernels."""
    yield "| layer | shape | torch ms | ours ms | times as fast | asked |\n|---|---|---:|---:|---:|---:|"
    for what, n, c, k, size, kernel, groups, asked in LAYERS:
        shape = f"N{n} C{c} K{k} {size}x{size}"
        row = state.get(f"layer {what} {shape}", partial(layer, (n, c, k, size, kernel, groups)))
        if row is None:
            return
        theirs = min(row["plain"], row["padded"])
        gain = theirs / row["ours"]
        yield f"| {what} | {shape} | {theirs * 1e3:.2f} | {row['ours'] * 1e3:.2f} | {gain:.2f} | {asked} |"


def smalls(state: State) -> Iterator[str]:
    """The table of small kernels, where torch's own is mostly the soonest: what asking for it costs."""
    yield "| small layer | shape | torch us | ours us | times as fast | as layers | torch against itself |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for what, n, c, k, size, kernel, groups in SMALL:
        shape = f"N{n} C{c} K{k} {size}x{size}"
        row = state.get(f"small {what} {shape}", partial(small_layer, (n, c, k, size, kernel, groups)))
        if row is None:
            return
        cells = " | ".join(f"{row[name]:.3f}" for name in ("gain", "as layers", "itself"))
        yield f"| {what} | {shape} | {row['torch'] * 1e6:.1f} | {row['ours'] * 1e6:.1f} | {cells} |"


def grid_shapes(count: int = 200) -> list[Shape]:
    """Layers drawn at random, all different, that no rate or threshold was fitted to or tried on."""
    tried = {shape for seed, many in TRIED for shape in islice(drawn(seed), many)}
    fresh: dict[Shape, None] = {}
    for shape in drawn(SEED):
        if shape not in tried:
            fresh[shape] = None
        if len(fresh) == count:
            break
    return list(fresh)


def drawn(seed: int) -> Iterator[Shape]:
    """Random layers without end: N, C, K, size, kernel, groups; 0.3 GFLOP a pass at most."""
    draw = random.Random(seed)
    while True:
        n, c, k = draw.choice((1, 2, 4, 8)), draw.choice((1, 3, 8, 16, 24, 48, 64)), draw.choice((1, 4, 16, 32, 64))
        size, kernel = draw.choice((10, 14, 20, 28, 40, 60, 96, 150)), draw.choice((1, 3, 5, 7, 9, 13, 17, 21, 27, 35))
        groups = c if draw.random() < 0.4 else 1
        k = c if groups > 1 else k
        if kernel < 2 * size and 2.0 * n * k * (c // groups) * (size * kernel) ** 2 < 3e8:
            yield n, c, k, size, kernel, groups


def regret(n: int, c: int, k: int, size: int, kernel: int, groups: int) -> list[Any]:
    """The seconds of auto's whole step over the best's, all timed anew and in turns, and who they are.

    The others: every algorithm for all three passes, and the best mix of passes timed apart, nothing left out.
    """
    import torch

    from rigwise.convolution import PASSES, geometry
    from rigwise.convolution.choose import PADDED
    from rigwise.convolution.torch_kernels import choice, function, passes

    shape = geometry((n, c, size, size), (k, c // groups, kernel, kernel), padding="same", groups=groups)
    like = torch.empty(shape.x_shape)
    plan = function.plan_for(shape, like, "auto", True)
    every = [name for name in passes.OWN if not passes.cannot(name, shape)]
    every = every if any(before for before, _ in shape.pad) else [a for a in every if a != PADDED]
    device = torch.device("cpu")
    mixed = choice.soonest(choice.time_all(shape, torch.float32, device, dict.fromkeys(PASSES, every)))
    chosen = (plan.forward, plan.input_gradient, plan.weight_gradient)
    rows = {chosen, mixed, *((name,) * 3 for name in every)}
    step = function.steps(shape, like, True)
    works = {", ".join(names): step(choice.plan_of(shape, names, "")) for names in rows}
    near = hopeful(works)
    near[", ".join(chosen)] = works[", ".join(chosen)]
    times = rivals(near, least_s=0.08, most=300)
    best = min(times, key=lambda name: times[name])
    return [times[", ".join(chosen)] / times[best], ", ".join(chosen), best, times[best]]


def grid(state: State) -> Iterator[str]:
    """How often auto is within 5 % of the best."""
    found = []
    for shape in grid_shapes():
        row = state.get(f"grid {shape}", partial(regret, *shape))
        if row is None:
            break
        found.append((row[0], shape, row[1], row[2]))
    if not found:
        return
    near = sum(ratio <= 1.05 for ratio, *_ in found)
    yield f"auto within 5 % of the best: {near} of {len(found)} layers ({100 * near / len(found):.1f} %); the worst:"
    for ratio, shape, chosen, best in sorted(found, reverse=True)[:5]:
        yield f"    {ratio:.3f} N C K size kernel groups {shape}: {chosen}; best {best}"


def beside_scipy(size: int, kernel: int, mode: str) -> dict[str, float]:
    """Seconds of one plain image: ours (torch, NumPy), SciPy's fftconvolve and oaconvolve."""
    import numpy as np
    import torch
    from scipy import signal

    from rigwise.convolution import conv, convolve

    draw = np.random.default_rng(0)
    x = draw.standard_normal((size, size), dtype=np.float32)
    w = draw.standard_normal((kernel, kernel), dtype=np.float32)
    tx, tw = torch.from_numpy(x)[None, None], torch.from_numpy(w)[None, None]
    works: dict[str, Callable[[], object]] = {
        "torch": lambda: conv(tx, tw, padding=mode, kind="convolution"),
        "numpy": lambda: convolve(x, w, mode),
        "fftconvolve": lambda: signal.fftconvolve(x, w, mode),
        "oaconvolve": lambda: signal.oaconvolve(x, w, mode),
    }
    took = rounds(works, most=400)
    best = min(("fftconvolve", "oaconvolve"), key=lambda name: statistics.median(took[name]))
    gains = {f"gain {name}": paired(took, name, best) for name in ("torch", "numpy")}
    return {**{name: statistics.median(each) for name, each in took.items()}, **gains}


def scipys(state: State) -> Iterator[str]:
    """A table beside SciPy."""
    yield "| image, kernel, mode | fftconvolve ms | oaconvolve ms | torch ms | NumPy ms | gain, torch | gain, NumPy |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for size, kernel in SCIPY:
        for mode in ("same", "full"):
            row = state.get(f"scipy {size} {kernel} {mode}", partial(beside_scipy, size, kernel, mode))
            if row is None:
                return
            cells = " | ".join(f"{row[name] * 1e3:.2f}" for name in ("fftconvolve", "oaconvolve", "torch", "numpy"))
            gains = f"{row['gain torch']:.2f} | {row['gain numpy']:.2f}"
            yield f"| {size}x{size}, {kernel}x{kernel}, {mode} | {cells} | {gains} |"


def network() -> dict[str, Any]:
    """Steps of a RepLKNet-like network, torch's own, the padded one and ours; the losses of the same steps."""
    import torch
    from large_kernels import block_network
    from torch import nn
    from torch.nn import functional

    from rigwise.convolution import replace

    class Padded(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            rows, columns = (int(p) for p in self.padding)
            pads = [columns, columns, rows, rows]
            return functional.conv2d(functional.pad(input, pads), self.weight, self.bias, groups=self.groups)

    def build(kind: str) -> Callable[[], float]:
        torch.manual_seed(0)
        net = block_network(64, 31, 2)
        if kind == "ours":
            replace(net)
        if kind == "padded":
            for module in net.modules():
                if isinstance(module, nn.Conv2d) and module.kernel_size[0] > 1:
                    module.__class__ = Padded
        data = torch.Generator().manual_seed(1)
        x = torch.randn(4, 64, 28, 28, generator=data)
        y = torch.randint(10, (4,), generator=data)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

        def step() -> float:
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    steps = {kind: build(kind) for kind in ("ours", "plain", "padded")}
    losses = {kind: [step() for _ in range(5)] for kind, step in steps.items()}
    return {"seconds": rivals(dict(steps), least_s=0.5), "losses": losses}


def networks(state: State) -> Iterator[str]:
    """The network's table."""
    row = state.get("network", network)
    if row is None:
        return
    times, losses = row["seconds"], row["losses"]
    best = min(times["plain"], times["padded"])
    apart = max(abs(a / b - 1) for a, b in zip(losses["ours"], losses["plain"]))
    yield (
        f"two blocks of depthwise 31x31, N4 C64 28x28, a step: torch {times['plain'] * 1e3:.1f} ms, padded first "
        f"{times['padded'] * 1e3:.1f}, ours {times['ours'] * 1e3:.1f}: {best / times['ours']:.1f} times as fast; "
        f"losses apart by {apart:.1e} of themselves over 5 steps"
    )


def train_digits(swap: bool, epochs: int = 2) -> dict[str, Any]:
    """A whole run on the digits, drawn large (32 x 32), through a block of depthwise 31x31."""
    import torch
    from large_kernels import block_network
    from torch import nn
    from torch.nn import functional

    from rigwise.convolution import replace
    from rigwise.run.tasks.digits import images

    pictures, labels = images()
    pictures = functional.interpolate(pictures, scale_factor=4)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), block_network(16, 31, 1))
    if swap:
        replace(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))
    train, test = order[:1500], order[1500:]
    losses, start = [], time.perf_counter()
    for _ in range(epochs):
        for batch in train.split(50):
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(pictures[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    seconds = time.perf_counter() - start
    net.eval()
    with torch.no_grad():
        right = (net(pictures[test]).argmax(1) == labels[test]).double().mean().item()
    return {"losses": losses, "seconds": seconds, "right": right}


def digits(state: State) -> Iterator[str]:
    """Both runs side by side."""
    runs = {kind: state.get(f"digits {kind}", partial(train_digits, kind == "ours")) for kind in ("torch", "ours")}
    if None in runs.values():
        return
    for kind, row in runs.items():
        few = ", ".join(f"{row['losses'][at]:.6f}" for at in (0, 1, 9, -1))
        yield (
            f"digits, {len(row['losses'])} steps, {kind}: {row['seconds']:.1f} s, losses at steps 1, 2, 10 and last "
            f"{few}, {100 * row['right']:.1f} % of the rest right"
        )


def tables(parts: list[str], state: State) -> Iterator[str]:
    """Every table asked for, line by line."""
    for part in parts:
        if part == "layers":
            yield from layers(state)
        elif part == "small":
            yield from smalls(state)
        elif part == "grid":
            yield from grid(state)
        elif part == "scipy":
            yield from scipys(state)
        elif part == "network":
            yield from networks(state)
        else:
            yield from digits(state)
        yield ""


def main(argv: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--state", type=Path)
    parser.add_argument("--budget", type=float, default=1e9)
    asked = parser.parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(asked.threads)
    os.environ.setdefault("RIGWISE_CONVOLUTION_CACHE", "")
    import torch

    torch.set_num_threads(asked.threads)
    for line in tables(asked.parts.split(","), State.read(asked.state, asked.budget)):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
