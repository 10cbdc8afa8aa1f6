"""A folder of pictures, one subfolder a class."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from rigwise.errors import NotFoundError, UsageError
from rigwise.run.readers.paths import missing

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
_LARGEST = 255.0
_WHOLE = "a picture is whole and of a known format"
Transform = Callable[[torch.Tensor], torch.Tensor]


class Images(Dataset[tuple[torch.Tensor, int]]):
    """Sample number i is picture i [3, H, W] from 0 to 1, and the number of its class."""

    def __init__(
        self, files: list[tuple[Path, int]], classes: list[str], size: int | None, transform: Transform | None
    ) -> None:
        self.files = files
        self.classes = classes
        self.size = size
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        path, number = self.files[row]
        picture = decoded(path.read_bytes(), str(path), self.size)
        return (self.transform(picture) if self.transform else picture), number


def images(folder: str | Path, *, size: int | None = None, transform: Transform | None = None) -> Images:
    """Pictures in folder/CLASS/ as a Dataset of (picture, number of the class); classes are numbered by name.

    size: every picture is scaled so that its short side has so many pixels, and its middle is cut out; without it all
    must be of one size. transform: what else is done with a picture [3, H, W]; the random numbers that it draws are the
    same after a resume.
    """
    require_pillow()
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise NotFoundError(f"no folder {str(root)!r}", rule="pictures lie in folder/CLASS/")
    classes = sorted(path.name for path in root.iterdir() if path.is_dir())
    files = [
        (path, number)
        for number, name in enumerate(classes)
        for path in sorted((root / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise UsageError(
            f"no pictures in {root}", rule=f"pictures lie in folder/CLASS/ and end in {', '.join(SUFFIXES)}"
        )
    empty = next((path for path, _ in files if path.stat().st_size == 0), None)
    if empty is not None:
        raise UsageError(f"{empty} is empty", rule=_WHOLE)
    return Images(files, classes, size, transform)


def require_pillow() -> None:
    """Refuse where pictures cannot be read."""
    if find_spec("PIL") is None:
        raise missing("pillow", "'rigwise[images]'", "reading pictures")


def decoded(data: bytes, name: str, size: int | None) -> torch.Tensor:
    """A picture [3, H, W] from 0 to 1. Raises UsageError with its name where it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
    except UnidentifiedImageError as error:
        raise UsageError(f"{name} is no picture that Pillow knows", rule=_WHOLE) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{name} cannot be read: {error}", rule=_WHOLE) from error
    if size is not None:
        scale = size / min(picture.size)
        wide, high = (max(size, round(side * scale)) for side in picture.size)
        left, top = (wide - size) // 2, (high - size) // 2
        picture = picture.resize((wide, high), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    pixels = torch.from_numpy(np.array(picture, dtype=np.uint8))
    return pixels.permute(2, 0, 1).to(torch.float32).div_(_LARGEST).contiguous()
