"""Pictures of what convolutions cost: the map of winners, and one layer's algorithms side by side."""

from __future__ import annotations

from rigwise import units
from rigwise.cost.algorithms import ALGORITHMS
from rigwise.cost.convolution import PASSES
from rigwise.cost.layercost import LayerCost, WinMap
from rigwise.report.conv_board import LEFT, WIDTH
from rigwise.report.scatter import decades
from rigwise.report.svg import Board, Frame, legend
from rigwise.units import show_power_of_ten

_HUES = dict(zip(ALGORITHMS, (0, 6, 5, 3, 7, 2, 4), strict=True))
_CELL = 34.0


def map_svg(found: WinMap) -> str:
    """A cell a kernel and image size: the winner's colour, and how many times as long the matrix product takes."""
    rows = len(found.kernels)
    tall = _CELL * rows
    board = Board(WIDTH, 150 + tall + 60, f"Which convolution wins where on {found.device}")
    c, k = found.channels
    groups = f", {found.groups} groups" if found.groups > 1 else ""
    board.text(
        LEFT, 28, f"The soonest algorithm on {found.device} in {found.precision}, {_words(found.which)}", "title"
    )
    board.text(
        LEFT, 48, f"{c} to {k} channels{groups}, batch {found.batch}; kernels and images are square, sizes kept", "soft"
    )
    board.text(LEFT, 64, "the number: how many times as long the implicit matrix product takes", "soft")
    winners = {found.winner(i, j) for i in range(rows) for j in range(len(found.sizes))}
    top = legend(board, LEFT, 90, [(_HUES[name], name) for name in ALGORITHMS if name in winners], WIDTH - LEFT)
    frame = Frame(left=80, top=top, right=WIDTH - 40, bottom=top + tall)
    wide = (frame.right - frame.left) / len(found.sizes)
    for i, r in enumerate(found.kernels):
        y = frame.bottom - (i + 1) * _CELL
        board.text(frame.left - 8, y + _CELL / 2 + 4, str(r), "soft", "end")
        for j, n in enumerate(found.sizes):
            _cell(board, found, i, j, (frame.left + j * wide, y, wide, _CELL), f"{r} x {r} over {n} x {n}")
    for j, n in enumerate(found.sizes):
        board.text(frame.left + (j + 0.5) * wide, frame.bottom + 16, str(n), "soft", "middle")
    board.text((frame.left + frame.right) / 2, frame.bottom + 36, "image (pixels a side)", "", "middle")
    board.text(34, (frame.top + frame.bottom) / 2, "kernel (pixels a side)", "", "middle", -90)
    return board.svg()


def _cell(board: Board, found: WinMap, i: int, j: int, box: tuple[float, float, float, float], what: str) -> None:
    x, y, width, height = box
    name = found.winner(i, j)
    says = f"{what}: {name}, {units.show_seconds(found.best(i, j))}"
    steps = f"M{x + 1:.1f} {y + 1:.1f}h{width - 2:.1f}v{height - 2:.1f}h-{width - 2:.1f}z"
    board.shape(steps, f"h{_HUES[name]}", says, opacity=0.45)
    if name != "implicit":
        over = found.over(i, j)
        board.text(x + width / 2, y + height / 2 + 4, f"{over:.1f}" if over < 9.95 else f"{over:.0f}", "", "middle")


def _words(which: str) -> str:
    return f"{which.replace('_', ' ')} pass"


def layer_svg(found: LayerCost) -> str:
    """A bar an algorithm and pass on a logarithmic axis, with the 80 % interval as a whisker."""
    known = [name for name, row in found.seconds.items() if any(v is not None for v in row.values())]
    top, row = 110.0, 62.0
    board = Board(WIDTH, top + row * len(known) + 70, f"{found.layer.name} on {found.device}")
    s = found.shape
    size, kernel, out = ("x".join(map(str, n)) for n in (s.size, s.kernel, s.out))
    board.text(LEFT, 28, f"{found.layer.name} on {found.device} in {found.precision}, batch {found.batch}", "title")
    told = f"{s.c} channels {size} to {s.k} {out}, kernel {kernel}: {units.show_flops(found.flops)} a pass"
    told += f", {units.show_bytes(found.bytes)}, {found.intensity:,.0f} FLOP/B (balance {found.balance:,.0f})"
    board.text(LEFT, 48, told, "soft")
    legend(
        board, LEFT, 74, [(hue, words.replace("_", " ")) for hue, words in zip((0, 5, 2), PASSES, strict=True)], WIDTH
    )
    values = [v for name in known for v in found.seconds[name].values() if v is not None]
    widest = max(found.factors.values())
    low, high = min(values) / widest / 1.3, max(values) * widest * 1.6
    frame = Frame(left=120, top=top - 10, right=WIDTH - 100, bottom=top + row * len(known))
    across = frame.across(low, high, log=True)
    for value in decades(low, high):
        board.line(across(value), frame.top, across(value), frame.bottom)
        board.text(across(value), frame.bottom + 16, units.show_seconds(value), "soft", "middle")
    board.text(
        (frame.left + frame.right) / 2, frame.bottom + 36, "time of one pass; lines: 80 % intervals", "", "middle"
    )
    for place, name in enumerate(known):
        board.text(frame.left - 8, frame.top + row * place + 34, name, "", "end")
        for line, which in enumerate(PASSES):
            took = found.seconds[name][which]
            if took is not None:
                y = frame.top + row * place + 8 + 16 * line
                board.bar(frame.left, y, across(took) - frame.left, 12, (0, 5, 2)[line], f"{name}, {which}")
                factor = found.factors[which]
                board.line(across(took / factor), y + 6, across(took * factor), y + 6, "edge")
                board.text(across(took * factor) + 6, y + 10, units.show_seconds(took), "soft")
    return board.svg()


def intensity_words(found: LayerCost) -> str:
    """What binds the layer, in words.

    Products bind above the device's balance, bytes below.
    """
    binds = "products bind" if found.intensity > found.balance else "bytes bind"
    return f"{show_power_of_ten(found.intensity)} FLOP/B; the device balances at {found.balance:,.0f}: {binds}"
