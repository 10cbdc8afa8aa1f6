"""PNG files read and written with zlib and NumPy alone.

All of the format that a photograph or a scan uses: 1 to 16 bits a sample, grey, colour, palette, transparency, and
interlacing. Written: 8 bits, grey or colour. A library would do it too, but would be one more thing to install for
the only pictures that rigwise reads. Source: W3C Portable Network Graphics (PNG) Specification, second edition.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError

Bytes = NDArray[np.uint8]
MOST_PIXELS = 2**26
"""Larger pictures are refused before memory is taken for them."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OTHERS = {
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def bits(self) -> int:
        return self.depth * _SAMPLES[self.colour]

    def row_bytes(self, width: int) -> int:
        return (width * self.bits + 7) // 8


def decode(data: bytes) -> Bytes:
    """The pixels of a PNG: (height, width, 1 grey or 3 red-green-blue), 0 to 255; what is transparent lies on white.

    Raises UsageError for what is no PNG, is damaged, or has more than MOST_PIXELS.

    >>> decode(encode(np.array([[[0], [90]]], dtype=np.uint8))).tolist()
    [[[0], [90]]]
    """
    if not data.startswith(_SIGNATURE):
        kind = next((name for start, name in _OTHERS.items() if data.startswith(start)), "")
        says = f"this is {'a ' + kind if kind else 'not a PNG'}"
        raise UsageError(says, rule="a PNG begins with the bytes 89 50 4E 47", nearest="save the picture as PNG")
    parts: dict[bytes, bytes] = {}
    for part, body in _chunks(data):
        parts[part] = parts.get(part, b"") + body if part == b"IDAT" else body
    head = _head(parts.get(b"IHDR", b""))
    if b"IDAT" not in parts:
        raise _broken("it has no pixels")
    samples = _samples(head, parts[b"IDAT"])
    return _coloured(head, samples, parts)


def _broken(what: str) -> UsageError:
    return UsageError(f"the PNG is damaged: {what}", rule="a PNG is read whole or not at all")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        check = data[at + 8 + size : at + 12 + size]
        if len(body) < size or len(check) < 4:
            raise _broken("it ends too early")
        if zlib.crc32(kind + body) != int.from_bytes(check):
            raise _broken(f"the check sum of its part {kind.decode('latin-1')} is wrong")
        yield kind, body
        if kind == b"IEND":
            return
        at += 12 + size
    raise _broken("it ends too early")


def _head(body: bytes) -> _Head:
    if len(body) != 13:
        raise _broken("it has no header")
    width, height, depth, colour, packed, filtered, interlaced = struct.unpack(">IIBBBBB", body)
    if depth not in _DEPTHS.get(colour, ()) or packed or filtered or interlaced > 1 or not width or not height:
        raise _broken("its header says what no PNG has")
    if width * height > MOST_PIXELS:
        raise UsageError(f"{width:,} x {height:,} pixels", rule=f"at most {MOST_PIXELS:,} are read")
    return _Head(width=width, height=height, depth=depth, colour=colour, interlaced=bool(interlaced))


