"""Convolutional networks that are a chain of layers: LeNet, AlexNet, OverFeat, VGG and nets of one's own.

A net is written as blocks of layers, a layer as one line of words:

    conv K R [stride= pad= groups= bias=]    K output channels, kernel R x R
    dense N [bias=]                          N output features; a feature map is flattened first
    maxpool R, avgpool R [stride= pad= ceiling=], globalpool, flatten
    relu, tanh, sigmoid, silu, norm (batch), lrn, dropout

Within a block, two layers with weights and nothing between them but work on single channels form a pair for tensor
parallelism: the first is cut along its outputs ("column"), the second along its inputs ("row"). A layer that is left
over is not cut. Convolutions in groups and LRN (which looks across channels) break a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rigwise.errors import UsageError, not_found
from rigwise.models.features import Feature, Tape
from rigwise.models.model import Model
from rigwise.models.operations import Split
from rigwise.models.sizes import check_sizes

_PER_CHANNEL = {"relu", "tanh", "sigmoid", "silu", "norm", "dropout", "maxpool", "avgpool", "globalpool", "flatten"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One line of a chain: its word, its plain numbers, its options and how it is split."""

    word: str
    numbers: tuple[int, ...]
    options: Mapping[str, int]
    split: Split = "none"


def chain(*, image: Sequence[int], blocks: Sequence[Sequence[str]], name: str = "chain") -> Model:
    """A net from blocks of layers; the loss is added to the last block.

    image: channels, height, width. Raises UsageError for an unknown word or a layer that leaves nothing of its input,
    with the block and the line.

    >>> lenet = chain(image=[1, 32, 32], blocks=[["conv 6 5", "tanh", "avgpool 2"], ["dense 10"]])
    >>> lenet.parameters, lenet.flops
    (11926.0, 258720.0)
    """
    check_sizes(image=image)
    if not blocks or not all(isinstance(block, (list, tuple)) and block for block in blocks):
        raise UsageError(f"blocks={blocks!r}", rule="a list of blocks, every block a list of at least one layer")
    tape = Tape()
    x = tape.image(*image)
    for number, lines in enumerate(blocks, 1):
        layers = paired([read_layer(line) for line in lines])
        for line, layer in zip(lines, layers, strict=True):
            try:
                x = _WORDS[layer.word].record(tape, x, layer)
            except UsageError as error:
                says = f"block {number}, layer {line!r}: {error.says}"
                raise UsageError(says, rule=error.rule, nearest=error.nearest) from None
        last = number == len(blocks)
        if last:
            tape.loss(x)
        dense = any(layer.word == "dense" for layer in layers)
        tape.close("head" if last else f"dense{number}" if dense else f"features{number}", x, last=last)
    return tape.model(name)


def read_layer(line: str) -> Layer:
    """A layer from its words. Raises UsageError with what the word takes.

    >>> read_layer("conv 64 11 stride=4 pad=2").options["stride"]
    4
    """
    if not isinstance(line, str):
        raise UsageError(f"a layer {line!r}", rule="a layer is a line of words such as 'conv 64 3 pad=1'")
    word, *rest = line.split() or [""]
    if word not in _WORDS:
        raise not_found("layer", word, _WORDS, hint=", ".join(_WORDS))
    shape = _WORDS[word]
    numbers = tuple(_whole(text, line) for text in rest if "=" not in text)
    pairs = [text.partition("=") for text in rest if "=" in text]
    options = {key: _whole(value, line) for key, _, value in pairs}
    if len(numbers) != shape.numbers or not options.keys() <= shape.options:
        takes = " ".join([f"{shape.numbers} numbers", *(f"[{key}=]" for key in sorted(shape.options))])
        raise UsageError(f"cannot read the layer {line!r}", rule=f"{word} takes {takes}")
    return Layer(word=word, numbers=numbers, options=options)


