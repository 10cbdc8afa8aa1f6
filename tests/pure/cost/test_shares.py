"""What a rank holds, keeps and sends is counted once, whatever else is split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from machines import A100, HDR, NVSWITCH, PCIE, selene
from rigwise.cost.block import block_parts
from rigwise.cost.collective import all_reduce_seconds, all_to_all_seconds, gather_seconds, group, wires
from rigwise.cost.efficiencies import efficiencies
from rigwise.cost.estimate import Question, estimate, evaluate
from rigwise.cost.exchange import groups
from rigwise.cost.gradients import sharded_seconds
from rigwise.cost.memory import Elements, kept
from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster, Node
from rigwise.layouts.layout import PRECISIONS, Layout, LayoutTable
from rigwise.layouts.precision import element_bytes
from rigwise.models.adapt import adapt
from rigwise.models.zoo import load

EFF = efficiencies(A100)
GPT = load("gpt3-1.3b", seq=1024)
MIXTRAL = load("mixtral-8x7b", seq=2048)


def test_a_frozen_table_that_is_tied_is_not_taken_from_what_is_trained() -> None:
    model = adapt(load("gpt2"), "lora", rank=8)
    row = estimate(Question(model=model, cluster=selene(1), batch=4), Layout(micro=4, precision="float32"))
    assert row.memory["gradients"] == pytest.approx(4 * model.trainable_parameters)
    assert row.memory["optimizer"] == pytest.approx(8 * model.trainable_parameters)
    assert row.memory["weights"] == pytest.approx(4 * model.parameters)


def test_the_optimizer_steps_the_experts_that_a_rank_holds() -> None:
    ask = Question(model=MIXTRAL, cluster=selene(8), batch=8)
    seconds = {(z, e): estimate(ask, Layout(dp=8, ep=e, zero=z)).time["optimizer"] for z in (0, 1) for e in (1, 8)}
    experts = sum(o.parameters * n for o, n in MIXTRAL.operations() if o.split.startswith("expert_"))
    share = experts / MIXTRAL.parameters
    assert seconds[0, 8] / seconds[0, 1] == pytest.approx(1 - share * 7 / 8)
    assert seconds[1, 8] == pytest.approx(seconds[1, 1])  # sharded, every rank steps an eighth of everything


def test_tensor_ranks_share_what_lies_between_the_products_of_experts() -> None:
    layer = next(block for block in MIXTRAL.blocks if block.role == "layer")
    only = replace(layer, operations=tuple(o for o in layer.operations if o.name.startswith("experts")))
    tables = [LayoutTable.of([Layout(tp=t, ep=2, dp=2)]) for t in (1, 4)]
    whole, cut = (kept(only, table, element_bytes(table.precision)).saved.item() for table in tables)
    inputs = next(2 * o.saved for o in only.operations if o.name == "experts_up")  # gathered, each rank has them all
    assert cut == pytest.approx(inputs + (whole - inputs) / 4)


def test_a_sequence_that_is_cut_sends_each_token_to_its_experts_once() -> None:
    ask = Question(model=MIXTRAL, cluster=selene(16), batch=8)
    whole, cut = (estimate(ask, Layout(dp=4, tp=4, ep=4, sp=sp)).time["expert_exchange"] for sp in ("off", "on"))
    assert 3.0 < whole / cut <= 4.0  # latency does not shrink


def test_float8_keeps_the_inputs_of_products_in_one_byte() -> None:
    layer = next(block for block in GPT.blocks if block.role == "layer")
    sizes = {name: element_bytes(np.array([PRECISIONS.index(name)])) for name in ("bfloat16", "float8")}
    table = LayoutTable.of([Layout()])
    two, one = (kept(layer, table, size).saved.item() for size in sizes.values())
    assert two - one == pytest.approx(sum(o.saved for o in layer.operations if o.kind == "linear"))


def test_every_layer_that_is_gathered_pays_its_latency() -> None:
    cluster, none = selene(512), np.zeros(())
    table = LayoutTable.of([Layout(dp=512, zero=3)])
    held = Elements(
        dense=np.array(1e9),
        dense_trained=np.array(1e9),
        expert=none,
        expert_trained=none,
        bits=none,
        sides=none,
        matrix=none,
    )
    over = replace(wires(cluster, EFF), protocols=((1.0, 1.0),))  # no other protocol for the smaller pieces
    among, sizes = groups(cluster, table), element_bytes(table.precision)
    once, often = (sharded_seconds(held, table, np.array(n), sizes, np.ones(()), among, over) for n in (1.0, 32.0))
    latency = gather_seconds(0.0, among.data, over)
    assert (often - once) / (31 * 3 * latency) == pytest.approx(1.0)


def test_frozen_layers_have_no_gathered_gradients() -> None:
    full = load("llama-2-7b", seq=512)
    rows = [
        estimate(Question(model=model, cluster=selene(8), batch=8), Layout(dp=8, zero=3, recompute="full"))
        for model in (full, adapt(full, "lora", rank=8))
    ]
    gradients = 4 * 2 * max(block.parameters for block in full.blocks)
    assert rows[0].memory["temporary"] - rows[1].memory["temporary"] == pytest.approx(gradients, rel=0.05)


def test_zero_2_hides_its_exchange_under_every_backward_pass() -> None:
    ask = Question(model=GPT, cluster=selene(8), batch=256)
    shown, hidden = (
        estimate(ask, Layout(dp=8, micro=4, zero=2, overlap=word)).time["gradient_exchange"] for word in ("none", "dp")
    )
    assert hidden / shown == pytest.approx(1 - EFF.stack.overlap_dp)


def test_offloaded_states_cross_the_link_to_the_host_and_back() -> None:
    ask = Question(model=GPT, cluster=selene(8), batch=64)
    row = estimate(ask, Layout(dp=8, micro=8, zero=1, offload="optimizer"))
    seconds = 2 * (8 + 4) * GPT.parameters / 8 / PCIE.bandwidth  # two moments and the float32 master copy
    assert row.time["offload"] == pytest.approx(seconds * (1 - EFF.stack.overlap_offload))


def test_two_nodes_in_one_domain_send_as_one_node_of_both() -> None:
    card = replace(HDR, bandwidth=1e9)
    small = Cluster(name="trays", node=Node(device=A100, count=4, domain=8, link=NVSWITCH, nic=card, nics=1), nodes=4)
    large = Cluster(name="nodes", node=Node(device=A100, count=8, link=NVSWITCH, nic=card, nics=2), nodes=2)
    seconds = [
        estimate(Question(model=GPT, cluster=c, batch=64), Layout(dp=8, pp=2)).time["pipeline_exchange"]
        for c in (small, large)
    ]
    assert seconds[0] > 0
    assert seconds[0] == pytest.approx(seconds[1])


def test_two_neighbours_use_the_bridge_between_them() -> None:
    bridge = replace(NVSWITCH, kind="nvlink-bridge", bandwidth=200e9)
    node = Node(device=A100, count=4, link=PCIE)
    plain, paired = (Cluster(name="x", node=n) for n in (node, replace(node, pair=bridge)))
    for law in (all_reduce_seconds, gather_seconds, all_to_all_seconds):
        slow, fast = (law(1e9, group(c, [2, 2, 4], [1, 2, 1]), wires(c, EFF)) for c in (plain, paired))
        assert (slow / fast)[0] > 5
        assert (slow / fast)[1:].tolist() == [1.0, 1.0]


def test_nodes_without_a_network_card_are_refused() -> None:
    alone = Cluster(name="boxes", node=Node(device=A100, count=4, link=NVSWITCH), nodes=2)
    with pytest.raises(UsageError, match="2 nodes of boxes have no network card"):
        estimate(Question(model=GPT, cluster=alone, batch=8), Layout(dp=8))


def test_only_layers_are_launched_again() -> None:
    cluster = selene(1)
    step = evaluate(Question(model=GPT, cluster=cluster, batch=1), LayoutTable.of([Layout()])).step
    for block in GPT.blocks:
        none, full = (
            block_parts(block, LayoutTable.of([Layout(recompute=word)]), step.machine, cluster, EFF)["host"].item()
            for word in ("none", "full")
        )
        assert (full > none) == (block.role == "layer")
