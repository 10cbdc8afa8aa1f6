"""Which names a request may say: those of catalogues, and files inside the folder that was given on the command line.

A path on the command line is the user's own business. A path in a request is not: it could read what the sender may not
see, and `file.py:function` would run what the sender wrote. So over HTTP a model or a cluster is a name, or a .toml or
.json inside the served folder; Python files never.
"""

from __future__ import annotations

import re
from pathlib import Path

from rigwise.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)?")
_STRIPES = re.compile(r"stripes(:-?[\d.]{1,8}){0,2}")
READABLE = (".toml", ".json")
_RULE = "over HTTP: a name of the catalogue, or a .toml or .json in the folder of `rigwise serve --folder`"


def model_name(text: str, folder: Path | None) -> str:
    """The model's name, or the checked path of its file. Raises UsageError for any other path."""
    name = text.strip()
    if ".py" in name.lower():
        raise UsageError(f"model {text!r}", rule="Python files are read from the command line only", nearest=_RULE)
    if _is_path(name):
        return _inside(name, folder)
    if not _NAME.fullmatch(name):
        raise UsageError(f"model {text!r}", rule=_RULE)
    return name


def cluster_name(text: str, folder: Path | None) -> str:
    """The cluster's spelling, or the checked path of its file. Raises UsageError for any other path."""
    name = text.strip()
    return _inside(name, folder) if _is_path(name) else name


def task_name(text: str) -> str:
    """A packaged task. Raises UsageError for a file: it would run what the sender wrote."""
    if ".py" in text.lower() or ":" in text:
        raise UsageError(f"task {text!r}", rule="task files are run from the command line only", nearest="digits")
    return text


def image_name(text: str) -> str:
    """An image that comes along. Raises UsageError for a path."""
    if text != "cat" and not _STRIPES.fullmatch(text):
        raise UsageError(f"image {text!r}", rule="over HTTP: cat, stripes:30:8, or a PNG that is sent along")
    return text


def told_run(text: str) -> str:
    """A measured run, told in a line. Raises UsageError for the path of a table."""
    if "," not in text or _exists(text):
        raise UsageError(f"like {text!r}", rule="over HTTP a run is told in a line", nearest='"8xh100, gpt2, 3.9 s"')
    return text


def _is_path(name: str) -> bool:
    return name.lower().endswith((*READABLE, ".csv")) or name.startswith((".", "~", "/")) or _exists(name)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def _inside(name: str, folder: Path | None) -> str:
    """The path of a readable file inside the folder, links followed."""
    if folder is None:
        raise UsageError(f"{name!r} is a path", rule=_RULE, nearest="start with `rigwise serve --folder FOLDER`")
    root = folder.resolve()
    try:
        place = (root / name).resolve()
        there = place.is_relative_to(root) and place.suffix.lower() in READABLE and place.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise UsageError(f"{name!r} is not there to be read", rule=_RULE)
    return str(place)
