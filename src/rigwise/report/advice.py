"""Pictures of advice: money against speed, the general charts, a power cap's curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from rigwise import units
from rigwise.report.svg import Board, Frame, axes, legend, ticks

if TYPE_CHECKING:
    from rigwise.advise.advice import Advice
    from rigwise.advise.charts import Bar
    from rigwise.advise.choice import Choice
    from rigwise.advise.needs import Need
    from rigwise.advise.powercap import Capped

_WIDTH, _LEFT, _RIGHT = 860.0, 90.0, 830.0
_HUES = {"new": 0, "used": 2, "rent": 5, "spot": 3}
_LEAST = 0.01  # of a currency: what is there already costs nothing
_NAMED = 9  # points of the frontier that carry a number
_SLOWEST = 50.0  # times slower than the fastest: slower ones would press the others together
_ROWS = 30  # cards in a chart
_LETTERS = 25  # of a card's name in a chart


def advice_svg(advice: Advice) -> str:
    """Every way within the limits as a point, the frontier as a line that carries numbers.

    Without an amount of work: dollars spent across, speed up. With one: time until it is done across, dollars up.
    """
    need = advice.need
    points = [c for c in advice.every if c.candidate.name not in advice.refused]
    points = [c for c in points if c.throughput * _SLOWEST > max(other.throughput for other in points)]
    board = Board(_WIDTH, 580, f"Money and speed for {need.model.name}")
    says = (
        f"over {need.years:g} years: speed against money"
        if need.work is None
        else "until the work is done: money over time"
    )
    board.text(20, 28, f"{need.model.name}, {says}", "title")
    top = legend(board, 20, 52, [(_HUES[word], word) for word in need.conditions], _RIGHT)
    frame = Frame(left=_LEFT, top=top + 6, right=_RIGHT, bottom=465)
    place = _over_time(board, frame, points, need) if need.work is not None else _over_money(board, frame, points, need)
    for choice in points:
        x, y = place(choice)
        board.dot(x, y, _HUES[choice.candidate.condition], _told(choice, need), 3)
    front = [c for c in advice.pareto if c in points]
    board.path([place(c) for c in front], "l0")
    for number, choice in enumerate(_spaced(front), start=1):
        x, y = place(choice)
        board.text(x, y - 8, str(number), "", "middle")
        column, row = divmod(number - 1, 3)
        board.text(_LEFT + 250 * column, 524 + 18 * row, f"{number}: {choice.candidate.name}", "soft")
    return board.svg()


Place = Callable[["Choice"], tuple[float, float]]


def _over_money(board: Board, frame: Frame, points: Sequence[Choice], need: Need) -> Place:
    """Axes of dollars across and speed up."""
    from rigwise.advise.choice import scale

    per, unit = scale(need)
    low_x, high_x = _decades([_paid(c, need) for c in points])
    low_y, high_y = _decades([c.throughput * per for c in points])
    across, up = frame.across(low_x, high_x, log=True), frame.up(low_y, high_y, log=True)
    money = [(across(v), _amount(v, need)) for v in _steps(low_x, high_x)]
    speed = [(up(v), units.show_number(v)) for v in _steps(low_y, high_y)]
    axes(board, frame, money, speed, f"{need.currency or 'US dollars'} spent", f"{unit} a second")
    return lambda c: (across(_paid(c, need)), up(c.throughput * per))


def _over_time(board: Board, frame: Frame, points: Sequence[Choice], need: Need) -> Place:
    """Axes of the time until the work is done across and dollars up."""
    times = [c.time_s or 0.0 for c in points]
    unit, scale = units.time_unit(sorted(times)[len(times) // 2])
    low_x, high_x = _decades([took / scale for took in times])
    low_y, high_y = _decades([_paid(c, need) for c in points])
    across, up = frame.across(low_x, high_x, log=True), frame.up(low_y, high_y, log=True)
    took = [(across(v), units.show_number(v)) for v in _steps(low_x, high_x)]
    money = [(up(v), _amount(v, need)) for v in _steps(low_y, high_y)]
    axes(board, frame, took, money, f"time until the work is done ({unit})", f"{need.currency or 'US dollars'} spent")
    return lambda c: (across((c.time_s or 0.0) / scale), up(_paid(c, need)))


def _paid(choice: Choice, need: Need) -> float:
    """What is spent, in the reader's currency; a logarithmic axis has no place for what costs nothing."""
    return max(choice.spend * need.per_usd, _LEAST)


