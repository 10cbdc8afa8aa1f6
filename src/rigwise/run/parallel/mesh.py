"""The ranks as a grid with the axes of a layout, and the process groups along them.

Slowest to fastest: pp, dp, cp, tp, so that tensor ranks, which exchange most, are neighbours. Expert ranks lie inside
dp x cp: neighbours of that flattened axis hold different experts (`ep`), the rest hold the same ones (`edp`). So do the
ranks that share a copy under hybrid sharding (`shard`), and those that hold the same part of one (`copies`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Self

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout

AXES = ("pp", "dp", "cp", "tp")
_GROUPS = (("tp",), ("cp",), ("dp",), ("pp",), ("dp", "cp"), ("dp", "tp"), ("cp", "tp"), ("dp", "cp", "tp"))
_WHOLE = frozenset(AXES)
_INSIDE = ("edp", "ep", "copies", "shard")  # inside dp x cp


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """This rank's place. Made by `join` on every rank at the same time, since making groups is collective."""

    layout: Layout
    rank: int
    device: torch.device
    groups: Mapping[frozenset[str], dist.ProcessGroup] = field(default_factory=dict)

    @classmethod
    def join(cls, layout: Layout, device: torch.device | str | None = None) -> Self:
        """Take a place among the ranks of torch.distributed; on one rank it need not be initialised.

        device: of this rank; None takes the GPU that torch is set to, or the CPU where the ranks talk by gloo or MPI.
        UsageError where the layout's ranks are not the ranks that there are.
        """
        world = dist.get_world_size() if dist.is_initialized() else 1
        if layout.ranks != world:
            raise UsageError(
                f"layout {layout} takes {layout.ranks} ranks, and there are {world}",
                rule="dp x tp x pp x cp is the number of ranks",
                nearest="" if dist.is_initialized() else "torch.distributed.init_process_group first",
            )
        rank = dist.get_rank() if world > 1 else 0
        where = torch.device(device) if device is not None else _own_device()
        return cls(layout=layout, rank=rank, device=where, groups=_make_groups(layout, rank))

    @property
    def world(self) -> int:
        """All ranks."""
        return self.layout.ranks

    def degree(self, axis: str) -> int:
        """Ranks along an axis: pp, dp, cp, tp, ep, edp, which is dp x cp / ep, shard, or copies."""
        both = self.layout.dp * self.layout.cp
        if axis == "edp":
            return both // self.layout.ep
        if axis in ("shard", "copies"):
            ranks = self.layout.shard or both
            return ranks if axis == "shard" else both // ranks
        return int(getattr(self.layout, axis))

    def coordinate(self, axis: str) -> int:
        """This rank's place along an axis, from 0."""
        if axis in _INSIDE:
            flat = self.coordinate("dp") * self.layout.cp + self.coordinate("cp")
            near = self.degree("ep" if axis in ("ep", "edp") else "shard")
            return flat % near if axis in ("ep", "shard") else flat // near
        after = AXES[AXES.index(axis) + 1 :]
        return self.rank // prod(self.degree(a) for a in after) % self.degree(axis)

    def group(self, *axes: str) -> dist.ProcessGroup | None:
        """The ranks that differ from this one in these axes only, in the order of the axes; None where it is alone."""
        return self.groups.get(frozenset(a for a in axes if self.degree(a) > 1))

    def size(self, *axes: str) -> int:
        """Ranks in group(*axes)."""
        return prod(self.degree(a) for a in axes)

    def place(self, *axes: str) -> int:
        """This rank's place in group(*axes), from 0."""
        place = 0
        for axis in sorted(axes, key=(*AXES, *_INSIDE).index):
            place = place * self.degree(axis) + self.coordinate(axis)
        return place

    def ranks(self, *axes: str) -> tuple[int, ...]:
        """The global ranks of group(*axes), in order."""
        return next(row for row in _rows(self.layout, frozenset(axes)) if self.rank in row)

    def device_mesh(self, *axes: str) -> DeviceMesh:
        """group(*axes) as torch's DeviceMesh of one dim."""
        if self.layout.shard and axes == ("dp", "cp") and self.degree("copies") > 1:
            return self._hybrid()
        group = self.group(*axes)
        if group is None:
            raise ValueError(f"no ranks along {axes}")
        return DeviceMesh.from_group(group, self.device.type)

    def _hybrid(self) -> DeviceMesh:
        """The ranks along dp x cp in two dims: copies, and the ranks that share one."""
        groups = [self.group("copies"), self.group("shard")]
        grid = torch.tensor(self.ranks("dp", "cp")).view(self.degree("copies"), self.degree("shard"))
        made = [group for group in groups if group is not None]
        return DeviceMesh.from_group(made, self.device.type, mesh=grid, mesh_dim_names=("copies", "shard"))


