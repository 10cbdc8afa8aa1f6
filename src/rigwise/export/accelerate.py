"""The YAML configuration of Hugging Face Accelerate 1.15, for `accelerate launch --config_file`."""

from __future__ import annotations

from typing import Any

from rigwise.errors import InfeasibleError
from rigwise.export.subject import Exported, Subject, no_hybrid, yaml

_TYPES = {"bfloat16": "bf16", "float16": "fp16", "float8": "fp8", "float32": "no", "tf32": "no"}


def accelerate(subject: Subject) -> Exported:
    """One of its kinds: several devices, FSDP 2 with tensor and context parallelism, DeepSpeed, or Megatron-LM."""
    on, cluster = subject.layout, subject.cluster
    no_hybrid(on, "Accelerate")
    if on.precision not in _TYPES:
        raise InfeasibleError(
            f"Accelerate has no {on.precision}", rule="no, fp16, bf16 or fp8", nearest=str(on.but(precision="bfloat16"))
        )
    kind, more = _kind(subject)
    said: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": kind,
        "mixed_precision": _TYPES[on.precision],
        "num_machines": cluster.nodes,
        "num_processes": on.ranks,
        "machine_rank": 0,
        "main_training_function": "main",
        "rdzv_backend": "c10d" if cluster.nodes > 1 else "static",
        "use_cpu": cluster.device.kind == "cpu",
        **more,
    }
    return Exported(tool="accelerate", name="accelerate.yaml", text=yaml(said), notes=tuple(_notes(subject)))


def _kind(subject: Subject) -> tuple[str, dict[str, Any]]:
    on = subject.layout
    if on.pp > 1 or on.vpp > 1:
        return "MEGATRON_LM", {"megatron_lm_config": _megatron(subject)}
    if on.ep > 1:
        raise InfeasibleError(
            f"Accelerate has no expert parallelism (ep={on.ep})", rule="its kinds", nearest=str(on.but(ep=1))
        )
    if on.zero == 1 and on.tp == 1 and on.cp == 1:
        return "DEEPSPEED", {"deepspeed_config": _deepspeed(subject)}
    if on.tp == 1 and on.cp == 1 and on.zero == 0:
        return ("MULTI_CPU" if subject.cluster.device.kind == "cpu" else "MULTI_GPU") if on.dp > 1 else "NO", {}
    if on.zero == 0 and on.dp > 1:
        raise InfeasibleError(
            f"Accelerate does not compose whole replicas with tensor or context parallelism ({on})",
            rule="beside them its data parallel ranks shard the model",
            nearest=str(on.but(zero=3)),
        )
    return "FSDP", {"fsdp_config": _fsdp(subject), "parallelism_config": _degrees(subject)}


def _fsdp(subject: Subject) -> dict[str, Any]:
    on = subject.layout
    return {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_reshard_after_forward": on.zero == 3,
        "fsdp_offload_params": on.offload == "all",
        "fsdp_activation_checkpointing": on.recompute != "none",
        "fsdp_state_dict_type": "SHARDED_STATE_DICT",
    }


def _degrees(subject: Subject) -> dict[str, Any]:
    on = subject.layout
    sizes = {"dp_replicate_size": 1, "dp_shard_size": on.dp, "tp_size": on.tp, "cp_size": on.cp}
    return {f"parallelism_config_{key}": size for key, size in sizes.items()}


def _deepspeed(subject: Subject) -> dict[str, Any]:
    on = subject.layout
    return {
        "zero_stage": on.zero,
        "gradient_accumulation_steps": subject.accumulation,
        "offload_optimizer_device": "cpu" if "optimizer" in on.offload or on.offload == "all" else "none",
        "offload_param_device": "none",
        "zero3_init_flag": False,
    }


def _megatron(subject: Subject) -> dict[str, Any]:
    on = subject.layout
    return {
        "megatron_lm_tp_degree": on.tp,
        "megatron_lm_pp_degree": on.pp,
        "megatron_lm_num_micro_batches": subject.accumulation,
        "megatron_lm_sequence_parallelism": on.sp != "off",
        "megatron_lm_recompute_activations": on.recompute != "none",
        "megatron_lm_use_distributed_optimizer": on.zero == 1,
    }


def _notes(subject: Subject) -> list[str]:
    on = subject.layout
    said = [
        f"the program's loader takes {on.micro} samples a rank, with gradient accumulation over {subject.accumulation}"
    ]
    if on.vpp > 1:
        said.append(f"vpp={on.vpp} is left out: its Megatron-LM plug-in has no word for interleaved stages")
    if on.recompute == "selective":
        said.append("recompute=selective is given as recomputation of whole layers")
    if on.compress != "none":
        said.append(f"compress={on.compress} is left out: a communication hook of DDP in the program does it")
    return said
