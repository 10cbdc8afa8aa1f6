"""Options that many commands share, written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from cyclopts import Group, Parameter
from rich.console import Console, RenderableType

from rigwise.cli.console import console
from rigwise.cli.failures import show
from rigwise.errors import RigwiseError

_OUTPUT = Group("Output", sort_key=90)
_TRAINING = Group("Training", sort_key=10)

ModelName = Annotated[str, Parameter(help="A zoo name, org/name, a config.json, a TOML, a task or file.py:function.")]
ClusterName = Annotated[
    str,
    Parameter(name=("--cluster", "-c"), help='8xh100, H100:8, 2x8xh100-sxm-80gb, "4x RTX 4090", this, or a TOML.'),
]


@Parameter(name="*", group=_OUTPUT)
@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the answer is printed."""

    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print the answer, or the error, as JSON on stdout."""
    quiet: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print the answer alone: no progress, notes or reasons."""
    no_color: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print no colour (NO_COLOR=1 does the same)."""
    debug: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print the traceback of an error on stderr."""

    @property
    def screen(self) -> Console:
        """Where the answer goes: stdout."""
        return console(plain=self.no_color)

    @property
    def progress(self) -> Console:
        """Where progress goes: stderr."""
        return console(plain=self.no_color, stderr=True)

    @property
    def chatty(self) -> bool:
        """Whether notes and progress are wanted."""
        return not (self.json or self.quiet)

    def answer(self, payload: Callable[[], Mapping[str, Any]], draw: Callable[[Console], None]) -> None:
        """Print the answer: the payload as JSON, or drawn for people."""
        if self.json:
            from rigwise.cli.jsonout import dumps

            print(dumps(payload()))
        else:
            draw(self.screen)

    def refuse(self, error: RigwiseError) -> int:
        """Tell people why an answer is a no; programs have it in the payload. Returns the exit code."""
        if self.json:
            return error.exit_code
        return show(error, as_json=False, plain=self.no_color)

    def note(self, *lines: RenderableType) -> None:
        """Print lines beside the answer, unless --quiet or --json."""
        if self.chatty:
            for line in lines:
                self.progress.print(line)


@Parameter(name="*", group=_TRAINING)
@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is trained with. What is not said is left to the model and the planner."""

    batch: int | None = None
    """Samples of one optimizer step, all devices together."""
    seq: int | None = None
    """Tokens in a sample; the model's own by default."""
    micro: int | None = None
    """Samples a rank takes in one micro-batch."""
    precision: str | None = None
    """Type of the matrix products: float32, tf32, float16, bfloat16, float8, float4."""
    optimizer: str | None = None
    """sgd, momentum, adam, adamw, adafactor, adam8bit or muon; adamw by default."""
    adapt: str | None = None
    """Train less than the whole model: lora, qlora or frozen."""
    rank: int | None = None
    """Rank of the low-rank branches of lora and qlora."""
    stack: str | None = None
    """The software: modern, eager, megatron, fsdp or another of the efficiencies' stacks; modern by default."""

    usd_per_hour: float | None = None
    """Rent of a device in US dollars an hour; by default its launch price over three years, half of them used."""
    like: Annotated[list[str] | None, Parameter(negative="")] = None
    """A run that you measured, which corrects the answer: "8xh100, llama-8b, 3.9 s", or a measured table FILE.csv."""

    data: str | None = None
    """What is loaded: imagenet-jpeg, tensors, tokens or another kind; synthetic by default, which no step waits for."""
    workers: int | None = None
    """Loading processes of a device; 0 loads between the steps. The device's share of the host's cores by default."""
    pinned: Annotated[bool | None, Parameter(negative="--unpinned", show_default=False)] = None
    """Batches lie in page-locked memory and are copied beside the step, which is the default."""
    disk: str | None = None
    """What a node reads at, "550 MB/s"; ram where the set is cached, which is the default where it fits."""

    def said(self) -> dict[str, Any]:
        """The options as settings of a question."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
