"""Pictures of a kernel that spreads something out, of a kernel over time, and of kernels that were learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.diffusion import Diffusion
from rigwise.convolution.filters import Kernel
from rigwise.convolution.learned import Learned
from rigwise.convolution.series import Smoothed
from rigwise.report.conv_board import (
    LEFT,
    WIDTH,
    Panel,
    Pixels,
    grey,
    height_of,
    kernel_squares,
    panels,
    share,
    stretched,
)
from rigwise.report.svg import Board, Frame, axes, legend, ticks

Floats = NDArray[np.float64]
_ACROSS = 8  # learned kernels in a row
_ENLARGED = 12  # dots a side of a kernel's pixel
_WAVES = 240  # frequencies of a gain


def diffusion_svg(found: Diffusion) -> str:
    """States, the mass, and the variance beside what the kernel says."""
    many = [Panel(pixels=_state(found, plane), head=f"step {step}") for step, plane in found.states]
    across = len(many)
    top = 90 + height_of(many, across)
    board = Board(WIDTH, top + 330, "A kernel as a propagator")
    how = "made a density by softmax" if found.softmaxed else "a density"
    board.text(LEFT, 28, f"{found.kernel.name} as a propagator: {how}, {found.border} border", "title")
    board.text(LEFT, 48, f"mass kept to {found.lost:.1e} of itself over {found.steps} steps", "soft")
    panels(board, 76, many, across)
    board.text(LEFT, top + 4, "the kernel", "")
    kernel_squares(board, LEFT, top + 16, 130, found.kernel)
    each = sum(found.kernel.variance)
    words = [f"{found.kernel.size[1]} x {found.kernel.size[0]}, sum {found.kernel.total:.6g}"]
    words += [f"variance {each:.4g} px² a step", f"D = {each / 4:.4g} px² a step"]
    if found.start == "point":
        words += ["largest difference from", f"a bell: {share(found.from_bell)} of its top"]
    for place, line in enumerate(words):
        board.text(LEFT, top + 168 + 16 * place, line, "soft")
    draw = _variance if found.start == "point" else _contrast
    draw(board, found, Frame(left=300, top=top + 26, right=WIDTH - 40, bottom=top + 270))
    return board.svg()


def _state(found: Diffusion, plane: Floats) -> Pixels:
    return grey(plane) if found.start == "image" else stretched(plane)


def _variance(board: Board, found: Diffusion, frame: Frame) -> None:
    """Variance over steps, against the line that the central limit theorem draws."""
    told = float(found.expected[-1])
    across, up = frame.across(0, found.steps), frame.up(0, max(float(found.variance.max()), told) * 1.08)
    x = [(across(v), f"{v:g}") for v in ticks(found.steps)]
    y = [(up(v), f"{v:g}") for v in ticks(max(float(found.variance.max()), told) * 1.08)]
    axes(board, frame, x, y, "steps", "variance (px²)")
    board.path([(across(i), up(float(v))) for i, v in enumerate(found.variance)], "l0")
    board.path([(across(0), up(0)), (across(found.steps), up(told))], "dash")
    if 0 < found.reached <= found.steps:
        board.line(across(found.reached), frame.top, across(found.reached), frame.bottom, "dash")
        board.text(across(found.reached) - 5, frame.bottom - 8, f"border reached, step {found.reached}", "soft", "end")
    entries = [(0, "measured"), (6, "dashed: steps x the kernel's variance, until the border")]
    legend(board, frame.left, frame.top - 10, entries, frame.right)


def _contrast(board: Board, found: Diffusion, frame: Frame) -> None:
    """How much of the differences between cells is left."""
    across, up = frame.across(0, found.steps), frame.up(0, 1.05)
    x = [(across(v), f"{v:g}") for v in ticks(found.steps)]
    axes(board, frame, x, [(up(v / 4), f"{25 * v} %") for v in range(5)], "steps", "contrast left")
    board.path([(across(i), up(float(v))) for i, v in enumerate(found.contrast)], "l0")
    legend(board, frame.left, frame.top - 10, [(0, "standard deviation of the cells, over that before")], frame.right)


def diffusion_png(found: Diffusion) -> Pixels:
    """The states side by side."""
    return np.concatenate([_state(found, plane) for _, plane in found.states], axis=1)


# ---- series


def series_svg(found: Smoothed) -> str:
    """The series with its moving average and forecast; both kernels; what they make of waves."""
    board = Board(WIDTH, 780, f"{found.series.name}: a kernel over time")
    board.text(
        LEFT,
        28,
        f"{found.series.name}: a moving average of {found.window} and an autoregression of {found.order}",
        "title",
    )
    _lines(board, found, Frame(left=80, top=76, right=WIDTH - 30, bottom=330))
    board.text(LEFT, 412, "the kernels, the nearest value first", "title")
    _weights(board, found, Frame(left=80, top=440, right=400, bottom=690))
    board.text(470, 412, "what they make of a wave", "title")
    _gains(board, found, Frame(left=530, top=440, right=WIDTH - 30, bottom=690))
    period = f"; it swings with a period of {found.period:.1f}" if found.period else "; it does not swing"
    weights = ", ".join(f"{w:.3f}" for w in found.weights[:4]) + (", ..." if found.order > 4 else "")
    board.text(
        LEFT, 760, f"autoregression: weights {weights}; {share(found.left)} of the variance is left{period}", "soft"
    )
    return board.svg()


def _lines(board: Board, found: Smoothed, frame: Frame) -> None:
    at, values = found.series.at, found.series.values
    step = (at[-1] - at[0]) / max(len(at) - 1, 1) or 1.0
    later = at[-1] + step * np.arange(0, len(found.forecast) + 1)
    ahead = np.concatenate([values[-1:], found.forecast])
    low = min(0.0, float(values.min()), float(ahead.min()))
    high = max(float(values.max()), float(ahead.max())) * 1.05 or 1.0
    across, up = frame.across(float(at[0]), float(later[-1])), frame.up(low, high)
    span = float(later[-1] - at[0])
    marks = [v for v in _round(float(at[0]), span) if v <= later[-1]]
    y = [(up(v), f"{v:g}") for v in ticks(high)]
    axes(board, frame, [(across(v), f"{v:g}") for v in marks], y, "time", "value")
    for line, x, each in (("l6", at, values), ("l0", found.average_at, found.average), ("l4", later, ahead)):
        board.path([(across(float(a)), up(float(v))) for a, v in zip(x, each, strict=True)], line)
    entries = [(6, "as observed"), (0, f"moving average of {found.window}"), (4, "forecast of the autoregression")]
    legend(board, frame.left, frame.top - 12, entries, frame.right)


def _round(first: float, span: float) -> list[float]:
    step = ticks(span)[1] if len(ticks(span)) > 1 else 1.0
    start = np.ceil(first / step) * step
    return [float(start + step * i) for i in range(int(span / step) + 2)]


def _weights(board: Board, found: Smoothed, frame: Frame) -> None:
    count = max(found.window, found.order + 1)
    average = [1 / found.window] * found.window
    back = [0.0, *found.weights.tolist()]
    low, high = min(0.0, *back) * 1.1, max(*average, *back) * 1.15
    across, up = frame.across(-0.5, count - 0.5), frame.up(low, high)
    shown = [i for i in range(count) if count <= 15 or i % 5 == 0]
    marks = sorted({*ticks(high, 4), *(-v for v in ticks(-low, 3))})
    y = [(up(v), f"{v:g}") for v in marks]
    axes(board, frame, [(across(i), str(i)) for i in shown], y, "steps back", "weight")
    board.line(frame.left, up(0), frame.right, up(0), "edge")
    wide = (frame.right - frame.left) / count * 0.38
    for hue, weights, shift in ((0, average, -wide), (4, back, 0.0)):
        for i, weight in enumerate(weights):
            top, bottom = min(up(weight), up(0)), max(up(weight), up(0))
            board.bar(across(i) + shift, top, wide, bottom - top, hue, f"{i} back: {weight:.4g}")
    legend(board, frame.left, frame.top - 8, [(0, "moving average"), (4, "autoregression")], frame.right)


def _gains(board: Board, found: Smoothed, frame: Frame) -> None:
    frequencies = np.linspace(0, 0.5, _WAVES)
    gains = found.gain(frequencies)
    high = float(max(g.max() for g in gains)) * 1.08
    across, up = frame.across(0, 0.5), frame.up(0, high)
    x = [(across(v), f"{v:g}") for v in (0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    axes(board, frame, x, [(up(v), f"{v:g}") for v in ticks(high)], "cycles a step of time", "gain")
    for hue, gain in ((0, gains[0]), (4, gains[1])):
        board.path([(across(float(f)), up(float(g))) for f, g in zip(frequencies, gain, strict=True)], f"l{hue}")
    if found.period:
        board.line(across(1 / found.period), frame.top, across(1 / found.period), frame.bottom, "dash")
        board.text(across(1 / found.period) + 6, frame.top + 12, f"one cycle in {found.period:.1f}", "soft")


# ---- learned


def learned_svg(found: Learned) -> str:
    """Kernels before and after, and how much of each is a first derivative."""
    count = len(found.after)
    rows = -(-count // _ACROSS)
    cell = (WIDTH - 2 * LEFT - 40) / 2 / _ACROSS
    top = 92 + rows * (cell + 8)
    board = Board(WIDTH, top + 360, f"Kernels of the first layer of {found.task}")
    first, last = found.losses
    board.text(LEFT, 28, f"First layer of {found.task}: {count} kernels, {found.steps} steps", "title")
    board.text(
        LEFT, 48, f"loss {first:.3f} at the first step, {last:.3f} at the last; blue adds, orange takes away", "soft"
    )
    half = WIDTH / 2 + 10
    for x, words, kernels in ((LEFT, "before training", found.before), (half, "after", found.after)):
        board.text(x, 76, words)
        for place, values in enumerate(kernels):
            at = x + place % _ACROSS * cell, 86 + place // _ACROSS * (cell + 8)
            kernel_squares(board, *at, cell - 8, Kernel(name=str(place + 1), values=values))
            if place == found.edge:
                a, b, side = at[0] - 2, at[1] - 2, cell - 4
                board.shape(f"M{a:.1f} {b:.1f}h{side:.1f}v{side:.1f}h-{side:.1f}z", "l4 line", width=2)
    _best(board, found, top + 20)
    _shares(board, found, Frame(left=half + 40, top=top + 50, right=WIDTH - 40, bottom=top + 300))
    return board.svg()


def _best(board: Board, found: Learned, y: float) -> None:
    place = found.edge
    board.text(LEFT, y, f"the edge detector that it found: kernel {place + 1}, framed", "title")
    kernel_squares(board, LEFT, y + 16, 150, Kernel(name="best", values=found.after[place]))
    name, cosine = found.nearest[place]
    words = (
        f"{share(float(found.edge_after[place]))} of its energy is a first derivative,",
        f"before training {share(float(found.edge_before[place]))}; by chance {share(found.chance)}",
        f"it looks in the direction of {found.angle:.0f}° (0 right, 90 down)",
        f"nearest: {name}, cosine {cosine:.2f}",
    )
    for line, text in enumerate(words):
        board.text(LEFT, y + 192 + 17 * line, text, "soft")


def _shares(board: Board, found: Learned, frame: Frame) -> None:
    """Each kernel's share before, across, and after, up; a dot each."""
    across, up = frame.across(0, 1), frame.up(0, 1)
    marks = (0.0, 0.25, 0.5, 0.75, 1.0)
    x, y = [(across(v), f"{v:g}") for v in marks], [(up(v), f"{v:g}") for v in marks]
    board.text(frame.left - 40, frame.top - 14, "share of a kernel that is a first derivative", "")
    axes(board, frame, x, y, "before training", "after")
    board.path([(across(0), up(0)), (across(1), up(1))], "dash")
    for i, (a, b) in enumerate(zip(found.edge_before.tolist(), found.edge_after.tolist(), strict=True)):
        board.dot(across(a), up(b), 4 if i == found.edge else 0, f"kernel {i + 1}: {a:.2f} before, {b:.2f} after")
    for x1, y1, x2, y2 in ((0.0, found.chance, 1.0, found.chance), (found.chance, 0.0, found.chance, 1.0)):
        board.line(across(x1), up(y1), across(x2), up(y2), "dash")
    board.text(frame.right - 4, up(found.chance) - 5, "chance", "soft", "end")


def learned_png(found: Learned) -> Pixels:
    """The kernels after training, each pixel enlarged, in rows of 8."""
    rows, columns = found.after.shape[1:]
    count = len(found.after)
    down = -(-count // _ACROSS)
    out = np.full((down * (rows + 1), _ACROSS * (columns + 1)), 255, dtype=np.uint8)
    for place, values in enumerate(found.after):
        y, x = place // _ACROSS * (rows + 1), place % _ACROSS * (columns + 1)
        out[y : y + rows, x : x + columns] = grey(values, signed=True)[..., 0]
    return out.repeat(_ENLARGED, 0).repeat(_ENLARGED, 1)[..., None]
