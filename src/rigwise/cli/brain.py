"""`rigwise brain estimate|compare|machines|forecast|neuron`: the brain's computing power, and when it is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigwise import api, units
from rigwise.cli.brain_ahead import draw_forecast, draw_machines
from rigwise.cli.brain_tables import draw_compare, draw_estimate, draw_neuron
from rigwise.cli.files import check_picture, write_picture
from rigwise.cli.options import Look
from rigwise.errors import UsageError

Sets = Annotated[list[str] | None, Parameter(name="--set", negative="")]
Inputs = Annotated[bool, Parameter(negative="", show_default=False)]
Words = Annotated[list[str] | None, Parameter(negative="")]


def estimate_(
    *,
    sets: Sets = None,
    include: Words = None,
    draws: int = 100_000,
    seed: int = 0,
    inputs: Inputs = False,
    picture: Path | None = None,
    look: Look = Look(),
) -> None:
    """Operations a second, memory and bandwidth of the brain, with their spread; a lower bound.

    Parameters
    ----------
    sets
        Set an input: synapses_per_neuron=8000, or a range, rate=50..500; may be given several times.
    include
        Switch in what the bound leaves out: learning, glia, axon_processing, ... or all; several times or with commas.
    draws
        Draws of the inputs.
    seed
        Of the draws.
    inputs
        List every input with its range and source.
    picture
        Write a picture here (.svg or .png): the spread, its terms and the inputs that move it.
    """
    check_picture(picture)
    found = api.brain_estimate(sets=sets or (), include=include or (), draws=draws, seed=seed)
    if picture:
        from rigwise.report.brain_estimate import estimate_svg

        write_picture(picture, estimate_svg(found))
    look.answer(found.to_dict, lambda screen: draw_estimate(screen, found, look.chatty, inputs))
    _said(look, picture)


def compare_(
    *,
    sets: Sets = None,
    seed: int = 0,
    inputs: Inputs = False,
    picture: Path | None = None,
    look: Look = Look(),
) -> None:
    """Published estimates, each worked out from its own inputs, beside what was published.

    Parameters
    ----------
    sets
        Set an input of a method: kurzweil_1999.rate=100; may be given several times.
    seed
        Of the draws.
    inputs
        List every input of every method with its value or range, how sure it is, and its source.
    picture
        Write a picture here (.svg or .png): all estimates by year.
    """
    check_picture(picture)
    found = api.brain_compare(sets=sets or (), seed=seed)
    if picture:
        from rigwise.report.brain_compare import compare_svg

        write_picture(picture, compare_svg(found))
    look.answer(found.to_dict, lambda screen: draw_compare(screen, found, look.chatty, inputs))
    _said(look, picture)


def machines_(
    *,
    device: Words = None,
    shape: Literal["cells", "events"] = "cells",
    flops: str | None = None,
    precision: str | None = None,
    sets: Sets = None,
    include: Words = None,
    seed: int = 0,
    picture: Path | None = None,
    look: Look = Look(),
) -> None:
    """How many of which device would sustain it, at what price, power and network, beside machines that stand.

    Parameters
    ----------
    device
        Devices to ask for: h100, "RTX 4090"; several times or with commas. Five of today's by default.
    shape
        What runs: cells as networks (the article), or events at synapses (a spiking simulation).
    flops
        Sustain this many operations a second, 1e21, instead of the estimate.
    precision
        Type of the products; the device's best of 16 bit by default.
    sets
        Set an input, as for `brain estimate`: usd_per_kwh=0.2, local_share=0.9; one of the events,
        sobe_2025_event.firing=1.
    include
        Switch in what the bound leaves out.
    seed
        Of the draws.
    picture
        Write a picture here (.svg or .png): peak, LINPACK, HPCG, this network and the wires side by side.
    """
    check_picture(picture)
    found = api.brain_machines(
        device or (),
        shape=shape,
        flops=None if flops is None else units.parse(flops, "FLOP/s"),
        precision=precision,
        sets=sets or (),
        include=include or (),
        seed=seed,
    )
    if picture:
        from rigwise.report.brain_machines import machines_svg

        write_picture(picture, machines_svg(found))
    look.answer(found.to_dict, lambda screen: draw_machines(screen, found, look.chatty))
    _said(look, picture)


def forecast_(
    *,
    metric: Literal["hpcg", "linpack", "sum", "last", "device"] = "hpcg",
    target: str = "article",
    limits: Words = None,
    until: int = 2100,
    fitted_to: float | None = None,
    sets: Sets = None,
    include: Words = None,
    seed: int = 0,
    inputs: Inputs = False,
    picture: Path | None = None,
    look: Look = Look(),
) -> None:
    """The year in which machines reach it, as a distribution, with the chance of none.

    Parameters
    ----------
    metric
        What grows: the fastest on HPCG or LINPACK, the sum or the last of the TOP500, or the fastest single device.
    target
        article (1.075e21 FLOP/s), estimate (with its spread), or FLOP/s.
    limits
        Switch on limits: atoms, energy, factory, interconnect or all; several times or with commas.
    until
        A crossing after this year counts as none.
    fitted_to
        Look no further than this year of the history.
    sets
        Set an input of the estimate, or a figure of a limit or scenario: energy.watts=1e9, moore.years=2.
    include
        Switch in what the bound leaves out, where the target is the estimate.
    seed
        Of the draws.
    inputs
        List every figure of limits, scenarios and the trend with its value or range and its source.
    picture
        Write a picture here (.svg or .png): the history, the years ahead, and the year of crossing.
    """
    check_picture(picture)
    wanted = target if target in ("article", "estimate") else _flops(target)
    found = api.brain_forecast(
        metric=metric,
        target=wanted,
        limits=limits or (),
        until=until,
        fitted_to=fitted_to,
        sets=sets or (),
        include=include or (),
        seed=seed,
    )
    if picture:
        from rigwise.report.brain_forecast import forecast_svg

        write_picture(picture, forecast_svg(found))
    look.answer(found.to_dict, lambda screen: draw_forecast(screen, found, look.chatty, inputs))
    _said(look, picture)


def neuron_(
    cell: Literal["purkinje", "granule"] = "purkinje",
    /,
    *,
    rate: float = 5.0,
    seconds: float = 2.0,
    burst: float = 4.0,
    wait: float = 0.5,
    sets: Sets = None,
    seed: int = 0,
    picture: Path | None = None,
    look: Look = Look(),
) -> None:
    """The walk along a neuron as a network, and a cell run on spike trains.

    Parameters
    ----------
    cell
        purkinje or granule.
    rate
        Spikes a second at each input.
    seconds
        Of spike train.
    burst
        How many times as many spikes in every second half-second.
    wait
        Mean periods that the cell is blocked after it fired.
    sets
        Set a size of the cell: rows=200, reach=20, dendrites, steps, pool, decay, receptors, frames.
    seed
        Of the spikes and the weights.
    picture
        Write a picture here (.svg or .png): biology and network side by side, and what comes out of each step.
    """
    check_picture(picture)
    found = api.brain_neuron(cell, rate=rate, seconds=seconds, burst=burst, wait=wait, sets=sets or (), seed=seed)
    if picture:
        from rigwise.report.brain_neuron import neuron_svg

        write_picture(picture, neuron_svg(found))
    look.answer(found.to_dict, lambda screen: draw_neuron(screen, found, look.chatty))
    _said(look, picture)


def _flops(text: str) -> float:
    try:
        return units.parse(text, "FLOP/s")
    except UsageError:
        raise UsageError(f"--target {text}", rule="article, estimate, or a rate such as 1e21") from None


def _said(look: Look, place: Path | None) -> None:
    if place:
        look.note(f"picture: {place}")