def paired(layers: Sequence[Layer]) -> list[Layer]:
    """The layers of a block with their split: pairs of column and row, what lies inside a pair by "heads".

    >>> [layer.split for layer in paired([read_layer(line) for line in ("dense 8", "relu", "dense 4")])]
    ['column', 'heads', 'row']
    """
    splits: list[Split] = ["none"] * len(layers)
    start: int | None = None
    for place, layer in enumerate(layers):
        if layer.word in ("conv", "dense") and layer.options.get("groups", 1) == 1:
            if start is not None and layers[start].word == layer.word:
                splits[start : place + 1] = ["column", *["heads"] * (place - start - 1), "row"]  # type: ignore[list-item]
                start = None
            else:
                start = place
        elif layer.word not in _PER_CHANNEL:
            start = None
    return [
        Layer(word=layer.word, numbers=layer.numbers, options=layer.options, split=split)
        for layer, split in zip(layers, splits, strict=True)
    ]


def _whole(text: str, line: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{text!r} in the layer {line!r}", rule="sizes are whole numbers")
    return int(text)


def _conv(tape: Tape, x: Feature, layer: Layer) -> Feature:
    k, kernel = layer.numbers
    given = layer.options
    return tape.conv(
        x,
        k,
        kernel,
        stride=given.get("stride", 1),
        pad=given.get("pad", 0),
        groups=given.get("groups", 1),
        bias=bool(given.get("bias", 1)),
        split=layer.split,
    )


def _dense(tape: Tape, x: Feature, layer: Layer) -> Feature:
    if layer.numbers[0] < 1:
        raise UsageError("a dense layer of 0 features", rule="at least 1")
    bias = bool(layer.options.get("bias", 1))
    return tape.linear(tape.flatten(x), layer.numbers[0], bias=bias, split=layer.split)


def _pool(tape: Tape, x: Feature, layer: Layer) -> Feature:
    kernel = layer.numbers[0]
    stride = layer.options.get("stride", kernel)
    if min(kernel, stride) < 1:
        raise UsageError(f"pooling of {kernel} by {stride}", rule="kernel and stride are at least 1")
    return tape.pool(
        x,
        kernel,
        stride=stride,
        pad=layer.options.get("pad", 0),
        ceiling=bool(layer.options.get("ceiling", 0)),
        average=layer.word == "avgpool",
        split=layer.split,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What a word takes and how it is recorded."""

    numbers: int = 0
    options: frozenset[str] = frozenset()
    record: Callable[[Tape, Feature, Layer], Feature]


_POOL = frozenset({"stride", "pad", "ceiling"})
_WORDS: Mapping[str, _Word] = MappingProxyType(
    {
        "conv": _Word(numbers=2, options=frozenset({"stride", "pad", "groups", "bias"}), record=_conv),
        "dense": _Word(numbers=1, options=frozenset({"bias"}), record=_dense),
        "maxpool": _Word(numbers=1, options=_POOL, record=_pool),
        "avgpool": _Word(numbers=1, options=_POOL, record=_pool),
        "globalpool": _Word(record=lambda tape, x, _: tape.global_pool(x)),
        "flatten": _Word(record=lambda tape, x, _: tape.flatten(x)),
        "relu": _Word(record=lambda tape, x, layer: tape.relu(x, split=layer.split)),
        "tanh": _Word(record=lambda tape, x, layer: tape.relu(x, name="tanh", split=layer.split)),
        "sigmoid": _Word(record=lambda tape, x, layer: tape.relu(x, name="sigmoid", split=layer.split)),
        "silu": _Word(record=lambda tape, x, layer: tape.smooth(x, split=layer.split)),
        "norm": _Word(record=lambda tape, x, layer: tape.norm(x, split=layer.split)),
        "lrn": _Word(record=lambda tape, x, _: tape.lrn(x)),
        "dropout": _Word(record=lambda tape, x, layer: tape.dropout(x, split=layer.split)),
    }
)
