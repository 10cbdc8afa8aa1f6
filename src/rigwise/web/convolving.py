"""The convolution laboratory over HTTP: pictures come in as base64 and go out as data addresses.

A picture is decoded with the package's own reader, and its size is looked at before any memory is taken for it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise import api
from rigwise.convolution.filters import read_kernel
from rigwise.convolution.geometry import geometry
from rigwise.convolution.kernels import direct_forward
from rigwise.convolution.photo import Photo, read_photo
from rigwise.convolution.planes import shown
from rigwise.convolution.png import decode, encode
from rigwise.convolution.spectrum import log_spectrum
from rigwise.errors import UsageError

MOST_SIDE = 1024  # pixels of a picture that is sent along
GRID = 14  # pixels a side of the image that is looked at pixel by pixel
_MOST_TAPS = 11
_HEAD = slice(16, 24)  # width and height in a PNG's first part
Floats = NDArray[np.float64]


def photo_of(said: dict[str, Any]) -> Photo:
    """The image that a request means, taken out of it. Raises UsageError for what is no PNG, or too large."""
    name, text = said.pop("image", "cat"), said.pop("picture", None)
    if text is None:
        return read_photo(name)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("the picture is no base64", rule="a PNG, as base64") from None
    sides = [int.from_bytes(data[_HEAD][place : place + 4]) for place in (0, 4)]
    if max(sides) > MOST_SIDE:
        raise UsageError(f"{sides[0]:,} x {sides[1]:,} pixels", rule=f"at most {MOST_SIDE:,} a side over HTTP")
    pixels = decode(data)
    return Photo(name="your picture", planes=pixels.transpose(2, 0, 1).astype(np.float64))


def features(said: dict[str, Any]) -> Mapping[str, Any]:
    """An image under kernels: the figures, and the maps as pictures."""
    photo = photo_of(said)
    found = api.conv_features(photo, said.pop("kernels"), **said)
    maps = [address(each.planes, signed=each.kernel.signed) for each in found.maps]
    return {**found.to_dict(), "drawing": {"image": address(photo.planes), "maps": maps}}


def spectrum(said: dict[str, Any]) -> Mapping[str, Any]:
    """An image's frequencies: the figures, and the spectrum and both parts as pictures."""
    photo = photo_of(said)
    found = api.conv_spectrum(photo, **said)
    seen = log_spectrum(photo.gray)
    drawn = {"image": photo.gray, "spectrum": seen, "low": found.low, "kept": np.where(found.mask, seen, 0)}
    pictures = {name: address(plane[None]) for name, plane in drawn.items()}
    return {
        "image": photo.name,
        **found.to_dict(),
        "drawing": {**pictures, "high": address(found.high[None], signed=True)},
    }


def pixel(said: dict[str, Any]) -> Mapping[str, Any]:
    """An image made small, a kernel as it is laid on, and what comes out: all the numbers of a convolution."""
    photo = photo_of(said)
    plane = small(photo.gray, GRID)
    kernel = read_kernel(said.get("kernel", "sobel-x"))
    if max(kernel.size) > _MOST_TAPS:
        raise UsageError(f"kernel {kernel.name!r} has {kernel.size[1]} x {kernel.size[0]} taps", rule="11 at most here")
    kind = said.get("kind", "convolution")
    laid = kernel if kind == "cross-correlation" else kernel.turned()
    step = {name: said.get(name, usual) for name, usual in (("stride", 1), ("padding", 1), ("dilation", 1))}
    x, w = plane[None, None], np.ascontiguousarray(laid.values)[None, None]
    shape = geometry(x.shape, w.shape, **step)
    out = direct_forward(x, w, shape)[0, 0]
    rows = {"input": plane, "laid": laid.values, "output": out}
    return {
        "image": photo.name,
        "kernel": kernel.to_dict(),
        "kind": kind,
        **step,
        **{name: [[float(f"{v:.6g}") for v in row] for row in values] for name, values in rows.items()},
    }


def layers(said: dict[str, Any]) -> Mapping[str, Any]:
    """The convolutions of a network, by name."""
    rows = [
        {
            "name": each.name,
            "count": each.count,
            "channels": [each.shape.c, each.shape.k],
            "size": list(each.shape.size),
            "kernel": list(each.shape.kernel),
        }
        for each in api.conv_layers(said["model"])
    ]
    return {"model": said["model"], "layers": rows}


def small(plane: Floats, side: int) -> Floats:
    """The middle square of a plane as side by side means.

    >>> small(np.arange(16.0).reshape(4, 4), 2).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    least = min(plane.shape)
    if least < side:
        raise UsageError(f"{plane.shape[1]} x {plane.shape[0]} pixels", rule=f"at least {side} a side")
    by = least // side
    top, left = ((n - by * side) // 2 for n in plane.shape)
    cut = plane[top : top + by * side, left : left + by * side]
    return np.asarray(cut.reshape(side, by, side, by).mean(axis=(1, 3)))


def address(planes: Floats, *, signed: bool = False) -> str:
    """Planes (1 or 3, height, width) as the address of a PNG that holds them."""
    pixels = shown(planes, signed=signed).transpose(1, 2, 0)
    return "data:image/png;base64," + base64.b64encode(encode(np.ascontiguousarray(pixels))).decode()
