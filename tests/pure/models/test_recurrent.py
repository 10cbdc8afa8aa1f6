"""Recurrent nets: two products a cell, steps one after the other, tensors kept once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import UsageError
from rigwise.models import recurrent, zoo


@given(
    kind=st.sampled_from(["lstm", "gru"]),
    features=st.integers(1, 64),
    hidden=st.integers(1, 64),
    layers=st.integers(1, 4),
    both=st.booleans(),
    seq=st.integers(1, 50),
)
def test_parameters_and_work_of_a_stack(
    kind: str, features: int, hidden: int, layers: int, both: bool, seq: int
) -> None:
    model = recurrent.classifier(
        features=features, hidden=hidden, layers=layers, classes=5, seq=seq, kind=kind, bidirectional=both
    )
    gates, ways = {"lstm": 4, "gru": 3}[kind], 1 + both
    widths = [features] + [hidden * ways] * (layers - 1)
    cells = [ways * gates * hidden * (width + hidden) for width in widths]
    biases = layers * ways * 2 * gates * hidden
    assert model.parameters == sum(cells) + biases + hidden * ways * 5 + 5
    assert model.flops == 2 * seq * (sum(cells) + hidden * ways * 5)


def test_the_state_is_a_product_a_step() -> None:
    made = {o.name: o for o in recurrent.layer(recurrent.Cell(kind="lstm", hidden=8), seq=20, features=4)}
    assert (made["inputs"].m, made["inputs"].steps) == (20, 1)
    assert (made["state"].m, made["state"].steps) == (1, 20)
    assert made["cell"].kernels == 20


def test_without_dropout_a_layers_output_is_kept_once() -> None:
    with_, without = (
        recurrent.language_model(vocab=50, hidden=8, layers=3, seq=10, dropout=dropout) for dropout in (True, False)
    )
    kept = [sum(o.saved * n for o, n in model.operations() if o.kind == "linear") for model in (with_, without)]
    assert kept[0] - kept[1] == 2 * 10 * 8


def test_a_tied_table_counts_once() -> None:
    tied, free = (recurrent.language_model(vocab=500, hidden=16, layers=1, tied=tied) for tied in (True, False))
    assert free.parameters - tied.parameters == 500 * 16


def test_seq_is_the_tokens_of_a_sample() -> None:
    short, long = (zoo.load("lstm-ptb-medium", seq=seq) for seq in (35, 70))
    assert (short.tokens, long.tokens) == (35, 70)
    assert long.flops == 2 * short.flops


@pytest.mark.parametrize(("kind", "gates"), [("lstm", 4), ("gru", 3)])
def test_a_cell_keeps_its_gates_and_its_state_of_every_step(kind: str, gates: int) -> None:
    cell = next(o for o in recurrent.layer(recurrent.Cell(kind=kind, hidden=8), seq=5, features=3) if o.name == "cell")
    assert cell.saved == 5 * 8 * (gates + 1)
    assert (cell.reads, cell.writes) == (5 * 8 * (2 * gates + 1), 5 * 8 * (gates + 2))
    assert (cell.kernels, cell.kernels_backward) == (5, 5)


def test_gnmt_is_the_translator_of_its_paper() -> None:
    model = zoo.load("gnmt-8", seq=25)
    names = {block.name: block for block in model.blocks}
    assert model.layers == 16
    first = names["encoder"].operations
    assert sum(o.name.endswith("state") for o in first) == 2  # both directions
    assert [o.k for o in names["encoder/2"].operations if o.name == "inputs"] == [2048]
    assert (names["encoder/3"].count, names["decoder/2"].count) == (6, 6)
    assert [o.k for o in names["decoder"].operations if o.name == "inputs"] == [2048]
    assert model.tokens == 50


def test_gnmt_moves_what_its_loss_and_its_attention_write_step_by_step() -> None:
    model = recurrent.gnmt(vocab=100, hidden=16, encoder_layers=2, decoder_layers=2, seq=10, target=12)
    found = {o.name: o for o, _ in model.operations()}
    loss, pairs, words = found["loss"], 10 * 12 * 16, 12 * 100
    assert (loss.reads, loss.writes, loss.reads_backward, loss.writes_backward) == (
        2 * words,
        words,
        4 * words,
        4 * words,
    )
    tanh = found["attention.tanh"]
    assert (tanh.reads, tanh.writes, tanh.reads_backward, tanh.writes_backward) == (
        2 * pairs,
        3 * pairs,
        5 * pairs,
        pairs,
    )


def test_attention_grows_with_both_sentences() -> None:
    def pairs(seq: int, target: int) -> float:
        model = recurrent.gnmt(vocab=100, hidden=16, encoder_layers=2, decoder_layers=2, seq=seq, target=target)
        return next(o.saved for o, _ in model.operations() if o.name == "attention.tanh")

    assert pairs(10, 12) == 10 * 12 * 16


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "rnn"}, {"hidden": 0}, {"layers": -1}, {"seq": 0}, {"tied": True, "embedding": 3}],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="rule"):
        recurrent.language_model(**({"vocab": 10, "hidden": 8, "layers": 2} | wrong))  # type: ignore[arg-type]
