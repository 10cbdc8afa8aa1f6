"""The family of errors, each with the exit code that the command line returns.

    RigwiseError            1   our fault, or anything not named below
    ├── UsageError          2   a wrong word, size, file or combination
    ├── InfeasibleError     3   legal, but it cannot be done on this cluster
    ├── NotFoundError       4   an unknown or ambiguous name
    └── LaunchError         5   a rank, a library or the machine failed

An error is a small report: what failed with its numbers, the rule, and the nearest thing that works.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_INTERRUPTED = 130
MOST = 10**12
"""More samples, tokens or steps than this are a slip of the keyboard, and would be counted for ever."""


class RigwiseError(Exception):
    """The base of the family.

    says: what failed, with its numbers. rule: the rule that was broken. nearest: what would work instead.
    """

    exit_code = 1
    kind = "internal"

    def __init__(self, says: str, *, rule: str = "", nearest: str = "") -> None:
        super().__init__(says)
        self.says = says
        self.rule = rule
        self.nearest = nearest

    def __str__(self) -> str:
        parts = [self.says]
        if self.rule:
            parts.append(f"rule: {self.rule}")
        if self.nearest:
            parts.append(f"nearest: {self.nearest}")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, str | int]:
        """The error as the JSON that `--json` prints."""
        return {
            "error": self.kind,
            "says": self.says,
            "rule": self.rule,
            "nearest": self.nearest,
            "exit_code": self.exit_code,
        }


class UsageError(RigwiseError):
    """The input is wrong: a size, a key, a file, an impossible layout."""

    exit_code = 2
    kind = "usage"


class InfeasibleError(RigwiseError):
    """The question is right and the answer is no: names the binding constraint and what would lift it."""

    exit_code = 3
    kind = "infeasible"


class NotFoundError(RigwiseError):
    """A name is unknown or stands for several things."""

    exit_code = 4
    kind = "not-found"


class LaunchError(RigwiseError):
    """A rank died, a library is missing, or the machine refused."""

    exit_code = 5
    kind = "launch"


def check_whole(least: int = 1, most: int = MOST, **sizes: object) -> None:
    """Refuse sizes that are no whole numbers from `least` to `most`; None is a size that nobody said.

    >>> check_whole(batch=64, seq=None)
    >>> check_whole(batch=0)
    Traceback (most recent call last):
    rigwise.errors.UsageError: batch=0; rule: batch is a whole number of at least 1
    """
    for name, value in sizes.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise UsageError(f"{name}={value!r}", rule=f"{name} is a whole number of at least {least}")
        if isinstance(value, int) and value > most:
            raise UsageError(f"{name}={value}", rule=f"{name} is at most {most:,}")


def not_found(what: str, name: str, known: Iterable[str], hint: str = "") -> NotFoundError:
    """The error for an unknown name, with the nearest known ones.

    >>> str(not_found("model", "gpt3-157b", ["gpt3-175b", "vgg16"]))
    "no model 'gpt3-157b'; nearest: gpt3-175b"
    """
    close = get_close_matches(name.lower(), list(known), n=4, cutoff=0.5)
    return NotFoundError(f"no {what} {name!r}", nearest=", ".join(close) or hint)
