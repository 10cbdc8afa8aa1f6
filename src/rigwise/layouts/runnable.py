"""Which layouts `rigwise run` can do. The rules (rules.py) say what is legal on a cluster, whoever runs it; of that run
refuses what stands here, before a rank starts, and a plan says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout

OFFLOADED = ("none", "optimizer", "activations", "activations+optimizer")  # weights stay where they compute
PRECISIONS = ("float32", "tf32", "bfloat16")
_TODAY = (
    "run takes dp, tp, sp, pp, vpp, schedule, cp, ep that divides dp x cp, zero, shard, micro, recompute, "
    "offload of optimizer and activations, compress, and blocks inside dp, in float32, tf32 or bfloat16"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One thing that run cannot do. broken: does the layout ask for it? instead: the nearest layout that works."""

    key: str
    broken: Callable[[Layout], bool]
    instead: Callable[[Layout], Layout]


def _packed(layout: Layout) -> bool:
    """Whether gradients can be packed: there are some to exchange, whole ones but for bf16, on a link that can be
    tried.
    """
    if layout.dp * layout.cp == 1 or (layout.compress == "auto" and layout.pp > 1):
        return False
    return not layout.zero or layout.compress == "bf16"


def _experts(layout: Layout) -> bool:
    """Whether experts can be shared out: over runs of data- and context-parallel ranks."""
    return (layout.dp * layout.cp) % layout.ep == 0


def _data_only(layout: Layout) -> bool:
    """Whether blocks can be split by model: data-parallel ranks hold whole replicas otherwise, and run them once."""
    return layout.ranks == layout.dp and layout.ep == 1 and not layout.zero and layout.recompute == "none"


def _without_weights(offload: str) -> str:
    return "activations+optimizer" if offload == "all" else offload.removeprefix("weights").removeprefix("+") or "none"


def _hybrid(layout: Layout) -> bool:
    return layout.zero > 0 and layout.dp * layout.cp % layout.shard == 0


LIMITS = (
    Limit(
        key="ep",
        broken=lambda layout: layout.ep > 1 and not _experts(layout),
        instead=lambda layout: layout.but(ep=1),
    ),
    Limit(
        key="shard",
        broken=lambda layout: bool(layout.shard) and not _hybrid(layout),
        instead=lambda layout: layout.but(shard=0),
    ),
    Limit(
        key="offload",
        broken=lambda layout: layout.offload not in OFFLOADED,
        instead=lambda layout: layout.but(offload=_without_weights(layout.offload)),
    ),
    Limit(
        key="compress",
        broken=lambda layout: layout.compress != "none" and not _packed(layout),
        instead=lambda layout: layout.but(compress="none"),
    ),
    Limit(
        key="precision",
        broken=lambda layout: layout.precision not in PRECISIONS,
        instead=lambda layout: layout.but(precision="bfloat16"),
    ),
    Limit(
        key="blocks",
        broken=lambda layout: bool(layout.by_model) and not _data_only(layout),
        instead=lambda layout: layout.but(blocks=()),
    ),
)


def check_layout(layout: Layout) -> None:
    """Refuse what cannot be run; the error names every such key and the nearest layout that works, on as many ranks.

    >>> check_layout(Layout(ep=2))
    Traceback (most recent call last):
    ...
    rigwise.errors.UsageError: layout dp=1,ep=2,micro=1 cannot be run: ep=2; rule: run takes dp, tp, sp, pp, vpp, \
schedule, cp, ep that divides dp x cp, zero, shard, micro, recompute, offload of optimizer and activations, \
compress, and blocks inside dp, in float32, tf32 or bfloat16; \
nearest: dp=1,micro=1
    """
    broken = [limit for limit in LIMITS if limit.broken(layout)]
    if not broken:
        return
    nearest = layout
    for limit in broken:
        nearest = limit.instead(nearest)
    raise UsageError(f"layout {layout} cannot be run: {', '.join(not_run(layout))}", rule=_TODAY, nearest=str(nearest))


def not_run(layout: Layout) -> tuple[str, ...]:
    """What of a layout run cannot do, as it is spelt.

    >>> not_run(Layout(dp=2, offload="all")), not_run(Layout(dp=2))
    (('offload=all',), ())
    """
    spelt = dict(word.split("=", 1) for word in str(layout).split(","))
    return tuple(f"{limit.key}={spelt[limit.key]}" for limit in LIMITS if limit.broken(layout))
