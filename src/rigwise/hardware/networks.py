"""What leaves a node, as people write it: "8x 200 Gb/s HDR InfiniBand per node", "1600 Gbps RoCE per node"."""

from __future__ import annotations

import re
from dataclasses import replace

from rigwise.errors import UsageError, not_found
from rigwise.hardware.catalog import links
from rigwise.hardware.device import Device, Link
from rigwise.hardware.fabrics import SILENT, node_row
from rigwise.hardware.tables import by_id, table
from rigwise.units import BITS_PER_BYTE, GIGA

_COUNT = re.compile(r"(?<![\w.])(\d+)\s*x\s*(?=\d|[a-z])")
_RATE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*-?\s*(?:gbps|gb/s|gbit/s|gbits/s|gbit|gbe|gb|g)\b")
_GENERATION = re.compile(r"\b[sdqefhnx]dr\d*\b")


def read_network(text: str, device: Device | None = None) -> tuple[Link, int]:
    """One network card and how many a node has.

    text is an id of catalog/links.csv or free text; what it leaves open (the kind, the number) is taken from the usual
    node of the device. A rate "per node" without a number of cards is shared among the usual ones. Raises UsageError.

    >>> from rigwise.hardware.catalog import device
    >>> link, count = read_network("1600 Gbps RoCE per node", device("a100-sxm-40gb"))
    >>> link.name, count
    ('roce-200', 8)
    >>> link, count = read_network("4x 100 Gb/s Omni-Path per node")
    >>> link.name, count
    ('omni-path-100', 4)
    """
    usual, cards, per_node = _usual(device)
    words = text.lower().strip()
    if words in links():
        return _network_link(words), cards
    if not words or words in SILENT:
        return usual, cards
    technology = next((row["id"] for row in table("technologies") if re.search(row["pattern"], words)), "")
    rate, count = _rate(words), _count(words)
    if not technology and rate is None:
        raise not_found("network", text, links(), hint="8x 400 Gb/s InfiniBand, 100 GbE, infiniband-ndr")
    technology = technology or _technology_of(usual)
    if rate is not None and count is None:
        count, rate = _shared(words, rate, cards, per_node)
    return _card(technology, _GENERATION.search(words), rate, usual, text), count or cards


def _usual(device: Device | None) -> tuple[Link, int, int]:
    """The card, the number of cards and the number of devices of the usual node."""
    if device is None:
        return links()["ethernet-10"], 1, 1
    row = node_row(device)
    return links()[row["nic"]], int(row["nics"]), int(row["count"])


def _network_link(name: str) -> Link:
    link = links()[name]
    if link.kind not in ("rdma", "omni-path", "ethernet"):
        raise UsageError(f"{name} joins devices inside a node", rule="between nodes: rdma or ethernet")
    return link


def _rate(words: str) -> float | None:
    found = _RATE.search(re.sub(r"(?<![\w.])\d+\s*x\s*(?=\d)", " ", words))
    if found and not float(found[1]) > 0:
        raise UsageError(f"a network of {found[1]} Gbit/s", rule="a network carries more than nothing")
    return float(found[1]) if found else None


def _count(words: str) -> int | None:
    found = _COUNT.search(words)
    if found and int(found[1]) < 1:
        raise UsageError(f"{found[1]} network cards", rule="at least 1")
    return int(found[1]) if found else None


def _shared(words: str, rate: float, cards: int, per_node: int) -> tuple[int, float]:
    if "per gpu" in words or "per device" in words:
        return per_node, rate
    return (cards, rate / cards) if "per node" in words else (1, rate)


def _technology_of(link: Link) -> str:
    return next((row["technology"] for row in table("links") if row["id"] == link.name), "infiniband")


def _card(technology: str, generation: re.Match[str] | None, rate: float | None, usual: Link, text: str) -> Link:
    """The card of a technology at a rate in Gbit/s; between catalogue rates, the nearest row's achievable share."""
    if rate is None and generation:
        exact, plain = f"infiniband-{generation[0]}", f"infiniband-{generation[0].rstrip('0123456789')}"
        return links()[exact if exact in links() else plain]
    if rate is None:
        own = _technology_of(usual) == technology
        rate = usual.rated * BITS_PER_BYTE / GIGA if own else float(by_id("technologies")[technology]["usual_gbit_s"])
    rows = [row for row in table("links") if row["technology"] == technology and row["rate_gbit_s"]]
    nearest = min(rows, key=lambda row: abs(float(row["rate_gbit_s"]) - rate))
    link = links()[nearest["id"]]
    if float(nearest["rate_gbit_s"]) == rate:
        return link
    rated = rate * GIGA / BITS_PER_BYTE
    share = link.bandwidth / link.rated
    name = f"{technology}-{rate:g}"
    return replace(link, name=name, rated=rated, bandwidth=rated * share, source=f"{text!r}; share of {link.name}")
