"""Recurrent networks: LSTM and GRU stacks, language models on them, and GNMT. A layer is one Block.

Shape letters: S sequence, H hidden, E features into a layer, G gates (4 for LSTM, 3 for GRU), V vocabulary.

A layer is two products for each direction: all inputs at once (S x E by E x G H) and, one step after the other, the
state (1 x H by H x G H, S steps). Saved: the inputs and the states (each layer's output once), the G gates after their
functions and the cell (LSTM) or the product of the state (GRU) of every step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from rigwise.errors import UsageError
from rigwise.models import operations
from rigwise.models.model import Block, Model, append
from rigwise.models.operations import FLOAT_BYTES, INDEX_BYTES, MASK_BYTES, Operation
from rigwise.models.sizes import check_sizes

_GATES = MappingProxyType({"lstm": 4, "gru": 3})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a layer is made of: lstm or gru cells with a state of `hidden` elements."""

    kind: str
    hidden: int
    bias: bool = True

    def __post_init__(self) -> None:
        if self.kind not in _GATES:
            raise UsageError(f"cells of kind {self.kind!r}", rule=f"one of {', '.join(_GATES)}")

    @property
    def gates(self) -> int:
        """G: four for LSTM, three for GRU."""
        return _GATES[self.kind]


def layer(
    cell: Cell,
    *,
    seq: int,
    features: int,
    bidirectional: bool = False,
    dropout: bool = False,
    input_gradient: bool = True,
    saves_input: bool = True,
) -> tuple[Operation, ...]:
    """The operations of one layer over a sequence; the input of the layer is saved once for both directions."""
    made: list[Operation] = []
    ways = ("forward", "backward") if bidirectional else ("",)
    for number, way in enumerate(ways):
        prefix = f"{way}." if way else ""
        width = cell.gates * cell.hidden
        keeps = saves_input and number == 0
        inputs = operations.linear(
            f"{prefix}inputs", m=seq, n=width, k=features, bias=cell.bias, input_gradient=input_gradient
        )
        state = operations.linear(f"{prefix}state", m=1, n=width, k=cell.hidden, bias=cell.bias, steps=seq)
        made += [inputs if keeps else replace(inputs, saved=0.0), state, _pointwise(f"{prefix}cell", cell, seq)]
    if dropout:
        made.append(_dropout("dropout", seq * cell.hidden * len(ways)))
    return tuple(made)


def _pointwise(name: str, cell: Cell, seq: int) -> Operation:
    """The functions of the gates: one kernel a step."""
    unit = float(seq * cell.hidden)
    both = 2 * cell.gates  # the two products of a step
    return operations.stream(
        name,
        reads=unit * (both + 1),
        writes=unit * (cell.gates + 2),
        reads_backward=unit * (cell.gates + 4),
        writes_backward=unit * (cell.gates + 1),
        saved=unit * (cell.gates + 1),
        kernels=seq,
        kernels_backward=seq,
    )


def _dropout(name: str, size: float) -> Operation:
    return operations.stream(
        name,
        reads=size,
        writes=2 * size,
        reads_backward=2 * size,
        writes_backward=size,
        saved_bytes=MASK_BYTES * size,
    )


def _softmax_loss(size: float) -> Operation:
    return operations.stream(
        "loss",
        reads=2 * size,
        writes=size,
        reads_backward=2 * size,
        writes_backward=size,
        saved_bytes=FLOAT_BYTES * size,
    )


def _smoothed_loss(size: float) -> Operation:
    """Cross entropy with smoothed labels, step by step: logarithms of the softmax, their mean over the vocabulary, the
    word's own. Both gradients are spread over the whole vocabulary and added before they go through the softmax.
    """
    return operations.stream(
        "loss",
        reads=2 * size,
        writes=size,
        reads_backward=4 * size,
        writes_backward=4 * size,
        saved_bytes=FLOAT_BYTES * size,
        kernels=3,
        kernels_backward=5,
    )


