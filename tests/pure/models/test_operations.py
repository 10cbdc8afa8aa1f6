"""The counts of one operation, by hand: every element read, written, saved and moved again on the way back."""

from __future__ import annotations

import pytest

from rigwise.models.operations import Conv, attention, bmm, conv, embedding, forward_only, linear


@pytest.mark.parametrize(
    ("trainable", "input_gradient", "passes", "reads", "writes", "saved"),
    [
        (True, True, 2, 2 * (3 + 3 + 5), 2 * 5, 2 * 5),  # dY for both products, X for the weights' gradient; dX
        (True, False, 1, 2 * (3 + 5), 0, 2 * 5),  # the first layer
        (False, True, 1, 2 * 3, 2 * 5, 0),  # frozen weights
        (False, False, 0, 0, 0, 0),
    ],
)
@pytest.mark.parametrize("steps", [1, 7])
def test_a_product_with_weights(
    trainable: bool, input_gradient: bool, passes: int, reads: int, writes: int, saved: int, steps: int
) -> None:
    made = linear("x", m=2, n=3, k=5, bias=True, steps=steps, trainable=trainable, input_gradient=input_gradient)
    assert (made.flops, made.flops_backward) == (60 * steps, 60 * passes * steps)
    assert (made.reads, made.writes) == (10 * steps, 6 * steps)
    assert (made.reads_backward, made.writes_backward) == (reads * steps, writes * steps)
    assert (made.saved, made.parameters, made.kernels_backward) == (saved * steps, 18, passes)


def test_a_bank_of_experts_is_as_many_products() -> None:
    one, four = (linear("x", m=2, n=3, k=5, bias=True, batch=batch) for batch in (1, 4))
    for count in (
        "flops",
        "flops_backward",
        "reads",
        "writes",
        "reads_backward",
        "writes_backward",
        "saved",
        "parameters",
    ):
        assert getattr(four, count) == 4 * getattr(one, count)


def test_a_product_of_activations_reads_its_gradient_for_either_side() -> None:
    made = bmm("x", batch=4, m=2, n=3, k=5, saved=7)
    assert (made.flops, made.flops_backward) == (240, 480)
    assert (made.reads, made.writes) == (4 * (10 + 15), 4 * 6)
    assert (made.reads_backward, made.writes_backward) == (4 * (12 + 10 + 15), 4 * (10 + 15))
    assert (made.saved, made.parameters) == (7, 0)


def test_fused_attention_keeps_its_ends_and_a_number_a_row_but_no_scores() -> None:
    made = attention("x", heads=4, kv_heads=2, m=8, n=8, k=16, causal=False)
    queries, keys, values, output = 512, 256, 256, 512
    assert made.flops == 2 * 4 * 8 * 8 * (16 + 16)
    assert made.flops_backward == 2 * made.flops
    assert (made.reads, made.writes) == (queries + keys + values, output)
    assert made.reads_backward == 2 * output + queries + keys + values
    assert made.writes_backward == queries + keys + values
    assert (made.saved, made.kept) == (queries + keys + values + output, queries + keys + values)
    assert made.saved_bytes == 4 * 4 * 8


@pytest.mark.parametrize(("input_gradient", "passes"), [(True, 2), (False, 1)])
def test_a_convolution_reads_and_writes_its_maps(input_gradient: bool, passes: int) -> None:
    shape = Conv(c=3, k=4, size=(6, 6), kernel=(3, 3), stride=(1, 1), pad=(0, 0))
    made = conv("x", shape, bias=True, input_gradient=input_gradient)
    inputs, outputs = 3 * 36, 4 * 16
    assert (made.flops, made.flops_backward) == (2 * outputs * 27, 2 * outputs * 27 * passes)
    assert (made.reads, made.writes, made.saved) == (inputs, outputs, inputs)
    assert made.reads_backward == outputs * passes + inputs
    assert made.writes_backward == inputs * input_gradient
    assert made.parameters == 4 * 27 + 4


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "dilation", "out"),
    [(7, 3, 2, 1, 1, 4), (8, 3, 2, 1, 1, 4), (9, 3, 1, 0, 2, 5), (5, 5, 1, 2, 1, 5)],
)
def test_the_size_of_a_map(size: int, kernel: int, stride: int, pad: int, dilation: int, out: int) -> None:
    shape = Conv(c=1, k=1, size=(size,), kernel=(kernel,), stride=(stride,), pad=(pad,), dilation=(dilation,))
    assert shape.out == (out,)


def test_a_transposed_convolution_undoes_the_size() -> None:
    down = Conv(c=2, k=4, size=(9, 9), kernel=(3, 3), stride=(2, 2), pad=(1, 1))
    up = Conv(c=4, k=2, size=down.out, kernel=(3, 3), stride=(2, 2), pad=(1, 1), transposed=True)
    assert up.out == down.size
    assert up.flops == down.flops


def test_an_embedding_moves_what_it_looks_up_and_keeps_the_indices() -> None:
    made = embedding("x", rows=100, width=8, lookups=5)
    assert (made.parameters, made.flops) == (800, 0)
    assert {made.reads, made.writes, made.reads_backward, made.writes_backward} == {40}
    assert (made.saved, made.saved_bytes) == (0, 40)


def test_a_frozen_part_has_no_way_back_and_keeps_nothing() -> None:
    made = forward_only(attention("x", heads=1, kv_heads=1, m=4, n=4, k=8, causal=True))
    assert made.flops > 0
    assert not any((made.flops_backward, made.reads_backward, made.writes_backward, made.kernels_backward))
    assert not any((made.saved, made.saved_bytes, made.kept))
