"""Why this layout, and why not plain data parallel: the reasons in words, each with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.cost.estimate import Question
from rigwise.cost.record import Estimate
from rigwise.cost.timeline import Timeline
from rigwise.layouts.layout import Layout
from rigwise.layouts.runnable import not_run
from rigwise.units import show_bytes, show_seconds

_NAMES = {
    "compute": "computing",
    "recompute": "computing activations again",
    "host": "launching kernels",
    "tensor_exchange": "exchanging activations between tensor ranks",
    "context_exchange": "passing keys and values between context ranks",
    "expert_exchange": "sending tokens to their experts",
    "pipeline_exchange": "sending activations between stages",
    "bubble": "the pipeline's bubble",
    "gradient_exchange": "exchanging gradients",
    "optimizer": "the optimizer's step",
    "offload": "moving states to host memory and back",
    "allocator": "looking for free memory on a nearly full device",
    "loader": "waiting for data",
}


def why(question: Question, rows: Sequence[Estimate], plain: Estimate | None) -> tuple[str, ...]:
    """The reasons for the first of `rows`."""
    best = rows[0]
    lines = [_where_time_goes(best), _memory(best), *_against_plain(best, plain, question)]
    if len(rows) > 1:
        lines.append(_against_next(best, rows[1]))
    return (*lines, *_for_others(rows))


def _for_others(rows: Sequence[Estimate]) -> list[str]:
    """Which of the layouts `rigwise run` does not do."""
    left = {number: not_run(row.layout) for number, row in enumerate(rows, 1)}
    asked = dict.fromkeys(word for words in left.values() for word in words)
    some = ", ".join(str(number) for number, words in left.items() if words)
    return [f"for another framework, as rigwise run has no {', '.join(asked)}: layout {some}"] if asked else []


def walk_says(best: Estimate, walked: Timeline) -> tuple[str, ...]:
    """What the walk of the pipeline adds to the closed form; nothing where there is no pipeline."""
    if best.layout.pp == 1:
        return ()
    off = walked.step_s / best.step_s - 1
    return (
        f"walked event by event, a step takes {show_seconds(walked.step_s)} ({off:+.1%} against the closed form); "
        f"stages idle {walked.walk.bubble_share:.0%} of the time of the {walked.walked} micro-batches walked",
    )


def _where_time_goes(best: Estimate) -> str:
    parts = sorted(best.time.items(), key=lambda item: -item[1])
    shown = [f"{value / best.step_s:.0%} {_NAMES[key]}" for key, value in parts[:4] if value > 0.005 * best.step_s]
    return f"{best.layout} takes {show_seconds(best.step_s)} a step: {', '.join(shown)}"


def _memory(best: Estimate) -> str:
    biggest = max(best.memory, key=lambda key: best.memory[key])
    return (
        f"its fullest device holds {show_bytes(best.memory_total)} of {show_bytes(best.memory_limit)}, "
        f"most of it {biggest} ({show_bytes(best.memory[biggest])})"
    )


def _against_plain(best: Estimate, plain: Estimate | None, question: Question) -> list[str]:
    devices = question.cluster.devices
    if plain is None:
        return [f"plain data parallel is not possible: {devices} devices do not divide a batch of {question.batch}"]
    if not plain.fits:
        return [
            f"plain data parallel does not fit: {show_bytes(plain.memory_total)} a device of "
            f"{show_bytes(plain.memory_limit)}"
        ]
    if plain.step_s <= best.step_s * 1.001:
        return ["plain data parallel is as fast: nothing has to be split"]
    worst = max(plain.time, key=lambda key: plain.time[key] - best.time.get(key, 0.0))
    return [
        f"plain data parallel takes {show_seconds(plain.step_s)}, {plain.step_s / best.step_s:.2f} times as long: "
        f"{show_seconds(plain.time[worst])} of it is {_NAMES[worst]}"
    ]


def _spelt(layout: Layout) -> dict[str, str]:
    return dict(word.split("=", 1) for word in str(layout).split(","))


def _against_next(best: Estimate, second: Estimate) -> str:
    changes = [
        f"{key}={_spelt(second.layout).get(key, getattr(second.layout, key))}"
        for key in best.layout.to_dict()
        if getattr(second.layout, key) != getattr(best.layout, key)
    ]
    more = second.step_s / best.step_s - 1
    inside = " (inside the interval: measure both)" if second.interval[0] < best.interval[1] else ""
    return (
        f"next is {', '.join(changes) or 'the same'}: {more:+.1%} step time, {show_bytes(second.memory_total)}{inside}"
    )
