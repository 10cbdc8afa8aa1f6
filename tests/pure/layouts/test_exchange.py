"""What is exchanged when other things than dense layers are split: each claim done in NumPy, each count on numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.layouts import exchange
from rigwise.layouts.pieces import pieces

RNG = np.random.default_rng(0)


@given(ranks=st.integers(1, 12))
def test_a_ring_all_gather_brings_every_block_in_one_step_less_than_ranks(ranks: int) -> None:
    steps = exchange.ring_all_gather(ranks)
    assert len(steps) == ranks - 1
    has = [{rank} for rank in range(ranks)]
    for step in steps:
        assert all(block in has[rank - 1] for rank, block in enumerate(step))  # the neighbour has what it sends
        for rank, block in enumerate(step):
            has[rank].add(block)
    assert has == [set(range(ranks))] * ranks


@given(elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e12)), ranks=st.integers(1, 64))
def test_collectives_agree_with_each_other(elements: float, ranks: int) -> None:
    whole = exchange.all_reduce(elements, ranks)
    assert whole == exchange.reduce_scatter(elements, ranks) + exchange.all_gather(elements, ranks)
    assert 0 <= exchange.all_to_all(elements, ranks) <= elements
    assert (whole == 0) == (ranks == 1 or elements == 0)


B, S, H = 2, 1024, 512
COUNTS = [
    (exchange.by_batch(1e6, 4), [("gradient", "all_reduce", 1e6, 1.5e6)]),
    (
        exchange.by_tensor(B, S, H, 4),
        [("forward", "all_reduce", B * S * H, 1.5 * B * S * H), ("backward", "all_reduce", B * S * H, 1.5 * B * S * H)],
    ),
    (
        exchange.by_context(B, S, 128, 4),
        [
            ("forward", "all_gather", 2 * B * S * 128, 1.5 * B * S * 128),
            ("backward", "all_gather", 2 * B * S * 128, 1.5 * B * S * 128),
            ("backward", "reduce_scatter", 2 * B * S * 128, 1.5 * B * S * 128),
        ],
    ),
    (exchange.embedding_by_vocabulary(B, S, H, 2), [("forward", "all_reduce", B * S * H, B * S * H)]),
    (exchange.embedding_by_width(B, S, H, 2), [("forward", "all_gather", B * S * H, B * S * H / 2)]),
    (
        exchange.logits_by_vocabulary(B, S, H, 2),
        [("forward", "all_reduce", 3 * B * S, 3 * B * S), ("backward", "all_reduce", B * S * H, B * S * H)],
    ),
    (
        exchange.conv_by_outputs(8, 3000, 5000, 2),
        [("forward", "all_gather", 40_000, 20_000), ("backward", "all_reduce", 24_000, 24_000)],
    ),
    (
        exchange.conv_by_inputs(8, 3000, 5000, 2),
        [("forward", "all_reduce", 40_000, 40_000), ("backward", "all_gather", 24_000, 12_000)],
    ),
    (
        exchange.conv_by_height(8, 3, 64, width=224, kernel=7, weights=9408, ranks=4),
        [
            ("forward", "neighbours", 2 * 8 * 3 * 224 * 3, 2 * 8 * 3 * 224 * 3),
            ("backward", "neighbours", 2 * 8 * 64 * 224 * 3, 2 * 8 * 64 * 224 * 3),
            ("gradient", "all_reduce", 9408, 1.5 * 9408),
        ],
    ),
    (
        exchange.by_expert(B * S, 2, H, 4),
        [(of, "all_to_all", 2 * B * S * H, 1.5 * B * S * H) for of in ("forward", "forward", "backward", "backward")],
    ),
]


@pytest.mark.parametrize(("moves", "wanted"), COUNTS)
def test_counts(moves: tuple[exchange.Move, ...], wanted: list[tuple]) -> None:
    assert [(m.of, m.collective, float(m.elements), float(m.sent)) for m in moves] == wanted


def test_sequence_parallelism_sends_what_tensor_parallelism_does() -> None:
    ranks = np.array([1, 2, 4, 8])
    both = [sum(m.sent for m in law(B, S, H, ranks)) for law in (exchange.by_sequence, exchange.by_tensor)]
    assert both[0] == pytest.approx(both[1])


@pytest.mark.parametrize(
    ("heads", "kv", "ranks", "held"),
    [(32, 8, 4, (8, 2, 1)), (32, 8, 8, (4, 1, 1)), (32, 8, 16, (2, 1, 2)), (32, 1, 8, (4, 1, 8))],
)
def test_heads_a_rank(heads: int, kv: int, ranks: int, held: tuple[int, ...]) -> None:
    assert tuple(float(x) for x in exchange.heads_per_rank(heads, kv, ranks)) == held


def conv(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """A convolution without padding: x [C, H, W], w [K, C, R, R]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(1, 2))
    return np.einsum("chwrs,kcrs->khw", windows, w)


