"""A layout in the words of four training frameworks; what one has no word for is refused or noted, never dropped.

    torchtitan 0.3   flags of its command        data parallel replicated or sharded, tensor, pipeline, context, expert
    Megatron-LM      flags of its scripts        all of ours; ZeRO 1 as its distributed optimizer, 2 and 3 as its FSDP
    DeepSpeed 0.19   a JSON configuration        ZeRO 1 to 3, offload, 1-bit Adam; automatic tensor parallelism
    Accelerate 1.15  a YAML configuration        FSDP 2 with tensor and context parallel, or Megatron-LM underneath

Sources: the frameworks' own documentation and configuration classes, of the versions named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rigwise.errors import InfeasibleError, not_found
from rigwise.export.accelerate import accelerate
from rigwise.export.deepspeed import deepspeed
from rigwise.export.megatron import megatron
from rigwise.export.subject import Exported, Subject
from rigwise.export.torchtitan import torchtitan

FRAMEWORKS: Mapping[str, Callable[[Subject], Exported]] = MappingProxyType(
    {"torchtitan": torchtitan, "megatron": megatron, "deepspeed": deepspeed, "accelerate": accelerate}
)


def export(subject: Subject, tool: str) -> Exported:
    """The layout for a framework. Raises NotFoundError for an unknown one, InfeasibleError for what it cannot express.

    >>> from rigwise.export.subject import Subject
    >>> sorted(FRAMEWORKS)
    ['accelerate', 'deepspeed', 'megatron', 'torchtitan']
    """
    if tool not in FRAMEWORKS:
        raise not_found("framework", tool, FRAMEWORKS, hint=", ".join(FRAMEWORKS))
    if subject.layout.blocks:
        raise InfeasibleError(
            f"{tool} has no word for a choice block by block ({subject.layout})",
            rule="these frameworks split every layer alike",
            nearest=str(subject.layout.but(blocks=())),
        )
    return FRAMEWORKS[tool](subject)
