"""What people call devices, read to the one id that the catalogue has.

A name is cut into words. Words that say nothing (nvidia, geforce, edition) fall away; a form (sxm, pcie, nvl), a
memory size and a kind of memory only narrow the choice; what is left must be a device's own words, all of them and no
other, so that "RTX 4070" is never the 4070 Ti. A name that fits several takes the one of catalog/defaults.csv, else the
largest of the SXM form, and says so; a name that stands for different cards is an error that lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from rigwise.errors import NotFoundError, not_found
from rigwise.hardware.tables import by_id, table

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)gb$")
_SPLIT = (
    (re.compile(r"(?<![a-z\d.])(\d+(?:\.\d+)?)\s*(?:gib|gb|g)\b"), r" \1gb "),
    (re.compile(r"\b(rtx|gtx|rx|titan|tpu|arc|quadro|gaudi|trainium|inferentia)(?=[a-z]?\d)"), r"\1 "),
    (re.compile(r"(\d{3,4})(ti|super|xtx|xt)(?=\b|super)"), r"\1 \2 "),
    (re.compile(r"[^a-z0-9.]+"), " "),
)
_CARD = re.compile(r"(?:[2-5]0[5-9]0|16[0-9]0|10[5-8]0|[5-9][78]0)$")
_NEAR = 0.07  # a card's label and what it reports differ by up to this share (24 GB shown as 22.5)


@dataclass(frozen=True, slots=True)
class _Words:
    base: frozenset[str]
    form: str
    memory: float | None  # GiB
    kind: str  # of memory

    @property
    def text(self) -> str:
        return " ".join(sorted(self.base))


def resolve_device(text: str) -> tuple[str, str]:
    """The canonical id of a device and, in words, how the text was read (empty where nothing had to be decided).

    Raises NotFoundError for a name that is unknown (with the nearest) or stands for several (with all of them).

    >>> resolve_device("NVIDIA H100 80GB HBM3")
    ('h100-sxm-80gb', '')
    >>> resolve_device("rtx4090")
    ('rtx-4090', '')
    >>> resolve_device("H100")
    ('h100-sxm-80gb', "'H100' fits h100-nvl-94gb, h100-pcie-80gb, h100-sxm-80gb: h100-sxm-80gb is taken")
    """
    found = known_device(text)
    if found is None:
        raise _unknown(text)
    return found


def known_device(text: str) -> tuple[str, str] | None:
    """As resolve_device; None for a name that is unknown, without a search for the nearest.

    >>> known_device("GeForce 8800 GT") is None
    True
    """
    if text in by_id("devices"):
        return text, ""
    plain = re.sub(r"\([^()]*\)", " ", text)
    for attempt, note in ((text, ""), (plain, "what stands in brackets is left aside")):
        found = _find(attempt, text)
        if found:
            return found[0], "; ".join(part for part in (found[1], note) if part)
    return None


def _find(attempt: str, text: str) -> tuple[str, str] | None:
    """An id and how it was read, None where the words fit no device."""
    words = _read(attempt)
    alias = _aliases().get(_key(words))
    if alias:
        return _take_alias(alias, text)
    fits = [row for row in _bases().get(words.base, ()) if _fits(words, row)]
    fits = [row for row in fits if row["memory_type"].lower() == words.kind] or fits
    if not fits:
        return None
    if len(fits) == 1:
        return fits[0]["id"], ""
    default = _default(words, fits)
    return default, f"{text!r} fits {_list(row['id'] for row in fits)}: {default} is taken"


def _take_alias(alias: Mapping[str, str], text: str) -> tuple[str, str]:
    ids = alias["ids"].split()
    if len(ids) > 1:
        raise NotFoundError(f"{text!r} names several devices", rule=alias["says"], nearest=_list(ids))
    return ids[0], f"{text!r} read as {ids[0]}: {alias['says']}" if alias["says"] else ""


def _default(words: _Words, fits: list[Mapping[str, str]]) -> str:
    preferred = _preferred().get(words.base, "")
    if any(row["id"] == preferred for row in fits):
        return preferred
    ranked = sorted(fits, key=lambda row: ("sxm3" in row["id"], row["form"] != "sxm", -float(row["memory_gib"])))
    return ranked[0]["id"]


def _read(text: str) -> _Words:
    """The words of a text. A bare card number gets its family: 4090 is an RTX 4090."""
    text = text.lower()
    for pattern, into in _SPLIT:
        text = pattern.sub(into, text)
    base: set[str] = set()
    form, memory, kind = "", None, ""
    for word in text.split():
        size = _MEMORY.match(word)
        if size:
            memory = float(size[1])
        elif meaning := _meanings().get(word):
            form = meaning["as"] if meaning["means"] == "form" else form
            kind = meaning["as"] if meaning["means"] == "memory" else kind
        else:
            base.add(word)
    card = next((word for word in base if _CARD.match(word)), "")
    if card and not base & {"rtx", "gtx", "quadro", "rx"}:
        base.add("rtx" if card >= "2000" and len(card) == 4 else "gtx")
    return _Words(frozenset(base), form, memory, kind)


@cache
def _meanings() -> Mapping[str, Mapping[str, str]]:
    """Words that are no part of a name: they say nothing, or a form, or a kind of memory."""
    return {row["word"]: row for row in table("words")}


def _key(words: _Words) -> tuple[str, str, float | None]:
    return words.text, words.form, words.memory


def _fits(words: _Words, row: Mapping[str, str]) -> bool:
    memory = float(row["memory_gib"])
    if words.memory is not None and abs(words.memory - memory) > _NEAR * max(memory, words.memory):
        return False
    own = _read(row["id"]).form or row["form"]
    return not words.form or words.form == own


@cache
def _bases() -> Mapping[frozenset[str], tuple[Mapping[str, str], ...]]:
    found: dict[frozenset[str], tuple[Mapping[str, str], ...]] = {}
    for row in table("devices"):
        base = _read(row["id"]).base
        found[base] = (*found.get(base, ()), row)
    return found


@cache
def _aliases() -> Mapping[tuple[str, str, float | None], Mapping[str, str]]:
    return {_key(_read(row["text"])): row for row in table("aliases")}


@cache
def _preferred() -> Mapping[frozenset[str], str]:
    return {_read(row["text"]).base: row["device"] for row in table("defaults")}


def _list(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids))


def _unknown(text: str) -> NotFoundError:
    """The error for words that fit no device: the variants of a known family, else the nearest names."""
    words = _read(re.sub(r"\([^()]*\)", " ", text))
    family = _bases().get(words.base, ())
    if family:
        asked = " ".join(part for part in (words.form, f"{words.memory:g} GB" if words.memory else "") if part)
        return NotFoundError(f"no {words.text} with {asked} ({text!r})", nearest=_list(row["id"] for row in family))
    known = {" ".join(sorted(base)): _default(words, list(rows)) for base, rows in _bases().items()}
    error = not_found("device", words.text or text, known)
    near = [known[name] for name in error.nearest.split(", ") if name in known]
    return NotFoundError(f"no device {text!r}", nearest=", ".join(near) or "see: rigwise hardware list")
