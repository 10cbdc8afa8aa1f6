"""Profiles on disk: one file a name in the user's data folder, a profile for each number of ranks and threads."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from rigwise.cost.profile import Profile
from rigwise.errors import NotFoundError, UsageError
from rigwise.files import replace_text

SCHEMA_VERSION = 3
USUAL = "this"
VARIABLE = "RIGWISE_PROFILE"
"""Environment: the name of the profile that predictions for `this` go by; `this` where it is not set."""


def folder() -> Path:
    """Where the profiles lie."""
    import platformdirs

    return Path(platformdirs.user_data_dir("rigwise")) / "profiles"


def _file(name: str) -> Path:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"profile name {name!r}", rule="letters, digits, - and _", nearest=USUAL)
    return folder() / f"{name}.json"


def save(profiles: Sequence[Profile], name: str = USUAL) -> Path:
    """Write the profiles of a machine under a name; the file. Raises UsageError for a name that is none."""
    path = _file(name)
    text = json.dumps({"schema_version": SCHEMA_VERSION, "profiles": [p.to_dict() for p in profiles]})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, text)
    except OSError as refused:
        raise UsageError(f"cannot write {path}: {refused.strerror}") from None
    return path


def load(name: str = USUAL) -> list[Profile]:
    """The profiles of a name; none where there is no such file, or one that this version cannot read.

    A name other than the usual one must be there: raises NotFoundError; and UsageError for a name that is none.
    """
    path = _file(name)
    try:
        data = json.loads(path.read_text("utf-8"))
        return [Profile.from_dict(one) for one in data["profiles"]] if data["schema_version"] == SCHEMA_VERSION else []
    except FileNotFoundError:
        if name == USUAL:
            return []
        known = ", ".join(sorted(p.stem for p in folder().glob("*.json")))
        raise NotFoundError(f"no profile {name!r}", nearest=known or "`rigwise measure`, then calibrate") from None
    except (OSError, ValueError, KeyError, TypeError):
        return []


def matching(machine: str, ranks: int, threads: int, name: str | None = None) -> Profile | None:
    """The profile of this machine for a number of ranks and threads; None where it was not measured so.

    name: by default what RIGWISE_PROFILE says, or the usual one. Raises NotFoundError for another that is not there.
    """
    named = load(name or os.environ.get(VARIABLE) or USUAL)
    same = [p for p in named if p.machine == machine and p.ranks == ranks and p.threads == threads]
    return same[-1] if same else None
