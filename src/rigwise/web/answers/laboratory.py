"""Answers of the convolution laboratory."""

from __future__ import annotations

from rigwise.web.answers.base import Same, Told


class Kernel(Told):
    """A kernel with its values."""

    name: str
    size: tuple[float, float]
    values: list[list[float]]
    sum: float
    is_density: bool
    rank: float
    says: str
    source: str


class Pixel(Same):
    """A small image under one kernel: all the numbers."""

    image: str
    kernel: Kernel
    kind: str
    stride: float
    padding: float
    dilation: float
    input: list[list[float]]
    laid: list[list[float]]
    output: list[list[float]]


class FeaturesMap(Told):
    """Of Features: map."""

    kernel: Kernel
    shape: list[float]
    least: float
    greatest: float
    mean: float


class FeaturesDrawing(Told):
    """Of Features: drawing."""

    image: str
    maps: list[str]


class Features(Same):
    """An image under kernels."""

    image: str
    image_size: tuple[float, float, float]
    image_mean: float
    maps: list[FeaturesMap]
    drawing: FeaturesDrawing


class Spectrum(Same):
    """An image's frequencies."""

    size: tuple[float, float]
    radius: float
    bins: float
    bins_kept: float
    share_of_bins: float
    share_of_energy_low: float
    share_of_energy_high: float
    share_of_energy_low_without_mean: float
    drawing: SpectrumDrawing


class WinMapCell(Told):
    """Of WinMap: cell."""

    kernel: float
    size: float
    winner: str
    seconds: dict[str, float | None]


class WinMap(Same):
    """Which algorithm is soonest, over kernel and image."""

    channels: tuple[float, float]
    device: str
    precision: str
    batch: float
    interval_factor: float
    cells: list[WinMapCell]


class ConvLayersLayer(Told):
    """Of ConvLayersAnswer: layer."""

    name: str
    count: float
    channels: tuple[float, float]
    size: list[float]
    kernel: list[float]


class ConvLayersAnswer(Same):
    """The convolutions of a network."""

    model: str
    layers: list[ConvLayersLayer]


class ConvLayerAnswer(Same):
    """A convolution of a network: its sizes, and what each algorithm takes."""

    layer: str
    channels: tuple[float, float]
    size: list[float]
    kernel: list[float]
    stride: list[float]
    output: list[float]
    receptive_field: list[float] | None
    receptive_field_exact: bool | None
    weights: float
    batch: float
    device: str
    precision: str
    flops: float
    bytes: float
    intensity: float
    balance: float
    seconds: dict[str, dict[str, float | None]]
    why_not: dict[str, str]
    winner: dict[str, str]
    library_s: dict[str, float]
    interval_factors: dict[str, float]
    basis: str


class SpectrumDrawing(Told):
    """Of Spectrum: pictures, as data addresses."""

    image: str
    spectrum: str
    low: str
    high: str
    kept: str