def test_convolutions_stack_out_channels_and_add_in_channels() -> None:
    x, w = RNG.standard_normal((5, 9, 8)), RNG.standard_normal((7, 5, 3, 3))
    stacked = np.concatenate([conv(x, w[k]) for k in pieces(7, 3)])
    added = sum(conv(x[c], w[:, c]) for c in pieces(5, 3))
    np.testing.assert_allclose(stacked, conv(x, w))
    np.testing.assert_allclose(added, conv(x, w))


def test_a_convolution_cut_along_the_height_needs_only_its_neighbours_borders() -> None:
    kernel, border = 5, 2
    x, w = RNG.standard_normal((3, 12, 8)), RNG.standard_normal((4, 3, kernel, kernel))
    padded = np.pad(x, ((0, 0), (border, border), (border, border)))
    parts, received = [], []
    for rows in pieces(12, 3):
        low, high = max(rows.start - border, 0), min(rows.stop + border, 12)
        received.append((high - low) - (rows.stop - rows.start))
        own = np.pad(x[:, low:high], ((0, 0), (low - rows.start + border, rows.stop + border - high), (border, border)))
        parts.append(conv(own, w))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), conv(padded, w))
    moves = exchange.conv_by_height(1, 3, 4, width=8, kernel=kernel, weights=w.size, ranks=3)
    assert float(moves[0].elements) == max(received) * 3 * 8


def test_an_embedding_cut_along_the_vocabulary_adds_and_along_the_width_stacks() -> None:
    table, words = RNG.standard_normal((11, 6)), np.array([0, 3, 10, 3])
    added = np.zeros((4, 6))
    for rows in pieces(11, 4):
        mine = (words >= rows.start) & (words < rows.stop)
        added[mine] += table[rows][words[mine] - rows.start]
    np.testing.assert_array_equal(added, table[words])
    np.testing.assert_array_equal(np.concatenate([table[:, c][words] for c in pieces(6, 4)], axis=1), table[words])


def test_the_loss_over_a_cut_vocabulary_needs_three_numbers_a_token() -> None:
    logits, target = 9 * RNG.standard_normal((5, 11)), np.array([0, 4, 10, 7, 7])
    cut = pieces(11, 4)
    highest = np.max([logits[:, v].max(axis=1) for v in cut], axis=0)
    total = sum(np.exp(logits[:, v] - highest[:, None]).sum(axis=1) for v in cut)
    picked = sum(
        np.where((target >= v.start) & (target < v.stop), logits[np.arange(5), np.clip(target, v.start, v.stop - 1)], 0)
        for v in cut
    )
    whole = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(5), target]
    np.testing.assert_allclose(np.log(total) + highest - picked, whole)


def test_attention_over_a_cut_sequence_needs_the_others_keys_and_values() -> None:
    q, k, v = RNG.standard_normal((3, 12, 4))

    def attend(queries: np.ndarray, keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
        scores = np.exp(queries @ keys.T)
        return scores @ values, scores.sum(axis=1, keepdims=True)

    ring = exchange.ring_all_gather(3)
    cut = pieces(12, 3)
    rows = []
    for rank in range(3):
        blocks = [rank, *(step[rank] for step in ring)]
        parts = [attend(q[cut[rank]], k[cut[b]], v[cut[b]]) for b in blocks]
        rows.append(sum(p for p, _ in parts) / sum(n for _, n in parts))
    whole, norm = attend(q, k, v)
    np.testing.assert_allclose(np.concatenate(rows), whole / norm)


def test_tokens_come_back_from_their_experts() -> None:
    ranks, tokens, hidden = 4, 6, 3
    x = RNG.standard_normal((ranks, tokens, hidden))
    expert = RNG.integers(0, ranks, (ranks, tokens))  # top 1, one expert a rank
    scale = RNG.standard_normal(ranks)
    sent = [[x[source][expert[source] == to] for to in range(ranks)] for source in range(ranks)]
    done = [[sent[source][to] * scale[to] for source in range(ranks)] for to in range(ranks)]
    back = np.empty_like(x)
    for source in range(ranks):
        for to in range(ranks):
            back[source][expert[source] == to] = done[to][source]
    np.testing.assert_array_equal(back, x * scale[expert][..., None])
