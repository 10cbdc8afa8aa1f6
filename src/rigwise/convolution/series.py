"""A kernel over time: the weights of a moving average, and of an autoregression.

A moving average is a convolution with weights that sum to 1. An autoregression says each value as weights over the
values before it, x[t] = a[1] x[t-1] + ... + a[p] x[t-p] + noise: its forecast is a causal convolution, and its weights
are found by least squares. Roots of its polynomial that are complex make it swing: with r e^(i w) the period is 2 pi /
w. Source: Yule 1927, "On a Method of Investigating Periodicities in Disturbed Series", who found a[1] = 1.343 and
a[2] = -0.655 for the sunspots of 1749 to 1924.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.geometry import geometry
from rigwise.convolution.kernels import direct_forward
from rigwise.errors import NotFoundError, UsageError

Floats = NDArray[np.float64]
SAMPLE = "sunspots"
MOST_VALUES = 1_000_000

_AHEAD = 30  # values that are forecast
_UNIT_ROOT = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Values over time. at: their times, or 0, 1, 2, ... where a file has one column."""

    name: str
    at: Floats
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Smoothed:
    """A series under both kinds of kernel.

    average: the moving average, one value a window; average_at: the middle of each. weights: of the autoregression,
    the nearest value's first. predicted: each value from those before it, the first `order` apart. period: in steps of
    time; None where it does not swing. left: share of the variance that the autoregression does not say.
    """

    series: Series
    window: int
    average_at: Floats
    average: Floats
    weights: Floats
    mean: float
    predicted: Floats
    forecast: Floats
    period: float | None
    left: float

    @property
    def order(self) -> int:
        """Values back that the autoregression looks at."""
        return len(self.weights)

    def gain(self, frequencies: Floats) -> tuple[Floats, Floats]:
        """What each kernel makes of a wave of so many cycles a step: the average's gain, the autoregression's."""
        turns = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(max(self.window, self.order + 1))))
        average = np.abs(turns[:, : self.window].mean(1))
        back = np.concatenate([[1.0], -self.weights])
        return average, 1 / np.abs(turns[:, : self.order + 1] @ back)

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON."""
        return {
            "series": self.series.name,
            "values": len(self.series.values),
            "window": self.window,
            "average": self.average.tolist(),
            "order": self.order,
            "weights": self.weights.tolist(),
            "mean": self.mean,
            "period": self.period,
            "variance_left": self.left,
            "forecast": self.forecast.tolist(),
        }


def read_series(spec: str | Path | Series = SAMPLE, first: float | None = None, last: float | None = None) -> Series:
    """The series that a text means: "sunspots", or a CSV file with one column of values or two of time and value.

    first, last: only the times between. A first line of words is a heading. Raises UsageError for what is no number.

    >>> len(read_series(first=1749, last=1924).values)
    176
    """
    if isinstance(spec, Series):
        return spec
    if str(spec) == SAMPLE:
        name, text = SAMPLE, (files("rigwise.convolution") / "data" / f"{SAMPLE}.csv").read_text(encoding="utf-8")
    else:
        name, text = _read(Path(spec).expanduser())
    rows = [[entry.strip() for entry in line.split(",")] for line in text.splitlines() if line.strip()]
    if rows and any(_number(entry) is None for entry in rows[0]):
        rows = rows[1:]
    table = _table(name, rows)
    at = table[:, 0] if table.shape[1] == 2 else np.arange(len(table), dtype=np.float64)
    kept = (at >= (-math.inf if first is None else first)) & (at <= (math.inf if last is None else last))
    return Series(name=name, at=at[kept], values=table[kept, -1])


def _read(path: Path) -> tuple[str, str]:
    if not path.is_file():
        raise NotFoundError(f"no series {str(path)!r}", rule=f"a CSV file, or {SAMPLE}", nearest=SAMPLE)
    try:
        return path.name, path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is no text", rule="a series is a CSV file of numbers") from None


def _number(entry: str) -> float | None:
    try:
        value = float(entry)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _table(name: str, rows: list[list[str]]) -> Floats:
    if not rows or len(rows[0]) > 2 or len(rows) > MOST_VALUES:
        what = f"{len(rows)} lines of {len(rows[0]) if rows else 0} columns"
        raise UsageError(f"{name} has {what}", rule=f"1 to {MOST_VALUES:,} lines of a value, or of time and value")
    table = []
    for place, row in enumerate(rows, 1):
        numbers = [value for value in map(_number, row) if value is not None]
        if len(numbers) != len(rows[0]):
            raise UsageError(
                f"{name}, line {place} of numbers: {','.join(row)!r}", rule="every line has the same numbers"
            )
        table.append(numbers)
    return np.array(table, dtype=np.float64)


def smooth(series: Series, *, window: int = 11, order: int = 2) -> Smoothed:
    """A moving average of `window` values, and an autoregression on the `order` values before.

    Raises UsageError where the series is too short or even.

    >>> yule = smooth(read_series(first=1749, last=1924))
    >>> [round(weight, 2) for weight in yule.weights.tolist()], round(yule.period, 1)
    ([1.34, -0.65], 10.6)
    """
    values, count = series.values, len(series.values)
    if not 1 <= window <= count:
        raise UsageError(f"a window of {window} over {count} values", rule="1 to as many values as there are")
    if not 1 <= order <= (count - 2) // 2:
        raise UsageError(f"an order of {order} over {count} values", rule="at least 1, and at most half of the values")
    mean = float(values.mean())
    weights, predicted = _regress(values - mean, order)
    rest = (values[order:] - mean - predicted).var()
    average = causal(values, np.full(window, 1 / window))[window - 1 :]
    return Smoothed(
        series=series,
        window=window,
        average_at=(series.at[window - 1 :] + series.at[: count - window + 1]) / 2,
        average=average,
        weights=weights,
        mean=mean,
        predicted=predicted + mean,
        forecast=_ahead(values - mean, weights) + mean,
        period=_period(weights),
        left=float(rest / values.var()),
    )


def causal(values: Floats, kernel: Floats) -> Floats:
    """The convolution sum over j of kernel[j] values[t - j], with zeros before the first value; nothing looks ahead."""
    x, w = values[None, None], np.ascontiguousarray(kernel[::-1])[None, None]
    shape = geometry(x.shape, w.shape, padding="causal")
    return np.asarray(direct_forward(x, w, shape)[0, 0], dtype=np.float64)


def _regress(values: Floats, order: int) -> tuple[Floats, Floats]:
    """Weights by least squares, and each value but the first `order` as they say it, which is a causal convolution."""
    if not values.any():
        raise UsageError("a series whose values are all the same", rule="a series changes")
    before = np.stack([values[order - back : len(values) - back] for back in range(1, order + 1)], axis=1)
    weights, *_ = np.linalg.lstsq(before, values[order:], rcond=None)
    told = causal(values, np.concatenate([[0.0], weights]))[order:]
    return np.asarray(weights, dtype=np.float64), told


def _ahead(values: Floats, weights: Floats) -> Floats:
    known = list(values[-len(weights) :])
    for _ in range(_AHEAD):
        known.append(float(weights @ known[: -len(weights) - 1 : -1]))
    return np.array(known[len(weights) :])


def _period(weights: Floats) -> float | None:
    """Of the slowest-fading swing."""
    roots = np.roots(np.concatenate([[1.0], -weights]))
    swinging = roots[np.abs(roots.imag) > _UNIT_ROOT]
    if not len(swinging):
        return None
    slowest = swinging[np.abs(swinging).argmax()]
    return float(2 * np.pi / abs(np.angle(slowest)))
