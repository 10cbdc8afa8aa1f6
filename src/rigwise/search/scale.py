"""scale: speed-up over the number of devices, for data, model, sharded and the best parallelism, and where it hurts.

Strong scaling: the batch stays, the devices grow. Article 5's question, with the network of the cluster in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rigwise.cost.estimate import Question, estimate
from rigwise.cost.record import Estimate
from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster
from rigwise.layouts.teaching import batch_warnings
from rigwise.models.model import Model
from rigwise.search.exact import search
from rigwise.search.plan import plan
from rigwise.search.space import Axes, axes, fixed, space
from rigwise.units import show_seconds

WAYS = ("data", "sharded", "model", "best")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """The curves: for each way of splitting the best estimate on each number of devices, None where nothing fits.

    base: what speed-ups are against: the best layout on the fewest devices that hold the model. turns: for each way
    the first number of devices that is slower than a smaller one, and which part grew. warnings: article 5's rules.
    """

    model: str
    cluster: str
    batch: int
    devices: tuple[int, ...]
    curves: Mapping[str, tuple[Estimate | None, ...]]
    base: Estimate
    turns: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def against(self) -> str:
        """What a speed-up of one means, in words."""
        n = self.base.devices
        linear = "" if n == 1 else f", taken as a speed-up of {n}: fewer do not hold the model"
        many = "devices" if n > 1 else "device"
        return f"against the best layout on {n} {many}, {show_seconds(self.base.step_s)} a step{linear}"

    def speedups(self, way: str) -> tuple[float | None, ...]:
        """Speed-up of one way on each number of devices."""
        alone = self.base.step_s * self.base.devices
        return tuple(None if row is None else alone / row.step_s for row in self.curves[way])

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a scaling study."""
        return {
            "model": self.model,
            "cluster": self.cluster,
            "batch": self.batch,
            "devices": list(self.devices),
            "against": self.against,
            "curves": {
                way: [
                    None if row is None else row.to_dict() | {"devices": n, "speedup": speedup}
                    for n, row, speedup in zip(self.devices, rows, self.speedups(way), strict=True)
                ]
                for way, rows in self.curves.items()
            },
            "turns": dict(self.turns),
            "warnings": list(self.warnings),
        }


def scale(
    question: Question,
    devices: Sequence[int] | None = None,
    *,
    precision: str = "bfloat16",
    fix: Mapping[str, object] | None = None,
) -> Scaling:
    """Speed-up of each way of splitting over numbers of devices: powers of two up to the cluster's by default.

    fix: axes held at one value. Raises UsageError for a number that the cluster cannot give, InfeasibleError where the
    model fits on none of them.
    """
    sizes = tuple(sorted(set(devices or counts(question.cluster))))
    parts = [replace(question, cluster=part_of(question.cluster, n)) for n in sizes]
    curves = {way: tuple(_best(part, precision, way, fix or {}) for part in parts) for way in WAYS}
    held = [row for row in curves["best"] if row is not None]
    base = held[0] if held else plan(parts[-1], precision=precision, top=1, fix=fix).best  # which says what is short
    return Scaling(
        model=question.model.name,
        cluster=question.cluster.name,
        batch=question.batch,
        devices=sizes,
        curves=curves,
        base=base,
        turns={way: says for way, rows in curves.items() if (says := turn(rows))},
        warnings=devices_warnings(question.model, question.batch, sizes),
    )


def counts(cluster: Cluster) -> list[int]:
    """Powers of two up to a node, then whole nodes by powers of two, and all of them.

    >>> from types import SimpleNamespace as Some
    >>> counts(Some(devices=48, node=Some(count=8)))
    [1, 2, 4, 8, 16, 32, 48]
    """
    inside = [n for n in _powers(cluster.node.count) if n <= cluster.devices]
    outside = [cluster.node.count * n for n in _powers(cluster.devices // cluster.node.count)]
    return sorted({*inside, *outside})


def _powers(most: int) -> list[int]:
    return sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most})


def part_of(cluster: Cluster, devices: int) -> Cluster:
    """The first `devices` devices of a cluster: a part of one node, or whole nodes."""
    per_node = cluster.node.count
    if not 1 <= devices <= cluster.devices:
        raise UsageError(f"{devices} devices", rule=f"{cluster.name} has 1 to {cluster.devices}")
    if devices > per_node and devices % per_node:
        nearest = devices // per_node * per_node
        raise UsageError(
            f"{devices} of nodes of {per_node}", rule="nodes are taken whole", nearest=f"{nearest} devices"
        )
    node = replace(cluster.node, count=min(devices, per_node))
    return replace(cluster, node=node, nodes=max(devices // per_node, 1), name=f"{devices} of {cluster.name}")


def turn(rows: Sequence[Estimate | None]) -> str:
    """The first number of devices that is slower than a smaller one, and the part that grew; "" where none is."""
    before: Estimate | None = None
    for row in rows:
        if row and before and row.step_s > before.step_s * 1.001:
            then = before.time
            part = max(row.time, key=lambda key: row.time[key] - then[key])
            return (
                f"{row.devices} devices are slower than {before.devices}: {show_seconds(row.step_s)} against "
                f"{show_seconds(before.step_s)}; {part.replace('_', ' ')} grew from {show_seconds(then[part])} to "
                f"{show_seconds(row.time[part])}"
            )
        before = row or before
    return ""


def devices_warnings(model: Model, batch: int, devices: Sequence[int]) -> tuple[str, ...]:
    """Article 5's rules of thumb for data parallelism on each number of devices."""
    if model.unit == "token":
        return ()
    return tuple(
        f"data parallel on {n} devices: {says}" for n in devices if batch % n == 0 for says in batch_warnings(batch, n)
    )


def _best(question: Question, precision: str, way: str, fix: Mapping[str, object]) -> Estimate | None:
    devices = question.cluster.devices
    on = fixed(_restricted(axes(question.model, question.cluster, question.batch), way, devices), fix)
    found = search(question, space(question.model, question.cluster, on, precision), top=1)
    return estimate(question, found.best[0].layout) if found.best else None


def _restricted(on: Axes, way: str, devices: int) -> Axes:
    """The axes of one way: data replicates, sharded is zero 3, model splits the model only. One device is every way."""
    one = [1]
    if way == "data":
        return replace(on, tp=one, pp=one, vpp=one, cp=one, zero=(0,))
    if way == "sharded":
        return replace(on, tp=one, pp=one, vpp=one, cp=one, zero=(3,) if devices > 1 else (0,))
    return replace(on, dp=one, zero=(0,)) if way == "model" else on
