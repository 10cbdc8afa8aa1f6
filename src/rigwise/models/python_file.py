"""A person's own Python file: running it, finding a function in it, and saying where it went wrong."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from rigwise.errors import NotFoundError, RigwiseError, UsageError, not_found


def function_of(path: Path, name: str) -> Callable[..., Any]:
    """The function `name` of a file, which is run for it.

    Raises NotFoundError where there is no such file or function, UsageError with line and message where the file fails.
    """
    if not path.is_file():
        raise NotFoundError(f"no file {str(path)!r}", rule="a traced model is file.py:function")
    module = _execute(path.resolve())
    found = getattr(module, name, None)
    if not callable(found):
        own = [
            key for key, value in vars(module).items() if callable(value) and _belongs(value, module) and key[0] != "_"
        ]
        raise not_found(f"function in {path.name}", name, own, hint=", ".join(own) or "the file has no function")
    return _staying(found, path, name)


@contextmanager
def aside() -> Iterator[None]:
    """What a person's code prints goes to stderr, as stdout is the answer's. torch's tracebacks of what cannot be
    traced are kept back: it is tried in other ways, and told in a line where none works.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        log.disabled = before


def _staying(function: Callable[..., Any], path: Path, name: str) -> Callable[..., Any]:
    """The function, whose sys.exit is an error of the file and not the end of this process."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except SystemExit as error:
            raise blame(error, path, f"the function {name}") from error

    return call


def blame(error: BaseException, path: Path, what: str) -> RigwiseError:
    """The report of an exception from a person's file: the last line of that file on the way to it."""
    if isinstance(error, RigwiseError):
        return error
    line = _line(error, path.resolve())
    where = f"{path.name}:{line}" if line else path.name
    lines = str(error).strip().splitlines() or ["no message"]
    return UsageError(f"{what} raised {type(error).__name__} at {where}: {lines[0]}")


def _line(error: BaseException, path: Path) -> int:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 0
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _belongs(value: object, module: ModuleType) -> bool:
    return getattr(value, "__module__", "") == module.__name__


def _execute(path: Path) -> ModuleType:
    name = f"rigwise_traced_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"cannot read {str(path)!r} as Python", rule="a traced model is file.py:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses in the file look themselves up here
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # the file's neighbours can be imported
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise blame(error, path, f"the file {path.name}") from error
    return module
