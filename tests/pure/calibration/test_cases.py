"""Rows become cases: what is read, what is assumed and said, and what is refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rigwise.calibration.cases import KernelCase, StepCase, TransferCase, case_of, message_bytes
from rigwise.calibration.patterns import said, spread_of, table
from rigwise.calibration.quantity import flops_of_token
from rigwise.calibration.subjects import subject_of
from rigwise.errors import NotFoundError, RigwiseError, UsageError
from rigwise.measurements import words
from rigwise.measurements.tables import Row, read_table
from rigwise.models import zoo

SAMPLE = {row.id: row for row in read_table(Path(__file__).parents[1] / "measurements" / "sample.csv")}
MEGATRON = Row(
    id="x-1",
    family="llm",
    model="GPT-18.4B",
    params=18.4e9,
    layers=40,
    hidden=6144,
    heads=48,
    seq_len=2048,
    precision="fp16",
    device="A100-SXM-80GB",
    n_devices=256,
    devices_per_node=8,
    intra_link="NVLink3 NVSwitch",
    inter_link="8x 200 Gb/s HDR InfiniBand per node",
    tp=8,
    pp=1,
    zero_stage_or_fsdp="none",
    micro_batch=16,
    global_batch=1024,
    recompute="full",
    flash_attention="no",
    metric="step_s",
    value=12.0,
    source="a paper on Megatron",
)


def step(row: Row) -> StepCase:
    case = case_of(row)
    assert isinstance(case, StepCase)
    return case


def test_a_megatron_row() -> None:
    case = step(MEGATRON)
    assert str(case.layouts[0]) == "dp=32,tp=8,micro=16,recompute=full,precision=float16"
    assert (case.batch, case.stack, case.optimizer, case.with_optimizer) == (1024, "megatron", "adamw", True)
    assert case.machine.cluster.devices == 256
    assert case.machine.cluster.node.network == pytest.approx(8 * 23.25e9)
    assert case.subject.model.vocab == 51200
    assert case.assumed == ()


def test_the_vocabulary_is_padded_for_the_tensor_degree() -> None:
    wide = step(replace(MEGATRON, vocab=250000)).subject.model.vocab
    assert wide == 250880
    narrow = step(replace(MEGATRON, vocab=250000, tp=1, micro_batch=1, source="a paper")).subject.model.vocab
    assert narrow == 250000


def test_sizes_are_worked_out_from_the_parameter_count() -> None:
    row = replace(MEGATRON, model="GPT-183B (BLOOM prequel)", params=183e9, vocab=250000, layers=None, hidden=None)
    row = replace(row, heads=None, tp=8, pp=12, n_devices=384, dp=4, micro_batch=2, global_batch=2048)
    case = step(row)
    model = case.subject.model
    assert (model.layers, model.hidden, model.heads) == (72, 14400, 96)
    assert model.parameters == pytest.approx(183e9, rel=0.01)
    assert "dims" in case.assumed


def test_the_hidden_size_is_worked_out_where_the_layers_are_known() -> None:
    row = replace(MEGATRON, model="GPT-184B (BLOOM prequel)", params=184e9, vocab=250000, layers=100, hidden=None)
    model = step(replace(row, heads=64)).subject.model
    assert (model.layers, model.hidden) == (100, 12288)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dp": 7}, "tp 8 x pp 1 x cp 1 x dp 7 = 56 ranks, 256 devices"),
        ({"global_batch": 8}, "global batch 8 under micro-batch 16 x dp 32"),
        ({"recompute": "perhaps"}, "recomputation 'perhaps'"),
        ({"precision": "posit8"}, "precision 'posit8'"),
        ({"device": ""}, "names no device"),
        ({"device": "Abacus 3000"}, "Abacus"),
        ({"model": "who knows", "layers": None}, "no model 'who knows'"),
        ({"model": "Nemotron_3_Nano"}, "hybrids"),
        ({"zero_stage_or_fsdp": "a secret"}, "sharding 'a secret'"),
        ({"metric": "hours"}, "unknown length"),
        ({"devices_per_node": 7, "tp": 1, "micro_batch": 1}, "nodes of 7"),
        ({"problems": ("row x-1, column tp: 'q' is not a number",)}, "column tp"),
    ],
)
def test_refusals_say_why_with_their_numbers(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RigwiseError) as refusal:
        case_of(replace(MEGATRON, **changes))
    assert says in str(refusal.value)
    assert isinstance(refusal.value, UsageError | NotFoundError)


def test_a_time_of_an_unknown_batch_is_refused_and_a_rate_is_not() -> None:
    row = replace(MEGATRON, micro_batch=None, global_batch=None)
    with pytest.raises(UsageError, match="unknown batch"):
        case_of(row)
    assert "batch" in step(replace(row, metric="tokens_per_s_per_gpu")).assumed


def test_what_is_not_told_of_the_recomputation_is_tried_and_said() -> None:
    case = step(replace(MEGATRON, recompute="", source="a paper"))
    assert {layout.recompute for layout in case.layouts} == {"none", "selective", "full"}
    assert {layout.zero for layout in case.layouts} == {0, 3}
    assert "recompute" in case.assumed
    counted = step(replace(MEGATRON, recompute="", notes="hardware FLOPs"))
    assert {layout.recompute for layout in counted.layouts} == {"full"}


def test_a_run_without_a_layout_gets_the_usual_ones() -> None:
    case = step(SAMPLE["runs-0001"])
    assert case.samples == pytest.approx(2e12 / 4096)
    assert case.device_hours
    assert all(layout.ranks == case.machine.cluster.devices for layout in case.layouts)
    assert {layout.zero for layout in case.layouts} == {1, 3}


def test_labels_that_no_pattern_knows() -> None:
    assert step(replace(MEGATRON, model="gpt2-xl", layers=None, hidden=None, heads=None)).subject.model.hidden == 1600
    gated = step(replace(MEGATRON, model="nobody's model", ffn=16384)).subject.model
    plain = step(replace(MEGATRON, model="nobody's model", ffn=24576)).subject.model
    assert (gated.layers, gated.hidden, plain.layers) == (40, 6144, 40)
    assert {o.name for o, _ in gated.operations()} != {o.name for o, _ in plain.operations()}


def test_a_convolution_row_keeps_width_and_height_apart() -> None:
    case = case_of(SAMPLE["deepbench-0168"])
    assert isinstance(case, KernelCase)
    assert case.conv is not None
    assert (case.conv.size, case.conv.kernel, case.conv.c, case.conv.k) == ((161, 700), (5, 20), 1, 32)
    assert (case.batch, case.which, case.precision) == (16, "input_gradient", "float32")


def test_a_collective_and_a_copy() -> None:
    copy = case_of(SAMPLE["net2-0022"])
    assert isinstance(copy, TransferCase)
    assert (copy.between, copy.both_ways, copy.machine.cluster.node.link.kind) == ("devices", True, "nvlink-bridge")
    host = case_of(SAMPLE["net2-0033"])
    assert isinstance(host, TransferCase)
    assert host.between == "host"


@pytest.mark.parametrize(
    ("notes", "size"),
    [
        ("nccl-tests all_reduce, 8192 B float out-of-place, 16.82 us", 8192.0),
        ("all_reduce_bench 4 GB payload", 4e9),
        ("nccl-tests style; message 512 MiB; time 2 us", 2.0**29),
        ("two HGX A100 with four ConnectX-6 200 Gbps, all_reduce 1-8 GiB", 2.0**33),
        ("nothing said", None),
    ],
)
def test_message_sizes(notes: str, size: float | None) -> None:
    assert message_bytes(notes) == size


def test_adapters_and_quantised_bases() -> None:
    lora = step(SAMPLE["finetune-0003"])
    assert lora.subject.kind == "lora"
    assert lora.subject.model.trainable_parameters < 0.01 * lora.subject.model.parameters
    quantised = step(replace(SAMPLE["finetune-0003"], precision="bf16 (nf4 base)"))
    assert quantised.subject.kind == "qlora"
    assert any(o.weight_bits for o, _ in quantised.subject.model.operations())


def test_derived_tflops_follow_from_the_tokens_of_their_run() -> None:
    """The published pair of one run fixes the convention: within 1 % for dense models."""
    checked = 0
    for row in SAMPLE.values():
        parent = SAMPLE.get(row.derived_from)
        if parent is None or row.metric != "tflops_per_gpu" or parent.metric != "tokens_per_s_per_gpu":
            continue
        case = case_of(row, parent)
        assert isinstance(case, StepCase)
        assert parent.value is not None
        tolerance = 0.08 if case.subject.kind != "full" or case.subject.model.experts else 0.01
        assert parent.value * flops_of_token(case) / 1e12 == pytest.approx(row.value, rel=tolerance)
        checked += 1
    assert checked >= 3


def test_every_sample_row_is_a_case_or_refused_with_a_reason() -> None:
    refused = {}
    for row in SAMPLE.values():
        try:
            case_of(row, SAMPLE.get(row.derived_from))
        except RigwiseError as refusal:
            refused[row.id] = refusal.rule
    assert refused.keys() == {"bigscience-0293", "bridge-0398"}
    assert all(refused.values())


def test_the_tables_of_this_room_name_what_exists() -> None:
    for word in table("subjects")["word"]:
        assert "zoo" in word or "refuse" in word
        if "{" not in word.get("zoo", "{"):
            assert zoo.find(word["zoo"]), word["zoo"]
    assumptions = table("assumptions")
    assert all("says" in assumptions[name] for name in assumptions if name != "kernel")


def test_assumptions_add_in_quadrature() -> None:
    one, other = spread_of(["batch"]), spread_of(["layout"])
    assert spread_of(["batch", "layout", "batch"]) == pytest.approx((one**2 + other**2) ** 0.5)
    assert spread_of([]) == 0
    assert said([]) == ""


def test_no_stack_word_rests_on_the_name_of_one_table() -> None:
    prefixes = {row.prefix for row in SAMPLE.values()}
    for prefix in prefixes - {"megatron"}:
        assert words.read("stacks", prefix) is None, prefix


@pytest.mark.parametrize(
    ("degrees", "said", "zero"),
    [
        ({"tp": 1, "pp": 1}, "none", 0),
        ({"tp": 1, "pp": 1}, "", 3),
        ({"tp": 1, "pp": 2}, "", 1),
        ({"tp": 8, "pp": 1}, "", 0),
    ],
)
def test_states_that_a_device_cannot_hold_are_sharded_where_the_row_does_not_tell(degrees, said, zero) -> None:
    row = replace(MEGATRON, **degrees, zero_stage_or_fsdp=said, micro_batch=1)
    assert {layout.zero for layout in step(row).layouts} == {zero}


@pytest.mark.parametrize(
    ("source", "notes", "counts", "unit", "states"),
    [
        ("github:Lightning-AI/litgpt: config_hub", "peak memory as printed (GB)", "tensors", 1e9, "short-flat"),
        ("github:pytorch/torchtune", "unit GiB", "tensors", 2**30, "short-chunked"),
        ("github:pytorch/torchtune", "+ Activation Offloading", "tensors", 2**30, "short-stepped"),
        ("chronicles-prequel.md [Rebalancing layers]", "", "device", 2**20 * 1e3, "deepspeed-bfloat16"),
        ("a table", "nvidia-smi style GB", "device", 2**20 * 1e3, None),
        ("a table", "", "device", 2**30, None),
    ],
)
def test_what_a_printed_peak_counts_and_how_states_were_held(source, notes, counts, unit, states) -> None:
    row = replace(MEGATRON, source=source, notes=notes, precision="bf16")
    printed = words.read("memory", row.text)
    assert printed is not None
    assert (printed["counts"], printed["unit"]) == (counts, unit)
    assert (words.read("states", row.text) or {}).get("states") == states


def test_peaks_of_several_devices_are_summed_over_all_of_the_run() -> None:
    row = replace(MEGATRON, metric="peak_mem_gib", notes="appears summed over GPUs", n_devices=256)
    assert step(row).memory_devices == 256


@pytest.mark.parametrize(
    ("source", "notes", "device", "workers"),
    [
        ("DeepLearningExamples:PyTorch/Classification", "primary; real data pipeline", "A100-SXM-80GB", 16),
        ("DeepLearningExamples:PyTorch/Classification", "primary; real data pipeline", "V100-SXM2-32GB", 8),
        ("DeepLearningExamples:MxNet/Classification", "primary; real data pipeline", "V100-SXM2-32GB", None),
        ("DeepLearningExamples:PyTorch/Classification", "primary; synthetic data", "A100-SXM-80GB", None),
    ],
)
def test_rows_that_tell_of_real_data_are_loaded(source: str, notes: str, device: str, workers: int | None) -> None:
    row = Row(
        id="v-1",
        family="vision",
        model="ResNet-50 v1.5",
        precision="mixed fp16 (AMP)",
        device=device,
        n_devices=8,
        metric="images_per_s",
        value=1.0,
        source=source,
        notes=notes,
    )
    loading = step(row).loading
    assert (loading and (loading.data, loading.workers)) == (workers and ("imagenet-jpeg", workers))


def test_what_a_source_says_of_its_machines_elsewhere() -> None:
    """DeepBench's README names the network and the roots; Jean Zay's V100 nodes have four; a test may force rings."""
    found = {name: case_of(row) for name, row in SAMPLE.items() if row.family == "collective"}
    bench, forced, plain = (found[name] for name in ("deepbench-1760", "net-0002", "vtrain-1550"))
    assert isinstance(bench, TransferCase)
    assert isinstance(forced, TransferCase)
    assert isinstance(plain, TransferCase)
    assert bench.rings
    assert bench.wire == "pcie-p2p"
    assert not forced.rings
    assert plain.wire == "nvswitch"
    source = "github:bigscience-workshop/bigscience@9e64edec2ad1:experiments/bandwidth"
    four = case_of(replace(plain.row, device="V100-SXM2-32GB", n_devices=4, devices_per_node=4, source=source))
    eight = case_of(replace(plain.row, device="V100-SXM2-32GB", n_devices=4, devices_per_node=4))
    assert isinstance(four, TransferCase)
    assert isinstance(eight, TransferCase)
    assert (four.machine.cluster.mesh, eight.machine.cluster.mesh) == (4, 8)
    ring = replace(plain.row, notes=plain.row.notes + "; algo=Ring (NVLS off)")
    assert getattr(case_of(ring), "rings", False)


@pytest.mark.parametrize(
    ("notes", "stack"),
    [
        ("PyTorch 2.0.0; DDP, synthetic data", "eager"),
        ("PyTorch 1.12; channels_last; synthetic data", "channels-last"),
        ("PyTorch 2.4, torch.compile", "modern"),
        ("PyTorch 2.2 FSDP", "modern"),
        ("TensorFlow 2.4, XLA", "graph"),
        ("nvcr.io/nvidia/tensorflow:23.02-tf1-py3, tf_cnn_benchmarks", "graph"),
        ("tf_cnn_benchmarks, May 2017", "eager-2018"),
        ("Torch7, cuDNN 5.0.5", "torch7"),
        ("NeMo 24.07", "megatron-bridge-2025"),
    ],
)
def test_software_that_no_table_names_is_told_by_its_own_words(notes: str, stack: str) -> None:
    assert step(replace(MEGATRON, source="somebody's page", notes=notes)).stack == stack


def test_images_of_untold_software_are_plain_scripts_and_text_is_of_today() -> None:
    sizes = {"params": None, "layers": None, "hidden": None, "heads": None, "seq_len": None, "tp": None, "pp": None}
    sizes |= {"zero_stage_or_fsdp": "", "recompute": "", "flash_attention": "", "n_devices": 1, "global_batch": 32}
    images = replace(MEGATRON, family="vision", model="resnet50", metric="images_per_s", **sizes)
    case = step(
        replace(images, source="somebody's page", precision="fp32", micro_batch=32, intra_link="", inter_link="")
    )
    assert (case.stack, "stack" in case.assumed) == ("eager", True)
    case = step(replace(MEGATRON, source="somebody's page"))
    assert (case.stack, "stack" in case.assumed) == ("modern", True)


def test_sharding_within_a_node_keeps_a_copy_a_node() -> None:
    row = replace(MEGATRON, tp=1, zero_stage_or_fsdp="HSDP (HYBRID_SHARD)", micro_batch=4)
    assert (step(row).layouts[0].zero, step(row).layouts[0].shard) == (3, 8)
    alone = replace(row, n_devices=8, global_batch=32)
    assert (step(alone).layouts[0].zero, step(alone).layouts[0].shard) == (3, 0)


def test_software_of_today_splits_the_sequence_with_its_tensors() -> None:
    assert step(replace(MEGATRON, source="somebody's page")).layouts[0].sp == "on"
    assert step(MEGATRON).layouts[0].sp == "off"


def test_a_model_that_the_zoo_lacks_is_built_from_the_sizes_of_its_row() -> None:
    row = replace(MEGATRON, model="Llama-2-34B", layers=48, hidden=8192, heads=64, kv_heads=8, ffn=22016, vocab=32000)
    assert step(row).subject.model.parameters == pytest.approx(33.7e9, rel=0.01)
    with pytest.raises(NotFoundError, match="the zoo has no"):
        case_of(replace(row, layers=None))
    with pytest.raises(NotFoundError):
        case_of(replace(row, model="Llama-2-34B MoE"))


def test_what_a_bridge_of_nvidia_counts_is_no_recomputation() -> None:
    row = replace(MEGATRON, source="NVIDIA/NeMo", notes="Megatron-Core", recompute="", metric="tokens_per_s_per_gpu")
    assert {layout.recompute for layout in step(row).layouts} == {"none", "selective", "full"}


@pytest.mark.parametrize(
    ("label", "parameters"),
    [
        ("wide_resnet101_2", 126.9e6),
        ("resnext101_32x8d", 88.8e6),
        ("ResNeXt-101 64x4d", 83.5e6),
        ("Wide ResNet-50", 68.9e6),
        ("GPT-2 XL 1.5B", 1.56e9),
        ("GPT2 345M", 355e6),
        ("Qwen2-72B", 72.7e9),
    ],
)
def test_labels_that_look_like_others_are_not_taken_for_them(label: str, parameters: float) -> None:
    sizes = dict.fromkeys(("params", "layers", "hidden", "heads", "kv_heads", "ffn", "vocab"))
    row = replace(MEGATRON, model=label, source="somebody's page", **sizes)
    assert subject_of(row, year=2023).model.parameters == pytest.approx(parameters, rel=0.01)


def test_a_network_with_norms_that_the_zoo_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="batch norms"):
        subject_of(replace(MEGATRON, model="vgg16_bn"), year=2023)
