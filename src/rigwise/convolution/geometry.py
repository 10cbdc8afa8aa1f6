"""The geometry of a convolution: sizes, padding, stride, dilation, groups; its two kinds and its transpose.

What deep learning calls a convolution is a cross-correlation, y[i] = sum_r w[r] x[i s + r d - p]; the convolution of
mathematics runs through the kernel backwards, y[i] = sum_r w[r] x[i s - r d + ...]. One is the other with the kernel
turned by 180 degrees. A Geometry is always of the cross-correlation: a convolution turns its kernel first.

    N batch    C, K channels in and out    G groups    H input size    R kernel size    s stride    d dilation
    p padding before and after    reach = d (R - 1) + 1    out = floor((H + p + p' - reach) / s) + 1

A transposed convolution is the input gradient of the geometry whose output it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Literal

from rigwise.errors import UsageError, check_whole
from rigwise.models.operations import Conv

Sizes = int | Sequence[int]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]
Kind = Literal["cross-correlation", "convolution"]
Pairs = tuple[tuple[int, int], ...]
PADDINGS = ("valid", "same", "full", "causal")
KINDS = ("cross-correlation", "convolution")
DIMS = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Sizes of one cross-correlation of `dims` spatial dims; made by `geometry`, which checks them.

    >>> Geometry(batch=1, c=1, k=32, size=(256, 256), kernel=(16, 16)).out
    (241, 241)
    """

    batch: int
    c: int
    k: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    pad: Pairs = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1

    _hash: int = field(init=False, repr=False, compare=False)
    """Made once: plans are looked up by geometry in every call."""

    def __post_init__(self) -> None:
        ones = (1,) * self.dims
        object.__setattr__(self, "stride", self.stride or ones)
        object.__setattr__(self, "dilation", self.dilation or ones)
        object.__setattr__(self, "pad", self.pad or ((0, 0),) * self.dims)
        parts = self.batch, self.c, self.k, self.size, self.kernel, self.stride, self.pad, self.dilation, self.groups
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def of(cls, layer: Conv, batch: int = 1) -> Geometry:
        """The geometry of a network's layer; of a transposed one, the geometry that it is the transpose of."""
        c, k, size = (layer.k, layer.c, layer.out) if layer.transposed else (layer.c, layer.k, layer.size)
        pad = tuple((p, p) for p in layer.pad)
        return cls(
            batch=batch,
            c=c,
            k=k,
            size=size,
            kernel=layer.kernel,
            stride=layer.stride,
            pad=pad,
            dilation=layer.dilation,
            groups=layer.groups,
        )

    @property
    def dims(self) -> int:
        """Spatial dims: 1, 2 or 3."""
        return len(self.size)

    @property
    def reach(self) -> tuple[int, ...]:
        """Elements from the first to the last tap of the dilated kernel."""
        return tuple(d * (r - 1) + 1 for r, d in zip(self.kernel, self.dilation))

    @property
    def padded(self) -> tuple[int, ...]:
        """Size of the input with its padding."""
        return tuple(h + before + after for h, (before, after) in zip(self.size, self.pad))

    @property
    def out(self) -> tuple[int, ...]:
        """Size of the output."""
        return tuple((h - r) // s + 1 for h, r, s in zip(self.padded, self.reach, self.stride))

    @property
    def dense_out(self) -> tuple[int, ...]:
        """Size of the output that stride 1 would give."""
        return tuple(h - r + 1 for h, r in zip(self.padded, self.reach))

    @property
    def taps(self) -> int:
        """Elements of one kernel of one channel."""
        return prod(self.kernel)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Shape of the input."""
        return (self.batch, self.c, *self.size)

    @property
    def w_shape(self) -> tuple[int, ...]:
        """Shape of the kernel bank."""
        return (self.k, self.c // self.groups, *self.kernel)

    @property
    def y_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        return (self.batch, self.k, *self.out)

    @property
    def strided(self) -> bool:
        """Whether the kernel leaves positions out."""
        return max(self.stride) > 1

    @property
    def dilated(self) -> bool:
        """Whether the taps lie apart."""
        return max(self.dilation) > 1

    @property
    def flops(self) -> float:
        """FLOP of the definition, a multiplication and an addition a tap; each of the three passes has as many."""
        return 2.0 * self.batch * prod(self.out) * self.k * (self.c // self.groups) * self.taps

    def bytes(self, element: float = 4) -> float:
        """Bytes of input, kernels and output, each once."""
        return float(element * (prod(self.x_shape) + prod(self.w_shape) + prod(self.y_shape)))

    def at_stride_1(self) -> Geometry:
        """The same with every position computed."""
        return replace(self, stride=(1,) * self.dims)


def geometry(
    x: Sequence[int],
    w: Sequence[int],
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    kind: Kind = "cross-correlation",
) -> Geometry:
    """The geometry of an input of shape x (N, C, sizes) and kernels of shape w (K, C/G, sizes).

    padding: a number, one a dim, a pair (before, after) a dim, or a word: "valid" none; "same" keeps the size at
    stride 1 (an even kernel has one more after than before, and a convolution one more before, as its kernel is
    turned); "full" every position where kernel and input touch; "causal" before only, so that nothing looks ahead.
    Raises UsageError for sizes that do not fit.

    >>> geometry((1, 1, 100, 100), (1, 1, 3, 3)).out
    (98, 98)
    >>> geometry((1, 1, 3), (1, 1, 3), padding="full").out
    (5,)
    """
    _check_shapes(x, w, groups)
    dims = len(x) - 2
    strides, spread = _each("stride", stride, dims, 1), _each("dilation", dilation, dims, 1)
    reach = tuple(d * (r - 1) + 1 for r, d in zip(w[2:], spread))
    pad = pads(padding, reach, strides, kind)
    shape = Geometry(
        batch=x[0],
        c=x[1],
        k=w[0],
        size=tuple(x[2:]),
        kernel=tuple(w[2:]),
        stride=strides,
        pad=pad,
        dilation=spread,
        groups=groups,
    )
    if any(h < r for h, r in zip(shape.padded, reach)):
        raise UsageError(
            f"a kernel that reaches over {_by(reach)} on an input of {_by(shape.padded)} with its padding",
            rule="the kernel fits into the padded input",
            nearest='padding="same" or "full"',
        )
    return shape


def transposed_geometry(
    x: Sequence[int],
    w: Sequence[int],
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    kind: Kind = "cross-correlation",
) -> Geometry:
    """The geometry whose input gradient is the transposed convolution of x (N, K, sizes) with w (K, C/G, sizes).

    Its `y_shape` is x, its `x_shape` what comes out: (x - 1) stride - padding + reach + output_padding.

    >>> transposed_geometry((1, 8, 16, 16), (8, 3, 4, 4), stride=2, padding=1).size
    (32, 32)
    """
    groups_of_x = (x[0], w[1] * groups, *x[2:]) if len(w) > 1 and isinstance(groups, int) else x
    _check_shapes(groups_of_x, w, groups)
    if x[1] != w[0]:
        raise UsageError(f"{x[1]} channels and kernels for {w[0]}", rule="a transposed kernel bank is (C, K/G, sizes)")
    dims = len(x) - 2
    strides, spread = _each("stride", stride, dims, 1), _each("dilation", dilation, dims, 1)
    extra = _each("output_padding", output_padding, dims, 0)
    reach = tuple(d * (r - 1) + 1 for r, d in zip(w[2:], spread))
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, spread)):
        raise UsageError(f"output_padding={_by(extra)}", rule="smaller than the stride or the dilation")
    pad = pads(padding, reach, strides, kind)
    rows = zip(x[2:], strides, reach, pad, extra)
    size = tuple((h - 1) * s + r - before - after + e for h, s, r, (before, after), e in rows)
    if min(size) < 1:
        raise UsageError(f"an output of {_by(size)}", rule="padding leaves at least one element")
    return Geometry(
        batch=x[0],
        c=w[1] * groups,
        k=w[0],
        size=size,
        kernel=tuple(w[2:]),
        stride=strides,
        pad=pad,
        dilation=spread,
        groups=groups,
    )


def pads(padding: Padding, reach: tuple[int, ...], stride: tuple[int, ...], kind: Kind = "cross-correlation") -> Pairs:
    """What a padding means, before and after, for each dim.

    >>> pads("same", (4,), (1,)), pads("same", (4,), (1,), "convolution"), pads("causal", (3,), (1,))
    (((1, 2),), ((2, 1),), ((2, 0),))
    """
    if kind not in KINDS:
        raise UsageError(f"kind={kind!r}", rule=" or ".join(KINDS))
    if isinstance(padding, str):
        return _by_word(padding, reach, stride, kind)
    if isinstance(padding, int):
        check_whole(least=0, padding=padding)
        return ((padding, padding),) * len(reach)
    given: tuple[int | Sequence[int], ...] = tuple(padding)
    if len(given) != len(reach):
        raise UsageError(f"padding={given}", rule=f"one number, or one a dim ({len(reach)}), or a word", nearest="same")
    pairs = []
    for entry in given:
        pair: tuple[int, ...] = (entry, entry) if isinstance(entry, int) else tuple(entry)
        if len(pair) != 2:
            raise UsageError(f"padding={given}", rule="a number, or a pair (before, after), for each dim")
        check_whole(least=0, padding_before=pair[0], padding_after=pair[1])
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def _by_word(word: str, reach: tuple[int, ...], stride: tuple[int, ...], kind: Kind) -> Pairs:
    if word not in PADDINGS:
        raise UsageError(f"padding={word!r}", rule="a number, one a dim, or a word", nearest=", ".join(PADDINGS))
    if word == "same":
        if max(stride) > 1:
            raise UsageError(f"padding='same' at stride {_by(stride)}", rule="same is of stride 1", nearest="a number")
        fewer = [((r - 1) // 2, r // 2) for r in reach]
        return tuple((b, a) if kind == "cross-correlation" else (a, b) for b, a in fewer)
    pairs = {"valid": (0, 0), "full": (1, 1), "causal": (1, 0)}[word]
    return tuple((pairs[0] * (r - 1), pairs[1] * (r - 1)) for r in reach)


def _check_shapes(x: Sequence[int], w: Sequence[int], groups: int) -> None:
    check_whole(groups=groups)
    if len(x) != len(w) or len(x) - 2 not in DIMS:
        raise UsageError(
            f"an input of {len(x)} dims and kernels of {len(w)}",
            rule="both have batch or kernels, channels, and 1 to 3 spatial dims",
            nearest="x (N, C, H, W) with w (K, C/G, R, S)",
        )
    if min(*x, *w) < 1:
        raise UsageError(f"shapes {_by(x)} and {_by(w)}", rule="every size is at least 1")
    if x[1] != w[1] * groups or w[0] % groups:
        raise UsageError(
            f"{x[1]} channels in, {w[0]} out, kernels for {w[1]} and {groups} groups",
            rule="channels in = groups x kernel channels; channels out are a multiple of the groups",
        )


def _each(name: str, value: Sizes, dims: int, least: int) -> tuple[int, ...]:
    values = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(values) == 1:
        values = values * dims
    if len(values) != dims:
        raise UsageError(f"{name}={values}", rule=f"one number, or one for each of {dims} dims")
    for entry in values:
        check_whole(least=least, **{name: entry})
    return values


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(str(size) for size in sizes)
