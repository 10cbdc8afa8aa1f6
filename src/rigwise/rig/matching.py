"""What shops and people call parts, found in a catalogue: the part all of whose words stand in the text."""

from __future__ import annotations

import re
from functools import lru_cache

from rigwise.errors import NotFoundError
from rigwise.hardware.catalog import devices
from rigwise.hardware.names import resolve_device
from rigwise.rig.catalogue import Catalogue
from rigwise.rig.parts import Gpu, Memory, Part
from rigwise.units import GIBI

# Words that tell one model from another: a text with one that the part lacks means another part.
_TELLING = {
    "ti",
    "super",
    "xt",
    "xtx",
    "pro",
    "max",
    "plus",
    "evo",
    "xl",
    "mini",
    "elite",
    "hybrid",
    "d",
    "s",
    "ii",
    "x3d",
}
_SKIP = {
    "geforce",
    "nvidia",
    "amd",
    "intel",
    "radeon",
    "the",
    "for",
    "of",
    "with",
    "and",
    "desktop",
    "processor",
    "card",
    "video",
    "core",
}
_GB = re.compile(r"(\d+)\s*(?:gb|gib)\b")
_KIT = re.compile(r"(\d+)\s*x\s*(\d+)\s*g")
_TYPE = re.compile(r"(ddr[345])[- ]?(\d{4,5})?")
_COOLING = (
    ("blower", r"blower|turbo|aero\b|rtx a\d|quadro|max-q|rtx pro [45]\d{3}|\bada\b(?!.*(?:gaming))"),
    ("hybrid", r"hybrid|liquid|\baio\b|suprim l|sea ?hawk"),
    ("water", r"water ?force wb|water ?block|hydro"),
)


@lru_cache(maxsize=8192)
def words(text: str) -> frozenset[str]:
    """The words of a name: lower case, letters and digits that belong together.

    >>> sorted(words("AMD Ryzen 9 5900X 3.7 GHz 12-Core Processor"))
    ['12', '3.7', '5900x', '9', 'ghz', 'ryzen']
    """
    plain = re.sub(r"\bga-", "", re.sub(r"\([^()]*\)", " ", text.lower()))  # Gigabyte writes GA- before its boards
    plain = re.sub(r"\b(\d{3,4}) ?w\b", r"\1", re.sub(r"(\d) (gb|tb)\b", r"\1\2", plain))
    return frozenset(word for word in re.split(r"[^a-z0-9.+]+", plain) if word and word not in _SKIP)


def find(kind: str, name: str, parts: Catalogue) -> Part | None:
    """The part of a kind that a name means, None where no part fits or several do equally."""
    if name in parts.by_id:
        return parts.by_id[name]
    asked = words(name)
    if kind == "memory" and (kit := _kit(name, parts)):
        return kit
    named = ((part, _model(part)) for part in parts.of(kind))
    fits = [(len(mine & asked), -len(mine), part) for part, mine in named if _means(mine, asked)]
    fits.sort(key=lambda fit: fit[:2], reverse=True)
    if fits and (len(fits) == 1 or fits[0][:2] > fits[1][:2]):
        return fits[0][2]
    return _card(name) if kind == "gpu" and not fits else None


def _model(part: Part) -> frozenset[str]:
    """The words that a name must have to mean a part: of a processor not its tier, "Ryzen 9", which its number has."""
    mine = words(part.name)
    return frozenset(word for word in mine if len(word) > 1 or not word.isdigit()) if part.kind == "cpu" else mine


def _means(mine: frozenset[str], asked: frozenset[str]) -> bool:
    """Whether every word of a part stands in the text, and no telling word of the text is missing in the part."""
    return bool(mine) and mine <= asked and not (asked - mine) & _TELLING


def _kit(name: str, parts: Catalogue) -> Memory | None:
    """A kit by what it is: DDR4-3200, 2 x 16 GB; the catalogue's of that kind, under the name that was given."""
    text = name.lower()
    kind, count, total = _TYPE.search(text), _KIT.search(text), _GB.search(text)
    if not kind or not (count or total):
        return None
    modules = int(count[1]) if count else 1
    each = int(count[2]) if count else int(total[1]) if total else 0
    dimm = "RDIMM" if re.search(r"rdimm|registered|reg\b|ecc reg|lrdimm", text) else "UDIMM"
    kits = [part for part in parts.of("memory") if isinstance(part, Memory)]
    alike = [
        k for k in kits if k.type == kind[1].upper() and (k.modules, k.module, k.dimm) == (modules, each * GIBI, dimm)
    ]
    price = alike[0].price if alike else None
    return Memory(
        id=name,
        name=name,
        type=kind[1].upper(),
        speed=int(kind[2]) if kind[2] else None,
        modules=modules,
        module=each * GIBI,
        dimm=dimm,
        ecc=dimm == "RDIMM" or "ecc" in text,
        watts=4.0 * modules,
        price=price,
        source="read from its name",
    )


def _card(name: str) -> Gpu | None:
    """A card that the catalogue lacks, by its chip: what hardware/catalog knows of it, cooling from its name."""
    device = None
    asked = re.sub(r"\b(\d+) ?gb\b", r"\1gb", name.lower())
    chip = re.search(
        r"((?:rtx|gtx|titan|quadro|tesla|radeon|rx|arc)\b[a-z ]*\d*[a-z]*\d*"
        r"(?: (?:ti super|ti|super|xtx|xt|ada|pro))?)",
        asked,
    )
    told = chip[1].split() if chip else []
    for text in (name, *(" ".join(told[:n]) for n in range(len(told), 1, -1))):  # "GTX 1080 Super JetStream"
        try:
            device = devices()[resolve_device(text.strip())[0]] if text.strip() else None
        except NotFoundError:
            continue
        if device:
            break
    if device is None:
        return None
    cooling = next((kind for kind, pattern in _COOLING if re.search(pattern, asked)), "open")
    return Gpu(
        id=name,
        name=name,
        device=device,
        watts=device.tdp or 0.0,
        slots=device.slots,
        cooling=cooling if device.form == "pcie" else "sxm",
        source=f"chip {device.name}; cooling from its name",
        weak="length and plugs are not known",
    )
