"""`rigwise conv` as it is typed: answers, JSON, pictures, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rigwise import api
from rigwise.cli.main import main
from rigwise.convolution.png import decode, encode
from rigwise.cost.algorithms import ALGORITHMS
from rigwise.cost.convolution import PASSES


def say(capsys, *words: str) -> tuple[int, str, str]:
    code = main(["conv", *words])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_layer_of_a_network(capsys) -> None:
    code, out, _ = say(capsys, "resnet50", "--layer", "stem", "--batch", "1", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["output"] == [64, 112, 112]
    assert told["receptive_field"] == [7, 7]
    assert told["flops"] == 236_027_904
    assert set(told["seconds"]) == set(ALGORITHMS)
    assert told["intensity"] == pytest.approx(told["flops"] / told["bytes"])
    forward, of_input, of_weight = (told["interval_factors"][each] for each in PASSES)
    assert 1 < forward < min(of_input, of_weight)  # gradients are less well known than what they are gradients of
    code, out, _ = say(capsys, "resnet50", "--layer", "stem")
    assert code == 0
    assert "7 x 7" in out


def test_all_layers_of_a_network_have_a_row(capsys) -> None:
    code, out, _ = say(capsys, "alexnet", "--json")
    assert code == 0
    assert len(json.loads(out)["layers"]) == len(api.conv_layers("alexnet"))


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (("--size", "3x256x256", "--to", "32", "--kernel", "16", "--pad", "valid"), [32, 241, 241]),
        (("--size", "1x100", "--to", "1", "--kernel", "5", "--pad", "full"), [1, 104]),
        (("--size", "4x8x8x8", "--to", "8", "--kernel", "3x3x1", "--stride", "2", "--pad", "1x1x0"), [8, 4, 4, 4]),
    ],
)
def test_sizes_of_one_s_own(words: tuple[str, ...], output: list[int], capsys) -> None:
    code, out, _ = say(capsys, *words, "--json")
    assert code == 0
    assert json.loads(out)["output"] == output


def test_what_an_algorithm_cannot_do_has_a_reason(capsys) -> None:
    _, out, _ = say(capsys, "--size", "64x56x56", "--kernel", "5", "--precision", "float32", "--json")
    told = json.loads(out)
    for name, row in told["seconds"].items():
        assert row["forward"] is not None or told["why_not"][name]


def test_the_map_knows_every_cell(capsys) -> None:
    code, out, _ = say(capsys, "map", "--kernels", "3,11,31", "--sizes", "28,112", "--precision", "float32", "--json")
    cells = json.loads(out)["cells"]
    assert code == 0
    assert len(cells) == 6
    for cell in cells:
        known = {name: s for name, s in cell["seconds"].items() if s is not None}
        assert cell["winner"] == min(known, key=lambda name: known[name])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "neither a network nor sizes"),
        (("resnet50", "--size", "3x8x8"), 2, "one of the two"),
        (("no-such-net",), 4, "no model"),
        (("gpt2",), 2, "no convolution"),
        (("resnet50", "--layer", "nowhere"), 4, "no layer"),
        (("--size", "3x8"), 0, ""),
        (("--size", "x"), 2, "whole numbers"),
        (("--size", "3x8x8", "--kernel", "40", "--pad", "valid"), 2, "fits into"),
        (("--size", "3x8x8", "--groups", "2"), 2, "multiples of the groups"),
        (("map", "--kernels", "a,b"), 2, "whole numbers"),
        (("map", "--channels", "64", "--groups", "7"), 2, "multiples of the groups"),
        (("map", "--device", "h1000"), 4, "h100"),
        (("image", "nowhere.png"), 4, "no image"),
        (("image", "cat", "--kernel", "one two; three four"), 4, "no kernel"),
        (("image", "cat", "--kernel", "1 2; 3 x"), 2, "no number"),
        (("image", "cat", "--kernel", "gauss:80"), 2, "at most"),
        (("image", "stripes:30:8", "--shrink", "64", "--kernel", "box:5"), 2, "at most as large"),
        (("spectrum", "--radius", "999"), 2, "cycles"),
        (("find", "--template", "250,250,20,20"), 2, "within the image"),
        (("find", "--template", "1,2,3"), 2, "y,x,height,width"),
        (("find", "--template", "none.png"), 4, "no image"),
        (("diffuse", "--steps", "0"), 2, "steps"),
        (("series", "--window", "9999"), 2, "window"),
        (("series", "nowhere.csv"), 4, "no series"),
        (("image", "--save", "x.jpg"), 2, ".svg or a .png"),
        (("image", "--pixels", "x.svg"), 2, ".png"),
        (("image", "--save", "nowhere/x.svg"), 2, "no folder"),
    ],
)
def test_what_is_wrong_is_said(words: tuple[str, ...], code: int, says: str, capsys) -> None:
    got, _, err = say(capsys, *words)
    assert got == code
    assert says in err
    assert "Traceback" not in err


def test_what_is_no_png_is_said(tmp_path: Path, capsys) -> None:
    (tmp_path / "photo.png").write_bytes(b"\xff\xd8\xff\xe0 a photograph")
    code, _, err = say(capsys, "image", str(tmp_path / "photo.png"))
    assert code == 2
    assert "photo.png: this is a JPEG" in err


@pytest.mark.parametrize("verb", ["image", "spectrum", "domains", "diffuse", "find"])
def test_pixels_can_be_read_again(verb: str, tmp_path: Path, capsys) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(encode(decode((Path(api.__file__).parents[1] / "convolution/data/cat.png").read_bytes())))
    out = tmp_path / "out.png"
    more = ("--steps", "3") if verb == "diffuse" else ()
    code, _, err = say(capsys, verb, str(mine), "--pixels", str(out), *more)
    assert code == 0
    assert decode(out.read_bytes()).shape[0] >= 256
    assert "out.png" in err
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_a_picture_of_a_thin_image(tmp_path: Path, capsys) -> None:
    thin = tmp_path / "thin.png"
    thin.write_bytes(encode(decode(encode(_ramp(3, 700)))))
    for verb in ("image", "spectrum", "domains"):
        kernel = ("--kernel", "1 0 -1") if verb != "spectrum" else ()
        code, _, _ = say(capsys, verb, str(thin), *kernel, "--save", str(tmp_path / f"{verb}.svg"))
        assert code == 0


def _ramp(height: int, width: int):
    import numpy as np

    return (np.arange(height * width).reshape(height, width, 1) % 256).astype(np.uint8)
