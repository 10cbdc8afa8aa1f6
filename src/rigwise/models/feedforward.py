"""The feed-forward half of a transformer layer: dense, gated, or a mixture of experts, as operations of one sample."""

from __future__ import annotations

from collections.abc import Iterator

from rigwise.models.architecture import Architecture
from rigwise.models.operations import Operation, Split, linear, stream


def dense(a: Architecture, tokens: float, width: int, prefix: str = "") -> Iterator[Operation]:
    """Up (with the gate beside it), activation, down."""
    bias = a.bias if a.ffn_bias is None else a.ffn_bias
    yield linear(f"{prefix}up", m=tokens, n=width * (1 + a.gated), k=a.hidden, bias=bias, split="column")
    yield activation(f"{prefix}activation", tokens * width, a.gated, "heads")
    yield linear(f"{prefix}down", m=tokens, n=a.hidden, k=width, bias=bias, split="row")


def activation(name: str, size: float, gated: bool, split: Split) -> Operation:
    """GELU, or SiLU times the other half; size counts outputs. Saves its input: one or two of that.

    Of elementary kernels the product of the two halves keeps the SiLU besides.
    """
    return stream(
        name,
        reads=size * (1 + gated),
        writes=size * (1 + gated),
        reads_backward=size * (2 + 2 * gated),
        writes_backward=size * (1 + gated),
        saved=size * (1 + gated),
        saved_apart=size * gated,
        split=split,
        kernels=1 + gated,
        kernels_backward=1 + gated,
    )


def mixture(a: Architecture, tokens: int) -> Iterator[Operation]:
    """Router, the top_k experts of each token, and the experts that all tokens share.

    Tokens are taken as spread evenly: every expert gets tokens * top_k / E. Saved besides the inputs of the linears:
    the router's probabilities, and the experts' outputs, which the weighted sum needs.
    """
    bias = a.bias if a.ffn_bias is None else a.ffn_bias
    routed = float(tokens * a.top_k * a.hidden)
    load = tokens * a.top_k / a.experts
    yield linear("router", m=tokens, n=a.experts, k=a.hidden, bias=a.router_bias, split="sequence")
    yield choice(float(tokens * a.experts))
    yield moved("dispatch", routed)
    yield linear(
        "experts_up",
        batch=a.experts,
        m=load,
        n=a.expert_f * (1 + a.gated),
        k=a.hidden,
        bias=bias,
        split="expert_column",
    )
    yield activation("experts_activation", tokens * a.top_k * a.expert_f, a.gated, "heads")
    yield linear("experts_down", batch=a.experts, m=load, n=a.hidden, k=a.expert_f, bias=bias, split="expert_row")
    yield moved("combine", routed, saved=routed)
    if a.shared_ffn:
        yield from dense(a, tokens, a.shared_ffn, prefix="shared_")
        if a.shared_gate:
            yield linear("shared_gate", m=tokens, n=1, k=a.hidden, split="sequence")


def choice(scores: float) -> Operation:
    """Softmax or sigmoid over the experts and the choice of the best."""
    return stream(
        "choice",
        reads=2 * scores,
        writes=2 * scores,
        reads_backward=2 * scores,
        writes_backward=scores,
        saved=scores,
        split="sequence",
        kernels=3,
        kernels_backward=2,
    )


def moved(name: str, size: float, saved: float = 0.0) -> Operation:
    """Tokens permuted to their experts, or back: read once, written once, both ways."""
    return stream(name, reads=size, writes=size, reads_backward=size, writes_backward=size, saved=saved, split="expert")
