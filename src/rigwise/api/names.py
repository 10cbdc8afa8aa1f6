"""What names mean: models, devices, clusters, this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rigwise.errors import UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.hardware.cluster import Cluster
    from rigwise.models.model import Model

HERE = "this"


def model_names() -> list[str]:
    """Names of the models that come with rigwise."""
    from rigwise.models import zoo

    return zoo.names()


def device_names() -> list[str]:
    """Ids of the devices in the catalogue."""
    return sorted(row["name"] for row in devices())


def devices(**filters: Any) -> list[dict[str, Any]]:
    """The devices of the catalogue that pass the filters of hardware/listing.py, as plain values, newest first."""
    from rigwise.hardware.listing import rows

    return rows(**filters)


def device(name: str) -> dict[str, Any]:
    """All that the catalogue says of a device, and how its name was read. Raises NotFoundError for an unknown name."""
    from rigwise.hardware.listing import show

    return show(name)


def machine() -> dict[str, Any]:
    """What this machine is, as plain values, for a bug report."""
    from rigwise.hardware.detect import facts

    return facts()


def load_model(
    spec: str | Model, *, seq: int | None = None, adapt: str | None = None, rank: int | None = None
) -> Model:
    """The model that a text means: a zoo name, org/name, a config.json, a TOML, a task, file.py:function.

    seq: tokens in a sample. adapt: lora, qlora or frozen, with the rank of the low-rank branches; None trains it all.
    Raises NotFoundError for an unknown name and UsageError for a file that cannot be read.
    """
    check_whole(seq=seq, rank=rank)
    if not isinstance(spec, str):
        if seq is not None or adapt is not None:
            raise UsageError(f"seq or adapt of {spec.name}", rule="a model that is made already is taken as it is")
        return spec
    from rigwise.run.task import locate, packaged

    if spec in packaged() and adapt is None:  # no name of the zoo is one, which a test holds
        from rigwise.models.trace import trace_file

        return replace(trace_file(*locate(spec), seq=seq), name=spec)
    if spec in packaged():
        raise UsageError(f"adapt {adapt} of task {spec}", rule="a task is trained as its own model says")
    from rigwise.models.load import load_model as load

    return load(spec, seq=seq, adapt=adapt or "full", rank=rank)


def load_cluster(spec: str | Cluster, *, probe: bool = False) -> Cluster:
    """The cluster that a text means: 8xh100, H100:8, 2x8xh100-sxm-80gb, "4x RTX 4090", this, this:2, a TOML.

    probe: with `this`, measure the CPU for a moment instead of trusting tables. Raises NotFoundError for an unknown
    device and UsageError for a spelling or a file that cannot be read.
    """
    if not isinstance(spec, str):
        return spec
    from rigwise.hardware.load import load_cluster as load

    return load(spec, probe=probe)
