"""The transformer builder: an Architecture becomes blocks of operations.

Layers that are alike and follow each other are one block with a count; where kinds alternate (windowed and full
attention, dense and mixture), blocks of one kind share one tuple of operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import wraps
from itertools import groupby
from typing import Any

from rigwise.models.architecture import Architecture
from rigwise.models.attention_blocks import Lengths, attention_operations, norm, residual
from rigwise.models.feedforward import dense, mixture
from rigwise.models.model import Block, Model
from rigwise.models.operations import Operation, linear
from rigwise.models.transformer_ends import entrance, exit_operations, frozen_copy, language_head

_TOKEN_BYTES = 16.0  # an int64 token and its int64 label
_PIXEL_BYTES = 4.0  # float32 after the transformations


@wraps(Architecture, assigned=(), updated=())
def transformer(**switches: Any) -> Model:
    """A transformer of any kind; the arguments are the fields of Architecture.

    Raises UsageError for sizes that no network can have.

    >>> transformer(layers=12, hidden=768, heads=12, vocab=50257, seq=1024, positions="learned", tied=True).parameters
    124439808.0
    """
    a = Architecture(**switches)
    blocks = (entrance_block(a), *encoder_blocks(a), *decoder_blocks(a), exit_block(a))
    return Model(
        name=a.name,
        family="transformer" if a.causal or a.encoder_layers else "encoder",  # there every token sees all others
        blocks=blocks,
        unit="image" if a.image else "token",
        tokens=1 if a.image else a.seq,
        layers=a.layers + a.encoder_layers,
        hidden=a.hidden,
        heads=a.heads,
        kv_heads=a.heads if a.kv_lora else a.kv,
        ffn=a.f,
        vocab=a.rows or None,
        experts=a.experts or None,
        top_k=a.top_k or None,
        tied=tied_parameters(a),
        input_bytes=a.channels * a.image**2 * _PIXEL_BYTES if a.image else a.seq * _TOKEN_BYTES,
    )


def decoder_length(a: Architecture) -> int:
    """Tokens that pass the layers of `layers`: the target's where an encoder stands before them."""
    return (a.target_seq or a.seq) if a.encoder_layers else a.length


def entrance_block(a: Architecture) -> Block:
    """The tables; source and target tokens share one."""
    tokens = a.length + (decoder_length(a) if a.encoder_layers else 0)
    return Block(
        name="embedding", operations=tuple(entrance(a, tokens)), boundary=float(tokens * a.hidden), role="first"
    )


def encoder_blocks(a: Architecture) -> Iterator[Block]:
    """The layers of an encoder before the decoder."""
    if not a.encoder_layers:
        return
    at = Lengths(queries=a.length, keys=a.length, causal=False)
    yield Block(
        name="encoder",
        operations=tuple(layer(a, at, mixed=False)),
        boundary=float(a.length * a.hidden),
        count=a.encoder_layers,
    )


def decoder_blocks(a: Architecture) -> Iterator[Block]:
    """The layers, runs of equal ones together."""
    made: dict[tuple[bool, int | None], tuple[Operation, ...]] = {}
    queries = decoder_length(a)
    handed_on = queries + (a.length if a.encoder_layers else 0)
    kinds = [(a.is_mixture(i), a.window_of(i)) for i in range(a.layers)]
    for kind, run in groupby(kinds):
        mixed, window = kind
        if kind not in made:
            at = Lengths(queries=queries, keys=queries + a.memory, causal=a.causal, window=window)
            made[kind] = tuple(layer(a, at, mixed=mixed, crossed=a.encoder_layers > 0))
        name = "decoder" if a.encoder_layers else "layer"
        name += ("_mixture" if mixed else "") + ("_window" if window else "")
        yield Block(name=name, operations=made[kind], boundary=float(handed_on * a.hidden), count=len(list(run)))


def layer(a: Architecture, at: Lengths, *, mixed: bool, crossed: bool = False) -> Iterator[Operation]:
    """One layer: attention, feed-forward, their norms and residual sums."""
    tokens = at.queries
    feed = list(mixture(a, tokens) if mixed else dense(a, tokens, a.f))
    if a.parallel:
        for i in range(a.parallel_norms):
            yield norm(a, f"norm_{i + 1}", tokens)
        yield from attention_operations(a, at)
        yield from feed
        yield residual(a, "residual", tokens, branches=2)
        return
    yield from sublayer(a, "attention", tokens, attention_operations(a, at))
    if crossed:
        across = Lengths(queries=tokens, keys=a.length, causal=False, cross=True)
        yield from sublayer(a, "cross", tokens, attention_operations(a, across, "cross_"))
    yield from sublayer(a, "ffn", tokens, feed)


def sublayer(a: Architecture, name: str, tokens: int, inside: Iterable[Operation]) -> Iterator[Operation]:
    """A branch of the residual stream with its norm before or after."""
    around = norm(a, f"{name}_norm", tokens)
    if not a.post_norm:
        yield around
    yield from inside
    yield residual(a, f"{name}_residual", tokens)
    if a.post_norm:
        yield around


def exit_block(a: Architecture) -> Block:
    """Norm, head and loss, and the extra layers of multi-token prediction, which end with the same head."""
    tokens = decoder_length(a)
    operations = list(exit_operations(a, tokens))
    for _ in range(a.mtp):
        operations += further_token(a, tokens)
    return Block(name="head", operations=tuple(operations), boundary=float(tokens * a.hidden), role="last")


def further_token(a: Architecture, tokens: int) -> Iterator[Operation]:
    """One step of multi-token prediction (arXiv 2412.19437 section 2.2): two norms, a 2h to h product, a layer."""
    yield norm(a, "mtp_hidden_norm", tokens)
    yield norm(a, "mtp_token_norm", tokens)
    yield linear("mtp_join", m=tokens, n=a.hidden, k=2 * a.hidden, split="sequence")
    at = Lengths(queries=tokens, keys=tokens, causal=a.causal)
    yield from layer(a, at, mixed=a.is_mixture(a.layers - 1))
    yield norm(a, "mtp_final_norm", tokens)
    yield from (frozen_copy(o) for o in language_head(a, tokens))


def tied_parameters(a: Architecture) -> float:
    """Elements counted both as token table and as output projection."""
    if not a.tied or a.head not in ("lm", "pretraining"):
        return 0.0
    return sum(o.parameters for o in entrance(a, 1) if o.name == "tokens" or (a.cutoffs and o.split == "vocab"))
