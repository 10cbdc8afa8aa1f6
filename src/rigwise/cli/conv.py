"""`rigwise conv` and `rigwise conv map`: a convolution's sizes, work and time by algorithm, and who wins where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from rigwise import api
from rigwise.cli.conv_images import diffuse_ as diffuse_
from rigwise.cli.conv_images import domains_ as domains_
from rigwise.cli.conv_images import find_ as find_
from rigwise.cli.conv_images import image_ as image_
from rigwise.cli.conv_images import learn_ as learn_
from rigwise.cli.conv_images import series_ as series_
from rigwise.cli.conv_images import spectrum_ as spectrum_
from rigwise.cli.conv_tables import draw_layer, draw_layers, draw_map
from rigwise.cli.files import check_picture, write_picture
from rigwise.cli.options import Look
from rigwise.errors import UsageError
from rigwise.models.operations import Conv

_SIZES = Group("Sizes of your own", sort_key=5)
_ON = Group("Device", sort_key=6)


@Parameter(name="*", group=_SIZES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A convolution that is no network's. Sizes of several dims stand with x between: 3x224x224, 7x7."""

    size: str = ""
    """Channels and sizes of the input: 3x224x224; 1 to 3 sizes."""
    to: int = 64
    """Channels out."""
    kernel: str = "3"
    """Kernel: 7, or 7x7."""
    stride: str = "1"
    """Stride."""
    pad: str = "same"
    """Padding: a number, one a dim (1x1), valid, same or full."""
    dilation: str = "1"
    """Dilation."""
    groups: int = 1
    """Groups; as many as channels for a depthwise convolution."""


@Parameter(name="*", group=_ON)
@dataclass(frozen=True, slots=True, kw_only=True)
class On:
    """What it would run on."""

    device: str = "h100"
    """A device of `rigwise hardware list`, or this."""
    precision: str | None = None
    """Type of the products; the device's best of 16 bit by default."""
    batch: int = 32
    """Images."""


def conv(
    model: str | None = None,
    /,
    *,
    layer: str = "",
    own: Own = Own(),
    on: On = On(),
    save: Path | None = None,
    look: Look = Look(),
) -> None:
    """A convolution: sizes, receptive field, FLOP, bytes, intensity, and the time that each algorithm takes.

    Parameters
    ----------
    model
        A network of `rigwise model list` or of your own; without --layer all its convolutions are listed.
    layer
        A layer of it: its name, a part that only one layer has, or its number.
    save
        Write a picture here (.svg or .png): each algorithm's time.
    """
    check_picture(save)
    if (model is None) == (not own.size):
        what = "a network and sizes of your own" if model else "neither a network nor sizes"
        raise UsageError(what, rule="one of the two", nearest="rigwise conv resnet50, or --size 64x56x56 --to 64")
    if model and not layer:
        _all_layers(model, on, save, look)
        return
    asked = model if model else _own(own)
    found = api.conv_layer(asked, layer, device=on.device, precision=on.precision, batch=on.batch)
    if save:
        from rigwise.report.conv_map import layer_svg

        write_picture(save, layer_svg(found))
    look.answer(found.to_dict, lambda screen: draw_layer(screen, found, look.chatty))
    if save:
        look.note(f"picture: {save}")


def _all_layers(model: str, on: On, save: Path | None, look: Look) -> None:
    if save:
        raise UsageError("a picture of all layers", rule="a picture is of one layer", nearest="--layer NAME")
    layers = api.conv_layers(model)
    found = [
        api.conv_layer(model, str(place), device=on.device, precision=on.precision, batch=on.batch)
        for place in range(1, len(layers) + 1)
    ]
    look.answer(
        lambda: {"model": model, "layers": [each.to_dict() for each in found]},
        lambda screen: draw_layers(screen, model, found, look.chatty),
    )


def _own(said: Own) -> Conv:
    """The sizes as a geometry. Raises UsageError where they do not fit."""
    from rigwise.convolution.geometry import geometry

    c, *size = _numbers("size", said.size)
    dims = len(size)
    if not 1 <= dims <= 3 or min(c, *size, said.to, said.groups) < 1:
        raise UsageError(f"--size {said.size}", rule="channels and 1 to 3 sizes, at least 1", nearest="3x224x224")
    kernel, stride, dilation = (_each(name, getattr(said, name), dims) for name in ("kernel", "stride", "dilation"))
    if min(*kernel, *stride, *dilation) < 1:
        raise UsageError(f"kernel {said.kernel}, stride {said.stride}", rule="at least 1 each")
    reach = [d * (r - 1) + 1 for r, d in zip(kernel, dilation, strict=True)]
    words = {"valid": [0] * dims, "same": [r // 2 for r in reach], "full": [r - 1 for r in reach]}
    pad = words.get(said.pad) or _each("pad", said.pad, dims)
    if c % said.groups or said.to % said.groups:
        raise UsageError(f"{c} and {said.to} channels in {said.groups} groups", rule="multiples of the groups")
    x, w = (1, c, *size), (said.to, c // said.groups, *kernel)
    geometry(x, w, stride=stride, padding=tuple(pad), dilation=dilation, groups=said.groups)
    return Conv(
        c=c,
        k=said.to,
        size=tuple(size),
        kernel=kernel,
        stride=stride,
        pad=tuple(pad),
        dilation=dilation,
        groups=said.groups,
    )


def _each(name: str, text: str, dims: int) -> tuple[int, ...]:
    values = _numbers(name, text)
    values = values * dims if len(values) == 1 else values
    if len(values) != dims:
        raise UsageError(f"--{name} {text}", rule=f"one number, or {dims} with x between")
    return tuple(values)


def _numbers(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.lower().split("x")]
    except ValueError:
        raise UsageError(f"--{name} {text}", rule="whole numbers with x between", nearest="3x224x224") from None


def map_(
    *,
    channels: int = 64,
    to: int | None = None,
    groups: int = 1,
    kernels: Annotated[str, Parameter(negative="")] = ",".join(map(str, api.KERNELS)),
    sizes: Annotated[str, Parameter(negative="")] = ",".join(map(str, api.SIZES)),
    which: Annotated[Literal["forward", "input_gradient", "weight_gradient"], Parameter(name="--pass")] = "forward",
    on: On = On(),
    save: Path | None = None,
    look: Look = Look(),
) -> None:
    """Which algorithm wins where: a map over kernel and image size.

    Parameters
    ----------
    channels
        Channels in.
    to
        Channels out; as many as in by default.
    groups
        Groups; as many as channels for depthwise convolutions.
    kernels
        Kernels, pixels a side, with commas.
    sizes
        Images, pixels a side, with commas.
    which
        forward, input_gradient or weight_gradient.
    save
        Write the map here (.svg or .png).
    """
    check_picture(save)
    found = api.conv_map(
        device=on.device,
        precision=on.precision,
        channels=(channels, channels if to is None else to),
        groups=groups,
        batch=on.batch,
        kernels=_list("kernels", kernels),
        sizes=_list("sizes", sizes),
        which=which,
    )
    if save:
        from rigwise.report.conv_map import map_svg

        write_picture(save, map_svg(found))
    look.answer(found.to_dict, lambda screen: draw_map(screen, found, look.chatty))
    if save:
        look.note(f"picture: {save}")


def _list(name: str, text: str) -> list[int]:
    try:
        return sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(f"--{name} {text}", rule="whole numbers with commas", nearest="3,5,7") from None
