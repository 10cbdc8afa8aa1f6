"""Flags of Megatron-LM's training scripts (pretrain_gpt.py and its like), as Megatron-Core 0.16 reads them."""

from __future__ import annotations

from collections.abc import Iterator

from rigwise.errors import InfeasibleError
from rigwise.export.subject import Exported, Subject, no_hybrid
from rigwise.models.model import Model

_TYPES = {"bfloat16": "--bf16", "float16": "--fp16", "float8": "--bf16 --fp8-format hybrid", "float32": ""}
_SHARDING = {2: "optim_grads", 3: "optim_grads_params"}


def megatron(subject: Subject) -> Exported:
    """The flags, one a line, with the sizes of the model."""
    on, model = subject.layout, subject.model
    no_hybrid(on, "Megatron-LM")
    if on.precision not in _TYPES:
        raise InfeasibleError(
            f"Megatron-LM has no flag for {on.precision}",
            rule="its precisions",
            nearest=str(on.but(precision="bfloat16")),
        )
    if model.layers is None or model.hidden is None or model.heads is None:
        raise InfeasibleError(
            f"Megatron-LM trains transformers, and {model.name} is a {model.family}",
            rule="layers, hidden size and heads are known",
            nearest="rigwise run, or another framework",
        )
    lines = [*_sizes(model), *_degrees(subject), *_states(subject)]
    return Exported(
        tool="megatron", name="megatron-flags.txt", text=" \\\n".join(lines) + "\n", notes=tuple(_notes(subject))
    )


def _sizes(model: Model) -> Iterator[str]:
    yield f"--num-layers {model.layers}"
    yield f"--hidden-size {model.hidden}"
    yield f"--num-attention-heads {model.heads}"
    if model.kv_heads and model.kv_heads != model.heads:
        yield f"--group-query-attention --num-query-groups {model.kv_heads}"
    if model.ffn:
        yield f"--ffn-hidden-size {model.ffn}"
    if model.experts:
        yield f"--num-experts {model.experts} --moe-router-topk {model.top_k}"
    yield f"--seq-length {model.tokens} --max-position-embeddings {model.tokens}"


def _degrees(subject: Subject) -> Iterator[str]:
    on = subject.layout
    yield f"--micro-batch-size {on.micro} --global-batch-size {subject.batch}"
    yield f"--tensor-model-parallel-size {on.tp}"
    yield f"--pipeline-model-parallel-size {on.pp}"
    if on.vpp > 1:
        yield f"--num-virtual-stages-per-pipeline-rank {on.vpp}"
    if on.cp > 1:
        yield f"--context-parallel-size {on.cp}"
    if on.ep > 1:
        yield f"--expert-model-parallel-size {on.ep}"
    if on.sp != "off":
        yield "--sequence-parallel"


def _states(subject: Subject) -> Iterator[str]:
    on = subject.layout
    if _TYPES[on.precision]:
        yield _TYPES[on.precision]
    if on.zero == 1:
        yield "--use-distributed-optimizer"
    if on.zero > 1:
        yield f"--use-megatron-fsdp --data-parallel-sharding-strategy {_SHARDING[on.zero]}"
    if "dp" in on.overlap and on.dp > 1:
        yield "--overlap-grad-reduce" + (" --overlap-param-gather" if on.zero else "")
    if "tp" in on.overlap and on.tp > 1:
        yield "--tp-comm-overlap"
    if on.recompute == "full":
        yield "--recompute-granularity full --recompute-method uniform --recompute-num-layers 1"
    if on.recompute == "selective":
        yield "--recompute-granularity selective"
    if on.offload in ("optimizer", "all"):
        yield "--optimizer-cpu-offload"


def _notes(subject: Subject) -> Iterator[str]:
    on = subject.layout
    yield "tokenizer, data and the kind of norm, activation and positions are the model's own and not in a layout"
    if on.compress != "none":
        yield f"compress={on.compress} is left out"
    if on.offload not in ("none", "optimizer"):
        yield f"of offload={on.offload} only the optimizer's part has a flag here"
