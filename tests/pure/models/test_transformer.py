"""The transformer builder against published formulas."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigwise.errors import UsageError
from rigwise.models import zoo
from rigwise.models.attention_blocks import Lengths, windowed
from rigwise.models.model import Block
from rigwise.models.operations import Operation, attention
from rigwise.models.transformer import transformer

MEGATRON = [name for name in zoo.names() if name.startswith("megatron-")]
SMALL = {"layers": 2, "hidden": 64, "heads": 4, "vocab": 100, "seq": 32}
HALF = 2  # bytes of a 16-bit element


def layer_of(name: str, **overrides: object) -> Block:
    return next(block for block in zoo.load(name, **overrides).blocks if block.role == "layer")


def kept(operations: Iterable[Operation], tp: int) -> float:
    """Bytes of saved activations of one rank without sequence parallelism."""
    cut = ("heads", "row", "vocab")
    return sum((HALF * o.saved + o.saved_bytes) / (tp if o.split in cut else 1) for o in operations)


@pytest.mark.parametrize("name", MEGATRON)
@pytest.mark.parametrize("tp", [1, 2, 8])
def test_saved_activations_are_korthikantis(name: str, tp: int) -> None:
    """arXiv 2205.05198 equations 1 and 2: s b h (10 + 24/t + 5 a s / (h t)) bytes a layer."""
    model = zoo.load(name)
    s, h, a = model.tokens, model.hidden, model.heads
    expected = s * h * (10 + 24 / tp + 5 * a * s / (h * tp))
    assert kept(layer_of(name).operations, tp) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", MEGATRON)
def test_outside_the_attention_core_34_bytes_are_kept(name: str) -> None:
    """What selective recomputation leaves (section 5), and what fused attention leaves but for its statistics."""
    model = zoo.load(name)
    s, h, a = model.tokens, model.hidden, model.heads
    for flash in (False, True):
        operations = layer_of(name, flash=flash).operations
        inputs_of_core = sum(HALF * o.kept for o in operations if o.core)
        assert kept((o for o in operations if not o.core), 1) + inputs_of_core == 34 * s * h
    assert kept(layer_of(name, flash=True).operations, 1) == 34 * s * h + 4 * a * s


@pytest.mark.parametrize("name", MEGATRON)
def test_model_flops_are_megatrons(name: str) -> None:
    """arXiv 2205.05198 equation 8: 72 B L s h^2 (1 + s/6h + V/12hL) FLOP a step."""
    model = zoo.load(name)
    s, h, layers, v = model.tokens, model.hidden, model.layers, model.vocab
    expected = 72 * layers * s * h**2 * (1 + s / (6 * h) + v / (12 * h * layers))
    assert model.flops + model.flops_backward == pytest.approx(expected, rel=1e-12)
    assert model.flops_backward == 2 * model.flops


@pytest.mark.parametrize("name", ["gpt3-175b", "llama-3.1-405b", "qwen2.5-7b", "falcon-7b"])
def test_six_flops_a_parameter_and_token(name: str) -> None:
    """6 FLOP for each weight of a matrix product, and 12 L a d s for attention, a token."""
    model = zoo.load(name)
    weights = sum(n * o.k * o.n * o.batch for o, n in model.operations() if o.kind == "linear")
    squares = sum(12 * n * o.batch * o.m * o.n * o.k for o, n in model.operations() if o.kind == "attention")
    assert model.flops + model.flops_backward == pytest.approx(6 * weights * model.tokens + squares, rel=1e-12)


@pytest.mark.parametrize("gated", [False, True])
def test_elementwise_bytes_of_a_layer(gated: bool) -> None:
    """22 + 20 bytes a hidden element forward and 42 + 20 backward, and 9 and 11 a score."""
    model = zoo.load("megatron-1.7b", gated=gated, positions="none")
    s, h, f, a = model.tokens, model.hidden, model.ffn, model.heads
    streams = [o for o in model.blocks[1].operations if o.kind == "stream"]
    forward = HALF * sum(o.reads + o.writes for o in streams)
    backward = HALF * sum(o.reads_backward + o.writes_backward for o in streams)
    assert forward == (22 + 20) * s * h + (4 + 4 * gated) * s * f + 9 * a * s**2
    assert backward == (42 + 20) * s * h + (6 + 6 * gated) * s * f + 11 * a * s**2


def test_kernels_of_a_layer_are_about_a_dozen_forward_and_a_score_backward() -> None:
    operations = layer_of("megatron-1.7b", flash=True).operations
    assert 10 <= sum(o.kernels for o in operations) <= 14
    assert 18 <= sum(o.kernels_backward for o in operations) <= 22


@given(keys=st.integers(1, 60), window=st.integers(1, 80))
def test_a_window_counts_the_keys_that_are_seen(keys: int, window: int) -> None:
    square = attention("core", heads=1, kv_heads=1, m=keys, n=keys, k=1, causal=True)
    seen = sum(min(query, window) for query in range(1, keys + 1))
    cut = windowed(square, Lengths(queries=keys, keys=keys, causal=True, window=window))
    if window >= keys:
        assert cut == square
    else:
        assert cut.m * cut.n == pytest.approx(seen)
        assert cut.flops == pytest.approx(4 * seen)
        assert not cut.causal


@settings(max_examples=30, deadline=None)
@given(layers=st.integers(1, 9), every=st.integers(1, 4), dense=st.integers(0, 3), full=st.integers(0, 3))
def test_blocks_add_up_to_the_layers(layers: int, every: int, dense: int, full: int) -> None:
    shape = SMALL | {"layers": layers, "window": 8, "full_every": full}
    model = transformer(**shape, experts=4, top_k=2, moe_every=every, dense_layers=dense)
    assert model.units == layers
    mixtures = sum(b.count for b in model.blocks if "mixture" in b.name)
    assert mixtures == sum(i >= dense and (i + 1) % every == 0 for i in range(layers))
    windows = sum(b.count for b in model.blocks if "window" in b.name)
    assert windows == sum(not (full and (i + 1) % full == 0) for i in range(layers))
    operations = {b.name: b.operations for b in model.blocks}
    assert all(operations[b.name] is b.operations for b in model.blocks)


@settings(max_examples=30, deadline=None)
@given(seq=st.integers(1, 64), kv=st.sampled_from([1, 2, 4]), flash=st.booleans(), gated=st.booleans())
def test_twice_the_sequence(seq: int, kv: int, flash: bool, gated: bool) -> None:
    """Parameters stay, linear work doubles, attention work grows fourfold."""
    shape = SMALL | {"kv_heads": kv, "flash": flash, "gated": gated}
    short, long = transformer(**shape | {"seq": seq}), transformer(**shape | {"seq": 2 * seq})
    assert short.parameters == long.parameters
    for once, twice in zip(short.operations(), long.operations(), strict=True):
        grows = 4 if once[0].kind in ("bmm", "attention") else 2
        assert twice[0].flops == grows * once[0].flops


def test_roles_and_boundaries() -> None:
    model = zoo.load("gpt2")
    assert [block.role for block in model.blocks] == ["first", "layer", "last"]
    assert all(block.boundary == 1024 * 768 for block in model.blocks)
    crossing = zoo.load("t5-small")
    assert next(b for b in crossing.blocks if b.name == "decoder").boundary == (512 + 114) * 512


def test_splits_of_a_layer() -> None:
    """Column, heads, row in turn; norms and residual sums along the sequence; experts by themselves."""
    splits = {o.name: o.split for o in layer_of("llama-3-8b").operations}
    assert splits["qkv"] == splits["up"] == "column"
    assert splits["attention"] == splits["activation"] == "heads"
    assert splits["out"] == splits["down"] == "row"
    assert splits["ffn_norm"] == splits["ffn_residual"] == "sequence"
    mixed = {o.name: o.split for o in layer_of("mixtral-8x7b").operations}
    assert (mixed["experts_up"], mixed["dispatch"], mixed["experts_down"]) == ("expert_column", "expert", "expert_row")


def test_multi_token_prediction_adds_a_layer_and_shares_the_head() -> None:
    """arXiv 2412.19437: the module has its own layer, two norms and a 2h to h product; about 11.5 G weights."""
    plain, further = zoo.load("deepseek-v3"), zoo.load("deepseek-v3", mtp=1)
    assert further.parameters - plain.parameters == pytest.approx(11.5e9, rel=0.02)
    logits = [o for o, _ in further.operations() if o.name == "logits"]
    assert [o.parameters > 0 for o in logits] == [True, False]
    assert logits[0].flops == logits[1].flops


def test_padded_vocabulary() -> None:
    """Megatron at tp 8: a table of a multiple of 1024 rows."""
    assert zoo.load("bloom-176b", vocab=250000, vocab_multiple=1024).vocab == 250880


def test_adaptive_softmax_asks_rare_words_less() -> None:
    whole = zoo.load("transformer-xl-base", cutoffs=(), cutoff_shares=())
    cut = zoo.load("transformer-xl-base")
    assert cut.blocks[-1].flops < whole.blocks[-1].flops / 2
    assert cut.parameters == pytest.approx(whole.parameters, rel=0.01)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"layers": 0}, "layers is at least 1"),
        ({"layers": -3}, "not negative"),
        ({"hidden": 65}, "hidden 68"),
        ({"kv_heads": 3}, "kv_heads divides heads"),
        ({"experts": 4, "top_k": 5}, "top_k <= experts"),
        ({"positions": "learned", "max_positions": 16}, "seq 16"),
        ({"positions": "rotari"}, "one of rotary"),
        ({"gated": "yes"}, "true or false"),
        ({"predicted": 0}, "share of the tokens"),
        ({"predicted": "few"}, "is a number"),
        ({"vocab": 0}, "has a vocabulary"),
        ({"seq": 1.5}, "whole number"),
        ({"image": 30, "patch": 16}, "patch divides image"),
        ({"head": "classifier"}, "at least one class"),
        ({"cutoffs": (50, 20)}, "cutoffs rise"),
        ({"cutoffs": (50,), "cutoff_shares": (0.5, 0.2)}, "one share a cutoff"),
    ],
)
def test_impossible_sizes_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        transformer(**SMALL | wrong)
