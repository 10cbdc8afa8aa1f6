"""Whose code failed: the task's, or ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rigwise.errors import RigwiseError


class TaskCodeError(Exception):
    """Something that belongs to the task raised; the exception itself is the cause. doing: what it was asked for."""


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Code of the task runs in here: its model, loss, data or optimizer."""
    try:
        yield
    except RigwiseError:
        raise
    except (Exception, SystemExit) as error:
        raise TaskCodeError(doing) from error
