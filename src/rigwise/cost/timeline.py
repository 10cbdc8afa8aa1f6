"""The timeline of one layout: its pipeline walked event by event, then the exchange of gradients and the optimizer.

The closed form of cost/step.py takes every stage as long as the slowest; the walk takes each stage as it is. A step of
many micro-batches repeats itself, so that at most a few rounds are walked and the rest is added at the slowest stage's
pace. Schedules and the walk are layouts/schedule.py and layouts/walk.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rigwise.cost.arrays import Floats, total
from rigwise.cost.block import BLOCK_PARTS, block_parts, tensor_exposed
from rigwise.cost.estimate import Answer, Question, evaluate
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.layouts.schedule import Schedule, schedule
from rigwise.layouts.stages import stages
from rigwise.layouts.walk import Walk, walk

ROUNDS = 3  # micro-batches walked, in pipeline depths: filling, one round that repeats, emptying
_MOST = 10_000  # passes walked; of a longer pipeline one round is, in which it fills and empties


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """walk: the walked micro-batches. micros: those of the whole step, of which `walked` were walked. pipeline_s: the
    pipeline's seconds, the rest added. after_s: seconds by part that follow it (gradients, optimizer, host)."""

    schedule: Schedule
    walk: Walk
    micros: int
    walked: int
    pipeline_s: float
    after_s: dict[str, float]

    @property
    def step_s(self) -> float:
        """Seconds of the step by the walk, to hold beside the closed form."""
        return self.pipeline_s + sum(self.after_s.values())


def timeline(question: Question, layout: Layout, answer: Answer | None = None) -> Timeline:
    """Walk one layout's pipeline; the layout is taken as legal. answer: where it was answered, in the first row."""
    answer = answer or evaluate(question, LayoutTable.of([layout]))
    forward, backward = chunk_seconds(answer, layout)
    micros = max(question.batch // (layout.dp * layout.micro), 1)
    rounds = ROUNDS if 2 * ROUNDS * layout.vpp * layout.pp**2 <= _MOST else 1
    walked = min(micros, rounds * layout.pp)
    actions = schedule(layout.pipeline, layout.pp, walked, layout.vpp)
    late = backward / 2 if layout.schedule == "zero_bubble" else 0 * backward  # weights' half of the backward products
    times = walk(actions, forward, backward - late, weight_s=late)
    slowest = (forward + backward).reshape(layout.vpp, layout.pp).sum(axis=0).max()
    after = ("gradient_exchange", "optimizer", "offload", "pipeline_exchange", "loader")
    every = answer.parts
    parts = {key: _first(every[key]) for key in after}
    stack, share = answer.step.eff.stack, answer.step.eff.device.host_fixed
    fixed = question.factor * share * (stack.host_step_s + micros * layout.vpp * stack.host_micro_s)
    return Timeline(
        schedule=actions,
        walk=times,
        micros=micros,
        walked=walked,
        pipeline_s=times.makespan + (micros - walked) * float(slowest),
        after_s=parts | {"host": float(np.max(fixed))},
    )


def chunk_seconds(answer: Answer, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of the forward and of the backward pass of each chunk of the layout that was answered first, shape
    [pp*vpp], one micro-batch."""
    question, table, step = answer.question, answer.table, answer.step
    counts = stages(question.model, layout.pp, layout.vpp).astype(np.float64)
    forward, backward = [], []
    for block in question.model.blocks:
        parts = block_parts(block, table, step.machine, question.cluster, step.eff)
        hidden = _first(parts["tensor_exchange"] * (1 - tensor_exposed(table, step.eff)))
        both = _first(total(parts[key] for key in BLOCK_PARTS)) - hidden
        there = _first(parts["forward"]) - hidden * _first(np.asarray(parts["forward_share"]))
        forward.append(there)
        backward.append(both - there)
    return counts @ np.array(forward) * question.factor, counts @ np.array(backward) * question.factor


def _first(values: Floats) -> float:
    """The value of the first row."""
    return float(values.item(0))
