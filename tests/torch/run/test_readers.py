"""Readers: what is in the files is what a step gets, and what is wrong with a file is said with its name."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rigwise
from rigwise.errors import LaunchError, NotFoundError, RigwiseError, UsageError
from rigwise.run.feeding.feed import Feed
from rigwise.run.readers.arrays import arrays
from rigwise.run.readers.hub import hub
from rigwise.run.readers.images import images
from rigwise.run.readers.shards import shards
from rigwise.run.readers.tokens import tokens, write_tokens


def test_the_readers_are_rigwise_data() -> None:
    assert rigwise.data.tokens is tokens


@settings(deadline=None, max_examples=25)
@given(
    pieces=st.lists(st.lists(st.integers(0, 65535), max_size=30), min_size=1, max_size=5),
    length=st.integers(1, 7),
    dtype=st.sampled_from(["uint16", "uint32"]),
)
def test_tokens_come_back_as_they_were_written(
    pieces: list[list[int]], length: int, dtype: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tokens") / "a.bin"
    row = [token for piece in pieces for token in piece]
    assert write_tokens(path, [np.array(piece, dtype=np.int64) for piece in pieces], dtype=dtype) == len(row)
    if len(row) <= length:
        with pytest.raises(UsageError):
            tokens(path, length, dtype=dtype)
        return
    data = tokens(path, length, dtype=dtype)
    inputs, targets = data.gather(torch.arange(len(data)))
    assert inputs.flatten().tolist() == row[: len(data) * length]
    assert targets.flatten().tolist() == row[1 : len(data) * length + 1]


def test_samples_do_not_cross_files(tmp_path: Path) -> None:
    for name, numbers in (("b.bin", range(10, 17)), ("a.bin", range(5))):
        write_tokens(tmp_path / name, [np.arange(numbers.start, numbers.stop)])
    np.save(tmp_path / "c.npy", np.arange(20, 29, dtype=np.int32))
    data = tokens(tmp_path, 3)
    assert [data[row][0].tolist() for row in range(len(data))] == [
        [0, 1, 2],
        [10, 11, 12],
        [13, 14, 15],
        [20, 21, 22],
        [23, 24, 25],
    ]


def picture(color: int, side: tuple[int, int] = (6, 4)) -> bytes:
    pil = pytest.importorskip("PIL.Image")
    out = io.BytesIO()
    pil.new("RGB", side, (color, 0, 255)).save(out, "png")
    return out.getvalue()


def test_a_folder_of_pictures_is_read_class_by_class(tmp_path: Path) -> None:
    for name in ("dog", "cat"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(picture(51))
        (tmp_path / name / "notes.md").write_text("not a picture")
    data = images(tmp_path)
    assert data.classes == ["cat", "dog"]
    assert [number for _, number in data] == [0, 1]
    assert data[0][0].shape == (3, 4, 6)
    assert data[0][0][:, 0, 0].tolist() == pytest.approx([0.2, 0.0, 1.0])
    assert images(tmp_path, size=8, transform=lambda p: p * 2)[1][0].shape == (3, 8, 8)
    inputs, targets = next(Feed(data, 0, 0).deal(batch=2, share=slice(0, 2), start=0))
    assert inputs.shape == (2, 3, 4, 6)
    assert sorted(targets.tolist()) == [0, 1]


def test_pictures_without_pillow_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["rigwise.run.readers.images"], "find_spec", lambda name: None)
    with pytest.raises(LaunchError, match="pillow, which is not installed"):
        images(tmp_path)


def test_arrays_are_read_from_memory_files_and_archives(tmp_path: Path) -> None:
    x, y = np.arange(12, dtype=">f4").reshape(6, 2), np.arange(6)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "both.npz", inputs=x, targets=y, more=y)
    for data in (arrays(x, y), arrays(tmp_path / "x.npy", tmp_path / "y.npy"), arrays(tmp_path / "both.npz")):
        inputs, targets = data.gather(torch.tensor([4, 1]))
        assert inputs.tolist() == [[8, 9], [2, 3]]
        assert inputs.dtype == torch.float32
        assert targets.tolist() == [4, 1]
    assert arrays(tmp_path / "both.npz", names=("targets", "more"))[3] == (torch.tensor(3), torch.tensor(3))


def tarred(path: Path, first: int, count: int) -> Path:
    with tarfile.open(path, "w") as tar:
        for number in range(first, first + count):
            for ending, data in (("npy", array(number)), ("cls", b"%d" % (number % 3)), ("meta.json", b"{}")):
                member = tarfile.TarInfo(f"train/{number:05}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def array(number: int) -> bytes:
    out = io.BytesIO()
    np.save(out, np.full(2, number, dtype=np.float32))
    return out.getvalue()


def test_tars_are_read_at_any_place_and_ranks_read_others(tmp_path: Path) -> None:
    for number in range(4):
        tarred(tmp_path / f"{number}.tar", number * 6, 6)
    data = shards(tmp_path, inputs="npy")
    assert len(data) == 24
    assert [(int(x[0]), y) for x, y in (data[17], data[0])] == [(17, 2), (0, 0)]
    rows = data.rows_of(0, 0, 8).view(3, 4, 2)
    assert sorted(rows.flatten().tolist()) == list(range(24))
    for rank in range(4):  # each of four ranks stays in one tar all epoch long
        assert len({int(row) // 6 for row in rows[:, rank].flatten()}) == 1
    assert data.rows_of(0, 1, 8).tolist() != data.rows_of(0, 0, 8).tolist() == data.rows_of(0, 0, 8).tolist()
    alone = [next(Feed(data, 0, 0).deal(batch=8, share=slice(0, 8), start=step))[0] for step in range(6)]
    halves = [
        torch.cat([next(Feed(data, 0, r).deal(batch=8, share=slice(4 * r, 4 * r + 4), start=s))[0] for r in range(2)])
        for s in range(6)
    ]
    assert all(torch.equal(one, other) for one, other in zip(alone, halves, strict=True))


def test_a_decoder_of_one_s_own_sees_all_parts(tmp_path: Path) -> None:
    data = shards(
        tarred(tmp_path / "a.tar", 0, 2), decode=lambda parts: (sorted(parts), json.loads(parts["meta.json"]))
    )
    assert data[1] == (["cls", "meta.json", "npy"], {})


def test_a_hugging_face_dataset_gives_its_columns(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    rows = datasets.Dataset.from_dict({"x": [[i, i] for i in range(10)], "y": list(range(10)), "s": ["a"] * 10})
    data = hub(rows, inputs="x", targets="y")
    inputs, targets = data.gather(torch.tensor([3, 1]))
    assert (inputs.tolist(), targets.tolist()) == ([[3, 3], [1, 1]], [3, 1])
    assert data[2][0].tolist() == [2, 2]
    stream = hub(rows.to_iterable_dataset(), inputs="x", targets="y", batch=4)
    first = iter(stream)
    next(first)
    position = stream.state_dict()
    after = next(first)
    again = hub(rows.to_iterable_dataset(), inputs="x", targets="y", batch=4)
    again.load_state_dict(position)
    assert torch.equal(next(iter(again))[0], after[0])
    with pytest.raises(UsageError, match="a streamed dataset without batch"):
        hub(rows.to_iterable_dataset(), inputs="x", targets="y")
    with pytest.raises(NotFoundError, match="no column 'z'"):
        hub(rows, inputs="z", targets="y")


def test_a_stream_that_a_buffer_shuffles_is_gone_through_again() -> None:
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    rows = datasets.Dataset.from_dict({"x": list(range(40)), "y": list(range(40))}).to_iterable_dataset()
    stream = hub(rows.shuffle(seed=0, buffer_size=10).map(dict), inputs="x", targets="y", batch=4)
    assert Feed(stream, 0, 0).position() is None  # what is in the buffer is not in the dataset's own position
    deal = Feed(stream, 0, 0).deal(batch=4, share=slice(0, 4), start=0)
    whole = [next(deal)[0].tolist() for _ in range(12)]  # over the end of an epoch
    resumed = Feed(stream, 0, 0).deal(batch=4, share=slice(0, 4), start=5)
    assert [next(resumed)[0].tolist() for _ in range(7)] == whole[5:]


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


BROKEN: list[tuple[Callable[[Path], Any], type[RigwiseError], str]] = [
    (lambda p: tokens(p / "none.bin", 4), NotFoundError, "no token file at .*none.bin"),
    (lambda p: tokens(p, 4), NotFoundError, "no token file at"),
    (lambda p: tokens(p / "*.bin", 4), NotFoundError, "no token file at"),
    (lambda p: tokens(written(p / "a.bin", b""), 4), UsageError, "a.bin is empty"),
    (
        lambda p: tokens(written(p / "a.bin", b"abc"), 4),
        UsageError,
        "3 bytes, which is no multiple of 2: it is cut off",
    ),
    (
        lambda p: tokens(written(p / "a.bin", b"abcd"), 4),
        UsageError,
        "a.bin holds 2 tokens, a sample of length 4 takes 5",
    ),
    (lambda p: tokens(written(p / "a.npy", b"abcd"), 4), UsageError, "a.npy cannot be read"),
    (
        lambda p: tokens(written(p / "a.bin", b"\xff" * 64), 4, vocabulary=9)[0],
        UsageError,
        "sample 0 holds token 65535",
    ),
    (lambda p: tokens(written(p / "a.bin", b"abcd"), 4, dtype="int8"), UsageError, "dtype='int8'"),
    (lambda p: tokens(written(p / "a.bin", b"abcd"), 0), UsageError, "length=0"),
    (lambda p: write_tokens(p / "a.bin", [np.array([70000])]), UsageError, "70000 .* do not fit uint16"),
    (lambda p: write_tokens(p / "a.bin", [np.array([-1])], dtype="uint32"), UsageError, "-1 .* do not fit uint32"),
    (lambda p: write_tokens(p / "a.bin", [np.array([0.5])]), UsageError, r"\(float64\) do not fit"),
    (lambda p: images(p / "none"), NotFoundError, "no folder"),
    (lambda p: images(p), UsageError, "no pictures in"),
    (lambda p: images(written(p / "c" / "x.png", b"").parents[1]), UsageError, "x.png is empty"),
    (lambda p: images(written(p / "c" / "x.png", b"no picture").parents[1])[0], UsageError, "x.png is no picture"),
    (lambda p: images(written(p / "c" / "x.png", picture(1)[:50]).parents[1])[0], UsageError, "x.png cannot be read"),
    (lambda p: arrays(p / "x.npy", p / "y.npy"), NotFoundError, "no array file at .*x.npy"),
    (lambda p: arrays(written(p / "x.npz", b"no archive")), UsageError, "x.npz cannot be read"),
    (lambda p: arrays(written(p / "x.npy", array(3)[:-4]), np.zeros(2)), UsageError, "x.npy cannot be read"),
    (lambda p: arrays(np.zeros(3), np.zeros(4)), UsageError, r"inputs of \[3\] and targets of \[4\]"),
    (lambda p: arrays(np.zeros(0), np.zeros(0)), UsageError, "at least one"),
    (lambda p: arrays(np.array(["a"]), np.zeros(1)), UsageError, "samples are numbers"),
    (lambda p: arrays(np.zeros(3)), UsageError, "inputs without targets"),
    (lambda p: shards(p / "a.tar"), NotFoundError, "no tar file at"),
    (lambda p: shards(written(p / "a.tar", b"x" * 1000)), UsageError, "a.tar cannot be read"),
    (
        lambda p: shards(written(p / "b.tar", tarred(p / "a.tar", 0, 4).read_bytes()[:5300])),
        UsageError,
        "b.tar cannot be",
    ),
    (lambda p: shards(tarred(p / "a.tar", 0, 0)), UsageError, "no samples in"),
    (
        lambda p: shards(tarred(p / "a.tar", 0, 1), inputs="npz"),
        NotFoundError,
        "no part of sample .* 'npz'; nearest: npy",
    ),
    (lambda p: shards(tarred(p / "a.tar", 0, 1), inputs="meta.json", targets="npy")[0], UsageError, "cannot be read"),
    (lambda p: hub({"train": 3}, inputs="x", targets="y"), UsageError, "hub of a dict"),
]


@pytest.mark.parametrize(("make", "family", "words"), BROKEN)
def test_what_is_wrong_with_a_file_is_said(
    make: Callable[[Path], Any], family: type[RigwiseError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(family, match=words):
        make(tmp_path)
    assert not list(tmp_path.glob(".*partial"))
