"""The convolutions of a network by name, and how much of its input each of their outputs sees.

A network that was built here knows its wires, and its fields are exact. One that was read from a torch module is a list
of operations: a layer then reads what its block wrote in that shape, and else what entered the block, the widest map
of its size. Gates that look at the whole map (squeeze and excite) are left out, as is usual.
"""

from __future__ import annotations

from dataclasses import dataclass

from rigwise.errors import NotFoundError, UsageError, not_found
from rigwise.models.model import Block, Model
from rigwise.models.operations import Conv
from rigwise.models.reach import Reach, widest

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution of a network. name: block.operation; count: how often it is repeated; reach: of the first
    repetition, and last: of the last one; None where an output sees all of the input.
    """

    name: str
    shape: Conv
    count: int = 1
    reach: Reach | None = None
    last: Reach | None = None


def layers(model: Model) -> tuple[Layer, ...]:
    """All convolutions of a model in order. Raises UsageError where it has none.

    >>> from rigwise.models.convnet import chain
    >>> lenet = chain(image=[1, 32, 32], blocks=[["conv 6 5", "tanh", "avgpool 2", "conv 16 5", "tanh"], ["dense 10"]])
    >>> [(layer.name, layer.reach.field) for layer in layers(lenet)]
    [('features1.conv1', (5, 5)), ('features1.conv2', (14, 14))]
    """
    walked = iter(model.reaches or _walked(model))
    found: list[Layer] = []
    for block in model.blocks:
        convs = [(o.name, o.conv) for o in block.operations if o.conv]
        seen = [[next(walked) for _ in convs] for _ in range(block.count)]
        for place, (name, shape) in enumerate(convs):
            reach, last = seen[0][place], seen[-1][place]
            found.append(Layer(name=f"{block.name}.{name}", shape=shape, count=block.count, reach=reach, last=last))
    if not found:
        raise UsageError(f"{model.name} has no convolution", rule="a layer is a convolution", nearest="resnet50")
    return tuple(found)


def _walked(model: Model) -> list[Reach]:
    walk = _Walk()
    return [reach for block in model.blocks for _ in range(block.count) for reach in walk.through(block)]


class _Walk:
    """The maps that there are: what wrote a shape in this block, and the widest of each size before it."""

    def __init__(self) -> None:
        self.widest: dict[Sizes, Reach] = {}
        self.last: tuple[Sizes, Reach] | None = None

    def through(self, block: Block) -> list[Reach]:
        before, written, out = dict(self.widest), dict[tuple[int, Sizes], Reach](), []
        for operation in block.operations:
            shape = operation.conv or operation.window
            if shape is None:
                continue
            source = written.get((shape.c, shape.size)) or before.get(shape.size) or self._other(shape.size)
            reach = source.through(shape)
            written[shape.k, shape.out] = reach
            self.widest[shape.out] = widest((self.widest.get(shape.out, reach), reach)) or reach
            self.last = (shape.out, reach)
            if operation.conv:
                out.append(reach)
        return out

    def _other(self, size: Sizes) -> Reach:
        """A size that nothing wrote: the input of the network, or what an unknown pooling made of the last map."""
        if size in self.widest:
            return self.widest[size]
        one = (1,) * len(size)
        if self.last is None or len(self.last[0]) != len(size):
            return Reach(field=one, jump=one, exact=self.last is None)
        before, reach = self.last
        by = [max(round(b / max(n, 1)), 1) for b, n in zip(before, size, strict=True)]
        field = tuple(f + (n - 1) * j for f, n, j in zip(reach.field, by, reach.jump, strict=True))
        jump = tuple(j * n for j, n in zip(reach.jump, by, strict=True))
        return Reach(field=field, jump=jump, exact=reach.exact and max(by) == 1)  # 1: a window more at the far end


def layer_called(found: tuple[Layer, ...], name: str) -> Layer:
    """The layer of that name: block.operation, a part of it that only one has, or its number from 1.

    Raises NotFoundError for one that is unknown or that several are called.
    """
    if name.isdigit() and 1 <= int(name) <= len(found):
        return found[int(name) - 1]
    exact = [layer for layer in found if layer.name == name]
    like = exact or [layer for layer in found if name in layer.name]
    if len(like) == 1:
        return like[0]
    if like:
        names = ", ".join(layer.name for layer in like[:6])
        raise NotFoundError(f"{name!r} is a part of {len(like)} layers' names", rule="one layer", nearest=names)
    raise not_found("layer", name, [layer.name for layer in found], hint=found[0].name)
