"""GoogLeNet and Inception v3. An inception module is one Block."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.errors import UsageError
from rigwise.models.features import Feature, Tape
from rigwise.models.model import Model
from rigwise.models.sizes import check_sizes

_AUXILIARY_WIDTH, _AUXILIARY_DENSE = 128, 1024
_WIDTHS = 6  # of a module: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; behind the pooling


def googlenet(
    *,
    modules: Sequence[Sequence[Sequence[int]]],
    batch_norm: bool = False,
    kernel: int = 5,
    auxiliary: bool = False,
    image: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    name: str = "googlenet",
) -> Model:
    """GoogLeNet (Szegedy et al. 2014, arXiv 1409.4842, table 1).

    modules: three groups of inception modules, a pooling after each of the first two; a module is its widths: 1x1,
    3x3 reduced, 3x3, 5x5 reduced, 5x5, pooled. batch_norm with kernel 3 in place of 5 is the form of torchvision;
    without it there are biases and local response normalisation. auxiliary: the two classifiers that help training,
    after the first and the fourth module of the second group.
    """
    check_sizes(modules=modules, kernel=kernel, image=image, classes=classes)
    shape = f"three groups of modules, each of {_WIDTHS} widths"
    if len(modules) != 3 or not all(_is_group(group) for group in modules):
        raise UsageError(f"modules={modules}", rule=shape)
    tape = Tape()
    x = _conv(tape, tape.image(*image), 64, 7, stride=2, pad=3, norm=batch_norm)
    x = tape.pool(x, 3, stride=2, ceiling=True)
    x = x if batch_norm else tape.lrn(x)
    x = _conv(tape, _conv(tape, x, 64, norm=batch_norm), 192, 3, pad=1, norm=batch_norm)
    x = x if batch_norm else tape.lrn(x)
    x = tape.pool(x, 3, stride=2, ceiling=True)
    tape.close("stem", x)
    for place, group in enumerate(modules):
        for number, widths in enumerate(group):
            x = _module(tape, x, widths, kernel, batch_norm)
            last = number == len(group) - 1
            if last and place < 2:
                # torchvision's form pools the second time over windows of 2
                x = tape.pool(x, 2 if batch_norm and place == 1 else 3, stride=2, ceiling=True)
            tape.close(f"inception{place + 3}{'abcdefgh'[number]}", x)
            if auxiliary and place == 1 and number in (0, 3):
                _auxiliary(tape, x, classes, batch_norm)
    tape.loss(tape.linear(tape.dropout(tape.flatten(tape.global_pool(x))), classes))
    tape.close("head", Feature(classes), last=True)
    return tape.model(name)


def _is_group(group: object) -> bool:
    lists = (list, tuple)
    return isinstance(group, lists) and all(isinstance(widths, lists) and len(widths) == _WIDTHS for widths in group)


def _conv(
    tape: Tape,
    x: Feature,
    k: int,
    kernel: int | tuple[int, int] = 1,
    *,
    stride: int = 1,
    pad: int | tuple[int, int] = 0,
    norm: bool = True,
) -> Feature:
    y = tape.conv(x, k, kernel, stride=stride, pad=pad, bias=not norm)
    return tape.relu(tape.norm(y) if norm else y)


def _module(tape: Tape, x: Feature, widths: Sequence[int], kernel: int, norm: bool) -> Feature:
    one, three_in, three, five_in, five, pooled = widths
    parts = [
        _conv(tape, x, one, norm=norm),
        _conv(tape, _conv(tape, x, three_in, norm=norm), three, 3, pad=1, norm=norm),
        _conv(tape, _conv(tape, x, five_in, norm=norm), five, kernel, pad=kernel // 2, norm=norm),
        _conv(tape, tape.pool(x, 3, stride=1, pad=1), pooled, norm=norm),
    ]
    return tape.concat(parts)


def _auxiliary(tape: Tape, x: Feature, classes: int, norm: bool) -> None:
    """A classifier on the side; its block hands on the main feature."""
    small = tape.pool(x, 5, stride=3, average=True)
    y = tape.flatten(_conv(tape, small, _AUXILIARY_WIDTH, norm=norm))
    tape.loss(tape.linear(tape.dropout(tape.relu(tape.linear(y, _AUXILIARY_DENSE))), classes))
    tape.close("auxiliary", x)


def inception_v3(
    *,
    image: Sequence[int] = (3, 299, 299),
    classes: int = 1000,
    auxiliary: bool = False,
    name: str = "inception-v3",
) -> Model:
    """Inception v3 (Szegedy et al. 2015, arXiv 1512.00567) in the form of torchvision and TF-slim.

    >>> model = inception_v3()
    >>> model.parameters, round(model.flops / 2e9, 2)
    (23834568.0, 5.71)
    """
    check_sizes(image=image, classes=classes)
    tape = Tape()
    x = _conv(tape, tape.image(*image), 32, 3, stride=2)
    x = _conv(tape, _conv(tape, x, 32, 3), 64, 3, pad=1)
    x = tape.pool(x, 3, stride=2)
    x = tape.pool(_conv(tape, _conv(tape, x, 80), 192, 3), 3, stride=2)
    tape.close("stem", x)
    for pooled in (32, 64, 64):
        x = _wide(tape, x, pooled)
        tape.close("mixed5", x)
    x = _shrink_wide(tape, x)
    tape.close("mixed6a", x)
    for width in (128, 160, 160, 192):
        x = _long(tape, x, width)
        tape.close("mixed6", x)
    if auxiliary:
        y = _conv(tape, tape.pool(x, 5, stride=3, average=True), 128)
        y = _conv(tape, y, 768, y.size[0])
        tape.loss(tape.linear(tape.flatten(tape.global_pool(y)), classes))
        tape.close("auxiliary", x)
    x = _shrink_long(tape, x)
    tape.close("mixed7a", x)
    for _ in range(2):
        x = _fanned(tape, x)
        tape.close("mixed7", x)
    tape.loss(tape.linear(tape.dropout(tape.flatten(tape.global_pool(x))), classes))
    tape.close("head", Feature(classes), last=True)
    return tape.model(name)


def _wide(tape: Tape, x: Feature, pooled: int) -> Feature:
    one = _conv(tape, x, 64)
    five = _conv(tape, _conv(tape, x, 48), 64, 5, pad=2)
    three = _conv(tape, _conv(tape, _conv(tape, x, 64), 96, 3, pad=1), 96, 3, pad=1)
    pool = _conv(tape, tape.pool(x, 3, stride=1, pad=1, average=True), pooled)
    return tape.concat([one, five, three, pool])


def _shrink_wide(tape: Tape, x: Feature) -> Feature:
    three = _conv(tape, x, 384, 3, stride=2)
    twice = _conv(tape, _conv(tape, _conv(tape, x, 64), 96, 3, pad=1), 96, 3, stride=2)
    return tape.concat([three, twice, tape.pool(x, 3, stride=2)])


def _row(tape: Tape, x: Feature, k: int) -> Feature:
    return _conv(tape, x, k, (1, 7), pad=(0, 3))


def _column(tape: Tape, x: Feature, k: int) -> Feature:
    return _conv(tape, x, k, (7, 1), pad=(3, 0))


def _long(tape: Tape, x: Feature, width: int) -> Feature:
    one = _conv(tape, x, 192)
    seven = _column(tape, _row(tape, _conv(tape, x, width), width), 192)
    twice = _column(tape, _row(tape, _column(tape, _conv(tape, x, width), width), width), width)
    pool = _conv(tape, tape.pool(x, 3, stride=1, pad=1, average=True), 192)
    return tape.concat([one, seven, _row(tape, twice, 192), pool])


def _shrink_long(tape: Tape, x: Feature) -> Feature:
    three = _conv(tape, _conv(tape, x, 192), 320, 3, stride=2)
    seven = _conv(tape, _column(tape, _row(tape, _conv(tape, x, 192), 192), 192), 192, 3, stride=2)
    return tape.concat([three, seven, tape.pool(x, 3, stride=2)])


def _fanned(tape: Tape, x: Feature) -> Feature:
    def fan(y: Feature) -> Feature:
        return tape.concat([_conv(tape, y, 384, (1, 3), pad=(0, 1)), _conv(tape, y, 384, (3, 1), pad=(1, 0))])

    one = _conv(tape, x, 320)
    three = fan(_conv(tape, x, 384))
    twice = fan(_conv(tape, _conv(tape, x, 448), 384, 3, pad=1))
    pool = _conv(tape, tape.pool(x, 3, stride=1, pad=1, average=True), 192)
    return tape.concat([one, three, twice, pool])
