"""Meshes: which devices of a machine have links to which (catalog/meshes.csv), and what that leaves a group of them.

Behind a switch every pair has all links of its devices. In a mesh a group has only the links among its members: a ring
through them runs as many times side by side as its least joined member has links to the others.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from rigwise.hardware.tables import table


@cache
def ring_shares(link: str, devices: int) -> NDArray[np.float64] | None:
    """Share of a device's links that a ring uses, by [members of the group, distance between them].

    devices: of the whole machine. None where the links of the machine are no mesh, or none that is known. A ring and
    its reverse take two links of each member together, so that an odd link stays idle, except where all pairs have
    equally many (Tillson 1980: a complete digraph falls into rings). Members that nothing joins go through a third, at
    one link.

    >>> shares = ring_shares("nvlink-2-v100", 8)
    >>> (shares[2:9, 1] * 6).tolist()
    [1.0, 2.0, 4.0, 2.0, 2.0, 4.0, 6.0]
    """
    pairs = next((r["pairs"] for r in table("meshes") if r["link"] == link and int(r["devices"]) == devices), None)
    if pairs is None:
        return None
    joins = _joins(pairs, devices)
    equal = len(set(joins[~np.eye(devices, dtype=bool)].tolist())) == 1
    each = joins.sum(axis=1).max()
    shares = np.ones((devices + 1, devices + 1))
    for apart in range(1, devices + 1):
        for n in range(2, devices + 1):
            members = (np.arange(n) * apart)[np.arange(n) * apart < devices]
            if len(members) > 1:
                rings = joins[np.ix_(members, members)].sum(axis=1).min()
                rings -= 0 if equal or len(members) == 2 else rings % 2
                shares[n, apart] = max(rings, 1) / each
    shares.flags.writeable = False
    return shares


def _joins(pairs: str, devices: int) -> NDArray[np.int64]:
    """Links between each two devices, from `0-1:1 0-3:2` or `all:2`."""
    joins = np.zeros((devices, devices), dtype=np.int64)
    for pair in pairs.split():
        ends, _, count = pair.partition(":")
        if ends == "all":
            joins += int(count) * (1 - np.eye(devices, dtype=np.int64))
        else:
            one, other = (int(end) for end in ends.split("-"))
            joins[one, other] = joins[other, one] = int(count)
    return joins
