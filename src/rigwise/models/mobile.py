"""Small convolutional networks: MobileNet v2, MNASNet, EfficientNet, ShuffleNet v2 and SqueezeNet.

An inverted residual, a shuffle unit or a fire module is one Block.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from rigwise.errors import UsageError
from rigwise.models.features import Feature, Tape
from rigwise.models.model import Model
from rigwise.models.resnet import squeeze_excite
from rigwise.models.sizes import check_shape, check_sizes

_STAGE = 5  # numbers of a stage: expansion, channels, repeats, stride, kernel
_SQUEEZE_SHARE = 4
_ACTIVATIONS = ("relu", "relu6", "silu")


def inverted(
    *,
    stages: Sequence[Sequence[int]],
    stem: int = 32,
    head: int = 1280,
    activation: str = "relu",
    excite: str = "none",
    width: float = 1.0,
    depth: float = 1.0,
    image: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    name: str = "inverted",
) -> Model:
    """A net of inverted residuals: MobileNet v2 (arXiv 1801.04381), MNASNet (1807.11626), EfficientNet (1905.11946).

    stages: expansion, channels, repeats, stride and kernel of each. activation: relu, relu6 or silu. excite: "none",
    "block" (the squeeze has a quarter of the block's input channels) or "wide" (a quarter of the expanded channels).
    width and depth scale channels, rounded to multiples of 8, and repeats, rounded up.

    >>> v2 = [[1, 16, 1, 1, 3], [6, 24, 2, 2, 3], [6, 32, 3, 2, 3], [6, 64, 4, 2, 3], [6, 96, 3, 1, 3]]
    >>> inverted(stages=[*v2, [6, 160, 3, 2, 3], [6, 320, 1, 1, 3]]).parameters
    3504872.0
    """
    check_sizes(stages=stages, stem=stem, head=head, image=image, classes=classes)
    for stage in stages:
        check_shape(like="expansion, channels, repeats, stride, kernel", length=_STAGE, stage=stage)
    if not all(isinstance(scale, (int, float)) and scale > 0 for scale in (width, depth)):
        raise UsageError(f"width={width!r}, depth={depth!r}", rule="factors above 0")
    if excite not in ("none", "block", "wide") or activation not in _ACTIVATIONS:
        raise UsageError(
            f"excite={excite!r}, activation={activation!r}",
            rule=f"excite: none, block, wide; activation: {', '.join(_ACTIVATIONS)}",
        )
    tape = Tape()
    x = _conv(tape, tape.image(*image), rounded(stem * width), 3, stride=2, activation=activation)
    tape.close("stem", x)
    for place, (expansion, channels, repeats, stride, kernel) in enumerate(stages):
        k = rounded(channels * width)
        for number in range(ceil(repeats * depth)):
            step = stride if number == 0 else 1
            x = _inverted(tape, x, expansion, k, kernel, step, activation, excite)
            tape.close(f"stage{place + 1}", x)
    x = _conv(tape, x, rounded(head * max(width, 1.0)), activation=activation)
    x = tape.dropout(tape.flatten(tape.global_pool(x)))
    tape.loss(tape.linear(x, classes))
    tape.close("head", Feature(classes), last=True)
    return tape.model(name)


def rounded(channels: float) -> int:
    """Channels as a multiple of 8, never more than a tenth below.

    >>> rounded(32 * 1.4), rounded(33.0)
    (48, 32)
    """
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def _act(tape: Tape, x: Feature, activation: str) -> Feature:
    return tape.relu(x) if activation == "relu" else tape.smooth(x, activation)


def _conv(
    tape: Tape,
    x: Feature,
    k: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: str = "relu",
) -> Feature:
    y = tape.norm(tape.conv(x, k, kernel, stride=stride, pad=kernel // 2, groups=groups))
    return _act(tape, y, activation) if activation else y


def _inverted(
    tape: Tape, x: Feature, expansion: int, k: int, kernel: int, stride: int, activation: str, excite: str
) -> Feature:
    wide = x.c * expansion
    y = _conv(tape, x, wide, activation=activation) if expansion > 1 else x
    y = _conv(tape, y, wide, kernel, stride=stride, groups=wide, activation=activation)
    if excite != "none":
        squeezed = max(1, (x.c if excite == "block" else wide) // _SQUEEZE_SHARE)
        y = squeeze_excite(tape, y, squeezed, smooth=activation == "silu")
    y = _conv(tape, y, k, activation="")
    return tape.add(x, y) if stride == 1 and x.c == k else y


def shufflenet_v2(
    *,
    repeats: Sequence[int] = (4, 8, 4),
    channels: Sequence[int] = (24, 116, 232, 464, 1024),
    image: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    name: str = "shufflenet-v2",
) -> Model:
    """ShuffleNet v2 (Ma et al. 2018, arXiv 1807.11164, table 5).

    >>> shufflenet_v2().parameters
    2278604.0
    """
    check_sizes(repeats=repeats, channels=channels, image=image, classes=classes)
    check_shape(like="stem, the stages, head", length=len(repeats) + 2, channels=channels)
    tape = Tape()
    x = tape.pool(_conv(tape, tape.image(*image), channels[0], 3, stride=2), 3, stride=2, pad=1)
    tape.close("stem", x)
    for stage, (count, k) in enumerate(zip(repeats, channels[1:-1], strict=True)):
        x = _shuffle_down(tape, x, k)
        tape.close(f"stage{stage + 2}", x)
        for _ in range(count - 1):
            x = _shuffle_unit(tape, x)
            tape.close(f"stage{stage + 2}", x)
    x = _conv(tape, x, channels[-1])
    tape.loss(tape.linear(tape.flatten(tape.global_pool(x)), classes))
    tape.close("head", Feature(classes), last=True)
    return tape.model(name)


def _shuffle_branch(tape: Tape, x: Feature, k: int, stride: int) -> Feature:
    y = _conv(tape, x, k)
    y = _conv(tape, y, k, 3, stride=stride, groups=k, activation="")
    return _conv(tape, y, k)


def _shuffle_down(tape: Tape, x: Feature, k: int) -> Feature:
    around = _conv(tape, _conv(tape, x, x.c, 3, stride=2, groups=x.c, activation=""), k // 2)
    return tape.shuffle(tape.concat([around, _shuffle_branch(tape, x, k // 2, 2)]))


def _shuffle_unit(tape: Tape, x: Feature) -> Feature:
    kept, used = tape.halves(x)
    return tape.shuffle(tape.concat([kept, _shuffle_branch(tape, used, used.c, 1)]))


def squeezenet(
    *,
    fires: Sequence[Sequence[int]],
    stem: int = 64,
    image: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    name: str = "squeezenet",
) -> Model:
    """SqueezeNet 1.1 (Iandola et al. 2016, arXiv 1602.07360, and its later release).

    fires: groups of fire modules by their squeezed width, each expanded to four times of it twice; a pooling before
    every group.
    """
    check_sizes(fires=fires, stem=stem, image=image, classes=classes)
    for group in fires:
        check_sizes(fires=[group] if isinstance(group, (list, tuple)) else 0)
    tape = Tape()
    x = tape.relu(tape.conv(tape.image(*image), stem, 3, stride=2, bias=True))
    tape.close("stem", x)
    for place, group in enumerate(fires):
        for number, squeezed in enumerate(group):
            x = tape.pool(x, 3, stride=2, ceiling=True) if number == 0 else x
            y = tape.relu(tape.conv(x, squeezed, bias=True))
            wide = 4 * squeezed
            one = tape.relu(tape.conv(y, wide, bias=True))
            x = tape.concat([one, tape.relu(tape.conv(y, wide, 3, pad=1, bias=True))])
            tape.close(f"fire{place + 1}", x)
    x = tape.relu(tape.conv(tape.dropout(x), classes, bias=True))
    tape.loss(tape.flatten(tape.global_pool(x)))
    tape.close("head", Feature(classes), last=True)
    return tape.model(name)
