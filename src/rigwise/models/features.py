"""The tape on which convolutional networks are written down: features in, operations recorded, features out.

Shape letters: C channels in, K channels out, H W spatial sizes; everything is of one sample.

Rules that every convnet builder shares (counted in elements, so that any precision can follow):
    element passes, forward + backward: batch norm 3+5, ReLU 2+3, residual add 3+3, LRN 3+5, dropout 3+3, concat 2+2,
        pooling in+out forward and in+2out backward, scaling by a gate 2+4
    saved for the backward pass, each tensor once however many operations ask for it: a convolution, a dense layer and
        a norm keep their input; ReLU (in place), tanh and sigmoid keep their output, which is the input of the next
        convolution; SiLU, GELU and ReLU6 (of which torch keeps a copy) keep their input; max pooling keeps its input
        and int64 indices, dropout a mask of one byte an element, a gate both factors; additions, concatenations and
        global averages keep nothing
    batch statistics (two float32 a channel and batch) are left out: they do not grow with the samples
    split is "none" unless the builder pairs layers: one cut along its outputs, then one along its inputs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import ceil, prod
from typing import Literal

from rigwise.errors import UsageError
from rigwise.models import operations
from rigwise.models.model import Block, Family, Model, Unit, append
from rigwise.models.operations import FLOAT_BYTES, INDEX_BYTES, MASK_BYTES, Conv, Operation, Split
from rigwise.models.reach import Reach, widest
from rigwise.models.sizes import check_sizes


class Feature:
    """A tensor of one sample: c channels of some spatial size (empty for a vector).

    saved: an operation keeps it already. data: no gradient is asked for it, as for the image itself. whole: the tensor
    that this is a view of; keeping the view keeps the whole. reach: what an element sees of the input; None for all.
    """

    __slots__ = ("c", "data", "reach", "saved", "size", "whole")

    def __init__(
        self,
        c: int,
        size: tuple[int, ...] = (),
        *,
        saved: bool = False,
        data: bool = False,
        whole: Feature | None = None,
        reach: Reach | None = None,
    ) -> None:
        self.c = c
        self.size = size
        self.saved = saved
        self.data = data
        self.whole = whole
        self.reach = reach

    @property
    def elements(self) -> float:
        """Elements of one sample."""
        return float(self.c * prod(self.size))

    def __repr__(self) -> str:
        return "x".join(str(n) for n in (self.c, *self.size))


class Tape:
    """Records operations and closes them to blocks. Equal blocks that follow each other become one with a count.

    >>> tape = Tape()
    >>> x = tape.relu(tape.norm(tape.conv(tape.image(3, 224, 224), 64, 7, stride=2, pad=3)))
    >>> tape.close("stem", x)
    >>> tape.blocks[0].parameters, [o.name for o in tape.blocks[0].operations]
    (9536.0, ['conv1', 'norm1', 'relu1'])
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.frozen = False  # what is recorded now has no backward pass and keeps nothing
        self.input_bytes = 0.0
        self.has_batch_norm = False
        self.reaches: list[Reach | None] = []  # of each convolution, in order
        self._operations: list[Operation] = []
        self._counts: Counter[str] = Counter()

    def image(self, *shape: int) -> Feature:
        """The input: channels, then spatial sizes; the loader delivers it in float32."""
        check_sizes(input=shape)
        self.input_bytes = FLOAT_BYTES * prod(shape)
        one = (1,) * (len(shape) - 1)
        return Feature(shape[0], shape[1:], data=True, reach=Reach(field=one, jump=one))

    # ---- layers with weights

    def conv(
        self,
        x: Feature,
        k: int,
        kernel: int | tuple[int, ...] = 1,
        *,
        stride: int | tuple[int, ...] = 1,
        pad: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = False,
        transposed: bool = False,
        shared: bool = False,
        split: Split = "none",
        name: str = "conv",
    ) -> Feature:
        """A convolution of x to k channels; shared: its weights are counted already, where they were used before."""
        wide = [_spread(n, len(x.size)) for n in (kernel, stride, pad)]
        if x.c % groups or k % groups or min(k, groups, *wide[0], *wide[1]) < 1:
            raise UsageError(
                f"a convolution of {x} to {k} channels, kernel {wide[0]}, stride {wide[1]}, {groups} groups",
                rule="sizes are at least 1 and both channel counts are multiples of the groups",
            )
        shape = Conv(
            c=x.c, k=k, size=x.size, kernel=wide[0], stride=wide[1], pad=wide[2], groups=groups, transposed=transposed
        )
        _check_size(x, shape.out, f"kernel {wide[0]}, stride {wide[1]}, pad {wide[2]}")
        made = operations.conv(name, shape, bias=bias, split=split, input_gradient=not x.data)
        parameters = 0.0 if shared else made.parameters
        self._record(replace(made, saved=self._keep(x), parameters=parameters))
        self.reaches.append(x.reach and x.reach.through(shape))
        return Feature(k, shape.out, data=self.frozen, reach=self.reaches[-1])

    def linear(
        self, x: Feature, n: int, *, m: int = 1, bias: bool = True, split: Split = "none", name: str = "dense"
    ) -> Feature:
        """A dense layer: m rows of x.elements / m features each (m > 1: regions of one image) to n features."""
        made = operations.linear(name, m=m, n=n, k=x.elements / m, bias=bias, split=split, input_gradient=not x.data)
        self._record(replace(made, saved=self._keep(x)))
        return Feature(n * m, data=self.frozen)

    def norm(self, x: Feature, split: Split = "none") -> Feature:
        """Batch normalisation with scale and shift."""
        self.has_batch_norm = True
        return self._stream("norm", x, 2, 1, 4, 1, saved=self._keep(x), parameters=2.0 * x.c, split=split)

    # ---- elementwise

    def relu(self, x: Feature, split: Split = "none", name: str = "relu") -> Feature:
        """An activation whose gradient needs its output: ReLU in place, tanh, sigmoid."""
        out = self._stream(name, x, 1, 1, 2, 1, saved=x.elements, split=split)
        out.saved = not self.frozen
        return out

    def smooth(self, x: Feature, name: str = "silu", split: Split = "none") -> Feature:
        """An activation whose gradient needs its input: SiLU, GELU, ReLU clipped at 6."""
        return self._stream(name, x, 1, 1, 2, 1, saved=self._keep(x), split=split)

    def add(self, x: Feature, y: Feature) -> Feature:
        """The sum of two branches."""
        out = self._stream("add", x, 2, 1, 2, 1)
        out.reach = widest((x.reach, y.reach))
        return out

    def gate(self, x: Feature, scale: Feature) -> Feature:
        """Multiply each channel of x by its factor."""
        return self._stream("gate", x, 1, 1, 3, 1, saved=self._keep(x) + self._keep(scale))

    def affine(self, x: Feature) -> Feature:
        """A batch norm whose statistics and parameters never change: scale and shift by constants."""
        return self._stream("affine", x, 1, 1, 1, 1)

    def lrn(self, x: Feature) -> Feature:
        """Local response normalisation across channels; keeps its input and the denominators."""
        return self._stream("lrn", x, 2, 1, 4, 1, saved=self._keep(x) + x.elements)

    def dropout(self, x: Feature, split: Split = "none") -> Feature:
        """Dropout with a mask of one byte an element."""
        return self._stream("dropout", x, 1, 2, 2, 1, saved_bytes=MASK_BYTES * x.elements, split=split)

    def shuffle(self, x: Feature) -> Feature:
        """A permutation of the channels: read once, written once, each way."""
        return self._stream("shuffle", x, 1, 1, 1, 1)

    def concat(self, parts: Sequence[Feature]) -> Feature:
        """Features side by side in one tensor."""
        if len({p.size for p in parts}) != 1:
            raise UsageError(f"features of {', '.join(map(str, parts))} side by side", rule="their sizes are equal")
        seen = widest(p.reach for p in parts)
        whole = Feature(sum(p.c for p in parts), parts[0].size, data=self.frozen, reach=seen)
        return self._stream("concat", whole, 1, 1, 1, 1)

    def halves(self, x: Feature) -> tuple[Feature, Feature]:
        """The two halves of the channels, seen in place."""
        first, second = (Feature(x.c // 2, x.size, data=x.data, whole=x, reach=x.reach) for _ in range(2))
        return first, second

    # ---- pooling

    def pool(
        self,
        x: Feature,
        kernel: int | tuple[int, ...],
        *,
        stride: int | tuple[int, ...] | None = None,
        pad: int | tuple[int, ...] = 0,
        ceiling: bool = False,
        average: bool = False,
        split: Split = "none",
    ) -> Feature:
        """Max (or average) pooling; ceiling keeps the last, incomplete window."""
        r, s, p = (_spread(n, len(x.size)) for n in (kernel, kernel if stride is None else stride, pad))
        out = tuple(_windows(*row, ceiling=ceiling) for row in zip(x.size, r, s, p, strict=True))
        _check_size(x, out, f"pooling {r}, stride {s}, pad {p}")
        indices = 0.0 if average else INDEX_BYTES * x.c * prod(out)
        name = "avgpool" if average else "maxpool"
        window = Conv(c=x.c, k=x.c, size=x.size, kernel=r, stride=s, pad=p, groups=x.c)
        made = Feature(x.c, out, data=self.frozen, reach=x.reach and x.reach.through(window))
        return self._pooled(name, x, made, self._keep(x), indices, split)

    def global_pool(self, x: Feature) -> Feature:
        """The mean over all positions; only shapes are kept."""
        return self._pooled("mean", x, Feature(x.c, (1,) * len(x.size), data=self.frozen), 0.0, 0.0, "none")

    def resample(self, x: Feature, size: tuple[int, ...], name: str = "resize") -> Feature:
        """Interpolation, or sampling at positions that the data decides."""
        known = x.reach and x.reach.scaled(x.size, size) if len(size) == len(x.size) else None
        return self._pooled(name, x, Feature(x.c, size, data=self.frozen, reach=known), 0.0, 0.0, "none")

    def flatten(self, x: Feature) -> Feature:
        """The same tensor as a vector: no work."""
        return Feature(int(x.elements), data=x.data, whole=x)

    def loss(self, x: Feature) -> Feature:
        """Softmax and cross-entropy over all elements of x, in float32."""
        return self._stream("loss", x, 2, 1, 2, 1, saved_bytes=FLOAT_BYTES * x.elements)

    # ---- blocks

    def close(self, name: str, x: Feature, *, first: bool = False, last: bool = False) -> None:
        """Ends a block that hands on x."""
        role: Literal["first", "layer", "last"] = "first" if first else "last" if last else "layer"
        made = Block(name=name, operations=tuple(self._operations), boundary=x.elements, role=role)
        self._operations, self._counts = [], Counter()
        append(self.blocks, made)

    def model(self, name: str, *, family: Family = "convnet", unit: Unit = "image", hidden: int | None = None) -> Model:
        """What was recorded, as a model."""
        assert not self._operations, "operations after the last block"
        return Model(
            name=name,
            family=family,
            blocks=tuple(self.blocks),
            unit=unit,
            layers=sum(b.count for b in self.blocks if b.role == "layer"),
            hidden=hidden,
            input_bytes=self.input_bytes,
            has_batch_norm=self.has_batch_norm,
            reaches=tuple(self.reaches),
        )

    # ---- inside

    def _keep(self, x: Feature) -> float:
        if x.whole is not None:
            return self._keep(x.whole)
        if x.saved or self.frozen:
            return 0.0
        x.saved = True
        return x.elements

    def _stream(
        self,
        name: str,
        x: Feature,
        reads: int,
        writes: int,
        reads_backward: int,
        writes_backward: int,
        *,
        saved: float = 0.0,
        saved_bytes: float = 0.0,
        parameters: float = 0.0,
        split: Split = "none",
    ) -> Feature:
        made = operations.stream(
            name,
            reads=reads * x.elements,
            writes=writes * x.elements,
            reads_backward=reads_backward * x.elements,
            writes_backward=writes_backward * x.elements,
            saved=saved,
            saved_bytes=saved_bytes,
            parameters=parameters,
            split=split,
        )
        self._record(made)
        return Feature(x.c, x.size, data=self.frozen, reach=x.reach)

    def _pooled(self, name: str, x: Feature, out: Feature, saved: float, saved_bytes: float, split: Split) -> Feature:
        made = operations.stream(
            name,
            reads=x.elements,
            writes=out.elements,
            reads_backward=2 * out.elements,
            writes_backward=x.elements,
            saved=saved,
            saved_bytes=saved_bytes,
            split=split,
        )
        self._record(made)
        return out

    def _record(self, made: Operation) -> None:
        self._counts[made.name] += 1
        made = replace(made, name=f"{made.name}{self._counts[made.name]}")
        self._operations.append(operations.forward_only(made) if self.frozen else made)


def _spread(n: int | tuple[int, ...], dims: int) -> tuple[int, ...]:
    return n if isinstance(n, tuple) else (n,) * dims


def _windows(size: int, kernel: int, stride: int, pad: int, *, ceiling: bool) -> int:
    whole = (size + 2 * pad - kernel) / stride
    count = (ceil(whole) if ceiling else int(whole // 1)) + 1
    return count - int(ceiling and (count - 1) * stride >= size + pad)  # a window may not start in the padding


def _check_size(x: Feature, out: tuple[int, ...], what: str) -> None:
    if not out:
        raise UsageError(f"{what.split(',')[0]} over {x.c} features without height and width", rule="a map has sizes")
    if min(out) < 1:
        raise UsageError(
            f"{what} leaves nothing of {x} (channels x sizes)",
            rule="every layer needs an input of at least its kernel",
            nearest="a larger image, a smaller kernel or stride, or fewer poolings",
        )
