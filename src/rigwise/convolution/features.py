"""Feature maps of an image, and one convolution done in both domains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.filters import Kernel
from rigwise.convolution.fourier import good_length
from rigwise.convolution.geometry import Kind
from rigwise.convolution.photo import Photo
from rigwise.convolution.planes import Border, Size, lay
from rigwise.errors import UsageError

Floats = NDArray[np.float64]
MOST_KERNELS = 64
_REAL_TRANSFORM = 2.5  # FLOP of a real transform of n values over n log2 n, as benchmarks of transforms count


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feature:
    """What a kernel makes of an image: planes (channels, height, width), not clipped."""

    kernel: Kernel
    planes: Floats

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return float(self.planes.min()), float(self.planes.max())

    @property
    def mean(self) -> float:
        """The mean value."""
        return float(self.planes.mean())

    @property
    def says(self) -> str:
        """Least, greatest and mean value in words."""
        low, high = self.range
        return f"from {low:,.1f} to {high:,.1f}, mean {round(self.mean, 1) + 0.0:,.1f}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """An image under a bank of kernels: one feature map a kernel and channel."""

    photo: Photo
    maps: tuple[Feature, ...]
    size: Size
    border: Border
    kind: Kind

    @property
    def mean(self) -> float:
        """The mean of what the kernels see: of brightness, or of all colours."""
        seen = self.photo.planes if len(self.maps[0].planes) > 1 else self.photo.gray
        return float(seen.mean())

    @property
    def values(self) -> int:
        """Values in all maps."""
        return sum(each.planes.size for each in self.maps)

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON; the values are in what --save writes."""
        return {
            "image": self.photo.name,
            "image_size": [len(self.photo.planes), *self.photo.size],
            "size": self.size,
            "border": self.border,
            "kind": self.kind,
            "image_mean": self.mean,
            "maps": [
                {
                    "kernel": each.kernel.to_dict(),
                    "shape": list(each.planes.shape),
                    "least": each.range[0],
                    "greatest": each.range[1],
                    "mean": each.mean,
                }
                for each in self.maps
            ],
        }


def features(
    photo: Photo,
    kernels: Sequence[Kernel],
    *,
    normalise: bool = False,
    colour: bool = False,
    size: Size = "same",
    border: Border = "reflecting",
    kind: Kind = "convolution",
) -> Features:
    """The feature maps of an image. normalise: over each kernel's sum, so that total intensity is kept. colour: a map
    of each colour channel, and not of brightness alone.
    """
    if not 1 <= len(kernels) <= MOST_KERNELS:
        raise UsageError(f"{len(kernels)} kernels", rule=f"1 to {MOST_KERNELS}")
    planes = photo.planes if colour else photo.gray[None]
    used = [kernel.normalised() if normalise else kernel for kernel in kernels]
    maps = tuple(
        Feature(kernel=kernel, planes=lay(planes, kernel, size=size, border=border, kind=kind)) for kernel in used
    )
    return Features(photo=photo, maps=maps, size=size, border=border, kind=kind)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Domains:
    """One convolution, "full", by the definition and by the convolution theorem.

    spectra: of the padded image, the padded kernel and their product, complex. flops_space, flops_frequency: of the
    definition, and of three real transforms with the products of spectra.
    """

    photo: Photo
    kernel: Kernel
    image: Floats
    space: Floats
    frequency: Floats
    spectra: tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.complex128]]
    padded: tuple[int, int]
    flops_space: float
    flops_frequency: float

    @property
    def difference(self) -> float:
        """The largest difference of the two results, in grey levels."""
        return float(np.abs(self.space - self.frequency).max())

    @property
    def relative(self) -> float:
        """The largest difference over the largest magnitude."""
        return self.difference / (float(np.abs(self.space).max()) or 1.0)

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON."""
        return {
            "image": self.photo.name,
            "image_size": list(self.photo.size),
            "kernel": self.kernel.to_dict(),
            "output": list(self.space.shape),
            "padded": list(self.padded),
            "largest_difference": self.difference,
            "relative_difference": self.relative,
            "flop_space": self.flops_space,
            "flop_frequency": self.flops_frequency,
        }


def both_domains(photo: Photo, kernel: Kernel) -> Domains:
    """The full convolution of an image's brightness with a kernel, done twice in float64.

    >>> from rigwise.convolution.filters import read_kernel
    >>> noise = Photo(name="noise", planes=np.random.default_rng(0).random((1, 64, 64)))
    >>> found = both_domains(noise, read_kernel("box:7"))
    >>> found.space.shape, found.padded, found.difference < 1e-9
    ((70, 70), (70, 70), True)
    """
    plane = photo.gray
    space = lay(plane[None], kernel, size="full")[0]
    frequency = lay(plane[None], kernel, size="full", domain="frequency")[0]
    rows, columns = (good_length(n) for n in space.shape)
    image = np.fft.fftshift(np.fft.fft2(plane, (rows, columns)))
    bank = np.fft.fftshift(np.fft.fft2(kernel.values, (rows, columns)))
    bins = rows * columns
    return Domains(
        photo=photo,
        kernel=kernel,
        image=plane,
        space=space,
        frequency=frequency,
        spectra=(image, bank, image * bank),
        padded=(rows, columns),
        flops_space=2.0 * plane.size * kernel.values.size,
        flops_frequency=3 * _REAL_TRANSFORM * bins * math.log2(bins) + 6 * bins / 2,
    )
