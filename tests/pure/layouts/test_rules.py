"""Each rule holds where it should, breaks where it should, and says so with its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster
from rigwise.layouts.conditions import narrowest
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.layouts.rules import RULES, broken, check, legal
from rigwise.models.model import Model
from rigwise.models.operations import linear

Make = Callable[..., Model]
Rig = Callable[..., Cluster]

# layout, devices, batch, what the model is, the rules that it breaks
TRANSFORMER = [
    ("dp=1", 1, 1, {}, []),
    ("dp=4,tp=2,pp=2,micro=2", 16, 64, {}, []),
    ("dp=4,tp=8,pp=3", 64, 64, {"heads": 24, "kv_heads": 24, "ffn": 4096}, ["devices"]),
    ("dp=4,micro=2", 4, 6, {}, ["batch", "micro"]),
    ("dp=4,micro=2", 4, 4, {}, ["micro"]),
    ("dp=8", 8, 4, {}, ["batch", "micro"]),
    ("dp=1,tp=3", 3, 4, {"ffn": 4095, "heads": 16, "kv_heads": 6}, ["heads"]),
    ("dp=1,tp=6", 6, 4, {"ffn": 4092, "heads": 48, "kv_heads": 4}, ["kv_heads"]),
    ("dp=1,tp=8", 8, 4, {}, []),  # four key-value heads, each held by two ranks
    ("dp=1,tp=16", 16, 4, {"ffn": 4104}, ["ffn"]),
    ("dp=1,pp=24", 24, 48, {}, []),
    ("dp=1,pp=25", 25, 50, {}, ["units"]),
    ("dp=1,pp=8,vpp=3", 8, 16, {}, []),
    ("dp=1,pp=8,vpp=4", 8, 16, {}, ["units"]),
    ("dp=1,vpp=2", 1, 16, {}, ["vpp"]),
    ("dp=1,pp=2,schedule=gpipe", 2, 16, {}, []),
    ("dp=2,schedule=gpipe", 2, 16, {}, ["schedule"]),
    ("dp=1,pp=2,vpp=2,schedule=gpipe", 2, 16, {}, ["schedule"]),
    ("dp=2,pp=2,schedule=zero_bubble,zero=1", 4, 16, {}, []),
    ("dp=2,pp=2,schedule=zero_bubble,zero=3", 4, 16, {}, ["schedule_zero"]),
    ("dp=2,pp=4,vpp=2,micro=2", 8, 24, {}, ["interleave"]),
    ("dp=2,pp=4,vpp=2,micro=2", 8, 32, {}, []),
    ("dp=1,cp=4", 4, 4, {}, []),
    ("dp=1,cp=4", 4, 4, {"tokens": 1020}, ["cp"]),
    ("dp=1,cp=4", 4, 4, {"tokens": 1020, "causal": False}, []),
    ("dp=1,tp=4,sp=on", 4, 4, {}, []),
    ("dp=1,sp=keep", 1, 4, {}, ["sp"]),
    ("dp=1,tp=4,sp=on", 4, 4, {"tokens": 1022}, ["sp"]),
    ("dp=4,ep=4", 4, 4, {"experts": 8}, []),
    ("dp=2,cp=2,ep=4", 4, 4, {"experts": 8}, []),
    ("dp=4,ep=8", 4, 4, {"experts": 8}, ["ep"]),
    ("dp=4,ep=4", 4, 4, {"experts": 6}, ["ep"]),
    ("dp=4,ep=2", 4, 4, {}, ["ep"]),
    ("dp=4,zero=3", 4, 4, {}, []),
    ("dp=1,tp=4,zero=1", 4, 4, {}, ["zero"]),
    ("dp=1,cp=4,zero=1", 4, 4, {}, []),  # states are shared out over dp x cp
    ("dp=2,pp=2,zero=1", 4, 4, {}, []),
    ("dp=2,pp=2,zero=2", 4, 4, {}, ["zero_pipeline"]),
    ("dp=2,pp=2,zero=3", 4, 4, {}, []),
    ("dp=4,zero=3,shard=2", 4, 4, {}, []),
    ("dp=4,zero=3,shard=3", 4, 4, {}, ["shard"]),
    ("dp=4,shard=2", 4, 4, {}, ["shard"]),
    ("dp=4,overlap=tp", 4, 4, {}, ["overlap"]),
    ("dp=4,overlap=dp+tp", 4, 4, {}, ["overlap"]),
    ("dp=1,tp=4,overlap=dp", 4, 4, {}, []),  # the default: nothing to hide is no fault
    ("dp=1,tp=4,overlap=dp+tp", 4, 4, {}, []),
    ("dp=4,compress=8bit", 4, 4, {}, []),
    ("dp=1,tp=4,compress=bf16", 4, 4, {}, ["compress"]),
    ("dp=1,cp=4,compress=bf16", 4, 4, {}, []),
    ("dp=4,compress=bf16,zero=3", 4, 4, {}, []),
    ("dp=4,compress=auto", 4, 4, {}, ["compress_settled"]),
    ("dp=4,compress=powersgd", 4, 4, {}, []),
    ("dp=4,compress=1bit,zero=1", 4, 4, {}, ["compress_whole"]),
    ("dp=1,precision=float8", 1, 1, {}, ["precision"]),
    ("dp=1,precision=fp16", 1, 1, {}, []),
    ("dp=1,recompute=selective", 1, 1, {}, []),
    ("dp=1,offload=all", 1, 1, {}, []),
]


@pytest.mark.parametrize(("text", "devices", "batch", "facts", "rules"), TRANSFORMER)
def test_transformer(
    text: str, devices: int, batch: int, facts: dict, rules: list[str], transformer: Make, cluster: Rig
) -> None:
    found = broken(Layout.parse(text), transformer(**facts), cluster(devices), batch)
    assert [rule.name for rule in found] == rules


@pytest.mark.parametrize(
    ("text", "devices", "rules"),
    [
        ("dp=1,tp=10", 10, []),
        ("dp=1,tp=12", 12, ["width"]),
        ("dp=1,cp=2", 2, ["cp"]),
        ("dp=1,tp=2,sp=on", 2, ["sp"]),
        ("dp=1,recompute=selective", 1, ["recompute"]),
        ("dp=1,recompute=full", 1, []),
        ("dp=1,pp=3", 3, []),
        ("dp=1,pp=4", 4, ["units"]),
    ],
)
def test_convnet(text: str, devices: int, rules: list[str], convnet: Model, cluster: Rig) -> None:
    assert [rule.name for rule in broken(Layout.parse(text), convnet, cluster(devices), 12)] == rules


def test_the_narrowest_layer_that_is_cut(convnet: Model, transformer: Make) -> None:
    assert narrowest(convnet) == 10
    assert narrowest(transformer()) == 4096


def test_too_wide_a_cut_says_what_is_narrow(convnet: Model, cluster: Rig) -> None:
    with pytest.raises(UsageError, match="tp 12, and the narrowest layer of toy-cnn that it cuts has 10"):
        check(Layout(tp=12), convnet, cluster(12), 12)
    uncut = replace(convnet, name="whole", blocks=(replace(convnet.blocks[0], operations=()),))
    with pytest.raises(UsageError, match=r"tp 2, and whole has no layer that tensor parallelism cuts.*nearest: dp 2"):
        check(Layout(tp=2), uncut, cluster(2), 2)


def test_tokens_that_wait_for_each_other_are_not_cut(transformer: Make, cluster: Rig) -> None:
    cell = linear("cell", m=1, n=4096, k=1024, steps=1024, split="column")
    plain = transformer(heads=4, kv_heads=4)
    model = replace(plain, blocks=(replace(plain.blocks[0], operations=(cell,)),))
    with pytest.raises(UsageError, match=r"cp 2, and toy-lm takes its tokens in turn"):
        check(Layout(cp=2), model, cluster(2), 4)


def test_offload_needs_a_way_to_host_memory(transformer: Make, cluster: Rig) -> None:
    found = broken(Layout(offload="weights"), transformer(), cluster(1, host=False), 1)
    assert [rule.name for rule in found] == ["offload"]


def test_per_block_choices_name_blocks_of_the_model(convnet: Model, cluster: Rig) -> None:
    good, bad = (Layout(dp=2, blocks=((name, "model"),)) for name in ("dense", "dnese"))
    check(good, convnet, cluster(2), 4)
    with pytest.raises(UsageError, match=r"no such block 'dnese'.*nearest: no choice for 'dnese' or one of dense"):
        check(bad, convnet, cluster(2), 4)
    with pytest.raises(UsageError, match="no such block 'conv1'"):  # a convolution is not split by model
        check(Layout(dp=2, blocks=(("conv1", "model"),)), convnet, cluster(2), 4)
    with pytest.raises(UsageError, match=r"zero 1 with blocks split by model.*nearest: zero=0$"):
        check(Layout(dp=2, zero=1, blocks=(("dense", "model"),)), convnet, cluster(2), 4)
    with pytest.raises(UsageError, match=r"dp 12 x tp 1 = 12 ranks share 10 outputs.*nearest: pp 2 x dp 6$"):
        check(Layout(dp=12, blocks=(("dense", "model"),)), convnet, cluster(12), 12)


@pytest.mark.parametrize(
    ("text", "devices", "batch", "says", "nearest"),
    [
        ("dp=4,tp=8,pp=3", 64, 64, "tp 8 x pp 3 x dp 4 = 96 ranks, the cluster has 64", "tp 8 x pp 2 x dp 4"),
        ("dp=4,micro=8", 4, 50, "batch 50 does not divide by dp 4", "tp 2 x dp 2, micro=5 or batch 64"),
        ("dp=4,micro=8", 4, 48, "batch 48 does not divide by dp 4 x micro 8 = 32", "micro=6 or batch 32"),
        ("dp=2,pp=2,zero=2", 4, 4, "zero 2 with pp 2", "zero=1"),
        ("dp=4,precision=float8", 4, 4, "precision float8, and toy has bfloat16, float16", "precision=bfloat16"),
        ("dp=1,pp=32", 32, 32, "pp 32, and toy-lm has 24 layers", "pp 16 x dp 2"),
        ("dp=4,ep=2", 4, 4, "ep 2, and toy-lm has no experts", "ep=1"),
        ("dp=1,pp=2,vpp=2", 2, 5, "vpp 2 and 5 micro-batches, which pp 2 does not divide", "vpp=1 or batch 4"),
        ("dp=4,overlap=dp+tp", 4, 4, "overlap dp+tp with tp 1", "overlap=dp"),
    ],
)
def test_an_error_names_numbers_rule_and_what_works(
    text: str, devices: int, batch: int, says: str, nearest: str, transformer: Make, cluster: Rig
) -> None:
    with pytest.raises(UsageError) as caught:
        check(Layout.parse(text), transformer(), cluster(devices), batch)
    assert caught.value.says == says
    assert caught.value.nearest == nearest
    assert caught.value.rule in {rule.why for rule in RULES}


def test_no_layout_at_all_says_nothing_works(convnet: Model, cluster: Rig) -> None:
    with pytest.raises(UsageError) as caught:
        check(Layout(dp=7), convnet, cluster(77), 1)
    assert caught.value.nearest == ""


def test_a_table_is_judged_as_its_rows_are(transformer: Make, cluster: Rig) -> None:
    degrees = [(8, 1, 1), (4, 2, 1), (2, 2, 2), (1, 1, 8), (2, 2, 1), (1, 16, 1)]
    options = [("zero", 2), ("zero", 3), ("micro", 2), ("vpp", 2), ("overlap", 3), ("recompute", 1), ("sp", 1)]
    base = LayoutTable.of([Layout()])
    columns = {key: np.array(values)[:, None] for key, values in zip(("dp", "tp", "pp"), zip(*degrees), strict=True)}
    for key, value in options:
        columns[key] = np.array([[int(getattr(base, key)[0]), value]])
    table = LayoutTable(**{key: columns.get(key, getattr(base, key)) for key in base.__slots__})
    model, rig = transformer(), cluster(8)
    answer = legal(table, model, rig, 16)
    assert answer.shape == table.shape == (6, 2)
    for index in np.ndindex(*answer.shape):
        assert answer[index] == (not broken(table.layout(*index), model, rig, 16))


def test_every_rule_can_break_and_its_name_is_its_own(transformer: Make, cluster: Rig) -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    tried = {name for *_, rules in TRANSFORMER for name in rules}
    assert set(names) - tried == {
        "width",
        "recompute",
        "offload",
        "blocks",
        "blocks_whole",
        "block_width",
    }  # tried above on other models
