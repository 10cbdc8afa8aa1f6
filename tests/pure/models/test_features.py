"""The tape: element passes, tensors kept once, frozen parts, equal blocks counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rigwise.errors import UsageError
from rigwise.models.features import Feature, Tape
from rigwise.models.operations import Operation

Use = Callable[[Tape, Feature], Feature]


def only(tape: Tape, x: Feature) -> tuple[Operation, ...]:
    tape.close("block", x)
    return tape.blocks[-1].operations


@pytest.mark.parametrize(
    ("use", "forward", "backward"),
    [
        (lambda t, x: t.norm(x), 3, 5),
        (lambda t, x: t.relu(x), 2, 3),
        (lambda t, x: t.smooth(x), 2, 3),
        (lambda t, x: t.add(x, Feature(x.c, x.size)), 3, 3),
        (lambda t, x: t.lrn(x), 3, 5),
        (lambda t, x: t.dropout(x), 3, 3),
        (lambda t, x: t.concat([x]), 2, 2),
        (lambda t, x: t.gate(x, Feature(x.c)), 2, 4),
        (lambda t, x: t.pool(x, 1), 2, 3),
    ],
)
def test_passes_over_a_tensor(use: Use, forward: int, backward: int) -> None:
    tape, x = Tape(), Feature(8, (6, 6))
    (made,) = only(tape, use(tape, x))
    assert made.reads + made.writes == forward * x.elements
    assert made.reads_backward + made.writes_backward == backward * x.elements


def test_pooling_moves_input_and_output_forward_input_and_output_twice_backward() -> None:
    tape, x = Tape(), Feature(8, (6, 6))
    y = tape.pool(x, 2)
    (made,) = only(tape, y)
    assert made.reads + made.writes == x.elements + y.elements
    assert made.reads_backward + made.writes_backward == x.elements + 2 * y.elements
    assert made.saved_bytes == 8 * y.elements


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "ceiling", "out"),
    [
        (112, 3, 2, 1, False, 56),
        (112, 3, 2, 0, True, 56),
        (111, 3, 2, 0, True, 55),
        (14, 2, 2, 0, True, 7),
        (7, 3, 2, 1, True, 4),
        (2, 1, 2, 1, True, 2),  # the third window would start in the padding
    ],
)
def test_windows(size: int, kernel: int, stride: int, pad: int, ceiling: bool, out: int) -> None:
    assert Tape().pool(Feature(1, (size,)), kernel, stride=stride, pad=pad, ceiling=ceiling).size == (out,)


def test_a_tensor_is_kept_once_for_all_who_ask() -> None:
    tape, x = Tape(), Feature(8, (6, 6))
    for _ in range(3):
        tape.conv(x, 4)
    assert [o.saved for o in only(tape, x)] == [x.elements, 0, 0]


def test_an_activation_in_place_is_the_input_of_the_next_convolution() -> None:
    tape, x = Tape(), Feature(8, (6, 6))
    made = only(tape, tape.conv(tape.relu(tape.norm(x)), 4))
    assert [o.saved for o in made] == [x.elements, x.elements, 0]


def test_half_of_a_tensor_keeps_all_of_it() -> None:
    tape, x = Tape(), Feature(8, (6, 6))
    first, second = tape.halves(x)
    tape.conv(second, 4)
    tape.linear(tape.flatten(first), 4)
    assert [o.saved for o in only(tape, x)] == [x.elements, 0]


def test_a_frozen_part_has_no_way_back() -> None:
    tape = Tape()
    tape.frozen = True
    x = tape.relu(tape.conv(tape.image(3, 8, 8), 4, 3))
    frozen = only(tape, x)
    tape.frozen = False
    tape.conv(x, 4)
    (conv,) = only(tape, x)
    assert all(o.flops_backward == o.reads_backward == o.saved == 0 and not o.trainable for o in frozen)
    assert conv.trainable
    assert not conv.input_gradient
    assert conv.saved == x.elements


def test_regions_are_a_spatial_dim() -> None:
    tape, x = Tape(), Feature(8, (10, 7, 7))
    y = tape.conv(x, 16, (1, 3, 3), pad=(0, 1, 1))
    z = tape.conv(y, 4, (1, 2, 2), stride=(1, 2, 2), transposed=True)
    assert (y.size, z.size) == ((10, 7, 7), (10, 14, 14))
    assert only(tape, z)[0].flops == 10 * 2 * 49 * 16 * 8 * 9


def test_equal_blocks_in_a_row_are_counted_and_others_get_a_name_of_their_own() -> None:
    tape, x = Tape(), Feature(8, (6, 6), saved=True)
    for k in (8, 8, 4):
        x = tape.relu(tape.conv(x, k, 3, pad=1))
        tape.close("layer", x)
    assert [(b.name, b.count) for b in tape.blocks] == [("layer", 2), ("layer/2", 1)]


def test_features_of_other_sizes_cannot_stand_side_by_side() -> None:
    with pytest.raises(UsageError, match="8x6x6, 8x3x3"):
        Tape().concat([Feature(8, (6, 6)), Feature(8, (3, 3))])
