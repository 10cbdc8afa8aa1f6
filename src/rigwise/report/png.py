"""A picture as PNG: the same SVG, drawn by resvg with the fonts that rigwise carries, so that it looks alike anywhere.

The fonts are DejaVu Sans, cut down to the letters that the pictures use (data/fonts/LICENSE.txt).
"""

from __future__ import annotations

from importlib.resources import as_file, files
from importlib.util import find_spec

from rigwise.errors import LaunchError

_FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
_FAMILY = "DejaVu Sans"
_SYSTEM = "system-ui,sans-serif"  # what the style sheet of report/svg.py asks for
_ZOOM = 2.0  # dots a pixel of the SVG, for sharp screens and print


def check() -> None:
    """Refuse with a LaunchError where resvg is not installed."""
    if find_spec("resvg_py") is None:
        raise LaunchError(
            "a picture as PNG needs the library resvg-py",
            nearest="pip install 'rigwise[png]', or a picture that ends in .svg",
        )


def png(svg: str) -> bytes:
    """An SVG picture of this house as PNG, in its light colours. Raises LaunchError where resvg is not installed.

    >>> from rigwise.report.svg import Board
    >>> png(Board(100, 50, "nothing").svg())[1:4]
    b'PNG'
    """
    check()
    import resvg_py

    folder = files("rigwise.report").joinpath("data/fonts")
    with as_file(folder) as fonts:
        drawn = resvg_py.svg_to_bytes(
            svg_string=svg.replace(_SYSTEM, f"'{_FAMILY}'"),
            font_files=[str(fonts / name) for name in _FONTS],
            sans_serif_family=_FAMILY,
            skip_system_fonts=True,
            zoom=_ZOOM,
        )
    return bytes(drawn)
