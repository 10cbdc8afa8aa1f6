"""The verbs of the convolution laboratory: a layer's cost, who wins where, images, four readings, learned kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rigwise.api.names import load_cluster, load_model
from rigwise.errors import UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.convolution.diffusion import Diffusion, Start
    from rigwise.convolution.features import Domains, Features
    from rigwise.convolution.filters import Kernel
    from rigwise.convolution.geometry import Kind
    from rigwise.convolution.learned import Learned
    from rigwise.convolution.photo import Photo
    from rigwise.convolution.planes import Border, Size
    from rigwise.convolution.receptive import Layer
    from rigwise.convolution.series import Series, Smoothed
    from rigwise.convolution.spectrum import Passed
    from rigwise.convolution.template import Search
    from rigwise.cost.layercost import LayerCost, WinMap
    from rigwise.hardware.device import Device
    from rigwise.models.model import Model
    from rigwise.models.operations import Conv
    from rigwise.run.job import StepRecord

Image = str | Path
KERNELS = (1, 3, 5, 7, 9, 11, 15, 21, 31, 45, 63)
SIZES = (16, 28, 56, 112, 224, 448, 896)
BANK = ("blur", "sharpen", "edge", "sobel-x", "sobel-y", "emboss", "gauss:3", "gabor:45:6")
TEMPLATE = (60, 30, 52, 60)  # y, x, height, width of the left eye of the cat


def conv_layers(model: str | Model) -> tuple[Layer, ...]:
    """The convolutions of a network with their names and receptive fields. Raises UsageError where it has none."""
    from rigwise.convolution.receptive import layers

    return layers(load_model(model))


def conv_layer(
    what: str | Model | Conv,
    layer: str = "",
    *,
    device: str = "h100",
    precision: str | None = None,
    batch: int = 32,
) -> LayerCost:
    """A convolution's sizes, work, bytes and intensity, its receptive field, and what each algorithm takes on a device.

    what: a network, with the layer's name (`layer2.conv3`, a part that only one layer has, or its number), or sizes.
    batch: images. precision: of the products; the device's best of 16 bit by default. device "this", in float32 or
    float64 and with torch at hand: by rates that are measured here, once, in some seconds.
    """
    from rigwise.convolution.receptive import Layer, layer_called
    from rigwise.cost.layercost import layer_cost
    from rigwise.models.operations import Conv
    from rigwise.models.reach import Reach

    check_whole(batch=batch)
    if isinstance(what, Conv):
        one = (1,) * len(what.size)
        reach = Reach(field=one, jump=one).through(what)
        chosen = Layer(name="own", shape=what, reach=reach, last=reach)
    else:
        found = conv_layers(what)
        if not layer:
            raise UsageError("no layer is named", rule="a layer of the network", nearest=f"layer {found[0].name}")
        chosen = layer_called(found, layer)
    card, kind = _device(device, precision)
    cost = layer_cost(chosen, card, kind, batch=batch)
    return _measured(cost) if device == "this" else cost


def _measured(found: LayerCost) -> LayerCost:
    """With this machine's own rates, measured now unless they are kept; as it was where torch is missing."""
    from rigwise.convolution import remembered
    from rigwise.cost.layerhere import ELEMENTS, measured_here
    from rigwise.hardware.detect import cores

    if found.precision not in ELEMENTS:
        return found
    if not remembered.recall_rates("torch"):
        try:
            from rigwise.convolution import tune

            tune()
        except ImportError:
            return found
    return measured_here(found, cores())


def conv_map(
    *,
    device: str = "h100",
    precision: str | None = None,
    channels: int | tuple[int, int] = 64,
    groups: int = 1,
    batch: int = 32,
    kernels: Sequence[int] = KERNELS,
    sizes: Sequence[int] = SIZES,
    which: str = "forward",
) -> WinMap:
    """Which algorithm is soonest for square kernels over square images, padded to keep their size.

    channels: in and out. which: forward, input_gradient or weight_gradient.
    """
    from rigwise.cost.convolution import PASSES
    from rigwise.cost.layercost import win_map

    pair = (channels, channels) if isinstance(channels, int) else channels
    check_whole(batch=batch, groups=groups, channels_in=pair[0], channels_out=pair[1])
    for name, values in (("kernel", kernels), ("size", sizes)):
        if not values:
            raise UsageError(f"no {name}", rule=f"at least one {name}")
        for value in values:
            check_whole(most=8192, **{name: value})
    if pair[0] % groups or pair[1] % groups:
        raise UsageError(
            f"{pair[0]} and {pair[1]} channels in {groups} groups", rule="both are multiples of the groups"
        )
    if which not in PASSES:
        raise UsageError(f"pass {which!r}", rule=" or ".join(PASSES))
    card, kind = _device(device, precision)
    return win_map(sorted(kernels), sorted(sizes), card, kind, channels=pair, groups=groups, batch=batch, which=which)


def _device(name: str, precision: str | None) -> tuple[Device, str]:
    from rigwise.layouts.defaults import default_precision

    cluster = load_cluster(name)
    return cluster.device, precision or default_precision(cluster)


# ---- images


