"""What was trained: a row's label and sizes become a model of the zoo, with the row's sizes put in.

Sizes that a table leaves out are worked out from the label's parameter count P, for a plain transformer with
P = 12 L h^2 + V h (L layers, h hidden, V vocabulary).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rigwise.calibration.patterns import find
from rigwise.errors import NotFoundError, UsageError
from rigwise.measurements import words
from rigwise.measurements.tables import Row
from rigwise.models import zoo
from rigwise.models.adapt import adapt
from rigwise.models.model import Model

_SIZES = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab")
_PAD = 128
_STEP = 512  # hidden sizes of large models are multiples of it
_CONTROLS = frozenset(
    {"zoo", "sizes", "refuse", "needs_sizes", "hidden_default", "heads_of", "heads_default", "head_size"}
)
_EXPERTS = re.compile(r"moe|\d+x\d+ ?b|experts", re.IGNORECASE)
_FLASH_SINCE = 2023  # fused attention is usual in training software from then on


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model as a row trains it. key stands for it in caches; kind: "full", "lora" or "qlora"; assumed: what the table
    did not say."""

    key: str
    model: Model
    kind: str
    assumed: tuple[str, ...] = ()


def subject_of(row: Row, *, year: int | None, seq: int | None = None) -> Subject:
    """The model of a row, adapted as its label says.

    year: of the software, which decides on fused attention where the table does not. seq: instead of the row's own.
    Raises UsageError where the label cannot be predicted, and NotFoundError where nothing is known by it.
    """
    facts = _facts(row)
    if "refuse" in facts:
        raise UsageError(f"{row.model}: {facts['refuse']}", rule=facts["refuse"])
    name = _zoo_name(facts, row.model)
    given = {key: value for key, value in facts.items() if key not in _CONTROLS and f"{{{key}}}" not in facts["zoo"]}
    entry = _entry(name)
    assumed: tuple[str, ...] = ()
    if entry["builder"] == "transformer:transformer" and not entry.get("image"):
        settings, assumed = _text_settings(row, facts, entry, year, seq)
        given |= settings
    adaptation = dict(words.read("adaptations", f"{row.model} | {row.notes}") or {})
    precision = words.read("precision", row.precision) or {}
    return _built(name, _frozen(given), _frozen(adaptation), precision.get("bits"), assumed)


def _facts(row: Row) -> Mapping[str, Any]:
    """What the patterns say of a label; of one whose model the zoo lacks, what the row's own sizes make of it."""
    facts = find("subjects", row.model)
    sized = bool(row.layers and row.hidden and row.heads and row.seq_len)
    if facts is None or facts.get("needs_sizes"):
        return _by_name_or_sizes(row, facts, sized=sized)
    if "refuse" in facts or not sized or zoo.find(_wanted(facts)):
        return facts
    return _by_name_or_sizes(row, None, sized=True)


def _by_name_or_sizes(row: Row, family: Mapping[str, Any] | None, *, sized: bool) -> Mapping[str, Any]:
    """A label that no pattern knows well: a zoo name as it stands, else the sizes of a transformer, plain or gated.

    A mixture of experts is not guessed: no column tells how many experts there are.
    """
    name = None if row.layers else zoo.find(row.model)
    if name:
        return {"zoo": name}
    if family:
        return family
    if sized and (row.ep or 1) == 1 and not _EXPERTS.search(row.model):
        plain = row.ffn in (None, 4 * (row.hidden or 0))
        return {"zoo": "megatron-175b" if plain else "llama-7b"}
    raise NotFoundError(f"no model {row.model!r}, and no sizes to build it from", rule="the model is not known")


@lru_cache(maxsize=512)
def _entry(name: str) -> Mapping[str, Any]:
    return zoo.entry(name)


def _wanted(facts: Mapping[str, Any]) -> str:
    """The name that a pattern asks of the zoo."""
    groups = {key: str(value).lower() for key, value in facts.items()}
    return str(facts["zoo"].format_map({"generation": "", "size": "", "depth": "", **groups}))


