"""Pictures of images under kernels: feature maps, spectra and what a disc keeps, both domains, a template found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rigwise import units
from rigwise.convolution.features import Domains, Feature, Features
from rigwise.convolution.spectrum import Passed, log_spectrum
from rigwise.convolution.template import Search
from rigwise.report.conv_board import (
    LEFT,
    WIDTH,
    Panel,
    Pixels,
    coloured,
    grey,
    height_of,
    kernel_squares,
    panel,
    panels,
    share,
    stretched,
)
from rigwise.report.svg import Board

_GAP = 8  # pixels between maps of a contact sheet
_KERNEL = 84.0
_ACROSS = 3


def features_svg(found: Features) -> str:
    """The image, then each kernel with the map that it makes."""
    photo = found.photo
    size = f"{photo.size[1]} x {photo.size[0]}"
    first = Panel(pixels=_image(found), head=f"{photo.name}", lines=(f"{size} pixels, mean {found.mean:.1f}", ""))
    many = [first, *(_map(each) for each in found.maps)]
    wide = (WIDTH - 2 * LEFT - 20 * (_ACROSS - 1)) / _ACROSS
    rows = [many[start : start + _ACROSS] for start in range(0, len(many), _ACROSS)]
    tops = [70 + sum(height_of(row, _ACROSS) + _KERNEL + 16 for row in rows[:place]) for place in range(len(rows) + 1)]
    board = Board(WIDTH, tops[-1], f"{photo.name} under {len(found.maps)} kernels")
    board.text(LEFT, 28, f"{photo.name} under {len(found.maps)} kernels ({found.kind}, {found.border} border)", "title")
    board.text(
        LEFT,
        48,
        "kernels: blue adds, orange takes away; maps of kernels whose sum is 0 are drawn around middle grey",
        "soft",
    )
    for place, what in enumerate(many):
        x, y = LEFT + place % _ACROSS * (wide + 20), tops[place // _ACROSS]
        if place:
            kernel_squares(board, x, y, _KERNEL - 8, found.maps[place - 1].kernel)
            for line, words in enumerate(_about(found.maps[place - 1])):
                board.text(x + _KERNEL + 4, y + 12 + 16 * line, words, "soft")
        panel(board, x, y + _KERNEL + 10, wide, what)
    return board.svg()


def _image(found: Features) -> Pixels:
    return coloured(found.photo.planes)


def _map(each: Feature) -> Panel:
    lines = (each.says, "")
    return Panel(pixels=coloured(each.planes, signed=each.kernel.signed), head=each.kernel.name, lines=lines)


def _about(each: Feature) -> tuple[str, ...]:
    k = each.kernel
    return (
        f"{k.size[1]} x {k.size[0]}, sum {0 if k.signed else k.total:.3g}",
        f"rank {k.rank}" + (": separable" if k.rank == 1 else ""),
        "a density" if k.is_density else "no density",
    )


def features_png(found: Features) -> Pixels:
    """The maps alone, side by side in rows, on white."""
    tiles = [coloured(each.planes, signed=each.kernel.signed) for each in found.maps]
    across = min(len(tiles), 4)
    height, width, many = max(t.shape[0] for t in tiles), max(t.shape[1] for t in tiles), tiles[0].shape[2]
    down = -(-len(tiles) // across)
    out = np.full((down * (height + _GAP) - _GAP, across * (width + _GAP) - _GAP, many), 255, dtype=np.uint8)
    for place, tile in enumerate(tiles):
        y, x = (place // across) * (height + _GAP), (place % across) * (width + _GAP)
        out[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return out


def spectrum_svg(found: Passed, name: str) -> str:
    """The image, its spectrum with the disc, and both parts in both domains."""
    plane = found.low + found.high
    seen = log_spectrum(plane)
    ring = _ring(found.mask)
    disc = np.repeat(grey(seen), 3, axis=2)
    disc[ring] = (230, 159, 0)
    kept = f"{found.bins:,} of {found.mask.size:,} frequencies ({share(found.share_of_bins)})"
    many = [
        Panel(pixels=grey(plane), head=name, lines=(f"{plane.shape[1]} x {plane.shape[0]} pixels",)),
        Panel(
            pixels=grey(found.low),
            head="low pass: what the disc keeps",
            lines=_kept(found.energy, found.energy_of_change),
        ),
        Panel(
            pixels=grey(found.high, signed=True),
            head="high pass: what it leaves",
            lines=_kept(1 - found.energy, 1 - found.energy_of_change),
        ),
        Panel(
            pixels=disc,
            head="log spectrum, frequency 0 in the middle",
            lines=(f"disc of radius {found.radius:g} cycles an image: {kept}",),
        ),
        Panel(pixels=grey(np.where(found.mask, seen, 0)), head="spectrum of the low pass"),
        Panel(pixels=grey(np.where(found.mask, 0, seen)), head="spectrum of the high pass"),
    ]
    board = Board(WIDTH, 62 + height_of(many, 3), f"Frequencies of {name}")
    board.text(LEFT, 28, f"Frequencies of {name}: low and high pass at {found.radius:g} cycles an image", "title")
    panels(board, 58, many, 3)
    return board.svg()


def _kept(energy: float, change: float) -> tuple[str, ...]:
    return (f"{share(energy)} of the energy,", f"{share(change)} without the mean")


def _ring(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rim of a disc."""
    inside = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inside &= np.roll(mask, step, axis)
    return np.asarray(mask & ~inside)