def conv_features(
    image: Image | Photo = "cat",
    kernels: str | Kernel | Sequence[str | Kernel] = BANK,
    *,
    normalise: bool = False,
    colour: bool = False,
    size: Size = "same",
    border: Border = "reflecting",
    kind: Kind = "convolution",
    shrink: int = 1,
) -> Features:
    """The feature maps of an image: a PNG file, "cat" (which comes along) or "stripes:30:8".

    kernels: names, formulas (gauss:1.5, gabor:45:6) or numbers ("0 -1 0; -1 5 -1; 0 -1 0"). normalise: over each
    kernel's sum. Raises UsageError for what is no PNG, no number, or a kernel larger than the image.
    """
    from rigwise.convolution.features import features
    from rigwise.convolution.filters import Kernel, read_kernel
    from rigwise.convolution.photo import read_photo

    many = [kernels] if isinstance(kernels, (str, Kernel)) else list(kernels)
    read = [read_kernel(each) for each in many]
    photo = read_photo(image, shrink)
    return features(photo, read, normalise=normalise, colour=colour, size=size, border=border, kind=kind)


def conv_spectrum(image: Image | Photo = "cat", *, radius: float | None = None, shrink: int = 1) -> Passed:
    """An image's log spectrum, and its low and high frequencies with the share of energy that each keeps.

    radius: of the disc, in cycles an image; an eighth of the shorter side by default.
    """
    from rigwise.convolution.photo import read_photo
    from rigwise.convolution.spectrum import passed

    plane = read_photo(image, shrink).gray
    return passed(plane, min(plane.shape) / 8 if radius is None else radius)


def conv_domains(image: Image | Photo = "cat", kernel: str | Kernel = "gauss:4", *, shrink: int = 1) -> Domains:
    """One convolution by the definition and by the convolution theorem, and their difference."""
    from rigwise.convolution.features import both_domains
    from rigwise.convolution.filters import read_kernel
    from rigwise.convolution.photo import read_photo

    return both_domains(read_photo(image, shrink), read_kernel(kernel))


# ---- readings


def conv_diffuse(
    image: Image | Photo = "cat",
    kernel: str | Kernel = "edge",
    *,
    steps: int = 60,
    border: Border = "reflecting",
    start: Start = "image",
    softmax: bool = False,
    shrink: int = 1,
) -> Diffusion:
    """A kernel as a propagator: laid on again and again. One that is no density becomes one by softmax.

    start: "image", "point" (mass 1 in the middle) or "wall" (the left half full).
    """
    from rigwise.convolution.diffusion import diffuse
    from rigwise.convolution.filters import read_kernel
    from rigwise.convolution.photo import read_photo

    check_whole(steps=steps)
    plane = read_photo(image, shrink).gray if start == "image" else None
    return diffuse(plane, read_kernel(kernel), steps=steps, border=border, start=start, softmax=softmax)


def conv_find(
    image: Image | Photo = "cat",
    template: Image | tuple[int, int, int, int] = TEMPLATE,
    *,
    count: int = 3,
    noise: float = 0.0,
    seed: int = 0,
    shrink: int = 1,
) -> Search:
    """Cross-correlation as a search. template: a PNG file, or y, x, height, width of a part of the image.

    noise: standard deviation, in grey levels, of what is added to the image before the search.
    """
    import numpy as np

    from rigwise.convolution.photo import read_photo
    from rigwise.convolution.template import cut, find

    if not 0 <= noise <= 1000:
        raise UsageError(f"noise {noise:g}", rule="from 0 to 1,000 grey levels")
    plane = read_photo(image, shrink).gray
    box = template if isinstance(template, tuple) else None
    part = cut(plane, box) if box else read_photo(str(template), shrink).gray
    if noise:
        plane = plane + np.random.default_rng(seed).normal(scale=noise, size=plane.shape)
    return find(plane, part, count=count, taken_from=box)


def conv_series(
    series: str | Path | Series = "sunspots",
    *,
    window: int = 11,
    order: int = 2,
    first: float | None = None,
    last: float | None = None,
) -> Smoothed:
    """A kernel over time: a moving average, and an autoregression with its forecast and period.

    series: "sunspots" (yearly, 1700 to 2008) or a CSV file of values, or of times and values.
    """
    from rigwise.convolution.series import read_series, smooth

    check_whole(window=window, order=order)
    return smooth(read_series(series, first, last), window=window, order=order)


def conv_learn(
    task: str = "digits",
    *,
    steps: int = 400,
    seed: int = 0,
    on_step: Callable[[StepRecord], None] | None = None,
) -> Learned:
    """Train a task on this machine and look at the kernels of its first convolution, before and after.

    Raises LaunchError where torch is missing, UsageError for a task whose network has no convolution.
    """
    import tempfile

    from rigwise.convolution.learned import learned
    from rigwise.run.kernels import after, before
    from rigwise.run.start import run

    check_whole(steps=steps)
    with tempfile.TemporaryDirectory(prefix="rigwise-") as private:
        result = run(task, "dp=1", steps=steps, seed=seed, output=Path(private) / "run", device="cpu", on_step=on_step)
        return learned(
            task,
            before(task, seed),
            after(task, Path(private) / "run"),
            steps=steps,
            losses=(result.losses[0], result.losses[-1]),
        )
