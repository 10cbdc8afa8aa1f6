"""The verb of trying: one task under many settings, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rigwise.errors import NotFoundError, UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.run.chosen import Value
    from rigwise.run.sweep import Outcome, Sweep

SWEEPS = "rigwise-sweeps"
WHERE = ("here", "ray")


def sweep(
    task: str,
    over: Iterable[str],
    layout: str = "",
    *,
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Value] = MappingProxyType({}),
    output: str | Path | None = None,
    device: str = "auto",
    checkpoint_every: int | None = None,
    at_once: int | None = None,
    on: str = "here",
    on_outcome: Callable[[Outcome], None] | None = None,
) -> Sweep:
    """Train a task at every point of a grid, as many at a time as there is room for.

    over: "name=value,value" or "name=first..last" each; batch, seed and steps are the run's own, every other name is a
    keyword parameter of the task's function. output: the sweep's folder; one that holds the same sweep goes on: what
    has finished is kept. at_once: runs side by side; None is one for each GPU (or each `layout` of them), and on the
    CPU as many as the cores hold. on: "here", or "ray" for the cluster that Ray has joined. on_outcome: called with
    each as it comes.

    A run that fails ends no other and is among the outcomes. After Ctrl-C the outcomes that are missing have state
    "stopped". Raises UsageError (grid, task, sizes, another sweep's folder), NotFoundError (task, parameter) and
    LaunchError (torch or Ray missing).
    """
    from rigwise.run.limits import check_layout, read_layout
    from rigwise.run.sweep import Common, Outcome, Sweep, Sweeping, gpus, grid, named, places
    from rigwise.run.task import locate, packaged

    check_whole(steps=steps, batch=batch, checkpoint_every=checkpoint_every, at_once=at_once)
    if on not in WHERE:
        raise UsageError(f"on={on!r}", rule=f"a sweep is on one of {', '.join(WHERE)}")
    points = grid(over)
    said, _ = read_layout(layout)
    check_layout(said)
    path, function = locate(task)
    _check(path, function, points, settings)
    spec = task if task in packaged() else f"{path}:{function}"
    folder = Path(output).expanduser() if output else _fresh(path.stem)
    common = Common(
        task=spec,
        layout=layout,
        ranks=said.ranks,
        steps=steps,
        batch=batch,
        seed=seed,
        device=device,
        checkpoint_every=checkpoint_every or 0,
        settings=dict(settings),
    )
    outcomes: dict[str, Outcome] = {}

    def hear(outcome: Outcome) -> None:
        outcomes[named(outcome.point)] = outcome
        if on_outcome:
            on_outcome(outcome)

    work = Sweeping(common, folder.absolute(), hear)
    work.prepare()
    left = []
    for point in points:
        kept = work.finished(point)
        hear(kept) if kept else left.append(point)
    cards = gpus(device)
    at = places(said.ranks, cards, at_once, work.stopped.is_set) if on == "here" else []
    if on == "ray":
        from rigwise.run.sweep_ray import over_ray

        over_ray(common, work.output, left, hear, bool(cards))
    elif left:
        work.side_by_side(left, at[: len(left)])
    missing = {named(p): Outcome(point=p, state="stopped", output=str(work.output / named(p))) for p in left}
    found = {**missing, **outcomes}
    every = tuple(found[named(point)] for point in points)
    return Sweep(task=task, output=work.output, outcomes=every, at_once=len(at), where=on)


def _check(path: Path, function: str, points: list[dict[str, Value]], settings: Mapping[str, Value]) -> None:
    """Refuse a parameter that the task's function has not before anything is started."""
    from rigwise.models.python_file import aside, function_of
    from rigwise.run.chosen import fitted
    from rigwise.run.sweep import OWN, require_torch

    twice = set(settings) & set(points[0])
    if twice:
        raise UsageError(f"{min(twice)} is set and swept", rule="a parameter is the one or the other")
    require_torch()
    with aside():
        make = function_of(path, function)
    for point in points:
        own = {name: one for name, one in point.items() if name not in OWN}
        try:
            fitted(make, {**settings, **own}, f"{path.name}:{function}")
        except NotFoundError as error:
            nearest = ", ".join(filter(None, [error.nearest, *OWN]))
            raise NotFoundError(error.says, rule="--over names them or a run's own", nearest=nearest) from error


def _fresh(name: str) -> Path:
    base = Path(SWEEPS) / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    number, path = 1, base
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path
