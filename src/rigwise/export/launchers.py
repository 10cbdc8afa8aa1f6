"""A run as the script of a launcher: every task of it is a rank, which finds the others by what the launcher tells it.

    torchrun, mpi, slurm    shell scripts
    ray                     a Python program
    kubernetes              a PyTorchJob of the Kubeflow training operator; jobset: a JobSet
    skypilot                a task file

A rank is `rigwise run TASK ...`, which joins where a launcher has set ranks (RANK and WORLD_SIZE, or those of MPI and
Slurm). Sources: the documentation of each launcher.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from types import MappingProxyType
from typing import Any

from rigwise.errors import UsageError, check_whole, not_found
from rigwise.export.subject import Exported, yaml

_LARGER = ("a100-80gb", "v100-32gb")  # sold with two sizes of memory; the plain name is the smaller's
_KINDS: Mapping[str, str] = MappingProxyType({"ada": "Ada", "ti": "Ti", "super": "SUPER"})
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is started. command: of one rank. per_node: ranks of a node. device: "gpu" or "cpu". accelerator: the device
    as clouds name it. hours: what the queue is asked for. image: of a container, volume: a claim on a volume that all
    pods share and work in, for Kubernetes. name: of the job.
    """

    name: str
    command: tuple[str, ...]
    nodes: int
    per_node: int
    device: str = "gpu"
    accelerator: str = ""
    hours: float = 24.0
    image: str = ""
    volume: str = ""
    port: int = 29500

    def __post_init__(self) -> None:
        check_whole(nodes=self.nodes, per_node=self.per_node)
        check_whole(1024, most=65535, port=self.port)
        if not self.name or not set(self.name) <= _NAME or self.name[0] == "-" or self.name[-1] == "-":
            raise UsageError(f"name {self.name!r} of a job", rule="small letters, digits and - inside", nearest="train")
        if not 0 < self.hours <= 24 * 365:
            raise UsageError(f"{self.hours:g} hours of a job", rule="above 0, and at most a year")

    @property
    def ranks(self) -> int:
        """All of them."""
        return self.nodes * self.per_node

    @property
    def line(self) -> str:
        """The command for a shell."""
        return shlex.join(self.command)


def _filled(form: str, job: Job, **more: object) -> str:
    text = files("rigwise.export").joinpath(f"data/{form}.txt").read_text("utf-8")
    own = {key: getattr(job, key) for key in ("name", "nodes", "per_node", "ranks", "port")}
    return Template(text).substitute({**own, "command": job.line, **more})


def _torchrun(job: Job) -> Exported:
    return Exported(tool="torchrun", name=f"{job.name}.sh", text=_filled("torchrun", job))


def _mpi(job: Job) -> Exported:
    return Exported(
        tool="mpi",
        name=f"{job.name}.sh",
        text=_filled("mpi", job),
        notes=("exchanges go over gloo or NCCL; `rigwise run --backend mpi` takes MPI for them",),
    )


def _slurm(job: Job) -> Exported:
    minutes = round(job.hours * 60)
    devices = f"#SBATCH --gpus-per-node={job.per_node}" if job.device == "gpu" else "#SBATCH --cpus-per-task=1"
    limit = f"{minutes // 60:02d}:{minutes % 60:02d}:00"
    return Exported(
        tool="slurm",
        name=f"{job.name}.sbatch",
        text=_filled("slurm", job, devices=devices, limit=limit),
        notes=("account and partition are the cluster's own: sbatch --account=... --partition=...",),
    )


def _ray(job: Job) -> Exported:
    resource = "GPU" if job.device == "gpu" else "CPU"
    words = json.dumps(list(job.command))
    name = f"{job.name}_ray.py"
    return Exported(tool="ray", name=name, text=_filled("ray", job, resource=resource, words=words, file=name))


def _container(job: Job) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": job.per_node} if job.device == "gpu" else {"cpu": job.per_node}
    run = ["torchrun", f"--nnodes={job.nodes}", f"--nproc-per-node={job.per_node}"]
    inside = [
        *run,
        "--node-rank=$(RANK)",
        "--master-addr=$(MASTER_ADDR)",
        "--master-port=$(MASTER_PORT)",
        "--no-python",
    ]
    own = {"workingDir": _WORK} if job.volume else {}
    return {
        "name": "pytorch",  # the operator looks for this name
        "image": job.image or "python:3.12",
        "command": ["bash", "-c"],
        "args": [f"{_bash(inside)} {job.line}"],
        "resources": {"limits": limits},
        "volumeMounts": [{"name": name, "mountPath": place} for name, place in _mounts(job).items()],
    } | own


def _bash(words: list[str]) -> str:
    """Words for a shell in which $(NAME) is the environment's, as Kubernetes writes it."""
    return " ".join(word.replace("$(", '"${').replace(")", '}"') if "$(" in word else word for word in words)


_WORK = "/work"


def _mounts(job: Job) -> dict[str, str]:
    return {"shm": "/dev/shm", "work": _WORK} if job.volume else {"shm": "/dev/shm"}


