"""PNG files: read as the library that everybody has reads them, and refused where they are broken or too large."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigwise.convolution.photo import read_photo
from rigwise.convolution.png import MOST_PIXELS, decode, encode
from rigwise.errors import NotFoundError, UsageError


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 3))
def test_what_was_written_is_read_again(height: int, width: int, many: int, smoothness: int) -> None:
    rng = np.random.default_rng(height * 41 + width)
    pixels = (rng.integers(0, 256, (height, width, many)) >> (2 * smoothness)).astype(np.uint8)
    assert np.array_equal(decode(encode(pixels)), pixels)


FORMS = [("L", {}), ("RGB", {}), ("P", {}), ("1", {}), ("RGBA", {}), ("LA", {}), ("I;16", {}), ("P", {"bits": 4})]


@pytest.mark.parametrize(("mode", "options"), FORMS)
def test_every_form_is_read_as_pillow_reads_it(mode: str, options: dict) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow, the oracle, is not installed")
    y, x = np.mgrid[:37, :53]
    base = np.stack([x * 4, y * 6, (x * y) % 256, 255 - x * 3], axis=-1).astype(np.uint8)
    if mode == "I;16":
        made = image.fromarray((x * 700 + y * 13).astype(np.uint16))
        expected = np.rint(np.asarray(made).astype(np.float64) / 257)[..., None]
    elif mode == "LA":
        made = image.merge("LA", [image.fromarray(base[..., 0]), image.fromarray(base[..., 3])])
        expected = _on_white(image, made)
    elif mode == "RGBA":
        made = image.fromarray(base)
        expected = _on_white(image, made)
    else:
        made = image.fromarray(base[..., :3])
        made = made.quantize(2 ** options.get("bits", 8)) if mode == "P" else made.convert(mode)
        plain = np.asarray(made.convert("RGB" if mode == "P" else "L" if mode == "1" else mode))
        expected = plain if plain.ndim == 3 else plain[..., None]
    file = io.BytesIO()
    made.save(file, "PNG", **options)
    got = decode(file.getvalue()).astype(int)
    wide = np.broadcast_to(got, expected.shape) if got.shape[-1] == 1 else got
    assert np.abs(wide - expected).max() <= 1


def _on_white(image, made) -> np.ndarray:
    rgba = made.convert("RGBA")
    return np.asarray(image.alpha_composite(image.new("RGBA", rgba.size, (255,) * 4), rgba).convert("RGB")).astype(int)


def test_pillow_reads_what_was_written() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow, the oracle, is not installed")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 3)).astype(np.uint8)
    assert np.array_equal(np.asarray(image.open(io.BytesIO(encode(pixels)))), pixels)


def test_an_interlaced_picture_is_read() -> None:
    """By hand: nobody writes them any more. Seven passes of an 11 x 9 ramp, no filters."""
    pixels = np.arange(99, dtype=np.uint8).reshape(9, 11)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    raw = b"".join(
        b"\0" + row.tobytes() for x, y, right, down in passes for row in pixels[y::down, x::right] if row.size
    )
    assert np.array_equal(decode(_png(11, 9, raw, interlaced=1))[..., 0], pixels)


def _png(width: int, height: int, raw: bytes, *, interlaced: int = 0, depth: int = 8, colour: int = 0) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    body = zlib.compress(raw)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


WHOLE = encode(np.arange(200, dtype=np.uint8).reshape(10, 20, 1))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a PNG"),
        (b"hello", "not a PNG"),
        (b"\xff\xd8\xff\xe0 and so on", "a JPEG"),
        (WHOLE[:60], "ends too early"),
        (WHOLE[:45] + b"?" + WHOLE[46:], "check sum"),
        (_png(20, 10, b"\0" * 50), "missing"),
        (_png(2, 1, b"\x09\1\2"), "filter"),
        (_png(2, 1, b"\0\1\2", depth=3), "header"),
        (_png(2, 1, b"\0\1\2", colour=3), "palette"),
        (_png(100_000, 100_000, b""), "pixels"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        decode(data)


@settings(max_examples=150, deadline=None)
@given(st.integers(8, len(WHOLE) - 1), st.integers(0, 255))
def test_a_damaged_file_is_an_error_of_ours_and_never_a_crash(place: int, value: int) -> None:
    broken = WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :]
    with suppress(UsageError):
        assert decode(broken).shape == (10, 20, 1)


def test_a_small_file_cannot_ask_for_much_memory(tmp_path) -> None:
    side = int(MOST_PIXELS**0.5) + 1
    (tmp_path / "bomb.png").write_bytes(_png(side, side, b"\0" * 1000))
    with pytest.raises(UsageError, match="pixels"):
        read_photo(tmp_path / "bomb.png")
    (tmp_path / "large.png").write_bytes(_png(3000, 2000, b"\0" * (2000 * 3001)))
    with pytest.raises(UsageError, match="shrink 2"):
        read_photo(tmp_path / "large.png")
    assert read_photo(tmp_path / "large.png", 2).size == (1000, 1500)


def test_places_without_an_image(tmp_path) -> None:
    with pytest.raises(NotFoundError):
        read_photo(tmp_path / "none.png")
    with pytest.raises(UsageError, match="folder"):
        read_photo(tmp_path)
    for spec in ("stripes:a:b", "stripes:30:1", "stripes:1:2:3"):
        with pytest.raises(UsageError):
            read_photo(spec)
