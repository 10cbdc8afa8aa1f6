"""Files that a reader is given: found, and not empty."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rigwise.errors import LaunchError, NotFoundError, UsageError

Where = str | Path | Iterable[str | Path]


def files_of(where: Where, suffixes: tuple[str, ...], what: str) -> list[Path]:
    """The files that a path, a pattern with *, a folder or several of these mean, in the order of their names.

    suffixes: of the files to take from a folder. Raises NotFoundError where nothing is there, UsageError for an empty
    file.
    """
    if isinstance(where, (str, Path)):
        found = _one(Path(where).expanduser(), suffixes)
    else:
        found = [file for each in where for file in files_of(each, suffixes, what)]
    if not found:
        raise NotFoundError(
            f"no {what} at {str(where)!r}",
            rule=f"what is read is a file, a pattern, or a folder of {' or '.join(suffixes)}",
        )
    for file in found:
        if file.stat().st_size == 0:
            raise UsageError(f"{what} {file} is empty", rule="what is read holds samples")
    return found


def _one(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in suffixes)
    if path.is_file():
        return [path]
    return sorted(path.parent.glob(path.name)) if path.name else []


def missing(package: str, extra: str, what: str) -> LaunchError:
    """The error where a reader's package is not installed."""
    return LaunchError(f"{what} needs the package {package}, which is not installed", nearest=f"pip install {extra}")
