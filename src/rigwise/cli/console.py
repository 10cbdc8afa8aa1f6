"""Where words go: the answer on stdout, progress and errors on stderr, colour only where it is wanted."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDE = 132  # columns where the output is not a terminal and nobody said


class _Console(Console):
    """A console that lets a closed pipe end the command quietly: main() handles it once for all."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, plain: bool = False, stderr: bool = False) -> Console:
    """A console on stdout or stderr. plain or NO_COLOR: no escape codes at all."""
    stream = sys.stderr if stderr else sys.stdout
    plain = plain or bool(os.environ.get("NO_COLOR"))
    return _Console(
        file=stream,
        highlight=False,
        color_system=None if plain else "auto",
        width=None if stream.isatty() or "COLUMNS" in os.environ else WIDE,
        emoji=False,
    )


def can_draw(screen: Console) -> bool:
    """Whether block and arrow characters come out as themselves."""
    return screen.encoding.lower().startswith("utf")
