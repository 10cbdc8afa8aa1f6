"""Job: what the launcher tells the ranks, and StepRecord: what a rank tells about a step. Both travel as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from rigwise.errors import UsageError, check_whole
from rigwise.layouts.layout import Layout
from rigwise.run.chosen import Value

DEVICES = ("auto", "cpu", "cuda")
BACKENDS = ("auto", "mpi")
MOST_LOADERS = 64  # processes beside one rank; more are a slip of the keyboard
# What torch.export reads at its first use: 0.9 s of every rank otherwise.
_CAPTURE = ("rigwise.run.parallel.tracer", "sympy.tensor.tensor")
MOST_PATIENCE_S = 86_400.0
PARTS = ("loader", "forward", "backward", "communication", "optimizer")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of training. step: counted from 1. loss: before the step's update, mean over the global batch.

    step_s: seconds. tokens_per_s: None where samples are not made of tokens. mfu: useful FLOP over what the devices
    could do in that time; None where that is unknown. memory: bytes at the highest so far on rank 0. sent: bytes of
    gradients that rank 0 sent to other copies; None where they are sharded. parts: seconds by PARTS on rank 0; what is
    left of step_s is the loop itself. slowest_rank: the one with the most work of its own (all but waiting for others)
    in the step before, and slowest_ratio its time over the median's; None for one rank.
    alarm: what became slow, said once; usually empty.
    """

    step: int
    loss: float
    step_s: float
    samples_per_s: float
    memory: int
    sent: int | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    tokens_per_s: float | None = None
    mfu: float | None = None
    slowest_rank: int | None = None
    slowest_ratio: float | None = None
    alarm: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The record as the log's line has it."""
        return asdict(self)


class Start(Protocol):
    """What the launcher starts on every rank. work: the module whose `work` a rank calls with to_dict()."""

    @property
    def world(self) -> int:
        """Ranks."""

    @property
    def threads(self) -> int:
        """Threads of a rank."""

    @property
    def work(self) -> str:
        """The module."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Modules that are read once before the ranks are forked."""

    @property
    def device(self) -> str:
        """One of DEVICES."""

    @property
    def rendezvous(self) -> str:
        """Where the ranks find each other (torch's init_method)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run, as every rank reads it.

    batch: global batch in samples; None takes the task's own. whole: the layout says nothing of micro-batches, a rank
    takes its share of the batch in one. rendezvous: where the ranks find each other (torch's init_method). threads: of
    one rank. checkpoint_every: steps between checkpoints; 0 writes only the last. loaders: processes that load for a
    rank; None decides by the first batch. ideal_s: seconds that a step's useful FLOP take at the devices' peak; None
    where unknown. trace: write what a few steps consist of. patience_s: how long a rank waits for the others before it
    takes them for lost; None leaves that to torch. backend: what the exchanges go over: "auto" is gloo between CPUs and
    NCCL between GPUs, "mpi" is the MPI whose mpirun started the ranks. settings: keyword arguments of
    the task function.
    """

    task: str
    layout: Layout
    whole: bool
    steps: int
    batch: int | None
    seed: int
    output: str
    resume: bool
    device: str
    checkpoint_every: int
    rendezvous: str
    threads: int
    loaders: int | None = None
    ideal_s: float | None = None
    trace: bool = False
    patience_s: float | None = None
    backend: str = "auto"
    settings: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_whole(steps=self.steps, batch=self.batch)
        check_whole(0, checkpoint_every=self.checkpoint_every)
        check_whole(0, most=MOST_LOADERS, loaders=self.loaders)
        check_whole(0, most=2**64 - 1, seed=self.seed)
        if self.patience_s is not None and not 0 < self.patience_s <= MOST_PATIENCE_S:
            raise UsageError(f"patience={self.patience_s:g}", rule="seconds above 0, and at most a day")
        if self.device not in DEVICES:
            raise UsageError(f"device={self.device!r}", rule=f"device is one of {', '.join(DEVICES)}")
        if self.backend not in BACKENDS:
            raise UsageError(f"backend={self.backend!r}", rule=f"backend is one of {', '.join(BACKENDS)}")

    @property
    def world(self) -> int:
        """Ranks."""
        return self.layout.ranks

    @property
    def work(self) -> str:
        """What a rank does."""
        return "rigwise.run.worker"

    @property
    def needs(self) -> tuple[str, ...]:
        """What the ranks of the layout import besides."""
        layout = self.layout
        captured = layout.tp > 1 or layout.pp > 1 or layout.cp > 1 or bool(layout.blocks)
        return _CAPTURE * captured + ("torch.distributed.fsdp",) * bool(layout.zero)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "layout": self.layout.to_dict(), "settings": dict(self.settings)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what to_dict wrote."""
        return cls(**{**data, "layout": Layout.from_dict(data["layout"])})