def language_model(
    *,
    vocab: int,
    hidden: int,
    layers: int,
    seq: int = 35,
    embedding: int | None = None,
    projection: int | None = None,
    kind: str = "lstm",
    bidirectional: bool = False,
    dropout: bool = True,
    tied: bool = False,
    name: str = "lstm-lm",
) -> Model:
    """A recurrent language model: embedding, layers, an optional projection, softmax over the vocabulary.

    embedding: features of a token (default: hidden). projection: features before the softmax (default: none). tied:
    the embedding is the output matrix too, which asks for equal widths.

    >>> language_model(vocab=33278, hidden=650, layers=2, tied=True).parameters
    28434378.0
    """
    check_sizes(vocab=vocab, hidden=hidden, layers=layers, seq=seq, embedding=embedding, projection=projection)
    features = embedding or hidden
    cell = Cell(kind=kind, hidden=hidden)
    out = hidden * (1 + bidirectional)
    last = projection or out
    if tied and last != features:
        raise UsageError(f"tied with an embedding of {features} and {last} before the softmax", rule="they are equal")
    table = operations.embedding("tokens", rows=vocab, width=features, lookups=seq)
    blocks = [
        Block(name="embedding", operations=(table,), boundary=float(seq * features), role="first"),
        *_layers(cell, layers, seq=seq, features=features, bidirectional=bidirectional, dropout=dropout),
    ]
    head = [operations.linear("projection", m=seq, n=projection, k=out, bias=True)] if projection else []
    logits = operations.linear("logits", m=seq, n=vocab, k=last, bias=True)
    blocks.append(
        Block(
            name="head",
            operations=(*head, logits, _softmax_loss(float(seq * vocab))),
            boundary=float(seq * vocab),
            role="last",
        )
    )
    return _model(name, blocks, tokens=seq, hidden=hidden, vocab=vocab, tied=float(vocab * features * tied))


def classifier(
    *,
    features: int,
    hidden: int,
    layers: int,
    classes: int,
    seq: int,
    kind: str = "lstm",
    bidirectional: bool = False,
    dropout: bool = False,
    name: str = "lstm",
) -> Model:
    """Recurrent layers over rows of numbers; every step is classified."""
    check_sizes(features=features, hidden=hidden, layers=layers, classes=classes, seq=seq)
    cell = Cell(kind=kind, hidden=hidden)
    out = hidden * (1 + bidirectional)
    blocks = _layers(
        cell, layers, seq=seq, features=features, bidirectional=bidirectional, dropout=dropout, input_gradient=False
    )
    scores = operations.linear("classes", m=seq, n=classes, k=out, bias=True)
    head = (scores, _softmax_loss(float(seq * classes)))
    blocks.append(Block(name="head", operations=head, boundary=float(seq * classes), role="last"))
    model = _model(name, blocks, tokens=1, hidden=hidden, vocab=None, tied=0.0)
    return replace(model, unit="sample", input_bytes=FLOAT_BYTES * seq * features)


def gnmt(
    *,
    vocab: int = 32000,
    hidden: int = 1024,
    encoder_layers: int = 8,
    decoder_layers: int = 8,
    seq: int = 30,
    target: int | None = None,
    shared_embedding: bool = False,
    name: str = "gnmt",
) -> Model:
    """Google's neural translator (Wu et al. 2016, arXiv 1609.08144): LSTM encoder, attention, LSTM decoder.

    The first encoder layer is bidirectional, layers from the third on have residual connections; the decoder's first
    layer asks the attention (additive), and every further decoder layer reads its context beside what comes from below.
    Labels are smoothed; loss and attention are a kernel after another, as in NVIDIA's public PyTorch code (GNMT v2).
    seq, target: words of the source and of the target sentence (default: equal). A token is a word of either.
    """
    check_sizes(vocab=vocab, hidden=hidden, encoder_layers=encoder_layers, decoder_layers=decoder_layers)
    check_sizes(seq=seq, target=target)
    target = target or seq
    cell = Cell(kind="lstm", hidden=hidden)
    table = operations.embedding("source", rows=vocab, width=hidden, lookups=seq)
    blocks = [Block(name="embedding", operations=(table,), boundary=float(seq * hidden), role="first")]
    for number in range(encoder_layers):
        features = 2 * hidden if number == 1 else hidden
        made = layer(cell, seq=seq, features=features, bidirectional=number == 0, dropout=True)
        made += (_residual(seq * hidden),) if number >= 2 else ()
        width = seq * hidden * (2 if number == 0 else 1)
        append(blocks, Block(name="encoder", operations=made, boundary=float(width)))
    words = operations.embedding("target", rows=vocab, width=hidden, lookups=target)
    first = (words, *layer(cell, seq=target, features=hidden, dropout=True), *_asked(seq, target, hidden))
    blocks.append(Block(name="attention", operations=first, boundary=2.0 * target * hidden))
    for number in range(1, decoder_layers):
        made = (*layer(cell, seq=target, features=2 * hidden, dropout=True), _beside(target * hidden))
        made += (_residual(target * hidden),) if number >= 2 else ()
        append(blocks, Block(name="decoder", operations=made, boundary=2.0 * target * hidden))
    logits = operations.linear("logits", m=target, n=vocab, k=hidden, bias=True)
    head = (logits, _smoothed_loss(float(target * vocab)))
    blocks.append(Block(name="head", operations=head, boundary=float(target * vocab), role="last"))
    tied = float(vocab * hidden * shared_embedding)
    return _model(name, blocks, tokens=seq + target, hidden=hidden, vocab=vocab, tied=tied)


