"""Chains of layers: what the words mean, how pairs are cut, what a wrong line says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import NotFoundError, RigwiseError, UsageError
from rigwise.models.convnet import chain, paired, read_layer
from rigwise.models.mlp import mlp


@pytest.mark.parametrize(
    ("line", "word", "numbers", "options"),
    [
        ("conv 64 11 stride=4 pad=2", "conv", (64, 11), {"stride": 4, "pad": 2}),
        ("dense 10 bias=0", "dense", (10,), {"bias": 0}),
        ("maxpool 3 stride=2 ceiling=1", "maxpool", (3,), {"stride": 2, "ceiling": 1}),
        ("relu", "relu", (), {}),
    ],
)
def test_a_line_is_read(line: str, word: str, numbers: tuple[int, ...], options: dict[str, int]) -> None:
    layer = read_layer(line)
    assert (layer.word, layer.numbers, layer.options) == (word, numbers, options)


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("conb 3 3", NotFoundError, "nearest: conv"),
        ("conv 3", UsageError, "conv takes 2 numbers"),
        ("conv 3 x", UsageError, "whole numbers"),
        ("conv 3 3 strde=2", UsageError, "stride="),
        ("relu 3", UsageError, "relu takes 0 numbers"),
        ("", NotFoundError, "conv"),
    ],
)
def test_a_wrong_line_is_refused(line: str, error: type[RigwiseError], says: str) -> None:
    with pytest.raises(error, match=says):
        read_layer(line)


@pytest.mark.parametrize(
    ("lines", "splits"),
    [
        ("conv 8 3, relu, conv 8 3, relu", "column heads row none"),
        ("conv 8 3, norm, relu, maxpool 2, conv 8 3", "column heads heads heads row"),
        ("conv 8 3, lrn, conv 8 3", "none none none"),
        ("conv 8 3 groups=2, relu, conv 8 3", "none none none"),
        ("conv 8 3, relu, conv 8 3, conv 8 3", "column heads row none"),
        ("dense 8, relu, dense 8, relu, dense 8, dense 8", "column heads row none column row"),
        ("conv 8 3, relu, dense 8", "none none none"),
        ("dense 8", "none"),
    ],
)
def test_pairs_are_column_then_row(lines: str, splits: str) -> None:
    layers = [read_layer(line) for line in lines.split(", ")]
    assert [layer.split for layer in paired(layers)] == splits.split()


@given(st.lists(st.sampled_from(["conv 8 3", "relu", "lrn", "conv 8 3 groups=2", "dropout", "dense 8"]), min_size=1))
def test_every_column_has_its_row(lines: list[str]) -> None:
    splits = [layer.split for layer in paired([read_layer(line) for line in lines])]
    weighted = [split for split in splits if split in ("column", "row")]
    assert weighted == ["column", "row"] * (len(weighted) // 2)


def test_what_a_layer_leaves_is_what_the_next_takes() -> None:
    model = chain(image=[3, 32, 32], blocks=[["conv 8 5 stride=2", "relu", "maxpool 2"], ["conv 16 3"], ["dense 7"]])
    first, second, third = (block.boundary for block in model.blocks)
    assert (first, second, third) == (8 * 7 * 7, 16 * 5 * 5, 7)
    assert [block.role for block in model.blocks] == ["layer", "layer", "last"]
    assert model.blocks[-1].operations[-1].name == "loss1"
    assert model.input_bytes == 4 * 3 * 32 * 32


def test_nobody_asks_for_the_gradient_of_the_image() -> None:
    first, second = (block.operations[0] for block in chain(image=[3, 9, 9], blocks=[["conv 4 3"], ["dense 2"]]).blocks)
    assert not first.input_gradient
    assert first.flops_backward == first.flops
    assert second.flops_backward == 2 * second.flops


@pytest.mark.parametrize(
    ("image", "blocks", "says"),
    [
        ([3, 4, 4], [["conv 8 5"]], "block 1, layer 'conv 8 5'.*leaves nothing"),
        ([3, 8, 8], [["conv 8 3"], ["maxpool 9"]], "block 2, layer 'maxpool 9'"),
        ([3, 8, 8], [["conv 8 3 groups=2"]], "multiples of the groups"),
        ([3, 8, 8], [["conv 8 3 stride=0"]], "at least 1"),
        ([3, 8, 8], [["conv 0 3"]], "at least 1"),
        ([3, 8, 8], [["dense 0"]], "at least 1"),
        ([3, 8, 8], [["maxpool 0"]], "at least 1"),
        ([3, 8, 8], [], "at least one layer"),
        ([3, 8, 8], [["dense 4"], []], "at least one layer"),
        ([3, 0, 8], [["dense 4"]], "at least 1"),
        ([], [["dense 4"]], "at least 1"),
    ],
)
def test_an_impossible_net_is_refused(image: list[int], blocks: list[list[str]], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        chain(image=image, blocks=blocks)


@given(st.lists(st.integers(1, 300), min_size=2, max_size=6))
def test_an_mlp_has_the_parameters_of_its_sizes(sizes: list[int]) -> None:
    model = mlp(sizes=sizes)
    pairs = list(pairwise(sizes))
    assert model.parameters == sum(a * b + b for a, b in pairs)
    assert model.flops == sum(2 * a * b for a, b in pairs)
    assert model.flops_backward == 2 * model.flops - 2 * sizes[0] * sizes[1]
    splits = [o.split for o, _ in model.operations() if o.kind == "linear"]
    assert splits == (["column", "row"] * (len(pairs) // 2) + ["none"] * (len(pairs) % 2))


def test_an_mlp_keeps_each_tensor_once() -> None:
    model = mlp(sizes=[100, 50, 20, 10])
    assert sum(o.saved for o, _ in model.operations()) == 100 + 50 + 20  # ReLU in place: its output is the next input


@pytest.mark.parametrize("sizes", [[], [5], [5, 0], [5, -1, 2], [5, 2.5], [True, 3]])
def test_an_mlp_of_impossible_sizes(sizes: list[int]) -> None:
    with pytest.raises(UsageError, match="at least"):
        mlp(sizes=sizes)
