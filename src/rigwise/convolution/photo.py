"""Images that kernels are laid on: a PNG of one's own, the cat that comes along, or stripes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.png import decode
from rigwise.errors import NotFoundError, UsageError

Floats = NDArray[np.float64]
SAMPLE = "cat"
MOST_PIXELS = 2048 * 2048
"""Of an image that is worked on; a larger one is to be shrunk."""

_MOST_BYTES = 2**28
_LUMA = (0.299, 0.587, 0.114)  # red, green, blue; ITU-R BT.601
_STRIPED = 256  # pixels a side of striped images
_MOST_WAVE = 256.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photo:
    """An image: planes (channels, height, width), 1 grey or 3 red-green-blue, 0 to 255."""

    name: str
    planes: Floats

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.planes.shape[1], self.planes.shape[2]

    @property
    def gray(self) -> Floats:
        """Brightness (height, width): Y = 0.299 R + 0.587 G + 0.114 B."""
        if len(self.planes) == 1:
            plane: Floats = self.planes[0]
            return plane
        out: Floats = np.tensordot(_LUMA, self.planes, axes=1)
        return out

    def shrunk(self, by: int) -> Photo:
        """The means of by x by pixels: a box kernel with stride `by`; what is left over at the end is cut off."""
        if by == 1:
            return self
        height, width = (n // by for n in self.size)
        if by < 1 or not height or not width:
            raise UsageError(f"shrink {by} of {_by(self.size)} pixels", rule="at least one pixel is left", nearest="2")
        kept = self.planes[:, : height * by, : width * by]
        return replace(self, planes=kept.reshape(-1, height, by, width, by).mean(axis=(2, 4)))


def read_photo(spec: str | Path | Photo = SAMPLE, shrink: int = 1) -> Photo:
    """The image that a text means: a PNG file, "cat" (the sample), "stripes:30:8" (degrees, pixels a stripe).

    shrink: take the means of so many by so many pixels. Raises NotFoundError where there is no such file, UsageError
    for what is no PNG or too large.

    >>> read_photo().size, read_photo(shrink=2).size
    ((256, 256), (128, 128))
    """
    if shrink < 1:
        raise UsageError(f"shrink {shrink}", rule="a whole number of at least 1")
    photo = spec if isinstance(spec, Photo) else _named(str(spec))
    photo = photo.shrunk(shrink)
    if math.prod(photo.size) > MOST_PIXELS:
        least = math.ceil(math.sqrt(math.prod(photo.size) / MOST_PIXELS)) * shrink
        raise UsageError(
            f"{photo.name} has {_by(photo.size)} pixels",
            rule=f"at most {MOST_PIXELS:,} are worked on",
            nearest=f"shrink {least}",
        )
    return photo


def _named(spec: str) -> Photo:
    if spec == SAMPLE:
        return _of(SAMPLE, (files("rigwise.convolution") / "data" / f"{SAMPLE}.png").read_bytes())
    if spec.startswith("stripes"):
        return _stripes(spec)
    path = Path(spec).expanduser()
    if path.is_dir():
        raise UsageError(f"{spec!r} is a folder", rule=f"an image is a PNG file, {SAMPLE}, or stripes:30:8")
    if not path.is_file():
        raise NotFoundError(f"no image {spec!r}", rule=f"a PNG file, {SAMPLE}, or stripes:30:8", nearest=SAMPLE)
    if path.stat().st_size > _MOST_BYTES:
        raise UsageError(f"{spec} has {path.stat().st_size:,} bytes", rule=f"at most {_MOST_BYTES:,} are read")
    return _of(path.name, path.read_bytes())


def _of(name: str, data: bytes) -> Photo:
    try:
        pixels = decode(data)
    except UsageError as error:
        raise UsageError(f"{name}: {error.says}", rule=error.rule, nearest=error.nearest) from None
    return Photo(name=name, planes=pixels.transpose(2, 0, 1).astype(np.float64))


def _stripes(spec: str) -> Photo:
    """A grey wave that runs at an angle and fades towards the border: what a spectrum shows as two spots."""
    try:
        degrees, wave = (float(part) for part in (spec.split(":") + ["30", "8"][len(spec.split(":")) - 1 :])[1:])
    except ValueError:
        raise UsageError(f"image {spec!r}", rule="stripes:DEGREES:PIXELS", nearest="stripes:30:8") from None
    if not (math.isfinite(degrees) and 2 <= wave <= _MOST_WAVE):
        raise UsageError(f"image {spec!r}", rule="a stripe is 2 to 256 pixels wide", nearest="stripes:30:8")
    y, x = np.mgrid[:_STRIPED, :_STRIPED].astype(np.float64)
    along = x * math.cos(math.radians(degrees)) + y * math.sin(math.radians(degrees))
    fading = np.outer(np.hanning(_STRIPED), np.hanning(_STRIPED))
    return Photo(name=spec, planes=(127.5 + 127.5 * fading * np.cos(2 * math.pi * along / wave))[None])


def _by(sizes: tuple[int, int]) -> str:
    return f"{sizes[1]:,} x {sizes[0]:,}"