def _asked(seq: int, target: int, hidden: int) -> tuple[Operation, ...]:
    """Additive attention: tanh(query + key + bias) for every pair of words, weighed by a vector; then the context.

    Forward the sum, the bias and the tanh write all pairs; backward all of it is read for the tanh (its gradient and
    its result) and for the gradients of bias, query and key.
    """
    pairs = float(seq * target)
    wide = pairs * hidden
    both = operations.stream(
        "attention.tanh",
        reads=2 * wide,
        writes=3 * wide,
        reads_backward=5 * wide,
        writes_backward=wide,
        saved=wide,
        parameters=float(hidden),
        kernels=3,
        kernels_backward=4,
    )
    softmax = operations.stream(
        "attention.softmax", reads=pairs, writes=pairs, reads_backward=2 * pairs, writes_backward=pairs, saved=pairs
    )
    context = operations.bmm("attention.context", batch=1, m=target, n=hidden, k=seq, saved=0.0, split="none")
    return (
        operations.linear("attention.query", m=target, n=hidden, k=hidden),
        operations.linear("attention.key", m=seq, n=hidden, k=hidden),
        both,
        operations.linear("attention.score", m=pairs, n=1, k=hidden, saves_input=False),
        softmax,
        replace(context, core=False),
        _beside(target * hidden),
    )


def _beside(size: float) -> Operation:
    """The context put beside what comes from below: 2 x size elements read and written."""
    wide = 2.0 * size
    return operations.stream("concat", reads=wide, writes=wide, reads_backward=wide, writes_backward=wide)


def _residual(size: float) -> Operation:
    return operations.stream("add", reads=2.0 * size, writes=size, reads_backward=2.0 * size, writes_backward=size)


def _layers(
    cell: Cell, layers: int, *, seq: int, features: int, bidirectional: bool, dropout: bool, input_gradient: bool = True
) -> list[Block]:
    """Layers one on the other; input_gradient: of the first, which may stand on data."""
    out = cell.hidden * (1 + bidirectional)
    blocks: list[Block] = []
    for number in range(layers):
        made = layer(
            cell,
            seq=seq,
            features=features if number == 0 else out,
            bidirectional=bidirectional,
            dropout=dropout,
            input_gradient=input_gradient or number > 0,
            saves_input=dropout or number == 0,
        )
        append(blocks, Block(name="layer", operations=made, boundary=float(seq * out)))
    return blocks


def _model(name: str, blocks: list[Block], *, tokens: int, hidden: int, vocab: int | None, tied: float) -> Model:
    return Model(
        name=name,
        family="recurrent",
        blocks=tuple(blocks),
        unit="token",
        tokens=tokens,
        layers=sum(block.count for block in blocks if block.role == "layer"),
        hidden=hidden,
        vocab=vocab,
        tied=tied,
        input_bytes=2 * INDEX_BYTES * tokens,
    )
