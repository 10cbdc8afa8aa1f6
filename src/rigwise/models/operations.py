"""Operations: the exact work of one sample, before anybody splits it.

Shape letters, as the literature has them:
    a matrix product   (M x K) . (K x N), `batch` of them side by side
    a convolution      C channels in, K out, H x W in, R x S kernel, P x Q out, G groups

Every amount is for ONE sample (a sequence, an image) and counts elements, not bytes: the layout's precision turns
elements into bytes. FLOPs count multiply-adds of matrix products and convolutions, twice, as the field does; the
elementwise kinds count none and cost bytes. `split` says how the operation behaves when its layer is divided over
ranks; layouts/pieces.py reads it, and nothing here knows a rank.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Literal

Kind = Literal["linear", "bmm", "attention", "conv", "stream", "embedding"]
Split = Literal[
    "none",  # every tensor-parallel rank does all of it
    "column",  # weights cut along the output features: outputs stack, input gradients add
    "row",  # weights cut along the input features: outputs add, input gradients stack
    "heads",  # between a column and a row: each rank holds its own heads or features
    "sequence",  # replicated, or cut along the sequence where sequence parallelism is on
    "vocab",  # embedding table, logits and loss cut along the vocabulary
    "expert",  # follows the tokens to their expert: never cut by tensor, spread by expert parallelism
    "expert_column",
    "expert_row",
]

_PLAIN_BITS = 8.0
FLOAT_BYTES, INDEX_BYTES, MASK_BYTES = 4.0, 8.0, 1.0  # what is saved in a type of its own: float32, int64, one byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """The geometry of a convolution of 1, 2 or 3 spatial dims.

    >>> Conv(c=3, k=64, size=(224, 224), kernel=(7, 7), stride=(2, 2), pad=(3, 3)).out
    (112, 112)
    """

    c: int
    k: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...] = ()
    groups: int = 1
    transposed: bool = False
    output_pad: tuple[int, ...] = ()  # a transposed convolution may add rows at the far end

    @property
    def out(self) -> tuple[int, ...]:
        """Spatial size of the output."""
        dilation = self.dilation or (1,) * len(self.size)
        reach = [d * (r - 1) + 1 for r, d in zip(self.kernel, dilation, strict=True)]
        rows = zip(self.size, reach, self.stride, self.pad, strict=True)
        if self.transposed:
            extra = self.output_pad or (0,) * len(self.size)
            return tuple((h - 1) * s - 2 * p + r + e for (h, r, s, p), e in zip(rows, extra, strict=True))
        return tuple((h + 2 * p - r) // s + 1 for h, r, s, p in rows)

    @property
    def weights(self) -> int:
        """Elements of the kernel bank."""
        return self.k * (self.c // self.groups) * prod(self.kernel)

    @property
    def flops(self) -> float:
        """FLOP of one pass over one sample; the two backward passes cost the same each."""
        positions = prod(self.size) if self.transposed else prod(self.out)
        return 2.0 * positions * self.weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a block, for one sample.

    Made by the functions below, which fill the counts from the shape letters. Elements: reads, writes (and their
    backward twins) count activations; parameters counts weights and biases. saved is what the forward pass keeps for
    the backward pass, in elements of the activation type; saved_bytes is what it keeps in a type of its own (masks,
    float32 statistics), in bytes.
    """

    name: str
    kind: Kind
    batch: float = 1.0
    m: float = 0.0
    n: float = 0.0
    k: float = 0.0
    conv: Conv | None = None
    window: Conv | None = None  # of a traced pooling: where it looks, as a convolution of each channel
    steps: int = 1  # how often it runs one after the other in a sample: the time steps of a recurrent cell
    causal: bool = False
    flops: float = 0.0
    flops_backward: float = 0.0
    reads: float = 0.0
    writes: float = 0.0
    reads_backward: float = 0.0
    writes_backward: float = 0.0
    parameters: float = 0.0
    saved: float = 0.0
    saved_bytes: float = 0.0
    saved_apart: float = 0.0  # kept besides, in elements, where every elementary kernel is one of its own
    kept: float = 0.0  # of `saved`, what selective recomputation still keeps: the inputs of the attention core
    split: Split = "none"
    core: bool = False  # part of the attention core, which selective recomputation runs again
    trainable: bool = True  # frozen weights have no gradient and no optimizer state
    input_gradient: bool = True  # False for the first layer: nobody asks for the gradient of the data
    weight_bits: float | None = None  # storage of quantised frozen weights, or of a frozen copy beside trained ones
    kernels: int = 1  # launches, forward
    kernels_backward: int = 1

    @property
    def packed_bits(self) -> float:
        """Bits of a weight that has to be unpacked before it multiplies; 0 of one that is stored as it is used."""
        return self.weight_bits if self.weight_bits is not None and self.weight_bits < _PLAIN_BITS else 0.0


