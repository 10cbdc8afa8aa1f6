"""What went wrong in a rank, and which of several ranks' failures is the cause."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigwise.errors import InfeasibleError, LaunchError, NotFoundError, RigwiseError, UsageError

_FAMILY: Mapping[str, type[RigwiseError]] = {
    error.kind: error for error in (RigwiseError, UsageError, InfeasibleError, NotFoundError, LaunchError)
}
_LAST_LINES = 5
LOST_CODE = 75  # of a rank that lost its neighbours: try again (EX_TEMPFAIL of sysexits.h)
_KILLED, _TOLD, _ENDED, _LOST = range(4)  # what is likelier the cause of the others stands first


class ToldElsewhere(LaunchError):
    """This rank ends because of what another process says: nothing is to be said here. exit_code: how it ends."""

    def __init__(self, exit_code: int, says: str = "") -> None:
        super().__init__(says)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One rank's failure. weight: the lower, the likelier it caused the others."""

    rank: int
    weight: int
    error: RigwiseError

    @property
    def certain(self) -> bool:
        """Is it a cause, and not only a neighbour's end seen from here?"""
        return self.weight != _LOST


def told(rank: int, world: int, report: Mapping[str, Any]) -> Failure:
    """The failure that a rank reported before it ended (worker.py)."""
    if report["error"] == "lost":
        return Failure(
            rank=rank, weight=_LOST, error=LaunchError(f"rank {rank} of {world} lost its neighbours: {report['says']}")
        )
    return Failure(rank=rank, weight=_TOLD, error=raised(report))


def raised(report: Mapping[str, Any]) -> RigwiseError:
    """The error that another process raised, from its to_dict."""
    family = _FAMILY.get(report["error"], RigwiseError)
    return family(report["says"], rule=report["rule"], nearest=report["nearest"])


def ended(rank: int, world: int, code: int, step: int, prints: Path) -> Failure:
    """The failure of a rank that ended without a word."""
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name} (exit code {code})"
        rule = "the kernel kills with SIGKILL when memory runs out" if code == -signal.SIGKILL else ""
    else:
        how, rule = f"ended with exit code {code}", "a rank trains until the last step"
    when = f"after step {step} was reported" if step else "before a step was reported"
    lines = " | ".join(last_lines(prints)) or "nothing"
    error = LaunchError(f"rank {rank} of {world} {how} {when}; it last printed: {lines}", rule=rule)
    return Failure(rank=rank, weight=_KILLED if code < 0 else _ENDED, error=error)


def last_lines(prints: Path) -> list[str]:
    """The last lines that a rank printed."""
    try:
        return prints.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
    except OSError:
        return []


def cause(failures: Sequence[Failure]) -> Failure:
    """The failure that most likely caused the others: the first of the lowest weight."""
    return min(failures, key=lambda failure: failure.weight)
