"""Measured rates: what one machine takes for each kind of operation, between the sizes at which it was timed.

    seconds = (sum over i of c_i amount_i) x exp(sum over points j of pull_j exp(-|x - x_j|^2 / 2 reach^2))

amount: one call, FLOP, bytes, steps, as the kind has them; x: base-2 logarithms of the sizes; x_j: sizes that were
timed. The sum is a law with three or four constants; the second factor is what the machine does otherwise near the
sizes that were timed, and is 1 far from all of them. Shape letters as in models/operations.py; those of a convolution
as in measure/reading.py.

Left out: what the operations before it leave in the caches, other than on average.
Source: Gaussian process regression with a linear mean (Rasmussen and Williams 2006, section 2.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.measurements.pace import part_of

Floats = NDArray[np.float64]
Sizes = Mapping[str, Floats]
POOLED = "stream"
_BYTES = 4.0  # of a float32, in which the kinds are counted


def _one(sizes: Sizes) -> Floats:
    return np.ones_like(next(iter(sizes.values())))


def _product(s: Sizes) -> list[Floats]:
    return [_one(s), 2 * s["m"] * s["n"] * s["k"], _BYTES * (s["m"] * s["k"] + s["k"] * s["n"] + s["m"] * s["n"])]


def _batched(s: Sizes) -> list[Floats]:
    one, flop, moved = _product(s)
    return [one, s["b"] * flop, s["b"] * moved]


def _conv(s: Sizes) -> list[Floats]:
    weights = s["g"] * s["k"] * s["c"] * s["r"]
    moved = s["b"] * s["g"] * (s["c"] * s["s"] + s["k"] * s["p"])
    return [_one(s), 2 * s["b"] * s["p"] * weights, _BYTES * (moved + weights)]


def _attention(s: Sizes) -> list[Floats]:
    return [_one(s), 4 * s["b"] * s["m"] * s["n"] * s["k"], _BYTES * s["b"] * s["k"] * 2 * (s["m"] + s["n"])]


def _recurrent(s: Sizes) -> list[Floats]:
    weights = 4 * s["n"] * (s["n"] + s["k"])
    return [_one(s), 2 * s["b"] * s["t"] * weights, _BYTES * s["b"] * s["t"] * (s["k"] + 6 * s["n"]), s["t"]]


def _embedding(s: Sizes) -> list[Floats]:
    return [_one(s), _BYTES * s["m"] * s["n"], _BYTES * s["k"] * s["n"]]


def _stream(s: Sizes) -> list[Floats]:
    return [_one(s), _BYTES * s["amount"]]


def _call(s: Sizes) -> list[Floats]:
    return [_one(s)]


def _tensor(s: Sizes) -> list[Floats]:
    return [_one(s), _BYTES * s["n"]]


_AMOUNTS: Mapping[str, tuple[str, Callable[[Sizes], list[Floats]]]] = {
    "product": ("mnk", _product),
    "batched": ("bmnk", _batched),
    "conv": ("bckgpsr", _conv),
    "attention": ("bmnk", _attention),
    "causal attention": ("bmnk", _attention),
    "recurrent": ("btnk", _recurrent),
    "embedding": ("mnk", _embedding),
    "optimizer": ("n", _tensor),
    "optimizer call": ("n", _call),
}


def letters(kind: str) -> tuple[str, ...]:
    """The sizes that a kind's time goes by."""
    return tuple(_AMOUNTS[kind][0]) if kind in _AMOUNTS else ("amount",)


def amounts(kind: str, sizes: Mapping[str, ArrayLike]) -> Floats:
    """What the law of a kind counts, along the last dim: calls, FLOP, bytes and so on.

    >>> amounts("product", {"m": 2, "n": 3, "k": 4}).tolist()
    [1.0, 48.0, 104.0]
    """
    arrays = dict(
        zip(sizes, np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in sizes.values())), strict=True)
    )
    work = _AMOUNTS[kind][1] if kind in _AMOUNTS else _stream
    return np.stack(work(arrays), axis=-1)


def logarithms(kind: str, sizes: Mapping[str, ArrayLike]) -> Floats:
    """Base-2 logarithms of the sizes, along the last dim."""
    arrays = np.broadcast_arrays(*(np.asarray(sizes[name], dtype=np.float64) for name in letters(kind)))
    return np.asarray(np.log2(np.maximum(np.stack(arrays, axis=-1), 2.0**-10)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One kind and pass. constants: of the law, one an amount. at [P, d], pull [P], reach: of the second factor.

    spread: standard deviation of the logarithm of what was timed around what the other points say of it.
    """

    kind: str
    constants: Floats
    at: Floats
    pull: Floats
    reach: float
    spread: float

    def seconds(self, **sizes: ArrayLike) -> Floats:
        """Seconds of one operation, arrays broadcast."""
        law = amounts(self.kind, sizes) @ self.constants
        if not len(self.at):
            return np.asarray(law)
        apart = logarithms(self.kind, sizes)[..., None, :] - self.at
        near = np.exp(-0.5 * np.einsum("...i,...i->...", apart, apart) / self.reach**2)
        return np.asarray(law * np.exp(near @ self.pull))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "constants": self.constants.tolist(),
            "at": self.at.tolist(),
            "pull": self.pull.tolist(),
            "reach": self.reach,
            "spread": self.spread,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Curve:
        """Read what to_dict wrote."""
        arrays = {key: np.array(data[key], dtype=np.float64) for key in ("constants", "at", "pull")}
        return cls(kind=data["kind"], reach=float(data["reach"]), spread=float(data["spread"]), **arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The curves of one machine at one number of ranks and threads, by kind and pass.

    operation_s: seconds that a step costs for each operation besides; step_s: and once.
    """

    curves: Mapping[tuple[str, str], Curve] = field(default_factory=dict)
    operation_s: float = 0.0
    step_s: float = 0.0

    def curve(self, kind: str, which: str = "") -> Curve | None:
        """The curve of a kind; of a stream that was not timed that of all streams together."""
        found = self.curves.get((kind, which))
        return found or (None if kind in _AMOUNTS else self.curves.get((POOLED, "")))

    def slower(self, factors: Mapping[str, float]) -> Rates:
        """Rates at which each part of the pace takes so many times as long; the first amount of a law is the call."""
        call = factors["call"]

        def paced(curve: Curve) -> Curve:
            each = np.full(len(curve.constants), factors[part_of(curve.kind)])
            each[0] = call
            return replace(curve, constants=curve.constants * each)

        curves = {key: paced(curve) for key, curve in self.curves.items()}
        return Rates(curves=curves, operation_s=self.operation_s * call, step_s=self.step_s * call)
