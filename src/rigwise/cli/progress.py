"""Progress on stderr: a bar where a person watches, nothing where nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rigwise.cli.options import Look


@contextmanager
def counting(look: Look, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for a job that calls back with (done, all)."""
    with bar(look) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


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
