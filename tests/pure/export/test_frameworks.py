"""A layout in the words of a framework: its degrees multiply to the ranks, and the framework's own parser takes it."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields
from math import prod
from types import SimpleNamespace

import pytest

from rigwise.errors import InfeasibleError, NotFoundError
from rigwise.export.frameworks import FRAMEWORKS, export
from rigwise.export.subject import Subject, yaml
from rigwise.hardware.load import load_cluster
from rigwise.layouts.layout import Layout
from rigwise.models.zoo import load

LAYOUTS = [
    "dp=8,micro=2",
    "dp=8,zero=1,micro=2",
    "dp=8,zero=3,recompute=full",
    "dp=2,tp=4,zero=2,sp=on,overlap=dp+tp",
    "tp=8,micro=4",
    "dp=2,tp=2,pp=2,recompute=selective",
    "dp=1,tp=2,pp=4,vpp=2",
    "dp=4,cp=2,zero=3",
    "dp=8,zero=3,offload=all",
    "dp=8,compress=1bit",
]


def subject(layout: str, model: str = "llama-2-7b", **more: object) -> Subject:
    on = Layout.parse(layout)
    return Subject(model=load(model, seq=2048), cluster=load_cluster("8xh100-sxm-80gb"), layout=on, batch=64, **more)


def flags(text: str) -> dict[str, str]:
    words = shlex.split(text.replace("\\\n", " "))
    return {
        word: "" if at + 1 == len(words) or words[at + 1].startswith("--") else words[at + 1]
        for at, word in enumerate(words)
        if word.startswith("--")
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_degrees_that_torchtitan_is_told_are_all_the_ranks(layout: str) -> None:
    told = flags(export(subject(layout), "torchtitan").text)
    degrees = [
        int(value)
        for name, value in told.items()
        if re.search(r"(shard|replicate|tensor|pipeline|context)_\w*degree", name)
    ]
    assert prod(degrees) == 8
    assert int(told["--training.global_batch_size"]) == 64


def test_torchtitan_takes_its_flags() -> None:
    tyro = pytest.importorskip("tyro")
    configs = pytest.importorskip("torchtitan.config.configs")
    for layout in LAYOUTS:
        lines = [line.rstrip("\\ ") for line in export(subject(layout), "torchtitan").text.splitlines()]
        for room, kind in (("training", configs.TrainingConfig), ("parallelism", configs.ParallelismConfig)):
            own = [line.replace(f"{room}.", "") for line in lines if line.startswith(f"--{room}.")]
            assert isinstance(tyro.cli(kind, args=[word for line in own for word in line.split()]), kind)
        assert {line.partition(":")[2] for line in lines if not line.startswith("--")} <= {"full", "selective"}


WITHOUT_RINGS = [one for one in LAYOUTS if "cp" not in one]


@pytest.mark.parametrize("layout", WITHOUT_RINGS)
def test_deepspeed_is_told_a_batch_that_its_ranks_make(layout: str) -> None:
    told = json.loads(export(subject(layout), "deepspeed").text)
    each = told["train_micro_batch_size_per_gpu"] * told["gradient_accumulation_steps"]
    assert each * Layout.parse(layout).dp == told["train_batch_size"] == 64


def test_deepspeed_takes_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    config = pytest.importorskip("deepspeed.runtime.config")
    monkeypatch.setattr(config, "dist", SimpleNamespace(get_rank=lambda: 0, get_world_size=lambda: 8))
    for layout in WITHOUT_RINGS:
        on = Layout.parse(layout)
        ranks = SimpleNamespace(get_data_parallel_world_size=lambda on=on: on.dp)
        read = config.DeepSpeedConfig(json.loads(export(subject(layout), "deepspeed").text), mpu=ranks)
        assert read.zero_config.stage == on.zero


def test_accelerate_takes_its_file(tmp_path) -> None:
    args = pytest.importorskip("accelerate.commands.config.config_args")
    for layout in LAYOUTS:
        said = export(subject(layout), "accelerate")
        path = tmp_path / said.name
        path.write_text(said.text)
        read = args.load_config_from_file(str(path))
        assert (read.num_processes, read.num_machines) == (8, 1)


@pytest.mark.parametrize("layout", ["dp=4,cp=2,zero=3", "dp=2,tp=4,zero=2"])
def test_the_degrees_that_accelerate_is_told_are_all_the_ranks(layout: str) -> None:
    said = export(subject(layout), "accelerate").text
    assert prod(int(size) for size in re.findall(r"parallelism_config_\w+_size: (\d+)", said)) == 8


@pytest.mark.parametrize("layout", LAYOUTS)
def test_megatron_is_told_every_degree_but_data_parallelism_which_it_works_out(layout: str) -> None:
    on, told = Layout.parse(layout), flags(export(subject(layout), "megatron").text)
    axes = ("tensor-model-parallel", "pipeline-model-parallel", "context-parallel")
    assert [int(told.get(f"--{axis}-size", 1)) for axis in axes] == [on.tp, on.pp, on.cp]
    assert told["--num-layers"] == "32"


def test_megatron_knows_the_sizes_by_these_names() -> None:
    config = pytest.importorskip("megatron.core.transformer.transformer_config")
    known = {field.name for field in fields(config.TransformerConfig)}
    for flag in ("--num-layers", "--hidden-size", "--num-attention-heads", "--tensor-model-parallel-size"):
        assert flag[2:].replace("-", "_") in known


def test_what_a_framework_has_no_word_for_is_refused_with_the_nearest_that_it_has() -> None:
    for tool, layout, nearest in [
        ("deepspeed", "dp=4,cp=2", "dp=8"),
        ("deepspeed", "dp=4,pp=2,zero=2", "zero=1"),
        ("accelerate", "dp=4,tp=2", "zero=3"),
        ("torchtitan", "dp=8,precision=float16", "dp=8"),
    ]:
        with pytest.raises(InfeasibleError) as refused:
            export(subject(layout), tool)
        assert nearest in str(refused.value.nearest)
        export(subject(str(refused.value.nearest)), tool)
    with pytest.raises(NotFoundError, match="horovod"):
        export(subject("dp=8"), "horovod")
    with pytest.raises(InfeasibleError, match="convnet"):
        export(
            Subject(model=load("resnet50"), cluster=load_cluster("8xh100-sxm-80gb"), layout=Layout(dp=8), batch=64),
            "megatron",
        )


@pytest.mark.parametrize("tool", FRAMEWORKS)
def test_what_is_left_out_is_said(tool: str) -> None:
    said = export(subject("dp=8,compress=8bit"), tool)
    assert any("compress=8bit is left out" in note for note in said.notes)


def test_yaml_quotes_what_another_reader_would_misread() -> None:
    text = yaml({"answer": "no", "port": "29500", "empty": {}, "lines": "a\nb: c\n", "list": [{"x": 1, "y": [True]}]})
    assert text.splitlines()[:3] == ['answer: "no"', 'port: "29500"', "empty: {}"]
    reader = pytest.importorskip("yaml")
    assert reader.safe_load(text) == {
        "answer": "no", "port": "29500", "empty": {}, "lines": "a\nb: c\n", "list": [{"x": 1, "y": [True]}],
    }  # fmt: skip
