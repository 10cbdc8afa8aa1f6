"""The attention half of a transformer layer, as operations of one sample.

Bytes of the elementwise kernels follow what a fused 16-bit implementation reads and writes: a norm reads and writes
once (backward: x, dy, dx and two passes for its parameters), a residual sum with dropout is one kernel. Saved
activations follow Korthikanti (arXiv 2205.05198, section 4.1): float32 statistics of the norms are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rigwise.models.architecture import Architecture
from rigwise.models.operations import Operation, Split, attention, bmm, linear, stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of the queries and of what they attend to, and how."""

    queries: int
    keys: int
    causal: bool
    window: int | None = None
    cross: bool = False


def attention_operations(a: Architecture, at: Lengths, prefix: str = "") -> Iterator[Operation]:
    """Projections, attention and output projection; norms and the residual sum are the layer's."""
    yield from latent_projections(a, at.queries) if a.kv_lora else projections(a, at, prefix)
    key, value = head_widths(a)
    yield arrange(a, at, key, value, prefix)
    if a.qk_norm:
        yield norm(a, f"{prefix}qk_norm", at.queries, a.d, copies=a.heads + a.kv, parameters=2 * a.d, split="heads")
    yield from core(a, at, key, value, prefix)
    out_bias = a.bias if a.out_bias is None else a.out_bias
    projection = linear(f"{prefix}out", m=at.queries, n=a.hidden, k=a.heads * value, bias=out_bias, split="row")
    yield projection


def head_widths(a: Architecture) -> tuple[int, int]:
    """Width of a head's key and of its value."""
    return (a.d + a.rope_dim, a.value_dim or a.d) if a.kv_lora else (a.d, a.d)


def projections(a: Architecture, at: Lengths, prefix: str) -> Iterator[Operation]:
    """Queries, keys and values: one product where all come from the same tokens, two in cross-attention."""
    bias = a.bias if a.qkv_bias is None else a.qkv_bias
    queries, pairs = a.heads * a.d, 2 * a.kv * a.d
    if at.cross:
        yield linear(f"{prefix}q", m=at.queries, n=queries, k=a.hidden, bias=bias, split="column")
        yield linear(f"{prefix}kv", m=at.keys, n=pairs, k=a.hidden, bias=bias, split="column")
    else:
        yield linear(f"{prefix}qkv", m=at.keys, n=queries + pairs, k=a.hidden, bias=bias, split="column")
    if a.positions == "projected":
        # One table of relative positions serves the whole batch, so its product costs a sample next to nothing.
        yield stream(
            f"{prefix}positions",
            reads=0,
            writes=0,
            reads_backward=0,
            writes_backward=0,
            parameters=a.hidden * queries + 2 * queries,
            split="heads",
        )


def latent_projections(a: Architecture, tokens: int) -> Iterator[Operation]:
    """Multi-head latent attention (arXiv 2405.04434): queries and key-values through a narrow latent vector.

    The narrow products are held by every tensor-parallel rank, the wide ones are cut by heads.
    """
    kv_lora, (key, value) = a.kv_lora or 0, head_widths(a)
    if a.q_lora:
        yield linear("q_down", m=tokens, n=a.q_lora, k=a.hidden, split="sequence")
        yield norm(a, "q_norm", tokens, a.q_lora)
    yield linear("q_up", m=tokens, n=a.heads * key, k=a.q_lora or a.hidden, split="column")
    yield linear("kv_down", m=tokens, n=kv_lora + a.rope_dim, k=a.hidden, split="sequence")
    yield norm(a, "kv_norm", tokens, kv_lora)
    yield linear("kv_up", m=tokens, n=a.heads * (a.d + value), k=kv_lora, split="column")


