"""What stages send each other, message by message: which action needs one, which gives one, and over which channel.

Part c*p + i of the model is chunk c of stage i (schedule.py). A forward pass hands its part's activations to the next
part, a backward pass the gradients of what it received to the part before. A channel is one direction between two
stages for one of the two kinds: what is sent first on a channel is received first, in every schedule, so that a network
which only knows queues (NCCL) cannot mix messages up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rigwise.layouts.schedule import Action, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one part hands to its neighbour for one micro-batch. kind: F activations, B their gradients.

    part: the part that receives. source, target: stages.
    """

    kind: Literal["F", "B"]
    micro: int
    part: int
    source: int
    target: int

    @property
    def channel(self) -> tuple[str, int, int]:
        """Kind, source and target: messages of one channel keep their order."""
        return self.kind, self.source, self.target


def needed(action: Action, stage: int, stages: int, parts: int) -> Message | None:
    """The message that an action waits for; None where it needs nothing from another part."""
    part = action.chunk * stages + stage
    if action.kind == "F" and part:
        return Message(kind="F", micro=action.micro, part=part, source=(stage - 1) % stages, target=stage)
    if action.kind == "B" and part + 1 < parts:
        return Message(kind="B", micro=action.micro, part=part, source=(stage + 1) % stages, target=stage)
    return None


def given(action: Action, stage: int, stages: int, parts: int) -> Message | None:
    """The message that an action sends when it is done.

    >>> given(Action("F", 3), stage=0, stages=2, parts=2)
    Message(kind='F', micro=3, part=1, source=0, target=1)
    """
    part = action.chunk * stages + stage
    if action.kind == "F" and part + 1 < parts:
        return Message(kind="F", micro=action.micro, part=part + 1, source=stage, target=(stage + 1) % stages)
    if action.kind == "B" and part:
        return Message(kind="B", micro=action.micro, part=part - 1, source=stage, target=(stage - 1) % stages)
    return None


def parts_of(actions: Schedule) -> int:
    """Parts of the model that a schedule passes: stages times chunks."""
    return len(actions) * (1 + max(action.chunk for stage in actions for action in stage))


def frees(actions: Schedule) -> Literal["B", "W"]:
    """The pass after which a micro-batch's activations are let go: W where weight gradients are apart."""
    return "W" if any(action.kind == "W" for stage in actions for action in stage) else "B"
