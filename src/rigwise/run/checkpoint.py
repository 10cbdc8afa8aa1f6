"""Checkpoints: a new folder each, complete before it has its name; LATEST names the last; two are kept.

checkpoints/step-00000200/state.pt     weights, optimizer, step, and what a resumed run must agree with
checkpoints/LATEST                     "step-00000200"
"""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rigwise.errors import LaunchError, UsageError
from rigwise.files import replace_text
from rigwise.run.parallel.parallel import Parallel
from rigwise.run.parallel.whole import scattered
from rigwise.units import show_bytes

FOLDER, LATEST, STATE = "checkpoints", "LATEST", "state.pt"
_KEPT = 2
_PREFIX, _ASIDE = "step-", ".partial-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A checkpoint that was read. skipped: newer ones that could not be, with the reason."""

    path: Path
    state: Mapping[str, Any]
    skipped: tuple[str, ...]


def found(output: Path) -> list[Path]:
    """The checkpoints of a run, newest first: the one that LATEST names before all."""
    folder = output / FOLDER
    newest_first = sorted(folder.glob(f"{_PREFIX}*"), reverse=True)
    pointer = folder / LATEST
    latest = folder / pointer.read_text().strip() if pointer.exists() else None
    return sorted(newest_first, key=lambda path: path != latest)


def save(output: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write a checkpoint; the older ones stay until this one is complete.

    Raises LaunchError with the reason and the space there is; then nothing of the new one is left and LATEST still
    names the older.
    """
    folder = output / FOLDER
    path, aside = folder / f"{_PREFIX}{step:08d}", folder / f"{_ASIDE}{step:08d}"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        _write(aside / STATE, {**state, "step": step})
        shutil.rmtree(path, ignore_errors=True)
        aside.replace(path)
        replace_text(folder / LATEST, path.name + "\n")
    except (OSError, RuntimeError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise _refused(output, step, state, error) from error
    for old in sorted(folder.glob(f"{_PREFIX}*"))[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def _write(path: Path, state: Mapping[str, Any]) -> None:
    with path.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())


def _refused(output: Path, step: int, state: Mapping[str, Any], error: Exception) -> LaunchError:
    why = _reason(error)
    try:
        free = f"; {show_bytes(shutil.disk_usage(output).free)} are free there"
    except OSError:
        free = ""
    size = sum(tensor.nbytes for tensor in _tensors(state))
    older = found(output)
    return LaunchError(
        f"cannot write the checkpoint of step {step} ({show_bytes(size)}) to {output / FOLDER}: {why}{free}",
        rule="a checkpoint is complete or not there",
        nearest=f"{older[0]} is intact: make room, then resume" if older else "another output folder",
    )


def _reason(error: BaseException) -> str:
    """What the system said: torch's writer covers it with an error of its own."""
    inner: BaseException | None = error
    while inner:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__context__
    return str(error).splitlines()[0]


def _tensors(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    values = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, (list, tuple)) else ()
    return [tensor for value in values for tensor in _tensors(value)]


def restore(output: Path, device: torch.device) -> Restored:
    """The newest checkpoint that can be read."""
    skipped = []
    for path in found(output):
        try:
            state = torch.load(path / STATE, map_location=device, weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            skipped.append(f"checkpoint {path} cannot be read ({str(error).splitlines()[0] or type(error).__name__})")
            continue
        return Restored(path=path, state=state, skipped=tuple(skipped))
    raise UsageError(
        f"no checkpoint to resume from in {output / FOLDER}" + "".join(f"; {what}" for what in skipped),
        rule="a run is resumed from its output folder",
        nearest="the same run without resume, in another output folder",
    )


def agree(state: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with another seed, batch or task than the checkpoint's: it would not be the same training."""
    for key, value in now.items():
        if state[key] != value:
            raise UsageError(
                f"the checkpoint was trained with {key} {state[key]}, this run has {key} {value}",
                rule="a resumed run goes on with the same task, batch and seed",
                nearest=f"{key} {state[key]}",
            )


def fill(parallel: Parallel, optimizer: torch.optim.Optimizer, restored: Restored) -> None:
    """Put the checkpoint's weights and optimizer state in place, this rank's pieces of them."""
    try:
        scattered(parallel, optimizer, restored.state["model"], restored.state["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise UsageError(
            f"{restored.path} does not fit the task's model or optimizer: {' '.join(str(error).split())}",
            rule="a checkpoint is read by the task that wrote it",
        ) from error
