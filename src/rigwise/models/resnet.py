"""Residual networks: ResNet, ResNeXt, wide and squeeze-and-excite ones. A residual block is one Block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rigwise.models.features import Feature, Tape
from rigwise.models.model import Model
from rigwise.models.sizes import check_shape, check_sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """How a residual block is made.

    planes: channels at its head. expansion: what its output has over planes. width: channels of the 3 x 3 convolution.
    stride_first: the stride is in the first convolution (the form of 2015) and not in the 3 x 3 one (v1.5). excite:
    the channels are weighed by a squeeze of 1 / excite of them (0: they are not).
    """

    planes: int
    width: int
    expansion: int
    groups: int = 1
    stride: int = 1
    stride_first: bool = False
    excite: int = 0
    affine: bool = False

    @property
    def out(self) -> int:
        """Channels of the output."""
        return self.planes * self.expansion


def resnet(
    *,
    depths: Sequence[int],
    bottleneck: bool = True,
    width_per_group: int = 64,
    groups: int = 1,
    excite: int = 0,
    stride_first: bool = False,
    image: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    name: str = "resnet",
) -> Model:
    """A residual network for images (He et al. 2015, arXiv 1512.03385; groups: Xie et al. 2016, arXiv 1611.05431).

    depths: residual blocks of the four stages.

    >>> model = resnet(depths=[3, 4, 6, 3])
    >>> model.parameters, round(model.flops / 2e9, 2), model.units
    (25557032.0, 4.09, 17)
    """
    check_sizes(depths=depths, width_per_group=width_per_group, groups=groups, image=image, classes=classes)
    check_sizes(least=0, excite=excite)
    check_shape(like="blocks of a stage", length=4, depths=depths)
    tape = Tape()
    x = stem(tape, tape.image(*image))
    tape.close("stem", x)
    for stage, depth in enumerate(depths):
        planes = 64 * 2**stage
        shape = Residual(
            planes=planes,
            width=planes * width_per_group // 64 * groups if bottleneck else planes,
            expansion=4 if bottleneck else 1,
            groups=groups,
            stride_first=stride_first,
            excite=excite,
        )
        x = stage_of(tape, x, shape, depth=depth, stride=1 if stage == 0 else 2, name=f"layer{stage + 1}")
    tape.loss(tape.linear(tape.flatten(tape.global_pool(x)), classes))
    tape.close("head", Feature(classes), last=True)
    return tape.model(name)


def stem(tape: Tape, x: Feature, *, affine: bool = False) -> Feature:
    """The 7 x 7 convolution and the pooling that every residual network starts with."""
    y = tape.conv(x, 64, 7, stride=2, pad=3)
    return tape.pool(tape.relu(tape.affine(y) if affine else tape.norm(y)), 3, stride=2, pad=1)


def stage_of(tape: Tape, x: Feature, shape: Residual, *, depth: int, stride: int, name: str) -> Feature:
    """As many residual blocks as depth says, the first with the stride; each is closed as a block."""
    for number in range(depth):
        x = residual(tape, x, shape, stride=stride if number == 0 else 1)
        tape.close(name, x)
    return x


def residual(tape: Tape, x: Feature, shape: Residual, *, stride: int) -> Feature:
    """One residual block: 1x1, 3x3, 1x1 where it expands, two 3x3 where it does not, and the way around them."""

    def conv_norm(y: Feature, k: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> Feature:
        z = tape.conv(y, k, kernel, stride=stride, pad=kernel // 2, groups=groups)
        return tape.affine(z) if shape.affine else tape.norm(z)

    around = x if stride == 1 and x.c == shape.out else conv_norm(x, shape.out, stride=stride)
    if shape.expansion == 1:
        y = tape.relu(conv_norm(x, shape.planes, 3, stride))
        y = conv_norm(y, shape.out, 3)
    else:
        strides = (stride, 1) if shape.stride_first else (1, stride)
        y = tape.relu(conv_norm(x, shape.width, stride=strides[0]))
        y = tape.relu(conv_norm(y, shape.width, 3, strides[1], shape.groups))
        y = conv_norm(y, shape.out)
    if shape.excite:
        y = squeeze_excite(tape, y, shape.out // shape.excite)
    return tape.relu(tape.add(y, around))


def squeeze_excite(tape: Tape, x: Feature, squeezed: int, *, smooth: bool = False) -> Feature:
    """Channels weighed by what their means say (Hu et al. 2017, arXiv 1709.01507); 1 x 1 convolutions with bias."""
    y = tape.conv(tape.global_pool(x), squeezed, bias=True)
    y = tape.smooth(y) if smooth else tape.relu(y)
    return tape.gate(x, tape.relu(tape.conv(y, x.c, bias=True), name="sigmoid"))
