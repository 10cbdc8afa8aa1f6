"""`rigwise conv image|spectrum|domains|diffuse|find|series|learn`: convolutions that one can look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
Shrink = Annotated[int, Parameter(help="Take the means of so many by so many pixels first.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Places for what is written beside the answer."""

    save: Path | None = None
    """Write a picture here (.svg or .png)."""
    pixels: Path | None = None
    """Write what is computed alone here, pixels without words (.png)."""

    def check(self) -> None:
        """Refuse places that cannot be written before any work is done."""
        check_picture(self.save)
        check_pixels(self.pixels)

    def write(self, svg: Callable[[], str], pixels: Callable[[], Pixels] | None = None) -> None:
        """Draw and write what is asked for."""
        if self.save is not None:
            write_picture(self.save, svg())
        if self.pixels is not None and pixels is not None:
            from rigwise.convolution.png import encode

            write_aside(self.pixels, encode(pixels()))

    def say(self, look: Look) -> None:
        """Name what was written."""
        for place in (self.save, self.pixels):
            if place is not None:
                look.note(f"picture: {place}")


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
    shrink: Shrink = 1,
    keep: Keep = Keep(),
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
    """
    keep.check()
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

    keep.write(lambda: pictures.features_svg(found), lambda: pictures.features_png(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_features(screen, found))
    keep.say(look)


def spectrum_(
    image: str = "cat",
    /,
    *,
    radius: float | None = None,
    shrink: Shrink = 1,
    keep: Keep = Keep(),
    look: Look = Look(),
) -> None:
    """An image's log spectrum, and its low and high frequencies with the share of energy that each keeps.

    Parameters
    ----------
    image
        A PNG file, cat, or stripes:30:8.
    radius
        Of the disc that the low pass keeps, in cycles an image; an eighth of the shorter side by default.
    """
    keep.check()
    found = api.conv_spectrum(image, radius=radius, shrink=shrink)
    from rigwise.report import conv_images as pictures

    name = Path(image).name
    keep.write(lambda: pictures.spectrum_svg(found, name), lambda: pictures.spectrum_png(found))
    look.answer(lambda: {"image": name, **found.to_dict()}, lambda s: conv_tables.draw_spectrum(s, found, name))
    keep.say(look)


def domains_(
    image: str = "cat",
    /,
    *,
    kernel: str = "gauss:4",
    shrink: Shrink = 1,
    keep: Keep = Keep(),
    look: Look = Look(),
) -> None:
    """One convolution done in both domains, and the difference.

    Parameters
    ----------
    image
        A PNG file, cat, or stripes:30:8.
    kernel
        As for `conv image`.
    """
    keep.check()
    found = api.conv_domains(image, kernel, shrink=shrink)
    from rigwise.report import conv_images as pictures

    keep.write(lambda: pictures.domains_svg(found), lambda: pictures.domains_png(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_domains(screen, found))
    keep.say(look)


def diffuse_(
    image: str = "cat",
    /,
    *,
    kernel: str = "edge",
    steps: int = 60,
    border: Border = "reflecting",
    start: Literal["image", "point", "wall"] = "image",
    softmax: Flag = False,
    shrink: Shrink = 1,
    keep: Keep = Keep(),
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
    """
    keep.check()
    found = api.conv_diffuse(image, kernel, steps=steps, border=border, start=start, softmax=softmax, shrink=shrink)
    from rigwise.report import conv_readings as pictures

    keep.write(lambda: pictures.diffusion_svg(found), lambda: pictures.diffusion_png(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_diffusion(screen, found, look.chatty))
    keep.say(look)


def find_(
    image: str = "cat",
    /,
    *,
    template: str = ",".join(map(str, api.TEMPLATE)),
    count: int = 3,
    noise: float = 0.0,
    seed: int = 0,
    shrink: Shrink = 1,
    keep: Keep = Keep(),
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
    """
    keep.check()
    found = api.conv_find(image, _template(template), count=count, noise=noise, seed=seed, shrink=shrink)
    from rigwise.report import conv_images as pictures

    name = Path(image).name
    keep.write(lambda: pictures.find_svg(found, name), lambda: pictures.find_png(found))
    look.answer(lambda: {"image": name, **found.to_dict()}, lambda s: conv_tables.draw_find(s, found, name))
    keep.say(look)


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

    keep = Keep(save=save)
    keep.write(lambda: series_svg(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_series(screen, found))
    keep.say(look)


def learn_(
    task: str = "digits",
    /,
    *,
    steps: int = 400,
    seed: int = 0,
    keep: Keep = Keep(),
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
    """
    keep.check()
    found = api.conv_learn(task, steps=steps, seed=seed)
    from rigwise.report import conv_readings as pictures

    keep.write(lambda: pictures.learned_svg(found), lambda: pictures.learned_png(found))
    look.answer(found.to_dict, lambda screen: conv_tables.draw_learned(screen, found))
    keep.say(look)
