"""What a person sets of a task: keyword arguments of its function, checked against the function's signature."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rigwise.errors import UsageError, not_found

Value = bool | int | float | str
_WORDS = {"true": True, "false": False, "on": True, "off": False}


def value(text: str) -> Value:
    """A value as a person writes it: a number, true or false, else a word.

    >>> value("1e-3"), value("32"), value("true"), value("adam")
    (0.001, 32, True, 'adam')
    """
    text = text.strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        read = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return read if isinstance(read, (bool, int, float, str)) else text


def read(entries: Iterable[str]) -> dict[str, Value]:
    """Entries `name=value`.

    >>> read(["lr=0.1", "wide=true"])
    {'lr': 0.1, 'wide': True}
    """
    found: dict[str, Value] = {}
    for entry in entries:
        name, equals, text = entry.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier() or not text.strip():
            raise UsageError(f"setting {entry!r}", rule="a setting is name=value", nearest="lr=0.1")
        if name in found:
            raise UsageError(f"{name} is set twice: {found[name]} and {text.strip()}", rule="a setting has one value")
        found[name] = value(text)
    return found


def fitted(function: Callable[..., Any], settings: Mapping[str, Value], where: str) -> dict[str, Value]:
    """The settings as the function takes them: a whole number is a float where the function's default is one.

    Raises NotFoundError for a parameter that it has not, UsageError for a value of another kind than its default's, and
    for a parameter without a default that is not set.
    """
    parameters = inspect.signature(function).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name, parameter in named.items():
        if parameter.default is parameter.empty and name not in settings:
            raise UsageError(f"{where} takes {name}, which is not set", rule="a parameter has a default, or is set")
    out = {}
    for name, given in settings.items():
        if name not in named and not anything:
            raise not_found(f"parameter of {where}", name, named, hint=", ".join(named) or "it takes none")
        default = named[name].default if name in named else None
        out[name] = _as(name, given, default, where)
    return out


def _as(name: str, given: Value, default: Any, where: str) -> Value:
    if isinstance(default, float) and isinstance(given, int) and not isinstance(given, bool):
        given = float(given)
    if isinstance(given, float) and not math.isfinite(given):
        raise UsageError(f"{name}={given}", rule="a number is finite")
    for kind in (bool, int, float, str):
        if isinstance(default, kind):
            if type(given) is not kind:
                raise UsageError(
                    f"{name}={given!r} for {where}", rule=f"its default is {default!r}, so {name} is a {kind.__name__}"
                )
            break
    return given
