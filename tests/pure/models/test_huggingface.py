"""config.json: every model_type, what is missing, what is broken, what is cached."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rigwise.errors import NotFoundError, UsageError
from rigwise.models import huggingface, zoo
from rigwise.models.load import load_model

LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 100,
    "max_position_embeddings": 256,
}
SAME_AS_ZOO = {
    "openai-community/gpt2-xl": "gpt2-xl",
    "meta-llama/Llama-2-70b-hf": "llama-2-70b",
    "meta-llama/Llama-3.2-1B": "llama-3.2-1b",
    "mistralai/Mistral-7B-v0.1": "mistral-7b",
    "mistralai/Mixtral-8x22B-v0.1": "mixtral-8x22b",
    "Qwen/Qwen2.5-7B": "qwen2.5-7b",
    "Qwen/Qwen3-8B": "qwen3-8b",
    "Qwen/Qwen3-235B-A22B": "qwen3-235b-a22b",
    "deepseek-ai/DeepSeek-V3": "deepseek-v3",
    "moonshotai/Kimi-K2-Base": "kimi-k2",
    "openai/gpt-oss-120b": "gpt-oss-120b",
    "google-bert/bert-large-uncased": "bert-large",
    "google-t5/t5-large": "t5-large",
    "google/vit-base-patch16-224": "vit-b-16",
    "tiiuae/falcon-7b": "falcon-7b",
    "google/gemma-7b": "gemma-7b",
    "microsoft/phi-2": "phi-2",
    "microsoft/Phi-3-mini-4k-instruct": "phi-3-mini",
    "facebook/opt-350m": "opt-350m",
    "bigscience/bloom": "bloom-176b",
    "EleutherAI/gpt-neox-20b": "gpt-neox-20b",
}
COUNTS = {  # parameters in the checkpoints' safetensors headers, of models that the zoo has not
    "mosaicml/mpt-7b": 6_649_286_656,
    "mosaicml/mpt-30b": 29_957_200_896,
    "tiiuae/falcon-40b": 41_303_293_952,
    "Qwen/Qwen1.5-MoE-A2.7B": 14_315_784_192,
    "bigscience/bloom-560m": 559_214_592,
    "EleutherAI/pythia-6.9b": 6_857_302_016,
}


def write(folder: Path, config: object) -> Path:
    path = folder / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return path


@pytest.mark.parametrize(("org_name", "name"), SAME_AS_ZOO.items())
def test_a_config_makes_the_model_of_the_zoo(org_name: str, name: str) -> None:
    ours = zoo.load(name)
    theirs = huggingface.named(org_name, seq=ours.tokens if ours.unit == "token" else None)
    assert theirs.name == org_name
    assert theirs.parameters == ours.parameters
    assert theirs.active_parameters == ours.active_parameters
    facts = ("layers", "hidden", "heads", "kv_heads", "vocab", "experts", "top_k")
    assert [getattr(theirs, fact) for fact in facts] == [getattr(ours, fact) for fact in facts]


@pytest.mark.parametrize(("org_name", "parameters"), COUNTS.items())
def test_counts_of_other_models(org_name: str, parameters: int) -> None:
    assert huggingface.named(org_name).parameters == parameters


def test_every_model_type_is_bundled_once_at_least() -> None:
    kinds = {json.loads(path.read_text())["model_type"] for path in huggingface.BUNDLED.glob("*.json")}
    assert set(huggingface.model_types()) - kinds == {"deepseek_v2"}


@pytest.mark.parametrize("path", sorted(huggingface.BUNDLED.glob("*.json")), ids=lambda path: path.stem)
def test_a_missing_field_is_named(path: Path, tmp_path: Path) -> None:
    config = json.loads(path.read_text())
    table = huggingface._tables()[huggingface._SAME.get(config["model_type"], config["model_type"])]
    for fields in table["read"].values():
        names = [name for name in fields.split("|") if name in config]
        if "?" in fields or "|" in fields or not names:
            continue
        without = write(tmp_path, {key: value for key, value in config.items() if key != names[0]})
        with pytest.raises(UsageError, match=f"{without}.*no field '{names[0]}'"):
            huggingface.from_config(without)


def test_a_length_is_what_the_model_can_up_to_a_limit(tmp_path: Path) -> None:
    assert huggingface.from_config(write(tmp_path, LLAMA)).tokens == 256
    assert huggingface.from_config(write(tmp_path, LLAMA | {"max_position_embeddings": 131072})).tokens == 8192
    assert huggingface.from_config(tmp_path / "config.json", seq=77).tokens == 77


def test_a_config_is_named_by_its_folder_and_any_other_file_by_itself(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(write(tmp_path, LLAMA).parent)
    assert huggingface.from_config(Path("config.json")).name == tmp_path.name
    Path("mine.json").write_text(Path("config.json").read_text())
    assert huggingface.from_config(Path("mine.json")).name == "mine"


def test_heads_of_bert_follow_its_architecture(tmp_path: Path) -> None:
    base = json.loads((huggingface.BUNDLED / "google-bert--bert-base-uncased.json").read_text())
    counts = {"BertModel": 109_482_240, "BertForQuestionAnswering": 108_893_186}
    for architecture, parameters in counts.items():
        path = write(tmp_path, base | {"architectures": [architecture]})
        assert huggingface.from_config(path).parameters == parameters


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ('{"model_type": "llama",\n "hidden_size": }', "line 2 column 17"),
        ("", "line 1"),
        ("[1, 2]", "holds a list"),
        (LLAMA | {"num_hidden_layers": 10**9}, "layers is at most 100,000"),
        ({"hidden_size": 4}, "no field 'model_type'.*llama"),
        ({"model_type": "lama"}, "unknown model_type 'lama'.*nearest: llama"),
        ({"model_type": 7}, "unknown model_type 7"),
        (LLAMA | {"num_hidden_layers": "two"}, "config.json: layers = 'two'"),
        (LLAMA | {"num_hidden_layers": -2}, "layers = -2"),
        (LLAMA | {"hidden_size": 65, "head_dim": None}, "not a multiple of heads"),
        (LLAMA | {"attention_dropout": "no"}, "dropout of 'no'"),
        (LLAMA | {"tie_word_embeddings": 3}, "true or false"),
    ],
)
def test_broken_files_say_what_and_where(config: object, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, config)
    with pytest.raises(UsageError, match=says) as caught:
        load_model(str(path))
    assert str(path) in str(caught.value)


def test_a_wrong_type_inside_a_special_field(tmp_path: Path) -> None:
    config = json.loads((huggingface.BUNDLED / "Qwen--Qwen3-30B-A3B.json").read_text())
    with pytest.raises(UsageError, match="wrong type"):
        huggingface.from_config(write(tmp_path, config | {"mlp_only_layers": 3}))
    with pytest.raises(UsageError, match="only the first layers"):
        huggingface.from_config(write(tmp_path, config | {"mlp_only_layers": [5]}))


def test_the_cache_is_read_and_never_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(NotFoundError, match=r"give the path of its config.json"):
        load_model("zzz/unheard-of")
    folder = tmp_path / "hub" / "models--zzz--unheard-of"
    for revision, layers in (("old", 1), ("new", 2)):
        (folder / "snapshots" / revision).mkdir(parents=True)
        write(folder / "snapshots" / revision, LLAMA | {"num_hidden_layers": layers})
    os.utime(folder / "snapshots" / "old" / "config.json", (1, 1))
    assert load_model("zzz/unheard-of").layers == 2
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("old")
    assert load_model("zzz/unheard-of").layers == 1


def test_an_unknown_name_names_the_nearest_bundled_one() -> None:
    with pytest.raises(NotFoundError, match=r"meta-llama/llama-3.1-8b"):
        load_model("meta-llama/Llama-3.1-9B")
