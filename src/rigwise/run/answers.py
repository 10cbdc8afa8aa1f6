"""What needs torch, asked of a fork of the process that has it (server.py), so that this one need not read it too.

Where this process has torch already, or no server was begun, it answers by itself.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigwise.errors import RigwiseError
from rigwise.run.launch import launch
from rigwise.run.reporter import Reporter
from rigwise.run.server_process import waiting

_GIVEN, _ANSWER = "given.pickle", "answer.pickle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A function "module:name" and its arguments, which lie pickled in a folder; the answer will lie there too."""

    function: str
    folder: str
    world: int = 1
    threads: int = 1
    work: str = __name__
    needs: tuple[str, ...] = ()
    device: str = "cpu"
    rendezvous: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"function": self.function, "folder": self.folder}


def answered(function: str, *given: Any) -> Any:
    """What the function "module:name" returns, or raises. given and what comes of it can be pickled; what it prints
    goes to stderr. LaunchError where the process that is asked dies.
    """
    if "torch" in sys.modules or not waiting():
        return _named(function)(*given)
    with tempfile.TemporaryDirectory(prefix="rigwise-") as private:
        Path(private, _GIVEN).write_bytes(pickle.dumps(given))
        try:
            launch(Question(function=function, folder=private), Path(private), lambda report: None)
        finally:
            sys.stderr.write("".join(path.read_text("utf-8", "replace") for path in Path(private).glob("rank-*.txt")))
        well, value = _read(Path(private, _ANSWER))
    if not well:
        raise value
    return value


def work(start: Mapping[str, Any], rank: int, reporter: Reporter) -> int:
    """Answer a question; the exit code."""
    folder = Path(start["folder"])
    try:
        given = _read(folder / _GIVEN)
        told = (True, _named(start["function"])(*given))
    except RigwiseError as error:
        told = (False, error)
    (folder / _ANSWER).write_bytes(pickle.dumps(told))
    reporter.send("done")
    return 0


def _read(path: Path) -> Any:
    return pickle.loads(path.read_bytes())  # noqa: S301 - our own, in a folder that is ours alone


def _named(function: str) -> Any:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)