def _samples(head: _Head, packed: bytes) -> NDArray[np.uint16]:
    """(height, width, samples of a pixel) as they are stored."""
    places = _PASSES if head.interlaced else ((0, 0, 1, 1),)
    sizes = [
        (-(-(head.height - y) // down), -(-(head.width - x) // right)) if head.width > x and head.height > y else (0, 0)
        for x, y, right, down in places
    ]
    wanted = sum(rows * (1 + head.row_bytes(columns)) for rows, columns in sizes if columns)
    try:
        raw = zlib.decompressobj().decompress(packed, wanted)
    except zlib.error:
        raise _broken("its pixels cannot be unpacked") from None
    if len(raw) < wanted:
        raise _broken("some of its pixels are missing")
    out = np.zeros((head.height, head.width, _SAMPLES[head.colour]), dtype=np.uint16)
    at = 0
    for (rows, columns), (x, y, right, down) in zip(sizes, places, strict=True):
        if rows and columns:
            wide = head.row_bytes(columns)
            lines = np.frombuffer(raw, np.uint8, rows * (1 + wide), at).reshape(rows, 1 + wide)
            at += lines.size
            out[y::down, x::right] = _unpacked(_unfiltered(lines, max(head.bits // 8, 1)), head, columns)
    return out


def _unfiltered(lines: Bytes, step: int) -> Bytes:
    """Rows without their filters. step: bytes of a pixel.

    A byte follows from those at its left, above it and between: all of one diagonal can be found at once.
    """
    kinds, wide = lines[:, 0], lines.shape[1] - 1
    if kinds.max(initial=0) > _PAETH:
        raise _broken("a row has a filter that no PNG has")
    rows, columns = len(lines), wide // step
    padded = np.zeros(((rows + 1) * (columns + 1), step), dtype=np.int16)
    grid = padded.reshape(rows + 1, columns + 1, step)
    grid[1:, 1:] = lines[:, 1:].reshape(rows, columns, step)
    which = [(kinds == kind)[:, None] for kind in (_SUB, _UP, _AVERAGE, _PAETH)]
    for diagonal in range(rows + columns - 1):
        first, last = max(0, diagonal - columns + 1), min(rows - 1, diagonal)
        start = first * (columns + 1) + diagonal - first  # of the corner above and at the left of the first
        many = last - first + 1
        corner, up, left, here = (
            padded[start + shift :: max(columns, 1)][:many] for shift in (0, 1, columns + 1, columns + 2)
        )
        sub, above, average, paeth = (mask[first : last + 1] for mask in which)
        guess = left * sub + up * above + ((left + up) >> 1) * average
        if paeth.any():
            guess = guess + _paeth(left, up, corner) * paeth
        here += guess
        here &= 255
    return grid[1:, 1:].reshape(rows, wide).astype(np.uint8)


def _paeth(left: NDArray[np.int16], up: NDArray[np.int16], corner: NDArray[np.int16]) -> NDArray[np.int16]:
    """Of the three the one nearest to left + up - corner; left before up before corner."""
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    nearer = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearer)


def _unpacked(rows: Bytes, head: _Head, columns: int) -> NDArray[np.uint16]:
    """Bytes as samples of 1 to 16 bits."""
    many = _SAMPLES[head.colour]
    if head.depth == 16:
        return rows.view(">u2").astype(np.uint16).reshape(len(rows), columns, many)
    if head.depth == 8:
        return rows.astype(np.uint16).reshape(len(rows), columns, many)
    bits = np.unpackbits(rows, axis=1)[:, : columns * head.depth].reshape(len(rows), columns, head.depth)
    return (bits @ (1 << np.arange(head.depth)[::-1]).astype(np.uint16)).astype(np.uint16)[..., None]


def _coloured(head: _Head, samples: NDArray[np.uint16], parts: dict[bytes, bytes]) -> Bytes:
    """Samples as grey or colour of 8 bits, on white."""
    clear = parts.get(b"tRNS", b"")
    if head.colour == _PALETTE:
        palette = np.frombuffer(parts.get(b"PLTE", b""), np.uint8)
        if not palette.size or palette.size % 3 or samples.max() >= palette.size // 3:
            raise _broken("its palette is too small")
        opaque = np.full(palette.size // 3, 255.0)
        opaque[: len(clear)] = np.frombuffer(clear, np.uint8)[: len(opaque)]
        places = samples[..., 0]
        return _on_white(palette.reshape(-1, 3)[places].astype(np.float64), opaque[places][..., None])
    top = 2**head.depth - 1
    values = samples.astype(np.float64) * (255 / top)
    if head.colour in (4, 6):
        return _on_white(values[..., :-1], values[..., -1:])
    if len(clear) == 2 * samples.shape[-1]:
        key = np.frombuffer(clear, ">u2").astype(np.uint16)
        return _on_white(values, np.where((samples == key).all(-1, keepdims=True), 0.0, 255.0))
    return np.asarray(np.rint(values).astype(np.uint8), dtype=np.uint8)


def _on_white(values: NDArray[np.float64], opaque: NDArray[np.float64]) -> Bytes:
    share = opaque / 255
    return np.asarray(np.rint(values * share + 255 * (1 - share)), dtype=np.uint8)


def encode(pixels: Bytes) -> bytes:
    """A PNG of (height, width, 1 or 3) pixels from 0 to 255, each row with the filter that leaves the least."""
    height, width, many = pixels.shape
    colour = {1: 0, 3: 2}[many]
    padded = np.zeros((height + 1, width + 1, many), dtype=np.int16)
    padded[1:, 1:] = pixels
    here, left, up, corner = padded[1:, 1:], padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    guesses = (np.zeros_like(here), left, up, (left + up) >> 1, _paeth(left, up, corner))
    rows = np.stack([(here - guess).astype(np.uint8).reshape(height, -1) for guess in guesses])
    left_over = np.abs(rows.view(np.int8).astype(np.int32)).sum(-1)
    best = left_over.argmin(0)
    lines = np.empty((height, 1 + rows.shape[-1]), dtype=np.uint8)
    lines[:, 0] = best
    lines[:, 1:] = rows[best, np.arange(height)]
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 9)
    return _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
