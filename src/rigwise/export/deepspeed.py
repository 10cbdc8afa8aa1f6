"""The JSON configuration of DeepSpeed 0.19."""

from __future__ import annotations

import json
from typing import Any

from rigwise.errors import InfeasibleError
from rigwise.export.subject import Exported, Subject, no_hybrid

_TYPES = {"bfloat16": "bf16", "float16": "fp16"}
_OPTIMIZERS = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "momentum": "SGD", "muon": "Muon"}


def deepspeed(subject: Subject) -> Exported:
    """ZeRO, offload, precision and batch; pipeline stages and experts are said in the program there, and noted."""
    on = subject.layout
    no_hybrid(on, "DeepSpeed")
    _check(subject)
    said: dict[str, Any] = {
        "train_batch_size": subject.batch,
        "train_micro_batch_size_per_gpu": on.micro,
        "gradient_accumulation_steps": subject.accumulation,
        "zero_optimization": _zero(subject),
    }
    if on.precision in _TYPES:
        said[_TYPES[on.precision]] = {"enabled": True}
    if on.tp > 1:
        said["tensor_parallel"] = {"autotp_size": on.tp}
    if on.recompute != "none":
        said["activation_checkpointing"] = {"partition_activations": on.tp > 1}
    name = "OneBitAdam" if on.compress == "1bit" else _OPTIMIZERS.get(subject.optimizer)
    if name:
        said["optimizer"] = {"type": name, "params": {"lr": "auto"}}
    return Exported(
        tool="deepspeed", name="deepspeed.json", text=json.dumps(said, indent=2) + "\n", notes=tuple(_notes(subject))
    )


def _check(subject: Subject) -> None:
    on = subject.layout
    if on.cp > 1:
        raise InfeasibleError(
            f"DeepSpeed has no ring of keys and values (cp={on.cp})",
            rule="its sequence parallelism exchanges heads, which is another layout",
            nearest=str(on.but(cp=1, dp=on.dp * on.cp)),
        )
    if on.pp > 1 and on.zero > 1:
        raise InfeasibleError(
            f"DeepSpeed's pipelines do not work with zero={on.zero}",
            rule="ZeRO 2 and 3 shard gradients that a pipeline adds up over micro-batches",
            nearest=str(on.but(zero=1)),
        )
    if on.precision not in (*_TYPES, "float32", "tf32"):
        raise InfeasibleError(
            f"DeepSpeed's configuration has no {on.precision}",
            rule="bf16, fp16 or float32",
            nearest=str(on.but(precision="bfloat16")),
        )


def _zero(subject: Subject) -> dict[str, Any]:
    on = subject.layout
    zero: dict[str, Any] = {"stage": on.zero, "overlap_comm": "dp" in on.overlap}
    if "optimizer" in on.offload or on.offload == "all":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if on.zero == 3 and ("weights" in on.offload or on.offload == "all"):
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    return zero


def _notes(subject: Subject) -> list[str]:
    on = subject.layout
    said = ["the learning rate is the program's (auto)"]
    if on.pp > 1:
        said.append(f"stages are said in the program: PipelineModule(layers, num_stages={on.pp})")
    if on.vpp > 1:
        said.append(f"vpp={on.vpp} is left out: DeepSpeed does not interleave stages")
    if on.ep > 1:
        said.append(f"experts are said in the program: deepspeed.moe.layer.MoE(..., ep_size={on.ep})")
    if on.sp != "off":
        said.append("sp is left out")
    if on.recompute != "none":
        said.append("which layers are recomputed is said in the program, by its checkpoint function")
    if on.compress not in ("none", "1bit"):
        said.append(f"compress={on.compress} is left out")
    if "activations" in on.offload:
        said.append("activations are offloaded by cpu_checkpointing, which needs its checkpoint function")
    return said
