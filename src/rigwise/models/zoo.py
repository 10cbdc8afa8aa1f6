"""The models that come with rigwise: zoo/*.toml, several models a file, one table a model.

    [gpt3-175b]
    builder = "transformer:transformer"   # module under rigwise.models : function
    seq = 2048                             # the builder's arguments ...
    aliases = ["gpt-3"]
    published_parameters = 174.6e9         # what the source prints; a test compares
    parameters_tolerance = 0.01            # why it may differ is said in `note`
    source = "arXiv 2005.14165 table 2.1"

`extends = "gpt3-175b"` starts from another entry. Files are cut at their headers, and only the table that is asked for
is parsed, so that one model costs milliseconds however many there are.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from rigwise.errors import UsageError, not_found
from rigwise.models.model import Model

FOLDER = Path(__file__).parent / "zoo"
FACTS = ("aliases", "published_parameters", "parameters_tolerance", "source", "note")
_HEADER = re.compile(r"^\[([^\[\]]+)\]\s*(?:#.*)?$", re.MULTILINE)
_ALIASES = re.compile(r"^aliases\s*=\s*\[([^\]]*)\]", re.MULTILINE)
_BUILDER = re.compile(r'^builder\s*=\s*"([^"]+)"', re.MULTILINE)
_QUOTED = re.compile(r'"([^"]+)"')


def names() -> list[str]:
    """All models of the zoo, sorted; aliases are left out.

    >>> "gpt3-175b" in names()
    True
    """
    return sorted(_tables())


def load(name: str, seq: int | None = None, **overrides: Any) -> Model:
    """A model of the zoo; seq and overrides replace arguments of its builder.

    Case, spaces, dashes and underscores of the name do not matter. Raises NotFoundError for an unknown name and
    UsageError for an argument that the builder does not have.

    >>> load("gpt2").parameters
    124439808.0
    """
    key = find(name)
    if key is None:
        raise not_found("model", name, known())
    arguments = entry(key)
    facts = {fact: arguments.pop(fact, "") for fact in FACTS}
    if seq is not None:
        overrides["seq"] = seq
    model = build(arguments | overrides, what=f"model {key}")
    return replace(model, name=key, source=facts["source"])


def find(name: str) -> str | None:
    """The zoo's own spelling of a name or an alias, None if it is unknown."""
    return _index().get(squash(name))


def entry(name: str) -> dict[str, Any]:
    """The table of a model as its file has it, `extends` resolved; name in the zoo's own spelling."""
    table: dict[str, Any] = next(iter(tomllib.loads(_tables()[name]).values()))
    base = table.pop("extends", None)
    if base is None:
        return table
    inherited = {key: value for key, value in entry(base).items() if key not in FACTS}
    return inherited | table


def build(arguments: Mapping[str, Any], *, what: str) -> Model:
    """The model that `builder` makes of the other arguments. what names the model in an error."""
    chosen = dict(arguments)
    builder = resolve_builder(chosen.pop("builder"))
    check_arguments(chosen, builder, what)
    return builder(**chosen)


def resolve_builder(text: str) -> Callable[..., Model]:
    """The function behind 'module:function', module under rigwise.models; imported when asked for."""
    module, _, function = text.partition(":")
    builder: Callable[..., Model] = getattr(import_module(f"rigwise.models.{module}"), function)
    return builder


def check_arguments(arguments: Mapping[str, Any], builder: Callable[..., Model], what: str) -> None:
    """Raise UsageError for an argument that the builder lacks, with the nearest that it has, or one that it needs."""
    known = inspect.signature(builder).parameters
    takes = f"{builder.__name__} takes {', '.join(known)}"
    for key in arguments:
        if key == "seq" and (key not in known or arguments.get("image")):
            raise UsageError(f"{what} has no sequence length", rule="seq belongs to models of tokens")
        if key in known:
            continue
        close = get_close_matches(key, known, n=3, cutoff=0.5)
        raise UsageError(f"{what} has no argument {key!r}", rule=takes, nearest=", ".join(close))
    missing = [name for name, one in known.items() if one.default is one.empty and name not in arguments]
    if missing:
        raise UsageError(f"{what} lacks {', '.join(missing)}", rule=takes)


def builders() -> list[str]:
    """Every builder that a model of the zoo names."""
    return sorted({name for text in _tables().values() for name in _BUILDER.findall(text)})


def squash(name: str) -> str:
    """A name as it is looked up: lower case, letters, digits and dots alone.

    >>> squash("GPT-3 175B"), squash("qwen_2.5-7b")
    ('gpt3175b', 'qwen2.57b')
    """
    return re.sub(r"[^a-z0-9.+]", "", name.lower())


@cache
def _tables() -> dict[str, str]:
    """The text of each model's table, header included."""
    tables: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        headers = list(_HEADER.finditer(text))
        ends = [match.start() for match in headers[1:]] + [len(text)]
        for match, end in zip(headers, ends, strict=True):
            tables[match[1].strip('" ')] = text[match.start() : end]
    return tables


@cache
def _aliases() -> dict[str, list[str]]:
    found = {name: _ALIASES.search(text) for name, text in _tables().items()}
    return {name: _QUOTED.findall(match[1]) for name, match in found.items() if match}


@cache
def _index() -> dict[str, str]:
    index = {squash(alias): name for name, aliases in _aliases().items() for alias in aliases}
    return index | {squash(name): name for name in _tables()}


def known() -> list[str]:
    """All names and aliases."""
    return names() + [alias for aliases in _aliases().values() for alias in aliases]
