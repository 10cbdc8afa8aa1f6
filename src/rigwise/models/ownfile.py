"""A model of one's own in TOML: a builder and its arguments, another model and what differs, or blocks of layers.

    builder = "transformer"          extends = "llama-3-8b"          input = [3, 32, 32]
    layers = 12                      layers = 40
    hidden = 768                     kv_heads = 4                    [[block]]
    heads = 12                       seq = 4096                      layers = ["conv 64 3 pad=1", "relu"]
    vocab = 50257                                                    repeat = 4

                                                                     [[block]]
                                                                     layers = ["globalpool", "dense 10"]

The keys beside `name`, `source` and `note` are the builder's arguments; the words of a layer are those of
models/convnet.py. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rigwise.errors import NotFoundError, UsageError, not_found
from rigwise.models import zoo
from rigwise.models.model import Model
from rigwise.models.sizes import MOST_LAYERS

_FREE = ("name", "source", "note")
_WAYS = ("builder", "extends", "block")
_CHAIN = "convnet:chain"


def from_toml(path: Path, seq: int | None = None, **overrides: Any) -> Model:
    """The model that a TOML file describes; seq and overrides replace its keys.

    Raises UsageError for a broken file, an unknown key or a size that no network can have, always with the path.
    """
    table = read_toml(path)
    ways = [way for way in _WAYS if way in table]
    if len(ways) != 1:
        says = f"{path} has {' and '.join(ways) if ways else 'none of them'}"
        raise UsageError(says, rule="a model says exactly one of builder, extends, [[block]]")
    free = {key: str(table.pop(key, "")) for key in _FREE}
    if seq is not None:
        overrides["seq"] = seq
    try:
        model = zoo.build(_READ[ways[0]](table) | overrides, what="the model")
    except (UsageError, NotFoundError) as error:
        raise type(error)(f"{path}: {error.says}", rule=error.rule, nearest=error.nearest) from None
    except TypeError as error:
        raise UsageError(f"{path}: a value has the wrong type: {error}") from None
    return replace(model, name=free["name"] or path.stem, source=free["source"] or str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file; a broken one is an error with its line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None


def _from_builder(table: dict[str, Any]) -> dict[str, Any]:
    known = {text.partition(":")[2]: text for text in zoo.builders()}
    name = str(table["builder"])
    if name not in known and name not in known.values():
        near = not_found("builder", name, known).nearest
        raise UsageError(f"no builder {name!r}", rule=f"known: {', '.join(sorted(known))}", nearest=near)
    return table | {"builder": known.get(name, name)}


def _from_other(table: dict[str, Any]) -> dict[str, Any]:
    base = table.pop("extends")
    name = zoo.find(base) if isinstance(base, str) else None
    if name is None:
        raise UsageError(
            f"extends = {base!r} is not a model of the zoo", nearest=not_found("model", str(base), zoo.known()).nearest
        )
    inherited = {key: value for key, value in zoo.entry(name).items() if key not in zoo.FACTS}
    return inherited | table


def _from_blocks(table: dict[str, Any]) -> dict[str, Any]:
    _only(table, ("input", "block"), "a model of blocks")
    if "input" not in table:
        raise UsageError("there is no key 'input'", rule="input is channels, then spatial sizes: [3, 32, 32]")
    blocks: list[list[str]] = []
    given = table["block"]
    for number, block in enumerate(given if isinstance(given, list) else [given], 1):
        blocks += _one_block(block, f"[[block]] number {number}")
    return {"builder": _CHAIN, "image": table["input"], "blocks": blocks}


def _one_block(block: Any, what: str) -> list[list[str]]:
    if not isinstance(block, dict):
        raise UsageError(f"{what} is {block!r}", rule="a block is a table with `layers` and perhaps `repeat`")
    _only(block, ("layers", "repeat"), what)
    lines, repeat = block.get("layers"), block.get("repeat", 1)
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
        raise UsageError(f"{what}: layers = {lines!r}", rule='layers is a list of lines such as "conv 64 3 pad=1"')
    if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1:
        raise UsageError(f"{what}: repeat = {repeat!r}", rule="repeat is a whole number of at least 1")
    if repeat > MOST_LAYERS:
        raise UsageError(f"{what}: repeat = {repeat}", rule=f"a network has at most {MOST_LAYERS:,} layers")
    return [lines] * repeat


def _only(table: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in table:
        if key not in known:
            near = ", ".join(get_close_matches(key, known, n=3, cutoff=0.5))
            raise UsageError(f"{what} has no key {key!r}", rule=f"known: {', '.join((*known, *_FREE))}", nearest=near)


_READ = {"builder": _from_builder, "extends": _from_other, "block": _from_blocks}
