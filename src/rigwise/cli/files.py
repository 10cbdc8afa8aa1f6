"""Places that a person names for a file: refused early, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rigwise.errors import UsageError
from rigwise.files import replace_bytes


def check_picture(path: Path | None, *, pixels: bool = False) -> None:
    """Refuse a place for a picture before any work is done for it. pixels: whether it may be a PNG too."""
    if path is None:
        return
    if path.suffix.lower() not in (".svg", ".png")[: 1 + pixels]:
        nearest = str(path.with_suffix(".svg")) if path.name else "plan.svg"
        rule = "a picture is an .svg file, or a .png of the bare pixels" if pixels else "a picture is an .svg file"
        raise UsageError(f"picture {str(path)!r}", rule=rule, nearest=nearest)
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


def write_aside(path: Path, content: str | bytes) -> None:
    """Write a file as a whole. Raises UsageError where the place cannot be written."""
    try:
        replace_bytes(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as refused:
        raise UsageError(f"cannot write {path}: {refused.strerror}") from None
