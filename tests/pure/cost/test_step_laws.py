"""What a step's laws must do: the host, exchanges under it, rings under attention, sums of gradients, experts, ends."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines import A100, selene
from rigwise.cost.block import block_parts
from rigwise.cost.efficiencies import efficiencies, shipped, using
from rigwise.cost.estimate import Question, estimate, evaluate
from rigwise.cost.gradients import summed_bytes
from rigwise.cost.host import launch_seconds, with_host
from rigwise.cost.matmul import engine, misalignment
from rigwise.cost.timeline import timeline
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.layouts.precision import element_bytes
from rigwise.models.zoo import load

GPT = load("gpt3-1.3b", seq=1024)


def with_stack(name: str, **values: Any) -> Mapping[str, Any]:
    tables = deepcopy(shipped())
    tables["stack"][name] |= values
    return tables


@settings(max_examples=40, deadline=None)
@given(g=st.floats(1e-6, 1.0), h=st.floats(1e-6, 1.0), q=st.sampled_from([1.0, 2.0, 4.0]))
def test_host_and_device_together_lie_between_the_longer_and_the_sum(g: float, h: float, q: float) -> None:
    assert max(g, h) * (1 - 1e-12) <= with_host(g, h, q) <= (g + h) * (1 + 1e-12)


def test_a_collective_waits_for_more_ranks_longer_and_for_one_not_at_all() -> None:
    waits = launch_seconds(0, 1, np.array([1, 2, 4, 8]), 10e-6, 50e-6)
    assert waits == pytest.approx([0.0, 50e-6, 100e-6, 150e-6])


def test_blocking_launches_add_the_host_in_full() -> None:
    question = Question(model=GPT, cluster=selene(1), batch=8)
    with using(with_stack("modern", host_kernel_s=1e-3, host_power=1.0)):
        added = estimate(question, Layout(micro=8)).time["host"]
    with using(with_stack("modern", host_kernel_s=1e-3)):
        floor = estimate(question, Layout(micro=8)).time["host"]
    launches = sum(b.count * (sum(o.kernels + o.kernels_backward / 2 for o in b.operations)) for b in GPT.blocks)
    assert added == pytest.approx(launches * 1e-3, rel=0.02)
    assert floor < added


def test_the_host_launches_ahead_while_ranks_exchange() -> None:
    """Twice the exchange costs less than twice where the host sets the pace: it hides under the launches."""
    layout = LayoutTable.of([Layout(tp=8)])
    block = next(b for b in GPT.blocks if b.role == "layer")
    totals = []
    for bandwidth in (240e9, 120e9):
        cluster = selene(8)
        cluster = replace(cluster, node=replace(cluster.node, link=replace(cluster.node.link, bandwidth=bandwidth)))
        question = Question(model=GPT, cluster=cluster, batch=1, stack="deepspeed-3d")
        step = evaluate(question, layout).step
        parts = block_parts(block, layout, step.machine, cluster, step.eff)
        totals.append((parts["tensor_exchange"].item(), sum(parts[k].item() for k in ("host", "tensor_exchange"))))
    (fast, with_fast), (slow, with_slow) = totals
    assert slow > 1.2 * fast
    assert with_slow - with_fast < 0.5 * (slow - fast)


def test_keys_and_values_go_round_under_long_attention_only() -> None:
    model = load("llama3-8b", seq=65536)
    short = load("llama3-8b", seq=2048)
    times = [
        estimate(Question(model=m, cluster=selene(8), batch=1), Layout(cp=8)).time["context_exchange"]
        for m in (short, model)
    ]
    assert times[0] > 0
    assert times[1] == 0


def test_bytes_of_summed_gradients() -> None:
    """float16 sums: 3 x 2 bytes for each micro-batch but the first; float32 sums of float16: 2 + 2 x 4 for each."""
    table = LayoutTable.of([Layout(precision="float16"), Layout(precision="float16", dp=4, zero=2)])
    short, wide = (element_bytes(table.precision, held) for held in (None, 4.0))
    assert summed_bytes(table, short, np.array([1.0, 4.0])) == pytest.approx([0.0, 4.5 / 4])
    assert summed_bytes(table, wide, np.array([1.0, 4.0])) == pytest.approx([10.0, 10.0 / 4])


def test_a_fused_sum_of_gradients_costs_nothing() -> None:
    question = Question(model=GPT, cluster=selene(1), batch=64)
    seconds = []
    for share in (0.0, 1.0):
        with using(with_stack("modern", accumulate=share)):
            seconds.append(estimate(question, Layout(micro=1)).time["compute"])
    weights = sum(o.parameters * n for o, n in GPT.operations() if o.kind == "linear")
    bandwidth = A100.bandwidth * efficiencies(A100).device.bandwidth
    assert seconds[1] - seconds[0] == pytest.approx(64 * 10 * weights / bandwidth, rel=0.02)


def test_experts_cost_their_stacks_factor_and_dense_layers_do_not() -> None:
    mixture = load("mixtral-8x7b", seq=1024)
    seconds: dict[str, list[float]] = {"mixture": [], "dense": []}
    for factor in (1.0, 2.0):
        with using(with_stack("modern", experts=factor)):
            for name, model in (("mixture", mixture), ("dense", GPT)):
                question = Question(model=model, cluster=selene(8), batch=8)
                seconds[name].append(estimate(question, Layout(tp=8, micro=8)).time["compute"])
    assert 1.3 < seconds["mixture"][1] / seconds["mixture"][0] < 2
    assert seconds["dense"][0] == seconds["dense"][1]


def test_an_odd_vocabulary_is_slow_by_what_a_rank_holds_of_it() -> None:
    """50257 over 2, 4 and 8 ranks: 25128 is a multiple of 8, 12564 of 4, 6282 of 2."""
    on = engine(A100, "float16", replace(efficiencies(A100).device, misaligned_powers=(1.0, 2.0, 3.0)))
    assert misalignment(50257 / np.array([1, 2, 4, 8]), 2.0, on).tolist() == [8.0, 1.0, 2.0, 4.0]


def test_gathers_of_each_tensor_pay_their_latency_each() -> None:
    question = Question(model=GPT, cluster=selene(512), batch=512, stack="fsdp")
    seconds = []
    for pieces in (1.0, 31.0):
        with using(with_stack("fsdp", sharded_pieces=pieces, sharded_power=1.0)):
            seconds.append(estimate(question, Layout(dp=512, zero=3)).time["gradient_exchange"])
    with using(with_stack("fsdp", sharded_pieces=1.0, sharded_power=1.0)):
        smaller = estimate(replace(question, cluster=selene(64), batch=64), Layout(dp=64, zero=3)).time[
            "gradient_exchange"
        ]
    assert seconds[1] > 2 * seconds[0]
    assert smaller < seconds[0] * 1.01


UNEVEN = [
    Layout(dp=8, pp=8, micro=1),  # 30 layers over 8 stages: four of the first hold one more; the last has the head
    Layout(dp=4, tp=4, pp=4, micro=2, recompute="full"),
    Layout(dp=2, tp=2, pp=16, micro=1),
    Layout(dp=8, tp=2, pp=4, vpp=2, micro=1),
]


@pytest.mark.parametrize("layout", UNEVEN, ids=str)
def test_the_closed_form_agrees_with_the_walk_of_uneven_stages(layout: Layout) -> None:
    """A wide vocabulary makes the last stage the slowest; the closed form knows stages by their content alone."""
    model = load("gpt3-1.3b", seq=1024, layers=30, vocab=250880)
    question = Question(model=model, cluster=selene(layout.ranks), batch=512)
    assert timeline(question, layout).step_s == pytest.approx(estimate(question, layout).step_s, rel=0.04)
