"""Free text of tables: each spelling that was met, with what it must be read as."""

from __future__ import annotations

from importlib import resources

import pytest

from rigwise.cost.efficiencies import stack_names
from rigwise.layouts.layout import PRECISIONS, RECOMPUTE
from rigwise.measurements.conventions import CONVENTIONS
from rigwise.measurements.words import TOPICS, patterns_of, read


@pytest.mark.parametrize(
    ("topic", "text", "facts"),
    [
        ("precision", "MXFP8", {"precision": "float8", "scaling": "mx"}),
        ("precision", "NVFP4", {"precision": "float4", "scaling": "nv"}),
        ("precision", "FP8-CS", {"precision": "float8"}),
        ("precision", "bf16-true + bnb.nf4-dq", {"precision": "bfloat16", "bits": 4.127}),
        ("precision", "bf16-true + bnb.nf4", {"precision": "bfloat16", "bits": 4.5}),
        ("precision", "bf16 (int4 GPTQ base)", {"precision": "bfloat16", "bits": 4.16}),
        ("precision", "fp16 in / fp32 math", {"precision": "float16"}),
        ("precision", "mixed fp16 (AMP)", {"precision": "float16"}),
        ("precision", "tf32/fp32 (A100 default TF32 for convs)", {"precision": "tf32", "where_supported": True}),
        ("precision", "fp32", {"precision": "float32"}),
        ("sharding", "FSDP FULL_SHARD (ZeRO-3)", {"zero": 3}),
        ("sharding", "FSDP SHARD_GRAD_OP (ZeRO-2)", {"zero": 2}),
        ("sharding", "Megatron-FSDP shard=64", {"zero": 3, "shard": 64}),
        ("sharding", "ZeRO-1 + DeepSpeed 3D", {"zero": 1}),
        ("sharding", "none (DDP/Horovod)", {"zero": 0}),
        ("sharding", "", {"zero": 0}),
        ("recompute", "full (torchtune default AC on, not restated)", {"recompute": "full"}),
        ("recompute", "none (not stated)", {"recompute": "none"}),
        ("attention", "yes (TE)", {"flash": True}),
        ("attention", "no", {"flash": False}),
        ("amounts", "GPU-hours for 2.0T tokens", {"tokens": 2.0, "scale": 1e12}),
        ("amounts", 'GPU-hours for "15T+" tokens', {"tokens": 15, "scale": 1e12}),
        ("messages", "all_reduce_bench.py payload 32KiB", {"size": 32, "prefix": "Ki"}),
        ("messages", "from size 3.0976e+06 floats and mean", {"floats": 3.0976e6}),
        ("passes", "backward wrt inputs; DeepBench", {"which": "input_gradient"}),
        ("kernels", "gemm M1760 N16 K1760 NN", {"kind": "gemm", "m": 1760, "n": 16, "k": 1760}),
        ("timing", "zero_grad + forward, NO optimizer step", {"optimizer": False}),
        ("adaptations", "Qwen-7B Q-LoRA", {"kind": "qlora"}),
        ("adaptations", "Qwen-7B LoRA (emb)", {"kind": "lora", "train_ends": True}),
        ("batches", "global batch 4M tokens", {"million_tokens": 4}),
        ("batches", "GLOBAL batch 968 from a file", {"global_batch": 968}),
        ("stacks", "torch.nn.DataParallel (single process)", {"stack": "dataparallel"}),
        ("stacks", "BERT-Large (TF1)", {"stack": "graph", "year": 2020}),
        ("conventions", "size*4*2*seq*GBS", {"convention": "eight-p", "recomputed": True}),
    ],
)
def test_spellings(topic: str, text: str, facts: dict[str, object]) -> None:
    assert (read(topic, text) or {}).items() >= facts.items()


@pytest.mark.parametrize(
    ("topic", "text"), [("precision", "posit16"), ("recompute", "perhaps"), ("passes", "sideways")]
)
def test_what_no_pattern_knows_is_none(topic: str, text: str) -> None:
    assert read(topic, text) is None


def test_every_topic_is_a_file_and_every_file_a_topic() -> None:
    files = {f.name.removesuffix(".toml") for f in resources.files("rigwise.measurements").joinpath("words").iterdir()}
    assert files == set(TOPICS)


@pytest.mark.parametrize(
    ("topic", "key", "known"),
    [
        ("precision", "precision", PRECISIONS),
        ("recompute", "recompute", RECOMPUTE),
        ("stacks", "stack", tuple(stack_names())),
        ("conventions", "convention", CONVENTIONS),
    ],
)
def test_words_that_other_rooms_know(topic: str, key: str, known: tuple[str, ...]) -> None:
    from rigwise.measurements.words import _topic

    assert {facts[key] for _, facts in _topic(topic)} <= set(known)


def test_the_first_pattern_decides_and_case_does_not_matter() -> None:
    patterns = patterns_of([{"match": "red (?P<count>\\d+)", "a": 1}, {"match": "red", "a": 2}])
    from rigwise.measurements.words import first

    assert first(patterns, "RED 7") == {"a": 1, "count": 7}
    assert first(patterns, "red") == {"a": 2}
    assert first(patterns, "blue") is None
