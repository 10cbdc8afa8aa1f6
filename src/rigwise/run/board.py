"""The log as TensorBoard reads it. The package `tensorboard` writes the files; torch is not needed for that."""

from __future__ import annotations

import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rigwise.errors import LaunchError
from rigwise.run.job import StepRecord

FOLDER = "tensorboard"
_PLAIN = ("loss", "step_s", "samples_per_s", "tokens_per_s", "mfu", "memory", "slowest_ratio")


def require_tensorboard() -> None:
    """Refuse before anything is started where the package is missing."""
    if find_spec("tensorboard") is None:
        raise LaunchError("--tensorboard needs the package tensorboard", nearest="pip install 'rigwise[tensorboard]'")


class Board:
    """An event file in the run's output folder, one scalar for each figure of a step's record."""

    def __init__(self, output: Path) -> None:
        writer = import_module("tensorboard.summary.writer.event_file_writer")
        self._writer: Any = writer.EventFileWriter(str(output / FOLDER))
        self._event: Any = import_module("tensorboard.compat.proto.event_pb2").Event
        self._summary: Any = import_module("tensorboard.compat.proto.summary_pb2").Summary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()

    def write(self, record: StepRecord) -> None:
        """One step."""
        known = {name: getattr(record, name) for name in _PLAIN}
        values = {name: value for name, value in known.items() if value is not None}
        values |= {f"seconds/{part}": seconds for part, seconds in record.parts.items()}
        summary = self._summary(
            value=[self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        )
        self._writer.add_event(self._event(wall_time=time.time(), step=record.step, summary=summary))
