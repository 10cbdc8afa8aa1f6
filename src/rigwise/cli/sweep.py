"""`rigwise sweep TASK --over lr=0.1,0.01`: a task under many settings, side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.files import check_file, check_picture, write_aside, write_picture
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, table
from rigwise.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from rigwise.run.sweep import Outcome, Sweep

_FAILED = 5


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Where the results go besides the screen."""

    table: Annotated[Path | None, Parameter(name="--csv")] = None
    """Write the results as CSV here."""
    picture: Path | None = None
    """Write a picture here (.svg or .png): the losses of all runs."""

    def check(self) -> None:
        """Refuse a place that cannot be written before anything is done."""
        check_picture(self.picture)
        check_file(self.table)

    def write(self, found: Sweep) -> None:
        """Write what was asked for."""
        if self.picture:
            from rigwise.report.sweep import sweep_svg

            write_picture(self.picture, sweep_svg(found))
        if self.table:
            write_aside(self.table, _csv(found))


def sweep(
    task: str,
    /,
    *,
    over: Annotated[list[str], Parameter(negative="")],
    layout: str = "",
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    output: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    checkpoint_every: int | None = None,
    at_once: int | None = None,
    on: Literal["here", "ray"] = "here",
    results: Results = Results(),
    look: Look = Look(),
) -> int:
    """Train a task at every point of a grid, as many at a time as there is room for; the same command goes on later.

    Parameters
    ----------
    task
        A packaged task (digits, characters, mlp) or file.py:function that returns rigwise.Task.
    over
        A name and its values: lr=0.1,0.01 or seed=0..4. May be given several times. batch, seed and steps are the
        run's own; every other name is a keyword argument of the task's function.
    layout
        How to split each run: dp=2; one rank by default.
    set_
        A keyword argument of the task's function that is the same in all runs: width=128.
    output
        The sweep's folder, with a folder for each run; with it again, what has finished is kept.
    device
        auto takes the GPUs where there are any, one for each rank of a run.
    checkpoint_every
        Steps between a run's checkpoints; only after its last step, and when stopped, by default.
    at_once
        Runs side by side; by default one on each GPU, or as many as the cores hold.
    on
        ray takes the Ray cluster that this machine has joined.
    """
    from rigwise.run.chosen import read

    results.check()
    found = api.sweep(
        task,
        over,
        layout,
        steps=steps,
        batch=batch,
        seed=seed,
        settings=read(set_ or ()),
        output=output,
        device=device,
        checkpoint_every=checkpoint_every,
        at_once=at_once,
        on=on,
        on_outcome=_telling(look),
    )
    results.write(found)
    look.answer(found.to_dict, lambda screen: _draw(screen, found, look.chatty))
    return _code(found, look)


def _telling(look: Look) -> Callable[[Outcome], None]:
    """A line on stderr for each run as it ends."""
    numbers = count(1)

    def told(outcome: Outcome) -> None:
        loss = "" if outcome.loss is None else f", loss {outcome.loss:.4f}"
        look.note(f"{next(numbers)}: {outcome.name} {outcome.state}{loss}{' (kept)' if outcome.kept else ''}")

    return told


def _code(found: Sweep, look: Look) -> int:
    states = {outcome.state for outcome in found.outcomes}
    if "stopped" in states:
        look.note(f"stopped; the same command with --output {found.output} goes on")
        return EXIT_INTERRUPTED
    return _FAILED if "failed" in states else 0


def _csv(found: Sweep) -> str:
    names = list(found.outcomes[0].point)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, "state", "loss", "step_s", "output", "error"])
    for one in found.outcomes:
        figures = ["" if figure is None else repr(figure) for figure in (one.loss, one.step_s)]
        writer.writerow([*(one.point[name] for name in names), one.state, *figures, one.output, one.error])
    return out.getvalue()


def _draw(screen: Console, found: Sweep, chatty: bool) -> None:
    names = list(found.outcomes[0].point)
    columns = [
        *(Column(head=name) for name in names),
        Column(head="loss"),
        Column(head="step", drop=1),
        Column(head="", right=False),
    ]
    screen.print(table(screen, columns, _lines(found, names)))
    for outcome in found.outcomes:
        if outcome.state == "failed":
            screen.print(f"{outcome.name} failed: {outcome.error}", markup=False)
    if chatty:
        side = f", {found.at_once} at a time" if found.at_once > 1 else ""
        screen.print(f"loss: mean over the last tenth of the steps{side}; runs are in {found.output}", markup=False)


def _lines(found: Sweep, names: list[str]) -> Iterator[list[str]]:
    best = found.best
    ranked = sorted(found.outcomes, key=lambda one: float("inf") if one.loss is None else one.loss)
    for one in ranked:
        yield [
            *(str(one.point[name]) for name in names),
            "" if one.loss is None else f"{one.loss:.4f}",
            "" if one.step_s is None else units.show_seconds(one.step_s),
            "best" if one is best else one.state if one.state != "done" else "",
        ]