def arrange(a: Architecture, at: Lengths, key: int, value: int, prefix: str) -> Operation:
    """Split into heads, transpose, scale or rotate; what attention keeps of Q, K and V is counted here.

    So the elements that selective recomputation keeps are outside the core.
    """
    kv = a.heads if a.kv_lora else a.kv
    queries, context = at.queries * a.heads * key, at.queries * a.heads * value
    pairs = at.keys * kv * (key + value)
    rotated = at.keys * kv * key if a.positions == "rotary" else 0
    repeated = at.keys * (a.heads - kv) * (key + value)  # keys and values of a group, one copy a head
    moved = float(2 * queries + pairs + context + rotated)
    return stream(
        f"{prefix}heads",
        reads=moved,
        writes=moved,
        reads_backward=moved,
        writes_backward=moved,
        saved=queries + pairs,
        saved_apart=repeated,
        parameters=a.heads if a.sinks else 0,
        split="heads",
        kernels=2,
        kernels_backward=2,
    )


def core(a: Architecture, at: Lengths, key: int, value: int, prefix: str) -> Iterator[Operation]:
    """Scores, softmax and context, fused or one by one."""
    kv = a.heads if a.kv_lora else a.kv
    if a.flash:
        square = attention(
            f"{prefix}attention",
            heads=a.heads,
            kv_heads=kv,
            m=at.queries,
            n=at.keys,
            k=key,
            v=value,
            causal=at.causal,
        )
        # Q, K and V are kept by `heads`, the output by the projection that reads it.
        yield windowed(replace(square, saved=0.0, kept=0.0), at)
        return
    squares = 2 if a.positions == "projected" else 1
    scores = float(a.heads * at.queries * at.keys)
    yield bmm(f"{prefix}scores", batch=a.heads * squares, m=at.queries, n=at.keys, k=key, saved=0)
    yield softmax(f"{prefix}softmax", scores, a.dropout)
    kept = scores if a.dropout else 0.0
    yield bmm(f"{prefix}context", batch=a.heads, m=at.queries, n=value, k=at.keys, saved=kept)


def windowed(square: Operation, at: Lengths) -> Operation:
    """The same attention where a query sees only the `window` tokens before it.

    n becomes the mean number of keys a query sees, and `causal` is used up: mean = w - w(w-1)/2s for w < s.
    """
    s, w = at.keys, at.window
    if w is None or w >= s:
        return square
    mean = w - w * (w - 1) / (2 * s)
    share = mean / s
    return replace(
        square, n=mean, causal=False, flops=square.flops * share, flops_backward=square.flops_backward * share
    )


def softmax(name: str, scores: float, dropout: bool) -> Operation:
    """Scaled masked softmax and the dropout after it. Saved: its output, and a byte of mask an element.

    The context product keeps the dropped-out copy.
    """
    mask = 0.5 * dropout  # a byte is half an element
    return stream(
        name,
        reads=scores * (1 + dropout),
        writes=scores * (1 + dropout + mask),
        reads_backward=scores * (2 + dropout + mask),
        writes_backward=scores * (1 + dropout),
        saved=scores,
        saved_bytes=scores * dropout,
        split="heads",
        core=True,
        kernels=2 + dropout,
        kernels_backward=1 + dropout,
    )


def norm(
    a: Architecture,
    name: str,
    tokens: float,
    width: int | None = None,
    *,
    copies: int = 1,
    parameters: int | None = None,
    split: Split = "sequence",
) -> Operation:
    """LayerNorm or RMSNorm of `copies` vectors a token; saves its input.

    An RMSNorm of elementary kernels keeps a float32 copy, twice the size, and LayerNorm has a kernel everywhere.
    """
    width = a.hidden if width is None else width
    size = float(tokens * width * copies)
    return stream(
        name,
        reads=size,
        writes=size,
        reads_backward=4 * size,
        writes_backward=size,
        saved=size,
        saved_apart=2 * size * (a.norm == "rmsnorm"),
        parameters=a.norm_width(width) if parameters is None else parameters,
        split=split,
        kernels_backward=2,
    )


def residual(a: Architecture, name: str, tokens: int, branches: int = 1) -> Operation:
    """Dropout of a branch and its sum with the stream; saves the mask, a byte an element."""
    size, mask = float(tokens * a.hidden), 0.5 * a.dropout
    return stream(
        name,
        reads=size * (1 + branches),
        writes=size * (1 + mask * branches),
        reads_backward=size * (2 + branches * (a.dropout + mask)),
        writes_backward=size * (1 + branches * a.dropout),
        saved_bytes=size * a.dropout * branches,
        split="sequence",
        kernels_backward=1 + a.dropout,
    )
