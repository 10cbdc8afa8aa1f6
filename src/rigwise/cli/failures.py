"""Errors on their way out: one line a fact for people, one object for programs, and the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from rigwise.errors import EXIT_INTERRUPTED, LaunchError, NotFoundError, RigwiseError, UsageError

if TYPE_CHECKING:
    from cyclopts import CycloptsError


class Interrupted(RigwiseError):
    """Ctrl-C."""

    exit_code = EXIT_INTERRUPTED
    kind = "interrupted"


def from_parser(error: CycloptsError) -> UsageError:
    """What the parser of the command line complains about, in our words."""
    error.verbose = False
    says, _, nearest = str(error).partition(" Did you mean ")
    nearest, _, rule = nearest.partition("? ")
    command = " ".join(("rigwise", *(error.command_chain or ())))
    return UsageError(says.rstrip("."), rule=rule, nearest=nearest.rstrip("?") or f"see `{command} --help`")


def from_exception(error: BaseException, *, debug: bool = False) -> RigwiseError:
    """Any exception as one of the family. debug: its traceback goes to stderr first."""
    if debug:
        traceback.print_exception(error)
    match error:
        case RigwiseError():
            return error
        case KeyboardInterrupt():
            says, _, nearest = str(error).partition("; go on with: ")
            return Interrupted(says or "interrupted", nearest=nearest)
        case FileNotFoundError():
            return NotFoundError(f"no file {str(error.filename)!r}")
        case OSError():
            where = f": {error.filename}" if error.filename else ""
            return LaunchError(f"the machine refused: {error.strerror or error}{where}")
        case SystemExit():
            return UsageError(f"code that was run for the answer asked to exit with {error.code!r}")
        case MemoryError():
            return LaunchError("this machine ran out of memory")
    return RigwiseError(
        f"rigwise failed, and it is our fault: {type(error).__name__}: {error}",
        nearest="the same command with --debug shows where; please report it with that",
    )


def show(error: RigwiseError, *, as_json: bool, plain: bool) -> int:
    """Print an error, as JSON on stdout or for people on stderr, and return its exit code."""
    if as_json:
        from rigwise.cli.jsonout import dumps

        try:
            print(dumps(error.to_dict()), flush=True)
        except OSError:  # stdout itself is what failed: it is said on stderr, and nothing is tried at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        else:
            return error.exit_code
    from rigwise.cli.console import console

    screen = console(plain=plain, stderr=True)
    lines = [("error", error.says, "bold red"), ("rule", error.rule, "bold"), ("nearest", error.nearest, "bold green")]
    for word, text, style in lines:
        if text:
            screen.print(f"[{style}]{word}:[/] ", end="")
            screen.print(text, markup=False, soft_wrap=True)
    return error.exit_code
