"""The verb of trying: one task under many settings, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from rigwise.errors import NotFoundError, UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.run.chosen import Value
    from rigwise.run.sweep import Common, Outcome, Sweep

SWEEPS = "rigwise-sweeps"
WHERE = ("here", "ray")


class Same(TypedDict, total=False):
    """What all runs of a sweep share, as run takes it; what is left out is run's default."""

    steps: int
    batch: int | None
    seed: int
    settings: Mapping[str, Value]
    device: str
    checkpoint_every: int | None


def sweep(
    task: str,
    over: Iterable[str],
    layout: str = "",
    *,
    output: str | Path | None = None,
    at_once: int | None = None,
    on: str = "here",
    on_outcome: Callable[[Outcome], None] | None = None,
    **same: Unpack[Same],
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
    from rigwise.run.sweep import Outcome, Sweep, Sweeping, gpus, grid, named, places

    check_whole(at_once=at_once)
    if on not in WHERE:
        raise UsageError(f"on={on!r}", rule=f"a sweep is on one of {', '.join(WHERE)}")
    points = grid(over)
    common = _common(task, layout, points, same)
    outcomes: dict[str, Outcome] = {}

    def hear(outcome: Outcome) -> None:
        outcomes[named(outcome.point)] = outcome
        if on_outcome:
            on_outcome(outcome)

    work = Sweeping(common, (Path(output).expanduser() if output else _fresh(task)).absolute(), hear)
    cards = gpus(common.device)
    at = places(common.ranks, cards, at_once, work.stopped.is_set) if on == "here" else []
    left = work.prepare(points)
    if on == "ray":
        from rigwise.run.sweep_ray import over_ray

        over_ray(common, work.output, left, hear, bool(cards))
    elif left:
        work.side_by_side(left, at[: len(left)])
    missing = {named(p): Outcome(point=p, state="stopped", output=str(work.output / named(p))) for p in left}
    found = {**missing, **outcomes}
    every = tuple(found[named(point)] for point in points)
    return Sweep(task=task, output=work.output, outcomes=every, at_once=len(at), where=on)


def _common(task: str, layout: str, points: list[dict[str, Value]], same: Same) -> Common:
    """What all runs share, checked before anything is started."""
    from rigwise.layouts.runnable import check_layout
    from rigwise.run.limits import read_layout
    from rigwise.run.sweep import Common
    from rigwise.run.task import locate, packaged

    words: dict[str, Any] = {"steps": 200, **same}
    check_whole(steps=words["steps"], batch=words.get("batch"), checkpoint_every=words.get("checkpoint_every"))
    said, _ = read_layout(layout)
    check_layout(said)
    path, function = locate(task)
    settings = dict(same.get("settings", {}))
    _check(path, function, points, settings)
    return Common(
        task=task if task in packaged() else f"{path}:{function}",
        layout=layout,
        ranks=said.ranks,
        steps=same.get("steps", 200),
        batch=same.get("batch"),
        seed=same.get("seed", 0),
        device=same.get("device", "auto"),
        checkpoint_every=same.get("checkpoint_every") or 0,
        settings=settings,
    )


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


def _fresh(task: str) -> Path:
    from rigwise.run.task import locate

    name = locate(task)[0].stem
    base = Path(SWEEPS) / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    number, path = 1, base
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path
