"""Flags of torchtitan 0.3: `torchrun ... -m torchtitan.train --module ... --config ... FLAGS`."""

from __future__ import annotations

from rigwise.errors import InfeasibleError
from rigwise.export.subject import Exported, Subject

_TYPES = {"bfloat16": "bfloat16", "float32": "float32", "tf32": "float32"}


def torchtitan(subject: Subject) -> Exported:
    """The flags, one a line. ZeRO 1 has no form there: 2 is given, which keeps no more."""
    on, model = subject.layout, subject.model
    if on.precision not in _TYPES:
        raise InfeasibleError(
            f"torchtitan trains in bfloat16 or float32, not in {on.precision}",
            rule="its mixed_precision_param",
            nearest=str(on.but(precision="bfloat16")),
        )
    sharded = on.zero > 0
    share = min(on.shard or on.dp, on.dp) if sharded else 1
    flags: dict[str, object] = {
        "training.global_batch_size": subject.batch,
        "training.local_batch_size": subject.batch // on.dp if on.pp > 1 else on.micro,
        "training.seq_len": model.tokens,
        "training.mixed_precision_param": _TYPES[on.precision],
        "parallelism.data_parallel_replicate_degree": on.dp // share,
        "parallelism.data_parallel_shard_degree": share,
        "parallelism.tensor_parallel_degree": on.tp,
        "parallelism.enable_sequence_parallel": on.sp != "off",
        "parallelism.pipeline_parallel_degree": on.pp,
        "parallelism.context_parallel_degree": on.cp,
        "parallelism.expert_parallel_degree": on.ep,
    }
    if sharded:
        flags["parallelism.fsdp_reshard_after_forward"] = "always" if on.zero == 3 else "never"
    if on.pp > 1:
        flags["parallelism.pipeline_parallel_schedule"] = "Interleaved1F1B" if on.vpp > 1 else "1F1B"
        flags["parallelism.pipeline_parallel_microbatch_size"] = on.micro
        if model.layers and model.layers % (on.pp * on.vpp) == 0:
            flags["parallelism.pipeline_parallel_layers_per_stage"] = model.layers // (on.pp * on.vpp)
    lines = [_flag(key, value) for key, value in flags.items()]
    if on.offload == "all":
        lines.append(_flag("training.enable_cpu_offload", True))
    if on.recompute != "none":
        lines.append(f"activation-checkpoint:{on.recompute}")  # a subcommand, which goes last
    return Exported(
        tool="torchtitan", name="torchtitan-flags.txt", text=" \\\n".join(lines) + "\n", notes=tuple(_notes(subject))
    )


def _flag(key: str, value: object) -> str:
    if isinstance(value, bool):
        room, _, name = key.rpartition(".")
        return f"--{room}.{'' if value else 'no-'}{name}"
    return f"--{key} {value}"


def _notes(subject: Subject) -> list[str]:
    on = subject.layout
    said = ["--module and --config name the model: torchtitan has its own list"]
    if on.zero == 1:
        said.append("zero=1 is given as sharding without gathering again, which is zero=2")
    if on.offload not in ("none", "all"):
        said.append(f"offload={on.offload} is left out: torchtitan offloads everything or nothing")
    if on.compress != "none":
        said.append(f"compress={on.compress} is left out")
    if on.sp == "keep":
        said.append("sp=keep is given as sequence parallelism")
    return said
