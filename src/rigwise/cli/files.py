"""Places that a person names for a file: refused early, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rigwise.errors import UsageError
from rigwise.files import replace_bytes
from rigwise.report.png import check as check_png
from rigwise.report.png import png


def check_picture(path: Path | None) -> None:
    """Refuse a place for a picture before any work is done for it."""
    if path is None:
        return
    if path.suffix.lower() not in (".svg", ".png"):
        nearest = str(path.with_suffix(".svg")) if path.name else "plan.svg"
        raise UsageError(f"picture {str(path)!r}", rule="a picture is an .svg or a .png file", nearest=nearest)
    check_file(path)
    if path.suffix.lower() == ".png":
        check_png()


def check_file(path: Path | None) -> None:
    """Refuse a place for a file before any work is done for it."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        what = "it is a folder" if path.is_dir() else f"no folder {path.parent}"
        raise UsageError(f"cannot write {path}: {what}", rule="a file in a folder that exists")


def check_pixels(path: Path | None) -> None:
    """Refuse a place for bare pixels before any work is done for them."""
    if path is not None and path.suffix.lower() != ".png":
        raise UsageError(f"pixels {str(path)!r}", rule="pixels are a .png file", nearest=str(path.with_suffix(".png")))
    check_file(path)


def check_page(path: Path) -> None:
    """Refuse a place for a page, beside which a folder of pictures is made, before any work is done for it."""
    if path.suffix.lower() != ".md":
        nearest = str(path.with_suffix(".md")) if path.name else "validation.md"
        raise UsageError(f"page {str(path)!r}", rule="a page is an .md file", nearest=nearest)
    check_file(path)
    pictures = path.parent / "pictures"
    if pictures.exists() and not pictures.is_dir():
        raise UsageError(f"cannot make the folder {pictures}: it is a file", rule="pictures go beside the page")


def write_picture(path: Path, svg: str) -> None:
    """Write a picture in the form that its name asks for, see write_aside."""
    write_aside(path, png(svg) if path.suffix.lower() == ".png" else svg)


def write_aside(path: Path, content: str | bytes) -> None:
    """Write a file as a whole. Raises UsageError where the place cannot be written."""
    try:
        replace_bytes(path, content if isinstance(content, bytes) else content.encode("utf-8"))
    except OSError as refused:
        raise UsageError(f"cannot write {path}: {refused.strerror}") from None
