"""The folder of a run's checkpoints.

checkpoints/step-00000200/.metadata      which box of which tensor lies where (torch.distributed.checkpoint)
checkpoints/step-00000200/__0_0.distcp   the boxes that rank 0 wrote, and so on for every rank
checkpoints/step-00000200/record.json    step, task, batch, seed, layout, optimizer settings, and a digest of each file
checkpoints/LATEST                       "step-00000200"

A checkpoint is a new folder each time, complete before it has its name; two are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rigwise.files import replace_text

FOLDER, LATEST, RECORD = "checkpoints", "LATEST", "record.json"
KEPT = 2
_PREFIX, _ASIDE = "step-", ".partial-"


def found(output: Path) -> list[Path]:
    """The checkpoints of a run, newest first: the one that LATEST names before all."""
    folder = output / FOLDER
    newest_first = sorted(folder.glob(f"{_PREFIX}*"), reverse=True)
    pointer = folder / LATEST
    latest = folder / pointer.read_text().strip() if pointer.exists() else None
    return sorted(newest_first, key=lambda path: path != latest)


def aside(output: Path, step: int) -> Path:
    """Where the checkpoint of a step is written before it is complete."""
    return output / FOLDER / f"{_ASIDE}{step:08d}"


def clear(output: Path) -> None:
    """Remove what was never finished."""
    for old in (output / FOLDER).glob(f"{_ASIDE}*"):
        shutil.rmtree(old, ignore_errors=True)


def finish(output: Path, step: int, record: Mapping[str, Any], digests: Mapping[str, str]) -> Path:
    """Give a checkpoint whose files are written its record and its name; the oldest goes.

    Raises OSError, also where a file is not there: then the ranks do not share the folder.
    """
    folder, partial = output / FOLDER, aside(output, step)
    for name in digests:
        if not (partial / name).is_file():
            raise FileNotFoundError(0, "the ranks do not share this folder", str(partial / name))
    whole = {**record, "step": step, "files": dict(digests)}
    replace_text(partial / RECORD, json.dumps({**whole, "digest": _digest(whole)}, indent=1) + "\n")
    path = folder / f"{_PREFIX}{step:08d}"
    shutil.rmtree(path, ignore_errors=True)
    partial.replace(path)
    _sync(folder)
    replace_text(folder / LATEST, path.name + "\n")
    for old in sorted(folder.glob(f"{_PREFIX}*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def _sync(folder: Path) -> None:
    """A rename is on the disk when its folder is."""
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_record(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself. Raises OSError and ValueError."""
    record = json.loads((path / RECORD).read_text())
    if not isinstance(record, dict) or record.pop("digest", None) != _digest(record):
        raise ValueError(f"{RECORD} is not what was written")
    return record


def _digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of a record, whatever the order and the spaces of its JSON."""
    return hashlib.sha256(json.dumps(json.loads(json.dumps(record)), sort_keys=True).encode()).hexdigest()


def torn(path: Path, names: Iterable[str], digests: Mapping[str, str]) -> str:
    """What is wrong with these files of a checkpoint; empty where nothing is."""
    for name in names:
        try:
            if digest(path / name) != digests[name]:
                return f"{name} is not what was written"
        except OSError as error:
            return f"{name}: {error.strerror}"
    return ""