def _own_device() -> torch.device:
    if torch.cuda.is_available() and (not dist.is_initialized() or dist.get_backend() == "nccl"):
        local = os.environ.get("LOCAL_RANK")
        return torch.device("cuda", int(local) if local else torch.cuda.current_device())
    return torch.device("cpu")


def _grid(layout: Layout) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.arange(layout.ranks).reshape([getattr(layout, axis) for axis in AXES])


def _rows(layout: Layout, axes: frozenset[str]) -> list[tuple[int, ...]]:
    """All groups along the axes, each the global ranks in order."""
    grid = _grid(layout)
    if axes & set(_INSIDE):
        near = layout.ep if axes & {"ep", "edp"} else layout.shard
        flat = grid.transpose(0, 3, 1, 2).reshape(layout.pp * layout.tp, -1, near)
        rows = flat.reshape(-1, near) if axes & {"ep", "shard"} else flat.transpose(0, 2, 1).reshape(-1, flat.shape[1])
    else:
        kept = [i for i, axis in enumerate(AXES) if axis not in axes]
        along = [i for i, axis in enumerate(AXES) if axis in axes]
        rows = grid.transpose(*kept, *along).reshape(-1, prod(grid.shape[i] for i in along))
    return [tuple(int(rank) for rank in row) for row in rows]


def _make_groups(layout: Layout, rank: int) -> dict[frozenset[str], dist.ProcessGroup]:
    """Every group that a layout can ask for, made by all ranks in one order; equal ones are made once."""
    wanted = [frozenset(a for a in axes if getattr(layout, a) > 1) for axes in _GROUPS]
    wanted.append(frozenset(a for a in AXES if getattr(layout, a) > 1))
    if layout.ep > 1:
        wanted.append(frozenset({"ep"}))
        wanted += [frozenset({"edp"})] * (layout.dp * layout.cp > layout.ep)
    if layout.shard:
        wanted += [frozenset({"shard"}), *[frozenset({"copies"})] * (layout.dp * layout.cp > layout.shard)]
    made: dict[frozenset[str], dist.ProcessGroup] = {}
    by_rows: dict[tuple[tuple[int, ...], ...], dist.ProcessGroup] = {}
    for axes in dict.fromkeys(wanted):
        rows = tuple(_rows(layout, axes))
        if not axes or len(rows[0]) == 1:
            continue
        if rows not in by_rows:
            by_rows[rows] = _one_of(rows, rank)
        made[axes] = by_rows[rows]
    return made


def _one_of(rows: tuple[tuple[int, ...], ...], rank: int) -> dist.ProcessGroup:
    """The group of this rank; all ranks make all of them, as torch asks."""
    if len(rows) == 1:
        world = dist.group.WORLD
        assert isinstance(world, dist.ProcessGroup)
        return world
    own: dist.ProcessGroup | None = None
    for row in rows:
        group = dist.new_group(list(row))
        if rank in row:
            own = group
    assert own is not None
    return own
