"""DenseNet: every layer sees what all layers of its stage made. A dense layer is one Block."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.models.features import Feature, Tape
from rigwise.models.model import Model
from rigwise.models.sizes import check_sizes


def densenet(
    *,
    depths: Sequence[int],
    growth: int = 32,
    start: int = 64,
    squeeze: int = 4,
    image: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    name: str = "densenet",
) -> Model:
    """DenseNet-BC (Huang et al. 2016, arXiv 1608.06993, table 1).

    depths: layers of the stages. growth: channels that a layer adds; it makes squeeze x growth of them first. What a
    layer hands on grows, so that no two blocks of a stage are equal.

    >>> model = densenet(depths=[6, 12, 24, 16])
    >>> model.parameters, round(model.flops / 2e9, 2)
    (7978856.0, 2.83)
    """
    check_sizes(depths=depths, growth=growth, start=start, squeeze=squeeze, image=image, classes=classes)
    tape = Tape()
    x = tape.relu(tape.norm(tape.conv(tape.image(*image), start, 7, stride=2, pad=3)))
    x = tape.pool(x, 3, stride=2, pad=1)
    tape.close("stem", x)
    for stage, depth in enumerate(depths):
        for number in range(depth):
            y = tape.conv(tape.relu(tape.norm(x)), squeeze * growth)
            y = tape.conv(tape.relu(tape.norm(y)), growth, 3, pad=1)
            x = tape.concat([x, y])
            tape.close(f"dense{stage + 1}.{number + 1}", x)
        if stage < len(depths) - 1:
            x = tape.pool(tape.conv(tape.relu(tape.norm(x)), x.c // 2), 2, average=True)
            tape.close(f"transition{stage + 1}", x)
    x = tape.global_pool(tape.relu(tape.norm(x)))
    tape.loss(tape.linear(tape.flatten(x), classes))
    tape.close("head", Feature(classes), last=True)
    return tape.model(name)