def spectrum_png(found: Passed) -> Pixels:
    """Low pass, high pass and log spectrum side by side."""
    plane = found.low + found.high
    return np.concatenate([grey(found.low), grey(found.high, signed=True), grey(log_spectrum(plane))], axis=1)


def domains_svg(found: Domains) -> str:
    """The same convolution twice: products summed in space, spectra multiplied in frequency; and the difference."""
    gap = np.abs(found.space - found.frequency)
    image, kernel, product = (_log(spectrum) for spectrum in found.spectra)
    out = f"{found.space.shape[1]} x {found.space.shape[0]}"
    flat = np.zeros(found.space.shape)
    rows, columns = found.kernel.size
    flat[:rows, :columns] = found.kernel.values
    many = [
        Panel(pixels=grey(found.image), head=f"image: {found.photo.name}", lines=_size(found.image)),
        Panel(
            pixels=stretched(_middle(found)),
            head=f"kernel: {found.kernel.name}",
            lines=(f"{columns} x {rows}, enlarged",),
        ),
        Panel(
            pixels=_drawn(found, found.space),
            head="space: products summed",
            lines=(f"{out} (full), {units.show_flops(found.flops_space)}",),
        ),
        Panel(pixels=image, head="spectrum of the image", lines=(f"padded to {found.padded[1]} x {found.padded[0]}",)),
        Panel(pixels=kernel, head="times the kernel's", lines=("padded alike",)),
        Panel(
            pixels=_drawn(found, found.frequency),
            head="frequency: spectra multiplied",
            lines=(f"transformed back, {units.show_flops(found.flops_frequency)}",),
        ),
        Panel(
            pixels=product,
            head="product of the spectra",
            lines=("element by element",),
        ),
        Panel(
            pixels=stretched(gap),
            head="difference, made visible",
            lines=(f"largest {found.difference:.1e} grey levels", f"{found.relative:.1e} of the largest value"),
        ),
    ]
    board = Board(WIDTH, 62 + height_of(many, 3), "One convolution in both domains")
    board.text(LEFT, 28, "One convolution in both domains: f * g = IFFT(FFT(f) · FFT(g))", "title")
    panels(board, 58, many, 3)
    return board.svg()


def _drawn(found: Domains, plane: NDArray[np.float64]) -> Pixels:
    return grey(plane, signed=found.kernel.signed)


def _middle(found: Domains) -> NDArray[np.float64]:
    """The kernel on a square, so that a row is seen as one."""
    rows, columns = found.kernel.size
    side = max(rows, columns)
    out = np.zeros((side, side))
    y, x = (side - rows) // 2, (side - columns) // 2
    out[y : y + rows, x : x + columns] = found.kernel.values
    return out


def _size(plane: NDArray[np.float64]) -> tuple[str, ...]:
    return (f"{plane.shape[1]} x {plane.shape[0]} pixels",)


def _log(spectrum: NDArray[np.complex128]) -> Pixels:
    return stretched(np.log1p(np.abs(spectrum)))


def domains_png(found: Domains) -> Pixels:
    """Both results and their difference, side by side."""
    gap = stretched(np.abs(found.space - found.frequency))
    return np.concatenate([_drawn(found, found.space), _drawn(found, found.frequency), gap], axis=1)


def find_svg(found: Search, name: str) -> str:
    """The image with the places found, the template, and both correlations."""
    places = _boxed(found)
    best = found.best
    y, x = found.brightest
    told = [f"{place}. at x={p.x}, y={p.y}: {p.score:.3f}" for place, p in enumerate(found.peaks, 1)]
    height, width = found.template.shape
    from_where = (
        f"cut out at x={found.taken_from[1]}, y={found.taken_from[0]}" if found.taken_from else "from its own file"
    )
    many = [
        Panel(pixels=places, head=f"{name}, the places found framed", lines=told),
        Panel(
            pixels=_on_square(found.template, found.plane.shape),
            head="template, in scale",
            lines=(f"{width} x {height} pixels,", from_where),
        ),
        Panel(
            pixels=stretched(found.scores),
            head="normalised cross-correlation",
            lines=(f"brightest at x={best.x}, y={best.y}:", f"{best.score:.3f}; 1 is the template itself"),
        ),
        Panel(
            pixels=stretched(found.plain),
            head="plain cross-correlation",
            lines=(f"brightest at x={x}, y={y}:", "where the image is bright"),
        ),
    ]
    board = Board(WIDTH, 62 + height_of(many, 4), f"A template searched in {name}")
    board.text(LEFT, 28, f"Cross-correlation as a search in {name}", "title")
    panels(board, 58, many, 4)
    return board.svg()


def _boxed(found: Search) -> Pixels:
    out = np.repeat(grey(found.plane), 3, axis=2)
    height, width = found.template.shape
    wide = max(1, min(found.plane.shape) // 128)
    for place, peak in enumerate(found.peaks):
        colour = (230, 159, 0) if place == 0 else (86, 180, 233)
        window = out[peak.y : peak.y + height, peak.x : peak.x + width]
        window[:wide] = window[-wide:] = colour
        window[:, :wide] = window[:, -wide:] = colour
    return out


def _on_square(template: NDArray[np.float64], size: tuple[int, ...]) -> Pixels:
    out = np.full((max(size[0], template.shape[0]), max(size[1], template.shape[1])), 255.0)
    y, x = ((n - m) // 2 for n, m in zip(out.shape, template.shape, strict=True))
    out[y : y + template.shape[0], x : x + template.shape[1]] = template
    return grey(out)


def find_png(found: Search) -> Pixels:
    """The image with the places framed."""
    return _boxed(found)
