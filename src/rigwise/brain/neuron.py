"""A cell run on spike trains: each step of the walk as it is done, with what comes out of it.

Arrays over inputs are rows x columns x time (float32); one time step is 1/30 s unless the cell says otherwise. Weights
are drawn, as nobody has measured those of a whole cell: receptors log-normal, the dendrite's filter an exponential
decay over space and time, which is separable and so quick to apply. Time is walked in spans, so that a minute of a
large cell needs no more memory than two seconds. What is shown is how the steps act on spikes, not
what a real cell would say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.mapping import CELLS, Cell, blocks, network
from rigwise.errors import UsageError, check_whole, not_found

Floats = NDArray[np.float64]
WAIT = 0.5  # mean periods that a cell waits after it fired
_SPAN = 60  # time steps that are held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What came out of each step, one number a time step. blocks: FLOP of each block of the network.

    arriving: spikes at all inputs. transmitted: after the receptors, summed over inputs. charge: mean over the dendrite
    after diffusion. spots: mean after max-pooling. potential: at the soma, above its mean, which is taken as the
    threshold. threshold: after ReLU. blocked: whether a refractory wait is on. released: what the axon sends, 0 to 1.
    """

    cell: Cell
    seconds: float
    rate: float
    blocks: Mapping[str, float]
    arriving: Floats
    transmitted: Floats
    charge: Floats
    spots: Floats
    potential: Floats
    threshold: Floats
    blocked: NDArray[np.bool_]
    released: Floats

    @property
    def flops(self) -> float:
        """FLOP of one evaluation."""
        return sum(self.blocks.values())

    @property
    def series(self) -> Mapping[str, Floats]:
        """The steps in their order."""
        names = ("arriving", "transmitted", "charge", "spots", "potential", "threshold", "blocked", "released")
        return {name: np.asarray(getattr(self, name), dtype=np.float64) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a run."""
        return {
            "cell": self.cell.name,
            "sizes": asdict(self.cell),
            "seconds": self.seconds,
            "rate_hz": self.rate,
            "steps_per_s": self.cell.frames,
            "flop_per_evaluation": self.flops,
            "blocks": dict(self.blocks),
            "walk": [dict(row) for row in blocks()],
            "spikes_out": int((self.released > 0).sum()),
            "series": {name: values.tolist() for name, values in self.series.items()},
        }


def cell_of(name: str) -> Cell:
    """A cell by its name. Raises NotFoundError for another than purkinje and granule."""
    if name not in CELLS:
        raise not_found("cell", name, CELLS, hint=", ".join(CELLS))
    return CELLS[name]


def run_cell(
    name: str | Cell, *, rate: float = 5.0, seconds: float = 2.0, burst: float = 4.0, wait: float = WAIT, seed: int = 0
) -> Trace:
    """A cell on Poisson spike trains of `rate` Hz that rise `burst`-fold in every second half-second.

    name: purkinje, granule, or sizes of one's own. Raises NotFoundError for another name and UsageError for a rate, a
    burst or a length that cannot be.

    >>> trace = run_cell("granule", seed=1)
    >>> len(trace.released), bool((trace.released[trace.blocked] == 0).all())
    (60, True)
    """
    cell = cell_of(name) if isinstance(name, str) else name
    check_whole(least=0, seed=seed)
    if not (0 < rate <= 1000 and 0.2 <= seconds <= 60 and 1 <= burst <= 100 and 0 <= wait <= 100):
        raise UsageError(
            f"rate {rate:g} Hz, {seconds:g} s, burst {burst:g}, wait {wait:g}",
            rule="a rate above 0 and at most 1000 Hz, 0.2 to 60 s, a burst of 1 (none) to 100, a wait up to 100 steps",
        )
    rng = np.random.default_rng(seed)
    return propagate(cell, spike_trains(cell, rate=rate, seconds=seconds, burst=burst, rng=rng), rate, rng, wait)


def spike_trains(
    cell: Cell, *, rate: float, seconds: float, burst: float, rng: np.random.Generator
) -> Iterator[Floats]:
    """Spikes of every input in every time step, rows x columns x time, a span of time after the other."""
    at = np.arange(max(1, round(seconds * cell.frames))) / cell.frames
    rates = rate * np.where(at % 1.0 < 0.5, 1.0, burst) / cell.frames
    for first in range(0, len(rates), _SPAN):
        span = rates[first : first + _SPAN]
        yield np.asarray(rng.poisson(span, (cell.rows, cell.columns, len(span))), dtype=np.float32)


def propagate(cell: Cell, trains: Iterable[Floats], rate: float, rng: np.random.Generator, wait: float = WAIT) -> Trace:
    """The walk along the neuron: spikes, spans of rows x columns x time, through every step."""
    steps = np.concatenate(list(_dendrite(cell, trains, rng)), axis=1)
    arriving, transmitted, charge, spots, strongest = steps
    summed = leak(strongest, cell.steps, cell.decay, 0, causal=True)
    potential = summed - summed.mean()
    above = np.maximum(potential, 0.0)
    blocked = refractory(above > 0, rng, wait)
    return Trace(
        cell=cell,
        seconds=len(arriving) / cell.frames,
        rate=rate,
        blocks={block.name: block.flops for block in network(cell, forward=True).blocks},
        arriving=arriving,
        transmitted=transmitted,
        charge=charge,
        spots=spots,
        potential=potential,
        threshold=above,
        blocked=blocked,
        released=scaled(np.where(blocked, 0.0, above)),
    )


def _dendrite(cell: Cell, trains: Iterable[Floats], rng: np.random.Generator) -> Iterator[Floats]:
    """Spikes arriving, transmitted, the mean charge, the spots' mean and their sum: 5 x time for every span."""
    receptors = rng.lognormal(0.0, cell.receptors, (cell.rows, cell.columns)).astype(np.float32)[..., None]
    past = np.zeros((cell.rows, cell.columns, cell.steps - 1), dtype=np.float32)
    for spikes in trains:
        transmitted = spikes * receptors
        spread = leak(leak(transmitted, cell.reach, cell.decay, 0), cell.dendrites, cell.decay, 1)
        seen = np.concatenate([past, spread], axis=2)
        charge = leak(seen, cell.steps, cell.decay, 2, causal=True)[..., cell.steps - 1 :]
        past = seen[..., seen.shape[2] - (cell.steps - 1) :]
        spots = max_pool(charge, cell.pool)
        totals = (spikes.sum((0, 1), np.float64), transmitted.sum((0, 1), np.float64))
        means = (charge.mean((0, 1), np.float64), spots.mean((0, 1), np.float64))
        yield np.stack([*totals, *means, spots.sum((0, 1), np.float64)])


def decay(size: int, share: float) -> Floats:
    """`size` weights that sum to 1 and fall to 1/e within a share of them."""
    values = np.exp(-np.arange(size) / (share * size))
    return np.asarray(values / values.sum())


def leak(x: Floats, size: int, share: float, axis: int, *, causal: bool = False) -> Floats:
    """A convolution with `decay(size, share)` along one axis, of the size of x: both ways, or causal, from the past.

    Weights that decay exponentially need no sum over all of them: each value is the last one, weaker, plus what comes
    in, less what has gone past the filter's end.

    >>> leak(np.array([1.0, 0.0, 0.0]), 2, 0.5, 0, causal=True).round(3).tolist()
    [0.731, 0.269, 0.0]
    """
    moved = np.moveaxis(x, axis, 0)
    ratio, first = np.exp(-1 / (share * size)), decay(size, share)[0]
    from_before = _one_way(moved, size, ratio)
    if causal:
        return np.moveaxis(from_before * x.dtype.type(first), 0, axis)
    both = from_before + _one_way(moved[::-1], size, ratio)[::-1] - moved
    return np.moveaxis(both * x.dtype.type(first / (2 - first)), 0, axis)


def _one_way(x: Floats, size: int, ratio: float) -> Floats:
    """The sum of the last `size` values, each weaker by `ratio` than the next."""
    weaker, gone = x.dtype.type(ratio), x.dtype.type(ratio**size)
    out = np.array(x)
    for at in range(1, len(out)):
        out[at] += weaker * out[at - 1]
        if at >= size:
            out[at] -= gone * x[at - size]
    return out


def max_pool(x: Floats, window: int) -> Floats:
    """The strongest spot of every `window` neighbours along a dendrite; a rest that fills no window has its own."""
    starts = np.arange(0, x.shape[0], window)
    return np.asarray(np.maximum.reduceat(x, starts, axis=0))


def scaled(above: Floats) -> Floats:
    """What lies above the threshold, scaled to between 0 and 1."""
    return np.asarray(above / max(float(above.max()), 1e-12))


def refractory(fires: NDArray[np.bool_], rng: np.random.Generator, mean: float = WAIT) -> NDArray[np.bool_]:
    """Steps in which the cell is blocked: after it fired it waits k periods, k drawn from Poisson(mean)."""
    waits = rng.poisson(mean, len(fires))
    blocked = np.zeros(len(fires), dtype=np.bool_)
    free = 0
    for at, fired in enumerate(fires):
        if at < free:
            blocked[at] = True
        elif fired:
            free = at + 1 + int(waits[at])
    return blocked


def wait_probability(periods: int, mean: float = WAIT) -> float:
    """Chance that a cell waits so many periods: Poisson.

    >>> [round(wait_probability(k), 4) for k in range(4)]
    [0.6065, 0.3033, 0.0758, 0.0126]
    """
    return float(np.exp(-mean) * mean**periods / factorial(periods))