def _amount(value: float, need: Need) -> str:
    return need.money(value / need.per_usd)


def _told(choice: Choice, need: Need) -> str:
    """What a point says to who looks closer."""
    from rigwise.advise.choice import scale

    per, unit = scale(need)
    speed = f"{units.show_number(float(f'{choice.throughput * per:.3g}'))} {unit}/s"
    took = "" if choice.time_s is None else f", done in {units.show_seconds(choice.time_s)}"
    return f"{choice.candidate.name}: {speed}, {need.money(choice.spend)}{took}"


def _spaced(front: Sequence[Choice]) -> list[Choice]:
    """At most a few of the frontier, evenly, ends included."""
    if len(front) <= _NAMED:
        return list(front)
    return [front[round(i * (len(front) - 1) / (_NAMED - 1))] for i in range(_NAMED)]


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Round limits of a logarithmic axis: 1, 2 or 5 times a power of ten around the values."""
    low, high = min(values), max(values)
    round_ones = [10.0**p * f for p in range(floor(log10(low)) - 1, ceil(log10(high)) + 2) for f in (1, 2, 5)]
    return max(v for v in round_ones if v <= low * 0.95), min(v for v in round_ones if v >= high * 1.05)


def _steps(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two values; powers alone over more than four decades."""
    first, last = floor(log10(low)), ceil(log10(high))
    factors = (1, 2, 5) if last - first <= 4 else (1,)
    return [10.0**p * f for p in range(first, last + 1) for f in factors if low * 0.999 <= 10.0**p * f <= high * 1.001]


def chart_svg(work: str, bars: Sequence[Bar]) -> str:
    """Two columns of bars: speed, and speed for the money, of the cards that have a price."""
    by_speed = list(bars)[:_ROWS]
    from rigwise.advise.charts import by_value

    dear = by_value(bars)[:_ROWS]
    rows = max(len(by_speed), len(dear))
    board = Board(_WIDTH, 90 + 17 * rows, f"Cards at {work}")
    board.text(20, 28, f"{work.replace('-', ' ')}: every card, from the cost model", "title")
    _column(board, "speed, the fastest is 1", [(_short(b), b.relative, 0, b.measured) for b in by_speed], 20.0)
    value = [(_short(b), b.value or 0.0, 5, b.measured) for b in dear]
    _column(board, "speed for card, desktop and power", value, 440.0)
    board.text(20, 82 + 17 * rows, "* no card of its architecture was measured", "soft")
    return board.svg()


def _short(bar: Bar) -> str:
    """The vendor's name of a card where the column has room for it, else its id."""
    return bar.name if len(bar.name) <= _LETTERS else bar.device


def _column(board: Board, title: str, rows: Sequence[tuple[str, float, int, bool]], left: float) -> None:
    board.text(left, 54, title)
    for place, (name, share, hue, measured) in enumerate(rows):
        y = 62 + 17 * place
        board.text(left + 178, y + 11, name + ("" if measured else " *"), "soft", "end")
        board.bar(left + 184, y + 1, 170 * share, 12, hue, f"{name}: {share:.2f}")
        board.text(left + 190 + 170 * share, y + 11, f"{share:.2f}", "soft")


def caps_svg(card: str, rows: Sequence[Capped]) -> str:
    """Speed over the limit in watts, beside the line of a speed that falls with the power."""
    board = Board(_WIDTH, 400, f"Power cap of {card}")
    board.text(20, 28, f"{card}: speed under a power cap", "title")
    frame = Frame(left=_LEFT, top=50, right=_RIGHT - 20, bottom=345)
    most = rows[0].watts
    across, up = frame.across(0, most * 1.05), frame.up(0, 1.05)
    axes(
        board,
        frame,
        [(across(v), f"{v:g}") for v in ticks(most * 1.05)],
        [(up(v), f"{v:.0%}") for v in ticks(1.05)],
        "power limit (W)",
        "speed",
    )
    board.path([(across(0), up(0)), (across(most), up(1))], "dash")
    board.text(across(most * 0.45) + 8, up(0.45) + 14, "as much slower as weaker", "soft")
    board.path([(across(row.watts), up(row.speed)) for row in rows], "l0")
    for row in rows:
        board.dot(across(row.watts), up(row.speed), 0, f"{row.watts:.0f} W: {row.speed:.1%}")
    return board.svg()