def linear(
    name: str,
    *,
    m: float,
    n: float,
    k: float,
    batch: float = 1.0,
    bias: bool = False,
    steps: int = 1,
    split: Split = "none",
    trainable: bool = True,
    input_gradient: bool = True,
    weight_bits: float | None = None,
    saves_input: bool = True,
) -> Operation:
    """A product of activations (M x K) with weights (K x N); batch > 1 for a bank of experts.

    >>> linear("dense", m=1, n=500, k=1000).flops
    1000000.0
    """
    work = 2.0 * batch * m * n * k * steps
    passes = int(trainable) + int(input_gradient)
    return Operation(
        name=name,
        kind="linear",
        batch=batch,
        m=m,
        n=n,
        k=k,
        steps=steps,
        flops=work,
        flops_backward=work * passes,
        reads=batch * m * k * steps,
        writes=batch * m * n * steps,
        reads_backward=batch * m * (n * passes + k * trainable) * steps,
        writes_backward=batch * m * k * input_gradient * steps,
        parameters=batch * k * n + (batch * n if bias else 0.0),
        saved=batch * m * k * steps * (trainable and saves_input),
        split=split,
        trainable=trainable,
        input_gradient=input_gradient,
        weight_bits=weight_bits,
        kernels_backward=passes,
    )


def bmm(
    name: str, *, batch: float, m: float, n: float, k: float, saved: float, kept: float = 0.0, split: Split = "heads"
) -> Operation:
    """A product of two activations, `batch` of them: attention scores and contexts. saved, kept in elements.

    >>> bmm("scores", batch=16, m=1024, n=1024, k=64, saved=2 * 1024 * 1024).flops_backward
    4294967296.0
    """
    work = 2.0 * batch * m * n * k
    return Operation(
        name=name,
        kind="bmm",
        batch=batch,
        m=m,
        n=n,
        k=k,
        flops=work,
        flops_backward=2 * work,
        reads=batch * (m * k + k * n),
        writes=batch * m * n,
        reads_backward=batch * (2 * m * n + m * k + k * n),
        writes_backward=batch * (m * k + k * n),
        saved=saved,
        kept=kept,
        split=split,
        core=True,
        kernels_backward=2,
    )


def attention(
    name: str, *, heads: float, kv_heads: float, m: float, n: float, k: float, v: float = 0.0, causal: bool
) -> Operation:
    """Fused (flash) attention: `heads` queries of M positions over N positions, head size k (v for the values).

    FLOPs are of the whole M x N square, twice (scores and context); the law halves them where causal. Saved: queries,
    keys, values and output in the activation type, one float32 log-sum-exp a query position.

    >>> attention("core", heads=1, kv_heads=1, m=4, n=4, k=8, causal=True).flops
    512.0
    """
    v = v or k
    work = 2.0 * heads * m * n * (k + v)
    queries, keys, values, outputs = heads * m * k, kv_heads * n * k, kv_heads * n * v, heads * m * v
    return Operation(
        name=name,
        kind="attention",
        batch=heads,
        m=m,
        n=n,
        k=(k + v) / 2,
        causal=causal,
        flops=work,
        flops_backward=2 * work,
        reads=queries + keys + values,
        writes=outputs,
        reads_backward=2 * outputs + queries + keys + values,
        writes_backward=queries + keys + values,
        saved=queries + keys + values + outputs,
        kept=queries + keys + values,
        saved_bytes=FLOAT_BYTES * heads * m,
        split="heads",
        core=True,
        kernels_backward=2,
    )