def _zoo_name(facts: Mapping[str, Any], label: str) -> str:
    wanted = _wanted(facts)
    name = zoo.find(wanted)
    if name is None:
        raise NotFoundError(f"{label}: the zoo has no {wanted}", rule="the model is not in the zoo")
    return name


def _text_settings(
    row: Row, facts: Mapping[str, Any], entry: Mapping[str, Any], year: int | None, seq: int | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    given: dict[str, Any] = {}
    assumed: tuple[str, ...] = ()
    setting = find("settings", row.text) or {}
    if facts.get("sizes", True):
        given, assumed = _sizes(row, facts, {**entry, **_plain(facts), **setting})
    given["seq"] = seq or row.seq_len or entry["seq"]
    if entry.get("max_positions", given["seq"]) < given["seq"]:
        given["max_positions"] = given["seq"]
    flash = words.read("attention", row.flash_attention)
    if flash is None and row.family != "bert" and "flash" not in entry:
        given["flash"] = (year or _FLASH_SINCE) >= _FLASH_SINCE
    elif flash is not None:
        given["flash"] = flash["flash"]
    if "tied" in setting:
        given["tied"] = setting["tied"]
    if setting.get("pad"):
        given["vocab_multiple"] = _PAD * (row.tp or 1)
    return given, assumed


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key not in _CONTROLS}


def _sizes(row: Row, facts: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Layers, hidden, heads and the rest: the row's, else the pattern's, else worked out from the parameter count."""
    said: dict[str, Any] = {key: getattr(row, key) for key in _SIZES if getattr(row, key)}
    assumed: tuple[str, ...] = ()
    if (facts.get("needs_sizes") or "hidden_default" in facts) and not (row.layers and row.hidden):
        said |= _worked_out(row, facts, float(row.vocab or base["vocab"]))
        assumed = ("dims",)
    heads = None if row.heads else _heads(facts, said.get("hidden", base["hidden"]))
    if heads:
        said["heads"] = heads
        assumed = ("dims",)
    return {"vocab": base["vocab"], **said}, assumed


def _heads(facts: Mapping[str, Any], hidden: int) -> int | None:
    if "head_size" in facts:
        return int(hidden) // int(facts["head_size"])
    heads = facts.get("heads_of", {}).get(str(hidden), facts.get("heads_default"))
    return int(heads) if heads else None


def _worked_out(row: Row, facts: Mapping[str, Any], vocab: float) -> dict[str, int]:
    """Layers and hidden size from P = 12 L h^2 + V h, whichever is missing; L a multiple of the pipeline's stages."""
    hidden, params = row.hidden, row.params
    if not params:
        raise UsageError(f"{row.model}: neither sizes nor a parameter count", rule="the sizes are not given")
    if row.layers and not hidden:
        exact = (math.sqrt(vocab**2 + 48 * row.layers * params) - vocab) / (24 * row.layers)
        hidden = round(exact / _STEP) * _STEP
    hidden = hidden or facts.get("hidden_default")
    if not hidden:
        raise UsageError(f"{row.model}: the table gives no hidden size", rule="the sizes are not given")
    stages = row.pp or 1
    layers = row.layers or max(1, round((params - vocab * hidden) / (12 * hidden**2) / stages)) * stages
    return {"hidden": int(hidden), "layers": int(layers)}


def _frozen(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((key, tuple(v) if isinstance(v, list) else v) for key, v in values.items()))


@lru_cache(maxsize=4096)
def _built(
    name: str,
    given: tuple[tuple[str, Any], ...],
    adaptation: tuple[tuple[str, Any], ...],
    bits: float | None,
    assumed: tuple[str, ...],
) -> Subject:
    model = zoo.load(name, **dict(given))
    how = dict(adaptation)
    kind = how.pop("kind")
    if kind != "full" or bits:
        kind = "qlora" if bits else kind
        model = adapt(model, kind, **({"bits": bits} if bits else {}) | how)
    key = f"{name} {given} {adaptation} {bits}"
    return Subject(key=key, model=model, kind=kind, assumed=assumed)
