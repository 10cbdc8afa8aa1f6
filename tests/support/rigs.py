"""Machines for the tests of rig/, by the ids of the catalogue."""

from __future__ import annotations

from rigwise.rig.build import Build, Item
from rigwise.rig.catalogue import catalogue


def build(*parts: str, **options) -> Build:
    """A machine from ids; "id*4" is four of it."""
    items = []
    for text in parts:
        ident, _, count = text.partition("*")
        items.append(Item(part=catalogue().part(ident), count=int(count or 1)))
    return Build(items=tuple(items), **options)
