"""torch's tracer, read when this module is, without a library that it only names.

torch.export reads torch's partitioner, and that networkx, whose graphs stand there in the annotations of functions that
no trace calls: 300 modules, 12 MiB of every rank and half the time that the tracer takes to be read.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import torch


class _Unread(ModuleType):
    """A library that is not read yet. naming: whoever asks for a member wants to name it; otherwise to use it."""

    naming = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return object if self.naming else getattr(importlib.import_module(self.__name__), name)


@contextmanager
def unread(name: str) -> Iterator[None]:
    """What is imported in here may name a library's members; the library itself is read when one of them is used."""
    if name in sys.modules:
        yield
        return
    stands = _Unread(name)
    sys.modules[name] = stands
    try:
        yield
    finally:
        stands.naming = False
        if sys.modules.get(name) is stands:
            del sys.modules[name]


with suppress(ImportError), unread("networkx"):  # another torch may call it by another name
    importlib.import_module("torch.export._trace")

export = torch.export.export
