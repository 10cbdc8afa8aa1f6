"""Kernels laid on images: every channel on its own, at a border of one's choice, in the image's domain or the
frequencies'.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.filters import Kernel
from rigwise.convolution.fourier import fft_forward
from rigwise.convolution.geometry import KINDS, Kind, geometry
from rigwise.convolution.kernels import direct_forward
from rigwise.errors import UsageError

Floats = NDArray[np.float64]
Size = Literal["valid", "same", "full"]
Border = Literal["zero", "periodic", "reflecting"]
Domain = Literal["space", "frequency"]
BORDERS: tuple[Border, ...] = get_args(Border)
_NOT_CLIPPED = 0.995
_MODES: dict[str, Literal["constant", "wrap", "symmetric"]] = {
    "zero": "constant",
    "periodic": "wrap",
    "reflecting": "symmetric",
}


def lay(
    planes: Floats,
    kernel: Kernel,
    *,
    size: Size = "same",
    border: Border = "zero",
    kind: Kind = "convolution",
    domain: Domain = "space",
) -> Floats:
    """Planes (channels, height, width) under a kernel, each channel alone.

    size: "valid" where the kernel lies within the image, "same" as large as the image, "full" wherever they touch.
    border: what lies beyond the image. domain: "space" sums products tap by tap, "frequency" multiplies spectra.
    Raises UsageError for a kernel larger than the image.

    >>> bright = np.full((1, 4, 4), 90.0)
    >>> from rigwise.convolution.filters import read_kernel
    >>> lay(bright, read_kernel("blur"), size="valid").round(9).tolist()
    [[[90.0, 90.0], [90.0, 90.0]]]
    """
    check_fits(planes.shape[1:], kernel)
    for word, given, known in (("border", border, BORDERS), ("kind", kind, KINDS), ("size", size, get_args(Size))):
        if given not in known:
            raise UsageError(f"{word}={given!r}", rule=" or ".join(known))
    rows, columns = kernel.size
    seen, how = planes, size
    if size == "same" and border != "zero":
        ahead = [((n - 1) // 2, n // 2) for n in (rows, columns)]
        pad = [side if kind == "cross-correlation" else side[::-1] for side in ahead]
        seen, how = np.pad(planes, ((0, 0), *pad), mode=_MODES[border]), "valid"
    values = kernel.values if kind == "cross-correlation" else kernel.turned().values
    x, w = seen[:, None], np.ascontiguousarray(values)[None, None]
    shape = geometry(x.shape, w.shape, padding=how, kind=kind)
    out = (direct_forward if domain == "space" else fft_forward)(x, w, shape)
    return np.asarray(out[:, 0], dtype=np.float64)


def check_fits(size: tuple[int, ...], kernel: Kernel) -> None:
    """Refuse a kernel that is larger than the image."""
    if any(r > n for r, n in zip(kernel.size, size, strict=True)):
        raise UsageError(
            f"kernel {kernel.name!r} of {kernel.size[1]} x {kernel.size[0]} on an image of {size[1]} x {size[0]}",
            rule="a kernel is at most as large as the image",
            nearest="a smaller kernel, or a larger image",
        )


def shown(plane: Floats, *, signed: bool = False) -> NDArray[np.uint8]:
    """A plane as pixels: clipped to 0 to 255, or, signed, with 0 as middle grey.

    The half percent of the largest magnitudes are clipped, so that one bright pixel does not make a map flat.
    """
    if signed:
        most = float(np.quantile(np.abs(plane), _NOT_CLIPPED)) or float(np.abs(plane).max()) or 1.0
        plane = 127.5 + 127.5 * plane / most
    return np.rint(np.clip(plane, 0, 255)).astype(np.uint8)
