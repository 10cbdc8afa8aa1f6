"""An error names what failed with its numbers, the rule, and the nearest thing that works."""

from __future__ import annotations

import json

import pytest

CLUSTER_WITHOUT_DEVICE = "[node]\ncount = 8\n"
CLUSTER_WITH_A_TYPO = 'nodse = 2\n[node]\ndevice = "h100"\ncount = 8\n'
CONFIG_CUT_SHORT = '{"model_type": "llama", "hidden_size": 4096,'
CONFIG_WITHOUT_VOCABULARY = json.dumps(
    {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "max_position_embeddings": 128,
    }
)

TABLE = [
    # what is said: the words that the error must hold
    ("model show gpt3-157b", "'gpt3-157b'", "gpt3-175b"),
    ("hardware show rtx-4091", "rtx-4091", "rtx-4090"),
    ("plan gpt2 --cluster 8xh100x", "h100x", "h100"),
    ("modle list", "modle", "model"),
    ("model shwo gpt2", "shwo", "show"),
    ("plan gpt2 --cluser 8xh100", "--cluser", "--cluster"),
    ("plan gpt2", "--cluster", "rigwise plan --help"),
    ("plan gpt2 --cluster 8xh100 --objective speed", "speed", "time"),
    ("plan gpt2 --cluster 8xh100 --fix pt=2", "pt=2", "tp"),
    ("plan gpt2 --cluster 8xh100 --batch -4", "batch=-4", "at least 1"),
    ("estimate gpt3-175b --cluster 64xh100 --batch 64 --layout dp=4,tp=8,pp=3", "= 96 ranks", "tp 8 x pp 2 x dp 4"),
    ("estimate gpt2 --cluster 8xh100 --batch 12 --layout dp=8", "batch 12", "dp 8"),
    ("estimate gpt2 --cluster 4xv100 --batch 8 --layout dp=4,precision=float8", "float8", "float16"),
    ("scale gpt2 --cluster 2x8xh100 --devices 12", "12", "8"),
    ("split 128x1000x500 --dtype fp31", "fp31", "float32"),
]


@pytest.mark.parametrize(("line", "what", "nearest"), TABLE, ids=[row[0] for row in TABLE])
def test_the_error_names_the_culprit_and_what_would_work(line: str, what: str, nearest: str, call) -> None:
    said = call(*line.split())
    assert said.code in (2, 4)
    assert what in said.err
    assert nearest in said.err.partition("\n")[2] + said.err.partition(what)[2]


@pytest.mark.parametrize(
    ("name", "text", "words", "line"),
    [
        ("few.toml", CLUSTER_WITHOUT_DEVICE, ["device"], "plan gpt2 --cluster few.toml"),
        ("typo.toml", CLUSTER_WITH_A_TYPO, ["nodse", "nodes"], "plan gpt2 --cluster typo.toml"),
        ("torn.toml", "device = ", ["torn.toml"], "plan gpt2 --cluster torn.toml"),
        ("config.json", CONFIG_CUT_SHORT, ["config.json"], "model show config.json"),
        ("config.json", CONFIG_WITHOUT_VOCABULARY, ["vocab_size"], "model show config.json"),
        ("table.csv", "a,b\n1,2\n", ["table.csv"], "validate table.csv"),
    ],
    ids=["missing key", "unknown key", "torn file", "torn config", "missing field", "wrong columns"],
)
def test_a_file_that_cannot_be_read_says_where(name, text, words, line, call, tmp_path) -> None:
    (tmp_path / name).write_text(text)
    said = call(*line.split())
    assert said.code == 2, said.err
    assert all(word in said.err for word in words)


def test_infeasible_names_the_binding_constraint_and_a_change(call) -> None:
    said = call("plan", "gpt3-175b", "--cluster", "2xrtx-3090", "--batch", "8")
    assert "does not fit" in said.err
    assert "24.0 GiB" in said.err
    assert "nearest: " in said.err


def test_an_estimate_that_does_not_fit_is_shown_and_the_change_it_names_fits(call) -> None:
    words = ("estimate", "llama-3-8b", "--cluster", "8xh100", "--batch", "32", "--layout")
    said = call(*words, "dp=8")
    assert said.code == 3
    assert "of 80.0 GiB" in said.out
    assert "none: it does not fit" in said.out
    assert "MFU" not in said.out  # a step that cannot be has no rates
    nearest = said.err.partition("nearest: ")[2].strip()
    assert "offload" not in nearest  # which would fit too, but costs more than recomputing or sharding
    assert call(*words, nearest).code == 0


def test_an_estimate_that_does_not_fit_is_one_json_object_with_both(call) -> None:
    said = call("estimate", "llama-3-8b", "--cluster", "8xh100", "--batch", "32", "--layout", "dp=8", "--json")
    assert said.code == said.json["exit_code"] == 3
    assert said.json["fits"] is False
    assert said.json["memory_gib"]["total"] > said.json["memory_gib"]["limit"]


def test_a_picture_that_cannot_be_written_leaves_nothing(call, tmp_path) -> None:
    said = call("plan", "gpt2", "--cluster", "8xh100", "--batch", "64", "--picture", "no/such/folder.svg")
    assert said.code == 2
    assert "no/such/folder.svg" in said.err
    assert list(tmp_path.iterdir()) == []
