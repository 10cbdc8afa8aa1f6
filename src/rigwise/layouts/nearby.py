"""The legal layout next to the one that was asked for, and how to say what it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import isqrt, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.hardware.cluster import Cluster
from rigwise.layouts.conditions import lost_blocks
from rigwise.layouts.layout import PRECISIONS, Layout, LayoutTable
from rigwise.models.model import Model

Legal = Callable[[LayoutTable, Model, Cluster, int], NDArray[np.bool_]]
_MESH = ("tp", "pp", "dp", "cp")  # the axes whose product is the ranks, in the order in which they are named
_CHOICES = 12  # values tried of each degree outside the mesh, nearest first
_LESSER = 0.5  # what doubling micro, vpp or ep weighs against doubling an axis of the mesh
_PREFERRED = ("bfloat16", "float16", "tf32", "float32")  # what takes the place of a type that a device lacks


def nearest(layout: Layout, model: Model, cluster: Cluster, batch: int, legal: Legal) -> Layout | None:
    """The legal layout that changes the asked one least; None where the cluster has no legal layout at all.

    Two searches, each exact: the degrees (every factorisation of the devices, with micro, vpp and ep) whose sum of
    |log2(new/old)| is least, with every option off; then as many of the asked options as those degrees allow.
    """
    lost = lost_blocks(layout, model)
    plain = layout.but(
        sp="off",
        overlap="none",
        compress="none",
        offload="none",
        recompute="none",
        zero=0,
        schedule="1f1b",
        precision=_precision(layout, cluster),
        blocks=tuple(choice for choice in layout.blocks if choice[0] not in lost),
    )
    table, distance = _degrees_around(plain, model, cluster, batch)
    allowed = legal(table, model, cluster, batch)
    if not allowed.any():
        return nearest(layout.but(blocks=()), model, cluster, batch, legal) if layout.blocks else None
    best = np.unravel_index(np.argmin(np.where(allowed, distance, np.inf)), table.shape)
    placed = table.layout(*(int(i) for i in best))
    return _restore(layout, placed, model, cluster, batch, legal)


def degrees(layout: Layout) -> str:
    """The mesh in words, axes of 1 left out.

    >>> degrees(Layout(dp=4, tp=8, pp=3))
    'tp 8 x pp 3 x dp 4'
    """
    return " x ".join(f"{k} {getattr(layout, k)}" for k in _MESH if getattr(layout, k) > 1) or "dp 1"


def changes(asked: Layout, found: Layout) -> str:
    """What `found` does otherwise: the whole mesh where an axis of it moved, then each key that differs.

    >>> changes(Layout(dp=4, tp=8, pp=3, micro=4), Layout(dp=4, tp=8, pp=2, micro=2))
    'tp 8 x pp 2 x dp 4, micro=2'
    """
    old, new = asked.to_dict(), found.to_dict()
    moved = [degrees(found)] if any(old[k] != new[k] for k in _MESH) else []
    others = [f"{k}={new[k]}" for k in new if k not in (*_MESH, "blocks") and old[k] != new[k]]
    dropped = [f"no choice for {name!r}" for name, _ in asked.blocks if name not in dict(found.blocks)]
    return ", ".join(moved + others + dropped)


def _precision(layout: Layout, cluster: Cluster) -> str:
    peak = cluster.device.peak
    choices = (layout.precision, *_PREFERRED, *PRECISIONS)
    return next((name for name in choices if name in peak), layout.precision)


def _degrees_around(
    layout: Layout, model: Model, cluster: Cluster, batch: int
) -> tuple[LayoutTable, NDArray[np.float64]]:
    """Every mesh of the devices (rows) with micro, vpp and ep around the asked ones (columns), and their distances."""
    meshes = np.array(_meshes(cluster.devices), dtype=np.int64)
    around = {
        "micro": _around(layout.micro, _divisors(batch)),
        "vpp": _around(layout.vpp, list(range(1, layout.vpp + 1))),
        "ep": _around(layout.ep, _divisors(model.experts or 1)),
    }
    options = np.array(list(product(*around.values())), dtype=np.int64)
    asked = np.array([getattr(layout, k) for k in _MESH])
    lesser = np.array([getattr(layout, k) for k in around])
    distance = (
        np.abs(np.log2(meshes / asked)).sum(axis=1)[:, None]
        + _LESSER * np.abs(np.log2(options / lesser)).sum(axis=1)[None, :]
    )
    columns: dict[str, Any] = dict(zip(_MESH, (meshes[:, i, None] for i in range(len(_MESH))), strict=True))
    columns |= dict(zip(around, (options[None, :, i] for i in range(len(around))), strict=True))
    return replace(LayoutTable.of([layout]), **columns), distance


def _restore(asked: Layout, placed: Layout, model: Model, cluster: Cluster, batch: int, legal: Legal) -> Layout:
    """As many of the asked options as the placed degrees allow, the first of those that lose least."""
    options = {
        "zero": [asked.zero, *range(asked.zero - 1, -1, -1)],
        "shard": list(dict.fromkeys([asked.shard, 0])),
        **{k: [getattr(asked, k), getattr(placed, k)] for k in ("sp", "offload", "recompute", "compress", "schedule")},
        "overlap": list(dict.fromkeys([asked.overlap, "dp" if "dp" in asked.overlap else "none", "none"])),
    }
    choices = [dict(zip(options, values, strict=True)) for values in product(*options.values())]
    lost = [sum(options[k].index(v) for k, v in choice.items()) for choice in choices]
    ranked = [placed.but(**choices[i]) for i in np.argsort(lost, kind="stable")]
    allowed = legal(LayoutTable.of(ranked), model, cluster, batch)
    return ranked[int(np.argmax(allowed))]


def _around(asked: int, values: list[int]) -> list[int]:
    """The values nearest to the asked one by ratio, 1 among them."""
    ranked = sorted(values, key=lambda v: abs(log2(v / asked)))
    return list(dict.fromkeys([*ranked[:_CHOICES], 1]))


def _divisors(n: int) -> list[int]:
    small = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)})


def _meshes(devices: int) -> list[tuple[int, ...]]:
    """Every ordered factorisation of the devices into tp, pp, dp and cp, the plainest (data parallel) first."""
    return [
        (tp, pp, devices // (cp * pp * tp), cp)
        for cp in _divisors(devices)
        for pp in _divisors(devices // cp)
        for tp in _divisors(devices // (cp * pp))
    ]
