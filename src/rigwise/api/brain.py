"""The verbs of the brain's computing power: estimate, compare, machines, forecast, and one neuron at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rigwise.brain.answers import Comparison, Fleet
    from rigwise.brain.estimate import BrainEstimate
    from rigwise.brain.forecast import Forecast
    from rigwise.brain.neuron import Trace

Sets = Mapping[str, float | str] | Sequence[str]


def brain_estimate(
    *, sets: Sets = (), include: str | Sequence[str] = (), draws: int = 100_000, seed: int = 0
) -> BrainEstimate:
    """The brain's operations a second, memory and bandwidth, with percentiles over the inputs; a lower bound.

    sets: inputs of one's own, {"synapses_per_neuron": 8000} or ["rate=50..500"]. include: what the bound leaves out, to
    be switched in: learning, glia, ... or all. Raises NotFoundError for an unknown name, UsageError for a value.
    """
    from rigwise.brain.estimate import estimate

    return estimate(sets=sets, include=include, draws=draws, seed=seed)


def brain_compare(*, sets: Sets = (), seed: int = 0) -> Comparison:
    """Published estimates, each from its own inputs, beside what was published and beside ours.

    sets: inputs of methods, ["kurzweil_1999.rate=100"], and of our estimate, ["rate=100"].
    """
    from rigwise.brain.answers import compare

    ours, theirs = _divided(sets)
    return compare(brain_estimate(sets=ours, seed=seed), theirs)


def brain_machines(
    devices: str | Sequence[str] = (),
    *,
    shape: str = "cells",
    flops: float | None = None,
    precision: str | None = None,
    sets: Sets = (),
    include: str | Sequence[str] = (),
    seed: int = 0,
) -> Fleet:
    """How many of which device would sustain it, with price, power and network, beside machines that stand.

    shape: "cells" (the article's network) or "events" (a spiking simulation). flops: to sustain instead of the
    estimate's. precision: of the products; the device's best type of 16 bit by default. sets: inputs of the estimate,
    and of the events, ["sobe_2025_event.synapse_low=30"]. Raises as brain_estimate does.
    """
    from rigwise.brain.answers import fleet

    ours, events = _divided(sets)
    brain = brain_estimate(sets=ours, include=include, seed=seed)
    return fleet(brain, devices, shape=shape, flops=flops, precision=precision, sets=events)


def brain_forecast(
    *,
    metric: str = "hpcg",
    target: str | float = "article",
    limits: str | Sequence[str] = (),
    until: int = 2100,
    fitted_to: float | None = None,
    sets: Sets = (),
    include: str | Sequence[str] = (),
    seed: int = 0,
) -> Forecast:
    """The year in which the fastest machine reaches the target, as a distribution with the chance of none.

    metric: hpcg, linpack, sum, last (the 500th) or device. target: "article" (1.075e21 FLOP/s), "estimate" (its draws)
    or FLOP/s. limits: atoms, energy, factory, interconnect or all. fitted_to: the last year of the history to look at.
    sets: inputs of the estimate, and figures of the limits and scenarios, ["energy.watts=1e9", "moore.years=2"].
    """
    from rigwise.brain.forecast import forecast

    ours, ahead = _divided(sets)
    brain = brain_estimate(sets=ours, include=include, seed=seed)
    return forecast(
        brain, metric=metric, target=target, limits=limits, until=until, fitted_to=fitted_to, sets=ahead, seed=seed
    )


def brain_neuron(
    cell: str = "purkinje",
    *,
    rate: float = 5.0,
    seconds: float = 2.0,
    burst: float = 4.0,
    wait: float = 0.5,
    sets: Sets = (),
    seed: int = 0,
) -> Trace:
    """A Purkinje or a granule cell on Poisson spike trains: what comes out of each step of the walk.

    rate: spikes a second of each input, `burst` times as many in every second half-second. wait: mean periods
    that the cell is blocked after it fired. sets: sizes of the cell, ["rows=200", "reach=20", "decay=0.5"].
    """
    from rigwise.brain.neuron import cell_of, run_cell

    return run_cell(cell_of(cell).but(sets), rate=rate, seconds=seconds, burst=burst, wait=wait, seed=seed)


def _divided(sets: Sets) -> tuple[dict[str, str], dict[str, str]]:
    """Inputs of the estimate, and those with a point in their name, which belong to methods, limits and scenarios."""
    from rigwise.brain.parameters import read_sets

    said = read_sets(sets)
    pointed = {name: text for name, text in said.items() if "." in name}
    return {name: text for name, text in said.items() if name not in pointed}, pointed
