"""What stands before and after the layers of a transformer: tables, patches, heads and losses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rigwise.models.architecture import Architecture
from rigwise.models.attention_blocks import norm, residual
from rigwise.models.operations import Conv, Operation, Split, conv, embedding, linear, stream


def entrance(a: Architecture, tokens: int) -> Iterator[Operation]:
    """Token table or patches, positions, and what is done to them before the first layer."""
    if a.image:
        yield from patches(a)
    elif a.cutoffs:
        yield from clustered_tables(a, tokens)
    else:
        width = a.embedding_dim or a.hidden
        yield embedding("tokens", rows=a.rows, width=width, lookups=tokens)
        if width != a.hidden:
            yield linear("tokens_up", m=tokens, n=a.hidden, k=width, split="sequence")
    if a.positions == "learned":
        rows = a.length if a.image else a.rows_of_positions
        yield embedding("positions", rows=rows, width=a.hidden, lookups=tokens, split="sequence")
    if a.positions == "relative":
        sides = 2 if a.encoder_layers else 1
        yield table("relative_positions", a.buckets * a.heads * sides, "heads")
    if a.segments:
        yield embedding("segments", rows=a.segments, width=a.hidden, lookups=tokens, split="sequence")
    if a.embedding_norm:
        yield norm(a, "embedding_norm", tokens)
    if a.encoder_layers and not a.post_norm:
        yield norm(a, "encoder_norm", a.length)  # it ends the encoder, but is no layer that a pipeline could move
    if a.dropout:
        yield residual(a, "embedding_dropout", tokens, branches=1)


def patches(a: Architecture) -> Iterator[Operation]:
    """The image cut into patches, each projected to h, and the class token put before them."""
    side = (a.patch, a.patch)
    shape = Conv(c=a.channels, k=a.hidden, size=(a.image, a.image), kernel=side, stride=side, pad=(0, 0))
    yield conv("patches", shape, bias=True, input_gradient=False)
    yield table("class_token", a.hidden, "sequence")


def clustered_tables(a: Architecture, tokens: int) -> Iterator[Operation]:
    """Adaptive input (arXiv 1809.10853): rarer words have narrower vectors, each projected to h."""
    for i, (rows, width, share) in enumerate(clusters(a)):
        yield embedding(f"tokens_{i}", rows=rows, width=width, lookups=tokens * share)
        if a.cutoff_divisor > 1:
            yield linear(f"tokens_up_{i}", m=tokens * share, n=a.hidden, k=width, split="sequence")


def clusters(a: Architecture) -> list[tuple[int, int, float]]:
    """Rows, width and share of the tokens of each cluster of an adaptive softmax."""
    edges = (0, *a.cutoffs, a.vocab)
    shares = (1 - sum(a.cutoff_shares), *a.cutoff_shares)
    return [(edges[i + 1] - edges[i], a.hidden // a.cutoff_divisor**i, shares[i]) for i in range(len(edges) - 1)]


def table(name: str, parameters: float, split: Split) -> Operation:
    """Parameters whose work is lost in that of their neighbours."""
    nothing = 0.0
    return stream(
        name,
        reads=nothing,
        writes=nothing,
        reads_backward=nothing,
        writes_backward=nothing,
        parameters=parameters,
        split=split,
    )


def exit_operations(a: Architecture, tokens: int) -> Iterator[Operation]:
    """The last norm, the head and the loss."""
    if not a.post_norm:
        yield norm(a, "final_norm", tokens)
    if a.head == "lm":
        yield from adaptive_logits(a, tokens) if a.cutoffs else language_head(a, tokens)
    elif a.head == "pretraining":
        yield from masked_head(a, tokens)
        yield from pooler(a)
        yield linear("next_sentence", m=1, n=2, k=a.hidden, bias=True)
    elif a.head == "pooler":
        yield from pooler(a)
    elif a.head == "qa":
        yield linear("spans", m=tokens, n=2, k=a.hidden, bias=True, split="sequence")
        yield loss(2.0 * tokens, "sequence")
    elif a.head == "classifier":
        if not a.image:
            yield from pooler(a)
        yield linear("classes", m=1, n=a.classes, k=a.hidden, bias=True)
        yield loss(float(a.classes), "none")


def language_head(a: Architecture, tokens: int) -> Iterator[Operation]:
    """Logits over the vocabulary and their cross entropy at the positions that are predicted."""
    asked = tokens * a.predicted
    width = a.embedding_dim or a.hidden
    if width != a.hidden:
        yield linear("tokens_down", m=asked, n=width, k=a.hidden, split="sequence")
    yield linear("logits", m=asked, n=a.rows, k=width, bias=a.head_bias, split="vocab")
    yield loss(float(asked * a.rows), "vocab")


def masked_head(a: Architecture, tokens: int) -> Iterator[Operation]:
    """BERT's masked-word head: dense, GELU, norm, then the token table with a bias of its own."""
    asked = tokens * a.predicted
    yield linear("transform", m=asked, n=a.hidden, k=a.hidden, bias=True, split="sequence")
    size = float(asked * a.hidden)
    yield stream(
        "transform_activation",
        reads=size,
        writes=size,
        reads_backward=2 * size,
        writes_backward=size,
        saved=size,
        split="sequence",
    )
    yield norm(a, "transform_norm", asked)
    yield linear("logits", m=asked, n=a.rows, k=a.hidden, bias=True, split="vocab")
    yield loss(float(asked * a.rows), "vocab")


def adaptive_logits(a: Architecture, tokens: int) -> Iterator[Operation]:
    """Adaptive softmax (arXiv 1609.04309): all tokens meet the first cluster, rarer words their own besides."""
    for i, (rows, width, share) in enumerate(clusters(a)):
        asked = tokens * (share if i else 1.0)
        gates = 0 if i else len(a.cutoffs)
        if a.cutoff_divisor > 1:
            yield linear(f"tokens_down_{i}", m=asked, n=width, k=a.hidden, split="sequence")
        yield linear(f"logits_{i}", m=asked, n=rows, k=width, bias=True, split="vocab")
        if gates:
            yield linear("clusters", m=asked, n=gates, k=width, bias=True, split="sequence")
        yield loss(float(asked * (rows + gates)), "vocab", f"loss_{i}")


def pooler(a: Architecture) -> Iterator[Operation]:
    """The dense layer on the first token."""
    yield linear("pooler", m=1, n=a.hidden, k=a.hidden, bias=True)


def loss(logits: float, split: Split, name: str = "loss") -> Operation:
    """Cross entropy in float32 of 16-bit logits: cast, maximum, exponentials and their sum, then the gradient.

    Saved: the logits, and the float32 copy that the gradient is made of.
    """
    return stream(
        name,
        reads=5 * logits,
        writes=4 * logits,
        reads_backward=2 * logits,
        writes_backward=2 * logits,
        saved=logits,
        saved_bytes=4 * logits,
        split=split,
        kernels=4,
        kernels_backward=2,
    )


def frozen_copy(operation: Operation) -> Operation:
    """The same work with weights that another block owns."""
    return replace(operation, parameters=0.0)
