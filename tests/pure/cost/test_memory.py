"""Memory: published sizes, identities of the parts, and what more splitting may never cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import selene
from rigwise.cost.estimate import Question, estimate, evaluate
from rigwise.cost.memory import MemoryLaw
from rigwise.cost.step import NEAR_FULL
from rigwise.errors import NotFoundError
from rigwise.layouts.layout import PRECISIONS, RECOMPUTE, Layout, LayoutTable
from rigwise.layouts.precision import element_bytes, states
from rigwise.models.adapt import adapt
from rigwise.models.zoo import load
from rigwise.units import GIBI

GPT = load("gpt3-1.3b", seq=1024)
LLAMA = load("llama-2-7b", seq=1024)


def law(model, layout: Layout, *, devices: int = 0, batch: int = 0, **asked) -> MemoryLaw:
    """The memory law of one layout."""
    ranks = layout.ranks
    question = Question(model=model, cluster=selene(devices or ranks), batch=batch or layout.dp * layout.micro, **asked)
    return evaluate(question, LayoutTable.of([layout])).step.memory


def parts(model, layout: Layout, **asked) -> dict[str, float]:
    """Bytes by part on the first stage."""
    return {key: float(np.max(value)) for key, value in next(iter(law(model, layout, **asked).stages())).items()}


# ZeRO (arXiv 1910.02054) table 1: GB of states a device, by parameters in G and ranks: zero 1, 2, 3.
ZERO = [
    (7.5, 1, (120, 120, 120)),
    (7.5, 4, (52.5, 41.3, 30)),
    (7.5, 16, (35.6, 21.6, 7.5)),
    (7.5, 64, (31.4, 16.6, 1.88)),
    (7.5, 1024, (30.1, 15.1, 0.12)),
    (128, 4, (896, 704, 512)),
    (128, 64, (536, 284, 32)),
    (128, 1024, (513, 257, 2)),
    (1000, 16, (4750, 2875, 1000)),
    (1000, 1024, (4011, 2013, 15.6)),
]


@pytest.mark.parametrize(("size", "ranks", "published"), ZERO)
def test_the_table_of_zero(size: float, ranks: int, published: tuple[float, ...]) -> None:
    for zero, gigabytes in zip((1, 2, 3), published, strict=True):
        found = parts(GPT, Layout(dp=ranks, zero=zero), states="deepspeed")
        total = sum(found[key] for key in ("weights", "gradients", "optimizer"))
        assert total * size / GPT.parameters == pytest.approx(gigabytes, rel=0.03), zero


def test_megatron_holds_eighteen_bytes_a_parameter() -> None:
    found = parts(GPT, Layout(dp=1), stack="megatron")
    states_of_it = sum(found[key] for key in ("weights", "gradients", "optimizer"))
    assert states_of_it == pytest.approx(18 * GPT.parameters)


# Korthikanti et al. 2022 (arXiv 2205.05198) figure 1, GiB, as Calculon's validation reads it: model, devices, batch,
# layout; the layers' states at 18 bytes; activations of the first stage, none recomputed, then selective and sequence.
FIGURE_1 = [
    ("megatron-22b", 8, 4, {"tp": 8, "micro": 4}, 45.5625, 59.25, 9.5625),
    ("megatron-175b", 64, 64, {"tp": 8, "pp": 8, "vpp": 3}, 45.5625, 66.84375, 12.3515625),
    ("megatron-530b", 280, 280, {"tp": 8, "pp": 35, "vpp": 3}, 31.640625, 114.0234375, 23.076171875),
    ("megatron-1t", 512, 512, {"tp": 8, "pp": 64}, 32.958984375, 131.25, 26.5625),
]


@pytest.mark.parametrize(("name", "devices", "batch", "degrees", "held", "whole", "selective"), FIGURE_1)
def test_korthikanti_figure_1(name, devices, batch, degrees, held, whole, selective) -> None:
    model = load(name, seq=2048, flash=False)
    for layout, published in (
        (Layout(**degrees), whole),
        (Layout(**degrees, recompute="selective", sp="on"), selective),
    ):
        found = law(model, layout, devices=devices, batch=batch, stack="megatron")
        _, counts = next(found.plan.stages())
        layers = sum(
            float(counts[0, j] * elements.dense[0])
            for j, (kind, elements) in enumerate(zip(found.plan.kinds, found.weights, strict=True))
            if kind.role == "layer"
        )
        assert 18 * layers / GIBI == pytest.approx(held, rel=0.005)
        activations = float(next(iter(found.stages()))["activations"][0])
        assert activations / GIBI == pytest.approx(published, rel=0.07)


LAYOUTS = st.builds(
    Layout,
    dp=st.sampled_from([2, 4, 8]),
    tp=st.sampled_from([1, 2, 4]),
    pp=st.sampled_from([1, 2, 4]),
    micro=st.sampled_from([1, 2, 4]),
    zero=st.integers(0, 3),
    recompute=st.sampled_from(RECOMPUTE),
    precision=st.sampled_from(("float32", "float16", "bfloat16")),
)
WAYS = ("megatron", "deepspeed", "deepspeed-bfloat16", "fsdp", "autocast", "short", "short-chunked", "short-stepped")


@given(LAYOUTS, st.sampled_from(WAYS))
def test_more_sharding_never_takes_more(layout: Layout, way: str) -> None:
    found = [parts(LLAMA, layout.but(zero=zero), batch=64, states=way) for zero in range(4)]
    for key in ("weights", "gradients", "optimizer"):
        held = [one[key] for one in found]
        assert held == sorted(held, reverse=True), key


@given(LAYOUTS, st.sampled_from(WAYS))
def test_more_recomputation_never_keeps_more_activations(layout: Layout, way: str) -> None:
    kept = [parts(LLAMA, layout.but(recompute=word), batch=64, states=way) for word in RECOMPUTE]
    peaks = [one["activations"] for one in kept if one["activations"] > 0]
    assert peaks == sorted(peaks, reverse=True)


@given(LAYOUTS, st.sampled_from(WAYS))
def test_what_is_told_of_tensors_is_inside_what_is_reserved_and_that_inside_the_device(
    layout: Layout, way: str
) -> None:
    found = law(LLAMA, layout, batch=64, states=way)
    tensors, reserved, whole = (float(np.max(v)) for v in (found.tensors(), found.reserved(), found.whole))
    assert 0 < tensors <= reserved < whole


@given(LAYOUTS, st.sampled_from(WAYS))
def test_the_parts_of_the_fullest_stage_are_the_whole(layout: Layout, way: str) -> None:
    found = law(LLAMA, layout, batch=64, states=way)
    stages = [[float(np.max(value)) for value in stage.values()] for stage in found.stages()]
    assert max(map(sum, stages)) == pytest.approx(float(found.whole[0]))
    assert all(value >= 0 for stage in stages for value in stage)


def test_a_single_rank_gathers_nothing() -> None:
    one, plain = (parts(GPT, Layout(zero=zero)) for zero in (3, 0))
    assert one == pytest.approx(plain)


def test_every_way_of_grouping_ranks_has_its_communicators() -> None:
    buffers = [parts(GPT, layout, batch=8)["buffers"] for layout in (Layout(), Layout(dp=2), Layout(dp=2, tp=2, pp=2))]
    assert buffers[0] == 0
    assert buffers[2] == pytest.approx(3 * buffers[1])


def test_gradients_as_sent_and_as_held_are_two_things() -> None:
    code = np.array(PRECISIONS.index("bfloat16"))
    sizes = element_bytes(code, 2.0, states("deepspeed-bfloat16"))
    assert float(sizes.gradient) == 2
    assert float(sizes.held_gradient) == 6


@pytest.mark.parametrize("way", WAYS)
def test_float32_needs_no_copies_whoever_holds_it(way: str) -> None:
    sizes = element_bytes(np.array(PRECISIONS.index("float32")), None, states(way))
    assert (float(sizes.held_weight), float(sizes.master), float(sizes.cast), float(sizes.moments)) == (4, 0, 0, 1)


def test_an_unknown_way_of_holding_states_is_refused() -> None:
    with pytest.raises(NotFoundError, match="way of holding states"):
        states("megatrom")


def test_gradients_are_not_there_at_the_loss_of_the_only_micro_batch() -> None:
    short = Layout(micro=4)
    only, second = (parts(LLAMA, short, batch=batch, states="short-stepped") for batch in (4, 8))
    assert only == pytest.approx(second)  # stepped in the backward pass, they never wait
    only, second = (parts(LLAMA, short, batch=batch, states="short") for batch in (4, 8))
    assert only["gradients"] == 0
    assert second["gradients"] == pytest.approx(2 * LLAMA.parameters)


def test_logits_count_by_the_bytes_of_the_stack_or_of_its_way() -> None:
    logits = 1024 * 8 * LLAMA.vocab
    layout = Layout(micro=8, recompute="full")
    found = [parts(LLAMA, layout, batch=16, states=way, stack="huggingface") for way in ("short", "short-chunked")]
    per = law(LLAMA, layout, stack="huggingface").stack.memory_loss
    assert found[0]["temporary"] == pytest.approx(per * logits + 2 * LLAMA.parameters)  # and what the step takes
    assert found[1]["temporary"] < found[0]["temporary"]


def test_quantised_weights_keep_their_ends_as_they_are_prepared() -> None:
    plain, prepared = (adapt(LLAMA, "qlora", rank=8, ends_bits=bits) for bits in (None, 32))
    ends = sum(o.parameters for b in LLAMA.blocks if b.role != "layer" for o in b.operations if o.kind != "stream")
    found = [parts(model, Layout(), states="short")["weights"] for model in (plain, prepared)]
    assert found[1] - found[0] == pytest.approx(2 * ends, rel=1e-3)


def test_a_packed_head_is_unpacked_beside_the_logits() -> None:
    apart, packed = (adapt(LLAMA, "qlora", rank=8, head=True, pack_head=pack, bits=4.5) for pack in (False, True))
    head = LLAMA.vocab * LLAMA.hidden
    found = [parts(model, Layout(), states="short") for model in (apart, packed)]
    assert found[0]["weights"] - found[1]["weights"] == pytest.approx((2 - 4.5 / 8) * head, rel=1e-6)
    assert found[1]["temporary"] - found[0]["temporary"] == pytest.approx(2 * head, rel=1e-6)


def test_flat_gradients_stay_whole_until_the_last_micro_batch_scatters_them() -> None:
    model, sharded = adapt(LLAMA, "lora", rank=8), Layout(dp=2, zero=3, recompute="full")
    once, often = (parts(model, sharded, batch=batch, states="short-flat") for batch in (2, 8))
    assert often["gradients"] == pytest.approx(2 * model.parameters, rel=1e-2)  # frozen ones are in the flat tensor
    assert once["gradients"] < 0.01 * often["gradients"]
    assert parts(model, sharded, batch=8, states="short")["gradients"] < 0.01 * often["gradients"]


def test_trained_ends_stand_beside_their_frozen_copies() -> None:
    beside, alone = (adapt(LLAMA, "lora", rank=8, train_ends=ends) for ends in (True, False))
    ends = sum(o.parameters for b in LLAMA.blocks if b.role != "layer" for o in b.operations)
    found = [parts(model, Layout(), states="short")["weights"] for model in (beside, alone)]
    assert found[0] - found[1] == pytest.approx(2 * ends, rel=1e-6)


def test_a_step_on_a_full_device_takes_longer_and_says_so() -> None:
    ask = Question(model=LLAMA, cluster=selene(8), batch=8)
    layout = Layout(dp=8, zero=3, recompute="full")
    room = estimate(ask, layout)
    for full, slower in ((0.85, 0.0), (0.95, 0.25), (1.0, 1.0), (1.2, 1.0)):
        device = replace(ask.cluster.device, memory=room.memory_total / full)
        node = replace(ask.cluster.node, device=device)
        row = estimate(replace(ask, cluster=replace(ask.cluster, node=node)), layout)
        most = evaluate(ask, LayoutTable.of([layout])).step.eff.device.allocator
        assert row.step_s / room.step_s == pytest.approx(1 + most * slower)
        assert row.time["allocator"] == pytest.approx(row.step_s - room.step_s, abs=1e-9)
        assert row.fits == (full <= 1)
        assert any("full" in w or "does not fit" in w for w in row.warnings) == (full > NEAR_FULL)
