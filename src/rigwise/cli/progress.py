"""Progress on stderr: a bar where a person watches, nothing where nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rigwise.cli.options import Look


@contextmanager
def counting(look: Look, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for a job that calls back with (done, all)."""
    with bar(look) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def stages(look: Look) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for a job of several stages that calls back with (what, done, all), one after the other."""
    with bar(look) as progress:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=None)
            progress.update(tasks[what], completed=done, total=total)

        yield told


def bar(look: Look) -> Progress:
    """A bar with words beside it; silent under --quiet, under --json and where stderr is not a terminal."""
    screen = look.progress
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not (look.chatty and screen.is_terminal),
    )
