"""`rigwise estimate MODEL`: time, memory, energy and money of one layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.options import ClusterName, Look, ModelName, Training
from rigwise.cli.pictures import parts
from rigwise.cli.tables import facts

if TYPE_CHECKING:
    from rigwise.api import Asked, Explained
    from rigwise.cost.record import Estimate


def estimate(
    model: ModelName,
    /,
    *,
    cluster: ClusterName,
    layout: Annotated[str, Parameter(name=("--layout", "-l"))],
    explain: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    training: Training = Training(),
    look: Look = Look(),
) -> int:
    """Predict time, memory, energy and money of one layout.

    Parameters
    ----------
    layout
        dp=4,tp=2,pp=2,micro=1,recompute=selective,zero=1; what is not said is not split.
    explain
        Print the arithmetic term by term: formula, values, units, and the source of each number.
    """
    asked = api.ask(model, cluster, layout=layout, **training.said())
    found = asked.estimate(layout)
    why = asked.shortage(found)
    work = api.explained(asked, layout) if explain else None
    look.answer(
        lambda: {
            **asked.subject(),
            **found.to_dict(),
            **({"explanation": work.to_dict()} if work else {}),
            **(why.to_dict() if why else {}),
        },
        lambda screen: _draw(screen, asked, found, look.chatty, work),
    )
    return look.refuse(why) if why else 0


def setting(asked: Asked) -> list[tuple[str, str]]:
    """What is planned on what, and how the names were read."""
    model, batch, devices = asked.model, asked.question.batch, asked.cluster.devices
    each = units.show_number(batch / devices)
    length = f", {model.tokens:,} tokens a sample" if model.unit == "token" else ""
    return [
        ("model", f"{model.name}: {units.show_count(model.parameters)} parameters{length}"),
        ("cluster", asked.cluster.resolved or asked.cluster.name),
        ("batch", f"{batch:,} samples a step, {each} a device; optimizer {asked.question.optimizer}"),
        *(("like", run) for run in (asked.question.known.runs if asked.question.known else ())),
    ]


def figures(e: Estimate) -> list[tuple[str, str]]:
    """The figures of a step, each with its 80 % interval; of one that memory cannot hold, what it would need."""
    tokens = e.tokens_per_s_per_device
    memory = _between(e.memory_total, e.memory_interval, units.show_bytes)
    if not e.fits:
        return [
            ("step", f"none: it does not fit; {units.show_seconds(e.step_s)} if memory were enough"),
            ("memory", f"{memory} of {units.show_bytes(e.memory_limit)} on the fullest device"),
        ]
    return [
        ("step", _between(e.step_s, e.interval, units.show_seconds)),
        ("samples/s", _speed(e, e.samples_per_s, units.show_number)),
        ("tokens/s a device", "" if tokens is None else _speed(e, tokens, lambda v: f"{v:,.0f}")),
        ("MFU", _speed(e, e.mfu, lambda v: f"{v:.1%}")),
        ("energy of a step", _between(e.energy_j, e.energy_interval, units.show_joules)),
        ("cost of a step", _between(e.cost_usd, e.cost_interval, units.show_usd)),
        ("memory", f"{memory} of {units.show_bytes(e.memory_limit)} on the fullest device"),
        *([("loader", e.loader.says)] if e.loader else []),
        ("basis", f"{e.basis}; in brackets the 80 % interval"),
    ]


def _between(value: float | None, ends: tuple[float, float] | None, show: Callable[[float], str]) -> str:
    """A figure with the ends of its interval."""
    if value is None or ends is None:
        return "unknown"
    return f"{show(value)}  ({show(ends[0])} to {show(ends[1])})"


def _speed(e: Estimate, value: float | None, show: Callable[[float], str]) -> str:
    """What falls with the step's time, between its values at the two ends of the step's interval."""
    if value is None:
        return "unknown"
    high, low = (value * e.step_s / end for end in e.interval)
    return f"{show(value)}  ({show(low)} to {show(high)})"


def _draw(screen: Console, asked: Asked, e: Estimate, chatty: bool, work: Explained | None = None) -> None:
    head = setting(asked) if chatty else []
    screen.print(facts([*head, ("layout", str(e.layout)), *figures(e)]))
    screen.print()
    draw_parts(screen, e)
    if work:
        from rigwise.cli.explain import draw

        draw(screen, work)
    if chatty:
        for warning in e.warnings:
            screen.print(f"note: {warning}", markup=False)


def draw_parts(screen: Console, e: Estimate) -> None:
    """Time and memory by part, as bars."""
    times, memory = dict(e.time), dict(e.memory)
    title = "time of a step" if e.fits else "time of a step, if memory were enough"
    screen.print(parts(screen, title, times, map(units.show_seconds, times.values()), e.step_s))
    screen.print()
    screen.print(parts(screen, "memory of its limit", memory, map(units.show_bytes, memory.values()), e.memory_limit))
