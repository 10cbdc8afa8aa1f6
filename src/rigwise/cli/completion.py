"""`rigwise --install-completion`: completion for the reader's shell."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rigwise.errors import UsageError


def install(*, shell: Literal["bash", "zsh", "fish"] | None = None, output: Path | None = None) -> None:
    """Install completion for bash, zsh or fish.

    Parameters
    ----------
    shell
        Which shell; the one that is running by default.
    output
        File for the script; the shell's own place by default.
    """
    from cyclopts.completion.detect import ShellDetectionError

    from rigwise.cli.main import build

    try:
        place = build().install_completion(shell=shell, output=output, add_to_startup=output is None)
    except ShellDetectionError:
        raise UsageError("cannot tell which shell this is", nearest="--shell bash, zsh or fish") from None
    print(f"completion is in {place}; it works in the next shell that you open")