def conv(
    name: str, shape: Conv, *, bias: bool = False, split: Split = "none", input_gradient: bool = True
) -> Operation:
    """A convolution; its forward, input-gradient and weight-gradient passes cost the same FLOPs.

    >>> conv("conv1", Conv(c=3, k=64, size=(224, 224), kernel=(7, 7), stride=(2, 2), pad=(3, 3))).flops
    236027904.0
    """
    inputs, outputs = float(shape.c * prod(shape.size)), float(shape.k * prod(shape.out))
    passes = 1 + int(input_gradient)
    return Operation(
        name=name,
        kind="conv",
        conv=shape,
        flops=shape.flops,
        flops_backward=shape.flops * passes,
        reads=inputs,
        writes=outputs,
        reads_backward=outputs * passes + inputs,
        writes_backward=inputs * input_gradient,
        parameters=float(shape.weights + (shape.k if bias else 0)),
        saved=inputs,
        split=split,
        input_gradient=input_gradient,
        kernels_backward=passes,
    )


def stream(
    name: str,
    *,
    reads: float,
    writes: float,
    reads_backward: float,
    writes_backward: float,
    saved: float = 0.0,
    saved_bytes: float = 0.0,
    saved_apart: float = 0.0,
    parameters: float = 0.0,
    split: Split = "none",
    core: bool = False,
    kernels: int = 1,
    kernels_backward: int = 1,
) -> Operation:
    """A kernel that only moves memory: norm, activation, dropout, residual, softmax, pooling, loss. In elements.

    >>> stream("relu", reads=100, writes=100, reads_backward=200, writes_backward=100, saved=100).flops
    0.0
    """
    return Operation(
        name=name,
        kind="stream",
        reads=reads,
        writes=writes,
        reads_backward=reads_backward,
        writes_backward=writes_backward,
        saved=saved,
        saved_bytes=saved_bytes,
        saved_apart=saved_apart,
        parameters=parameters,
        split=split,
        core=core,
        kernels=kernels,
        kernels_backward=kernels_backward,
    )


def embedding(name: str, *, rows: float, width: float, lookups: float, split: Split = "vocab") -> Operation:
    """A table of `rows` vectors of which a sample takes `lookups`; the indices are saved as int64.

    >>> embedding("tokens", rows=50257, width=768, lookups=1024).parameters
    38597376.0
    """
    return Operation(
        name=name,
        kind="embedding",
        m=lookups,
        n=width,
        k=rows,
        reads=lookups * width,
        writes=lookups * width,
        reads_backward=lookups * width,
        writes_backward=lookups * width,
        parameters=float(rows * width),
        saved_bytes=INDEX_BYTES * lookups,
        split=split,
        input_gradient=False,
    )


def forward_only(operation: Operation) -> Operation:
    """The same operation inside a frozen part that no gradient passes: no backward work, nothing kept.

    >>> forward_only(linear("dense", m=1, n=2, k=3)).flops_backward
    0.0
    """
    return replace(
        operation,
        flops_backward=0.0,
        reads_backward=0.0,
        writes_backward=0.0,
        saved=0.0,
        saved_bytes=0.0,
        saved_apart=0.0,
        kept=0.0,
        trainable=False,
        input_gradient=False,
        kernels_backward=0,
    )
