"""Places that a person names for a file: refused early, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rigwise.errors import UsageError
from rigwise.files import replace_text


def check_picture(path: Path | None) -> None:
    """Refuse a place for a picture before any work is done for it."""
    if path is None:
        return
    if path.suffix.lower() != ".svg":
        nearest = str(path.with_suffix(".svg")) if path.name else "plan.svg"
        raise UsageError(f"picture {str(path)!r}", rule="a picture is an .svg file", nearest=nearest)
    if path.is_dir() or not path.parent.is_dir():
        what = "it is a folder" if path.is_dir() else f"no folder {path.parent}"
        raise UsageError(f"cannot write {path}: {what}", rule="a file in a folder that exists")


def check_page(path: Path) -> None:
    """Refuse a place for a page, beside which a folder of pictures is made, before any work is done for it."""
    if path.suffix.lower() != ".md":
        nearest = str(path.with_suffix(".md")) if path.name else "validation.md"
        raise UsageError(f"page {str(path)!r}", rule="a page is an .md file", nearest=nearest)
    if path.is_dir() or not path.parent.is_dir():
        what = "it is a folder" if path.is_dir() else f"no folder {path.parent}"
        raise UsageError(f"cannot write {path}: {what}", rule="a file in a folder that exists")
    pictures = path.parent / "pictures"
    if pictures.exists() and not pictures.is_dir():
        raise UsageError(f"cannot make the folder {pictures}: it is a file", rule="pictures go beside the page")


def write_aside(path: Path, text: str) -> None:
    """Write a file as a whole. Raises UsageError where the place cannot be written."""
    try:
        replace_text(path, text)
    except OSError as refused:
        raise UsageError(f"cannot write {path}: {refused.strerror}") from None