def _volumes(job: Job) -> list[dict[str, Any]]:
    shared = {"name": "shm", "emptyDir": {"medium": "Memory"}}  # ranks of a node exchange through it
    claim = {"name": "work", "persistentVolumeClaim": {"claimName": job.volume}}
    return [shared, claim] if job.volume else [shared]


def _kubernetes(job: Job) -> Exported:
    pod = {"spec": {"containers": [_container(job)], "volumes": _volumes(job)}}
    replicas = {"Master": {"replicas": 1, "restartPolicy": "OnFailure", "template": pod}}
    if job.nodes > 1:
        replicas["Worker"] = {"replicas": job.nodes - 1, "restartPolicy": "OnFailure", "template": pod}
    said = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": job.name},
        "spec": {"pytorchReplicaSpecs": replicas},
    }
    return Exported(tool="kubernetes", name=f"{job.name}.yaml", text=yaml(said), notes=tuple(_image(job)))


def _jobset(job: Job) -> Exported:
    own = {"RANK": {"valueFrom": {"fieldRef": {"fieldPath": _INDEX}}}}
    fixed = {"MASTER_ADDR": {"value": f"{job.name}-ranks-0-0.{job.name}"}, "MASTER_PORT": {"value": str(job.port)}}
    container = _container(job) | {"env": [{"name": key, **value} for key, value in (own | fixed).items()]}
    pod = {"restartPolicy": "Never", "containers": [container], "volumes": _volumes(job)}
    spec = {
        "parallelism": job.nodes,
        "completions": job.nodes,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "template": {"spec": pod},
    }
    said = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": job.name},
        "spec": {
            "failurePolicy": {"maxRestarts": 3},
            "replicatedJobs": [{"name": "ranks", "replicas": 1, "template": {"spec": spec}}],
        },
    }
    return Exported(tool="jobset", name=f"{job.name}.yaml", text=yaml(said), notes=tuple(_image(job)))


_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def _image(job: Job) -> list[str]:
    said = [] if job.image else ["--image names a container that has rigwise[run] in it"]
    return said if job.volume else [*said, "--volume names a claim on a volume that all pods share: the output's place"]


def _skypilot(job: Job) -> Exported:
    words = [f"--nproc-per-node={job.per_node}", "--node-rank=$SKYPILOT_NODE_RANK", f"--master-port={job.port}"]
    first = '$(echo "$SKYPILOT_NODE_IPS" | head -n 1)'
    lines = [
        "torchrun --nnodes=$SKYPILOT_NUM_NODES " + " ".join(words) + " \\",
        f'  --master-addr="{first}" \\',
        f"  --no-python {job.line}",
    ]
    resources = (
        {"accelerators": f"{job.accelerator}:{job.per_node}"} if job.device == "gpu" else {"cpus": f"{job.per_node}+"}
    )
    said = {
        "name": job.name,
        "num_nodes": job.nodes,
        "resources": resources,
        "setup": "pip install 'rigwise[run]'\n",
        "run": "\n".join(lines) + "\n",
    }
    return Exported(
        tool="skypilot",
        name=f"{job.name}.yaml",
        text=yaml(said),
        notes=("a task file of your own must be sent along: workdir, or file_mounts",),
    )


def in_clouds(device: str) -> str:
    """A device as SkyPilot's catalogues of clouds name it: without its form, with its memory where there are two.

    >>> [in_clouds(name) for name in ("rtx-4090", "rtx-6000-ada", "a100-sxm-80gb", "h100-sxm-80gb")]
    ['RTX4090', 'RTX6000-Ada', 'A100-80GB', 'H100']
    """
    first, *more = device.split("-")
    if first == "rtx":
        joined = 2 if more[0] == "pro" else 1
        own = [_KINDS[word] for word in more[joined:] if word in _KINDS]
        return "-".join(["RTX" + "".join(more[:joined]).upper(), *own])
    twice = f"{first}-{more[-1]}" if more else ""
    return twice.upper() if twice in _LARGER else first.upper()


LAUNCHERS: Mapping[str, Callable[[Job], Exported]] = MappingProxyType(
    {
        "torchrun": _torchrun,
        "slurm": _slurm,
        "mpi": _mpi,
        "ray": _ray,
        "kubernetes": _kubernetes,
        "jobset": _jobset,
        "skypilot": _skypilot,
    }
)
STARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "torchrun": ("bash",),
        "slurm": ("sbatch",),
        "mpi": ("bash",),
        "ray": ("python3",),
        "kubernetes": ("kubectl", "apply", "-f"),
        "jobset": ("kubectl", "apply", "-f"),
        "skypilot": ("sky", "launch", "--yes"),
    }
)
"""What starts a launcher's file; the file's name follows."""


def script(job: Job, launcher: str) -> Exported:
    """The file of a launcher. Raises NotFoundError for an unknown one.

    >>> job = Job(name="train", command=("rigwise", "run", "digits", "--layout", "dp=16"), nodes=2, per_node=8)
    >>> print(script(job, "slurm").text.splitlines()[2])
    #SBATCH --nodes=2
    """
    if launcher not in LAUNCHERS:
        raise not_found("launcher", launcher, LAUNCHERS, hint=", ".join(LAUNCHERS))
    return LAUNCHERS[launcher](job)
