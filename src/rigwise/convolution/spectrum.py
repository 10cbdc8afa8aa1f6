"""The frequencies of an image: its log spectrum, and what a disc of them keeps.

A two-dimensional transform with frequency 0 in the middle, as people show it. A disc that keeps the middle is a low
pass, its complement a high pass. Radius r is in cycles an image, counted along the shorter side: r = 32 of a square
of 256 keeps the 3,209 frequencies within 32 of the middle. Shares are of energy, which Parseval's theorem says is the
same in both domains: sum |x|^2 = sum |X|^2 / (H W).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError

Floats = NDArray[np.float64]
_NEAR = 1e-9


def log_spectrum(plane: Floats) -> Floats:
    """log(1 + |X|) with frequency 0 in the middle, from 0 to 255."""
    seen = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(plane))))
    most = float(seen.max())
    return seen * (255 / most) if most else seen


def disc(size: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """The frequencies within `radius` cycles of the middle, which is where fftshift puts frequency 0.

    >>> int(disc((256, 256), 32).sum())
    3209
    """
    down, across = (np.fft.fftshift(np.fft.fftfreq(n)) * min(size) for n in size)
    return np.asarray(down[:, None] ** 2 + across[None, :] ** 2 <= radius**2 * (1 + _NEAR))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passed:
    """An image divided into low and high frequencies at a radius.

    energy: share of the sum of squares that the low ones keep; energy_of_change: the same without the mean, which is
    frequency 0 and nearly all of a photograph. bins: frequencies that are kept.
    """

    radius: float
    spectrum: NDArray[np.complex128]
    mask: NDArray[np.bool_]
    low: Floats
    high: Floats
    energy: float
    energy_of_change: float

    @property
    def bins(self) -> int:
        """Frequencies that the low pass keeps."""
        return int(self.mask.sum())

    @property
    def share_of_bins(self) -> float:
        """Share of the frequencies that the low pass keeps."""
        return self.bins / self.mask.size

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON."""
        return {
            "size": list(self.mask.shape),
            "radius": self.radius,
            "bins_kept": self.bins,
            "bins": self.mask.size,
            "share_of_bins": self.share_of_bins,
            "share_of_energy_low": self.energy,
            "share_of_energy_high": 1 - self.energy,
            "share_of_energy_low_without_mean": self.energy_of_change,
        }


def passed(plane: Floats, radius: float) -> Passed:
    """Divide a plane (height, width) at `radius` cycles an image; low + high is the plane."""
    largest = float(np.hypot(*plane.shape) / 2)
    if not 0 <= radius <= largest:
        says = f"radius {radius:g} of {plane.shape[1]} x {plane.shape[0]} frequencies"
        raise UsageError(says, rule=f"from 0 to {largest:.0f} cycles", nearest=f"{min(plane.shape) // 8}")
    spectrum = np.asarray(np.fft.fftshift(np.fft.fft2(plane)), dtype=np.complex128)
    mask = disc((plane.shape[0], plane.shape[1]), radius)
    low = np.fft.ifft2(np.fft.ifftshift(np.where(mask, spectrum, 0))).real
    power = np.abs(spectrum) ** 2
    mean = float(power[plane.shape[0] // 2, plane.shape[1] // 2])
    whole, kept = float(power.sum()), float(power[mask].sum())
    change = whole - mean
    return Passed(
        radius=radius,
        spectrum=spectrum,
        mask=mask,
        low=low,
        high=plane - low,
        energy=kept / whole if whole else 1.0,
        energy_of_change=(kept - mean) / change if change > _NEAR * whole else 1.0,
    )
