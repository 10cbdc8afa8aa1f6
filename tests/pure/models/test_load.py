"""What a user may write for a model, and models of one's own in TOML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rigwise.errors import NotFoundError, UsageError
from rigwise.models import zoo
from rigwise.models.load import load_model

TRANSFORMER = 'builder = "transformer"\nlayers = 2\nhidden = 64\nheads = 4\nvocab = 100\nseq = 32\n'
NET = """
name = "little"
input = [3, 32, 32]
[[block]]
layers = ["conv 16 3 pad=1", "relu"]
repeat = 3
[[block]]
layers = ["globalpool", "dense 10"]
"""


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_zoo_name_with_a_length() -> None:
    assert load_model("GPT-2", seq=128) == zoo.load("gpt2", seq=128)


def test_a_folder_with_a_config(tmp_path: Path) -> None:
    config = {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "n_positions": 16, "vocab_size": 10}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_model(str(tmp_path)).layers == 1
    assert load_model(str(tmp_path), layers=3).layers == 3


def test_a_builder_and_its_arguments(tmp_path: Path) -> None:
    model = load_model(write(tmp_path, TRANSFORMER))
    assert (model.name, model.layers, model.tokens) == ("mine", 2, 32)
    assert load_model(str(tmp_path / "mine.toml"), seq=8).tokens == 8


def test_another_model_and_what_differs(tmp_path: Path) -> None:
    model = load_model(write(tmp_path, 'extends = "llama-3-8b"\nlayers = 40\nname = "wider"'))
    assert (model.name, model.layers, model.hidden) == ("wider", 40, 4096)


def test_blocks_of_layers(tmp_path: Path) -> None:
    model = load_model(write(tmp_path, NET))
    assert model.name == "little"
    assert model.parameters == (3 * 16 + 2 * 16 * 16) * 9 + 3 * 16 + 160 + 10
    assert model.units >= 2


def test_low_rank_branches() -> None:
    assert load_model("llama-3.2-1b", adapt="lora", rank=4).trainable_parameters < 1e7
    assert load_model("llama-3.2-1b", adapt="qlora").name == "llama-3.2-1b+qlora"
    with pytest.raises(UsageError, match="rank 4 without"):
        load_model("llama-3.2-1b", rank=4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("layers = ", "not TOML"),
        ("layers = 3", "exactly one of builder, extends"),
        ('builder = "transformer"\nextends = "gpt2"', "builder and extends"),
        ('builder = "transfomer"', "nearest: transformer"),
        ('extends = "gpt3-157b"', "nearest: gpt3-175b"),
        ("extends = 3", "not a model of the zoo"),
        (TRANSFORMER + "hiden = 3", "nearest: hidden"),
        (TRANSFORMER.replace("heads = 4", "heads = 5"), "not a multiple of heads"),
        (TRANSFORMER.replace("hidden = 64\n", ""), "lacks hidden"),
        (NET + "strides = 3", "no key 'strides'"),
        (NET.replace("repeat = 3", "repeat = 0"), "at least 1"),
        (NET.replace("repeat = 3", "repeat = 1000000000000"), "at most 100,000 layers"),
        (NET.replace("input = [3, 32, 32]", ""), "no key 'input'"),
        (NET.replace("relu", "rellu"), "rellu"),
        (NET.replace('["globalpool", "dense 10"]', "[]"), "list of lines"),
        ("input = [3, 8, 8]\nblock = 3", "a block is a table"),
        ('builder = "mlp"\nsizes = 3', "at least an input and an output"),
    ],
)
def test_files_that_are_wrong(text: str, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises((UsageError, NotFoundError), match=says) as caught:
        load_model(path)
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ("", UsageError, "no model"),
        ("gpt3-157b", NotFoundError, "nearest: gpt3-175b"),
        ("xyzzy", NotFoundError, "a zoo name, org/name"),
        ("nowhere/config.json", NotFoundError, "no file"),
        ("nowhere.toml", NotFoundError, "no file"),
        ("nowhere.py:make", NotFoundError, "no file"),
        ("nowhere.py", NotFoundError, "no file"),
        ("gpt2 --layers", NotFoundError, "nearest"),
        ("~nobody-has-this-name", NotFoundError, "no model"),
        ("x" * 5000, NotFoundError, "no model"),
        ("a\0b", NotFoundError, "no model"),
    ],
)
def test_names_that_are_wrong(spec: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        load_model(spec)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"\x00")
    with pytest.raises(UsageError, match=r"neither .json nor .toml"):
        load_model(str(path))


def test_a_python_file_needs_a_function(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("")
    with pytest.raises(UsageError, match=r"file.py:function"):
        load_model(str(path))
