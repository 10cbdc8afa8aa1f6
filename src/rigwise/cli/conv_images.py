"""`rigwise conv image|spectrum|domains|diffuse|find|series|learn`: convolutions that one can look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from rigwise import api
from rigwise.cli import conv_tables
from rigwise.cli.files import check_picture, check_pixels, write_aside, write_picture
from rigwise.cli.options import Look
from rigwise.errors import UsageError

Words = Annotated[list[str] | None, Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Border = Literal["zero", "periodic", "reflecting"]
Pixels = NDArray[np.uint8]


def image_(
    image: str = "cat",
    /,
    *,
    kernel: Words = None,
    normalise: Flag = False,
    colour: Flag = False,
    size: Literal["valid", "same", "full"] = "same",
    border: Border = "reflecting",
    correlate: Flag = False,
    shrink: int = 1,
    save: Path | None = None,
    pixels: Path | None = None,
    look: Look = Look(),
) -> None:
    """Filtering: an image under kernels, a feature map each.

    Parameters
    ----------
    image
        A PNG file, cat (comes along), or stripes:30:8 (degrees, pixels a stripe).
    kernel
        blur, sharpen, edge, sobel-x, emboss, ..., box:5, gauss:1.5, gabor:45:6, motion:9, or "0 -1 0; -1 5 -1; 0 -1 0";
        may be given several times.
    normalise
        Divide each kernel by its sum, so that total intensity is kept.
    colour
        A map of each colour channel, not of brightness.
    size
        Where the kernel lies within the image, as large as the image, or wherever they touch.
    border
        What lies beyond the image.
    correlate
        Lay the kernels on as they are (cross-correlation), not turned by 180 degrees.
    shrink
        Take the means of so many by so many pixels first.
    save
        Write a picture here (.svg or .png).
    pixels
        Write the pixels alone here, a .png: the maps.
    """
    check_picture(save)
    check_pixels(pixels)
    found = api.conv_features(
        image,
        kernel or api.BANK,
        normalise=normalise,
        colour=colour,
        size=size,
        border=border,
        kind="cross-correlation" if correlate else "convolution",
        shrink=shrink,
    )
    from rigwise.report import conv_images as pictures

    _save(save, lambda: pictures.features_svg(found))
    _save_pixels(pixels, lambda: pictures.features_png(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_features(screen, found))
    _said(look, save, pixels)


def spectrum_(
    image: str = "cat",
    /,
    *,
    radius: float | None = None,
    shrink: int = 1,
    save: Path | None = None,
    pixels: Path | None = None,
    look: Look = Look(),
) -> None:
    """An image's log spectrum, and its low and high frequencies with the share of energy that each keeps.

    Parameters
    ----------
    image
        A PNG file, cat, or stripes:30:8.
    radius
        Of the disc that the low pass keeps, in cycles an image; an eighth of the shorter side by default.
    shrink
        Take the means of so many by so many pixels first.
    save
        Write a picture here (.svg or .png).
    pixels
        Write the pixels alone here, a .png: low pass, high pass, spectrum.
    """
    check_picture(save)
    check_pixels(pixels)
    found = api.conv_spectrum(image, radius=radius, shrink=shrink)
    from rigwise.report import conv_images as pictures

    name = Path(image).name
    _save(save, lambda: pictures.spectrum_svg(found, name))
    _save_pixels(pixels, lambda: pictures.spectrum_png(found))
    look.answer(lambda: {"image": name, **found.to_dict()}, lambda s: conv_tables.draw_spectrum(s, found, name))
    _said(look, save, pixels)


def domains_(
    image: str = "cat",
    /,
    *,
    kernel: str = "gauss:4",
    shrink: int = 1,
    save: Path | None = None,
    pixels: Path | None = None,
    look: Look = Look(),
) -> None:
    """One convolution done in both domains, and the difference.

    Parameters
    ----------
    image
        A PNG file, cat, or stripes:30:8.
    kernel
        As for `conv image`.
    shrink
        Take the means of so many by so many pixels first.
    save
        Write a picture here (.svg or .png).
    pixels
        Write the pixels alone here, a .png: both results and their difference.
    """
    check_picture(save)
    check_pixels(pixels)
    found = api.conv_domains(image, kernel, shrink=shrink)
    from rigwise.report import conv_images as pictures

    _save(save, lambda: pictures.domains_svg(found))
    _save_pixels(pixels, lambda: pictures.domains_png(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_domains(screen, found))
    _said(look, save, pixels)


def diffuse_(
    image: str = "cat",
    /,
    *,
    kernel: str = "edge",
    steps: int = 60,
    border: Border = "reflecting",
    start: Literal["image", "point", "wall"] = "image",
    softmax: Flag = False,
    shrink: int = 1,
    save: Path | None = None,
    pixels: Path | None = None,
    look: Look = Look(),
) -> None:
    """A kernel as a propagator: what each step moves to the neighbours, and the mass that stays.

    Parameters
    ----------
    image
        A PNG file, cat, or stripes:30:8; where --start is image.
    kernel
        As for `conv image`. One that is no probability density becomes one by softmax.
    steps
        How often it is laid on.
    border
        What lies beyond the image.
    start
        The image, a point in the middle, or a wall: the left half full.
    softmax
        Take the softmax of a density too.
    shrink
        Take the means of so many by so many pixels first.
    save
        Write a picture here (.svg or .png).
    pixels
        Write the pixels alone here, a .png: the states.
    """
    check_picture(save)
    check_pixels(pixels)
    found = api.conv_diffuse(image, kernel, steps=steps, border=border, start=start, softmax=softmax, shrink=shrink)
    from rigwise.report import conv_readings as pictures

    _save(save, lambda: pictures.diffusion_svg(found))
    _save_pixels(pixels, lambda: pictures.diffusion_png(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_diffusion(screen, found, look.chatty))
    _said(look, save, pixels)


def find_(
    image: str = "cat",
    /,
    *,
    template: str = ",".join(map(str, api.TEMPLATE)),
    count: int = 3,
    noise: float = 0.0,
    seed: int = 0,
    shrink: int = 1,
    save: Path | None = None,
    pixels: Path | None = None,
    look: Look = Look(),
) -> None:
    """Cross-correlation as a search: where in an image a template lies.

    Parameters
    ----------
    image
        A PNG file, cat, or stripes:30:8.
    template
        A PNG file, or y,x,height,width of a part of the image.
    count
        Places to name, best first.
    noise
        Standard deviation, in grey levels, of what is added to the image before the search.
    seed
        Of the noise.
    shrink
        Take the means of so many by so many pixels first.
    save
        Write a picture here (.svg or .png).
    pixels
        Write the pixels alone here, a .png: the image with the places framed.
    """
    check_picture(save)
    check_pixels(pixels)
    found = api.conv_find(image, _template(template), count=count, noise=noise, seed=seed, shrink=shrink)
    from rigwise.report import conv_images as pictures

    name = Path(image).name
    _save(save, lambda: pictures.find_svg(found, name))
    _save_pixels(pixels, lambda: pictures.find_png(found))
    look.answer(lambda: {"image": name, **found.to_dict()}, lambda s: conv_tables.draw_find(s, found, name))
    _said(look, save, pixels)


def _template(text: str) -> str | tuple[int, int, int, int]:
    """Four whole numbers, or the name of a file."""
    parts = text.split(",")
    if not all(part.strip().lstrip("-").isdigit() for part in parts):
        return text
    if len(parts) != 4:
        raise UsageError(f"--template {text}", rule="y,x,height,width or a PNG file", nearest="60,30,52,60")
    y, x, height, width = map(int, parts)
    return y, x, height, width


def series_(
    series: str = "sunspots",
    /,
    *,
    window: int = 11,
    order: int = 2,
    first: float | None = None,
    last: float | None = None,
    save: Path | None = None,
    look: Look = Look(),
) -> None:
    """A kernel over time: a moving average, and an autoregression with its forecast and period.

    Parameters
    ----------
    series
        A CSV file with a column of values, or of time and value; or sunspots (1700 to 2008, comes along).
    window
        Values of the moving average.
    order
        Values back that the autoregression looks at.
    first
        Only from this time on.
    last
        Only up to this time.
    save
        Write a picture here (.svg or .png).
    """
    check_picture(save)
    found = api.conv_series(series, window=window, order=order, first=first, last=last)
    from rigwise.report.conv_readings import series_svg

    _save(save, lambda: series_svg(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_series(screen, found))
    _said(look, save)


def learn_(
    task: str = "digits",
    /,
    *,
    steps: int = 400,
    seed: int = 0,
    save: Path | None = None,
    pixels: Path | None = None,
    look: Look = Look(),
) -> None:
    """Train a network on this machine, and look at the kernels of its first layer before and after.

    Parameters
    ----------
    task
        digits, or file.py:function whose network begins with a convolution over images.
    steps
        Optimizer steps.
    seed
        Of the kernels and the order of the data.
    save
        Write a picture here (.svg or .png).
    pixels
        Write the pixels alone here, a .png: the kernels.
    """
    check_picture(save)
    check_pixels(pixels)
    found = api.conv_learn(task, steps=steps, seed=seed)
    from rigwise.report import conv_readings as pictures

    _save(save, lambda: pictures.learned_svg(found))
    _save_pixels(pixels, lambda: pictures.learned_png(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_learned(screen, found))
    _said(look, save, pixels)


def _save(place: Path | None, svg: Callable[[], str]) -> None:
    if place is not None:
        write_picture(place, svg())


def _save_pixels(place: Path | None, pixels: Callable[[], Pixels]) -> None:
    if place is not None:
        from rigwise.convolution.png import encode

        write_aside(place, encode(pixels()))


def _said(look: Look, *places: Path | None) -> None:
    for place in places:
        if place:
            look.note(f"picture: {place}")
