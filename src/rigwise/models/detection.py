"""Networks that find objects: SSD300 and Mask R-CNN, both on ResNet-50.

Regions of interest are written as a third spatial dim, so that a convolution of 128 regions is one operation. What the
data decides (matching, sampling, suppression of doubles) is left out: it moves little and computes nothing that counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from rigwise.models.features import Feature, Tape
from rigwise.models.model import Model
from rigwise.models.resnet import Residual, stage_of, stem
from rigwise.models.sizes import check_shape, check_sizes

_EXPANSION = 4
_PYRAMID = 256  # channels of the feature pyramid
_CORNERS = 4


def _stage(place: int, *, affine: bool = False) -> Residual:
    return Residual(planes=64 * 2**place, width=64 * 2**place, expansion=_EXPANSION, affine=affine)


def ssd300(
    *,
    extra: Sequence[Sequence[int]] = ((256, 512, 2), (256, 512, 2), (128, 256, 2), (128, 256, 1), (128, 256, 1)),
    boxes: Sequence[int] = (4, 6, 6, 6, 4, 4),
    classes: int = 81,
    image: Sequence[int] = (3, 300, 300),
    name: str = "ssd300-resnet50",
) -> Model:
    """SSD300 (Liu et al. 2015, arXiv 1512.02325) on the first three stages of ResNet-50, as MLPerf and NVIDIA have it.

    The third stage keeps its resolution (38 x 38). extra: middle channels, channels and stride of the added pairs of
    convolutions. boxes: default boxes a position of each map. The loss is over all boxes; mining them is left out.
    """
    check_sizes(extra=extra, boxes=boxes, classes=classes, image=image)
    check_shape(like="one for each map", length=len(extra) + 1, boxes=boxes)
    for pair in extra:
        check_shape(like="middle channels, channels, stride", length=3, extra=pair)
    tape = Tape()
    x = stem(tape, tape.image(*image))
    tape.close("stem", x)
    for place, (depth, stride) in enumerate(((3, 1), (4, 2), (6, 1))):
        x = stage_of(tape, x, _stage(place), depth=depth, stride=stride, name=f"layer{place + 1}")
    maps = [x]
    for middle, k, stride in extra:
        y = tape.relu(tape.norm(tape.conv(maps[-1], middle)))
        y = tape.conv(y, k, 3, stride=stride, pad=1 if stride > 1 else 0)
        maps.append(tape.relu(tape.norm(y)))
    tape.close("extra", maps[-1])
    found = 0
    for feature, count in zip(maps, boxes, strict=True):
        for values in (_CORNERS, classes):
            tape.conv(feature, count * values, 3, pad=1, bias=True)
        found += count * prod(feature.size)
    tape.loss(Feature(found * classes))
    tape.close("head", Feature(found * (classes + _CORNERS)), last=True)
    return tape.model(name)


def mask_rcnn(
    *,
    regions: int = 512,
    mask_regions: int = 128,
    classes: int = 81,
    anchors: int = 3,
    image: Sequence[int] = (3, 800, 1344),
    name: str = "mask-rcnn-r50-fpn",
) -> Model:
    """Mask R-CNN (He et al. 2017, arXiv 1703.06870) with ResNet-50 and a feature pyramid (arXiv 1612.03144).

    regions, mask_regions: what the box head and the mask head are trained on for one image: 512 sampled proposals, of
    which a quarter at most are positive; 1000 and 100 for testing. Approximated: every image has the one padded size
    given here, as many positives as the sampling allows, and proposals cost nothing to choose. The stem and the first
    stage are frozen, and so are the statistics of all batch norms.
    """
    check_sizes(regions=regions, mask_regions=mask_regions, classes=classes, anchors=anchors, image=image)
    tape = Tape()
    tape.frozen = True
    x = stem(tape, tape.image(*image), affine=True)
    tape.close("stem", x)
    maps = []
    for place, depth in enumerate((3, 4, 6, 3)):
        tape.frozen = place == 0
        shape = _stage(place, affine=True)
        x = stage_of(tape, x, shape, depth=depth, stride=1 if place == 0 else 2, name=f"layer{place + 1}")
        maps.append(x)
    levels = _pyramid(tape, maps)
    tape.close("pyramid", levels[0])
    for number, level in enumerate([*levels, tape.pool(levels[-1], 1, stride=2)]):
        again = number > 0
        y = tape.relu(tape.conv(level, _PYRAMID, 3, pad=1, bias=True, shared=again))
        tape.conv(y, anchors, bias=True, shared=again, name="score")
        tape.conv(y, anchors * _CORNERS, bias=True, shared=again, name="box")
    tape.close("proposals", levels[0])
    _box_head(tape, levels[0], regions, classes)
    tape.close("boxes", levels[0])
    _mask_head(tape, levels[0], mask_regions, classes)
    tape.close("masks", Feature(mask_regions * classes, (28, 28)), last=True)
    return tape.model(name)


def _pyramid(tape: Tape, maps: Sequence[Feature]) -> list[Feature]:
    """The maps of all stages at one width, coarse ones added to the finer ones."""
    sides = [tape.conv(x, _PYRAMID, bias=True) for x in maps]
    tops = [sides[-1]]
    for side in reversed(sides[:-1]):
        tops.insert(0, tape.add(side, tape.resample(tops[0], side.size)))
    return [tape.conv(x, _PYRAMID, 3, pad=1, bias=True) for x in tops]


def _box_head(tape: Tape, level: Feature, regions: int, classes: int) -> None:
    cut = tape.resample(level, (regions, 7, 7), "roi_align")
    y = tape.relu(tape.linear(cut, 1024, m=regions, split="column"), "heads")
    y = tape.relu(tape.linear(y, 1024, m=regions, split="row"))
    scores = tape.linear(y, classes, m=regions)
    tape.linear(y, classes * _CORNERS, m=regions)
    tape.loss(scores)


def _mask_head(tape: Tape, level: Feature, regions: int, classes: int) -> None:
    y = tape.resample(level, (regions, 14, 14), "roi_align")
    for _ in range(4):
        y = tape.relu(tape.conv(y, _PYRAMID, (1, 3, 3), pad=(0, 1, 1), bias=True))
    y = tape.relu(tape.conv(y, _PYRAMID, (1, 2, 2), stride=(1, 2, 2), bias=True, transposed=True))
    tape.loss(tape.conv(y, classes, bias=True))
