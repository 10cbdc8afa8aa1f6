"""Splitting changes nothing: pieces computed apart and combined equal the whole; and the report that shows it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import UsageError
from rigwise.layouts.compare import compare, execute
from rigwise.layouts.pieces import KINDS, pieces, split

sizes = st.integers(1, 12)


def matrices(batch: int, inputs: int, outputs: int, dtype: type, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    shapes = ((batch, inputs), (inputs, outputs), (batch, outputs))
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)


@given(kind=st.sampled_from(KINDS), batch=sizes, inputs=sizes, outputs=sizes, seed=st.integers(0, 999), data=st.data())
def test_split_equals_whole(kind: str, batch: int, inputs: int, outputs: int, seed: int, data: st.DataObject) -> None:
    ranks = data.draw(st.integers(1, {"data": batch, "rows": inputs, "columns": outputs}[kind]))
    a, w, delta = matrices(batch, inputs, outputs, np.float64, seed)
    done = execute(kind, a, w, delta, ranks)
    np.testing.assert_allclose(done.forward, a @ w, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(done.backward, delta @ w.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(done.gradient, a.T @ delta, rtol=1e-12, atol=1e-12)


def test_article_4_in_single_precision() -> None:
    a, w, delta = matrices(128, 1000, 500, np.float32)
    for kind in KINDS:
        done = execute(kind, a, w, delta, 2)
        for part, whole in ((done.forward, a @ w), (done.backward, delta @ w.T), (done.gradient, a.T @ delta)):
            assert np.abs(part - whole).max() / np.abs(whole).max() < 1e-5


def test_stacked_blocks_are_what_their_rank_computed_to_the_bit() -> None:
    a, w, delta = matrices(64, 1000, 10, np.float32)  # article 6: columns of 2, 2, 2 and 4
    stacked = execute("columns", a, w, delta, 4).forward
    for piece in pieces(10, 4):
        assert np.array_equal(stacked[:, piece], a @ w[:, piece])


def test_executed_shapes_are_those_of_the_report() -> None:
    a, w, delta = matrices(8, 9, 10, np.float64)
    for kind in KINDS:
        done, said = execute(kind, a, w, delta, 4), split(kind, 8, 9, 10, 4)
        assert [m.shape for m in (done.forward, done.backward, done.gradient)] == [p.whole for p in said.products]


def test_the_articles_example_as_a_report() -> None:
    report = compare(128, 1000, 500, 2, rate=5e9)
    assert {s.kind: report.bytes_handed_on(s) for s in report.splits} == {"data": 2e6, "rows": 512e3, "columns": 640e3}
    assert report.break_even == {"rows": 500.0, "columns": 400.0}
    assert report.least.kind == "rows"
    # rings on two ranks: an added tensor costs its size, a stacked one half of it
    assert {s.kind: report.ring_bytes(s) for s in report.splits} == {
        "data": 4 * 500_000,
        "rows": 4 * (64_000 + 128_000 / 2),
        "columns": 4 * (64_000 / 2 + 128_000),
    }
    assert report.seconds(report.splits[0]).decimal == pytest.approx(0.4e-3)
    assert report.memory(report.splits[2])["weights"] == (1e6, 1e6)
    assert report.memory(report.splits[2])["activations"] == (4 * 128 * 1500,) * 2
    assert report.memory(report.splits[1])["activations"] == (4 * 128 * 1000,) * 2
    assert report.warnings == ()


def test_above_the_break_even_batch_data_parallelism_hands_on_least() -> None:
    assert compare(399, 1000, 500, 2).least.kind == "rows"
    assert compare(501, 1000, 500, 2).least.kind == "data"


def test_a_split_that_leaves_a_rank_with_nothing_is_left_out_with_the_reason() -> None:
    report = compare(128, 1000, 10, 16)
    assert [s.kind for s in report.splits] == ["data", "rows"]
    assert report.refused == {"columns": "10 outputs over 16 ranks leave some with none"}
    assert set(report.break_even) == {"rows"}
    assert len(report.warnings) == 2


def test_one_rank_exchanges_nothing() -> None:
    report = compare(128, 1000, 500, 1)
    assert [s.handed_on for s in report.splits] == [0, 0, 0]
    assert report.break_even == {}
    assert report.warnings == ()
    assert report.seconds(report.splits[0]) is None


def test_the_report_is_json() -> None:
    said = json.loads(json.dumps(compare(128, 1000, 500, 3, rate=5e9).to_dict(), allow_nan=False))
    assert [s["kind"] for s in said["splits"]] == list(KINDS)
    columns = said["splits"][2]
    assert columns["products"][0]["result"] == [[128, 166], [128, 166], [128, 168]]
    assert columns["products"][0]["combine"] == "stack"
    assert columns["seconds"]["decimal"] == pytest.approx(columns["bytes"] / 5e9)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0, 10, 10, 2), "batch is 0"),
        ((4, 10, 10, -1), "ranks is -1"),
        ((4, 10, 10, 2, 0.0), "element_bytes is 0.0"),
        ((4, 10, 10, 2, 4.0, 0.0), "rate is 0.0"),
        ((4, 10, 10, 11), "a layer 4x10x10 over 11 ranks"),
    ],
)
def test_impossible_sizes_are_refused(arguments: tuple, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare(*arguments)
    assert caught.value.says == says
