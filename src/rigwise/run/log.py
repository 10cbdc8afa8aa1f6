"""The training log: one JSON object a line, one line a step, flushed at once; rank 0 writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from rigwise.errors import LaunchError
from rigwise.files import replace_text

NAME = "log.jsonl"


class Log:
    """Appends records; the lines after step `keep` go first, as a resumed run writes them again."""

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        kept = [line for line in _lines(path) if line["step"] <= keep]
        replace_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file: TextIO = path.open("a")

    def write(self, record: Mapping[str, Any]) -> None:
        """One line. A full disk is said with the path."""
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise LaunchError(
                f"cannot write {self.path}: {error.strerror}", rule="the log has a line for every step"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; a last one that was cut off in the writing is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            break
        lines.append(line)
    return lines


def losses(path: Path, before: int) -> list[float]:
    """The losses of steps 1 to `before`, as far as the log has them."""
    return [line["loss"] for line in _lines(path) if line["step"] <= before]
