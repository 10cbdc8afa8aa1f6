"""NVIDIA's management library, opened for a while and asked: detection and sensors read cards through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def opened() -> Iterator[Any]:
    """The library, started; None where there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # without a driver this fails in many ways, and none of them is an error here
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def ask(nvml: Any, call: str, *arguments: Any) -> Any:
    """The answer of one call, None where this driver or this card does not give it."""
    try:
        return getattr(nvml, call)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None
