"""Layout: how the work is split. One record for one layout, one table of arrays for many.

Degrees: dp data, tp tensor, pp pipeline, vpp interleaved pieces a stage, cp context, ep expert (inside dp x cp), zero
the stage of sharding over dp x cp (3 is FSDP), shard the ranks that share one copy where there are several (hybrid
sharding; 0: all of them share one). dp x tp x pp x cp = ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError
from rigwise.layouts.schedule import ScheduleKind

RECOMPUTE = ("none", "selective", "full")
SEQUENCE = ("off", "on", "keep")  # keep: the gathered sequence is kept, not gathered again in the backward pass
OVERLAP = ("none", "dp", "tp", "dp+tp")  # bit 1: gradient exchange hidden; bit 2: tensor exchange hidden
OFFLOAD = (
    "none",
    "weights",
    "activations",
    "weights+activations",
    "optimizer",
    "weights+optimizer",
    "activations+optimizer",
    "all",
)
COMPRESS = ("none", "bf16", "8bit", "1bit", "8bit-dynamic", "powersgd", "auto")  # auto: a run tries the link
LOW_RANK = 4  # of powersgd: what its paper takes for language models (arXiv 1905.13727, table 4)
SCHEDULES = ("1f1b", "gpipe", "zero_bubble")  # of a pipeline; 1f1b with vpp above 1 is interleaved
CHOICES = ("data", "model", "turns", "slices")  # of a block; the last three split it by model, see Layout
PRECISIONS = ("float32", "tf32", "float16", "bfloat16", "float8", "float4")
_MOST = 2**31 - 1  # tables count in 64 bits, and multiply two degrees
_WORDS: Mapping[str, tuple[str, ...]] = {
    "recompute": RECOMPUTE,
    "sp": SEQUENCE,
    "overlap": OVERLAP,
    "offload": OFFLOAD,
    "compress": COMPRESS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
}
_ALIASES: Mapping[str, Mapping[str, str]] = {
    "precision": {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp8": "float8", "fp4": "float4"},
    "sp": {"0": "off", "1": "on", "false": "off", "true": "on"},
}
DEGREES = ("dp", "tp", "pp", "vpp", "cp", "ep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One way to split training. Checked at birth for what no model or cluster can change; rules.py checks the rest.

    micro: samples a rank takes in one micro-batch. fused: elementwise kernels fused, which saves bytes and
    activations. blocks: per-block choice, block name -> "data", or dense layers split along their weights: with the
    inputs of all ranks gathered at once ("model"), of one rank after the other ("turns"), or of some samples of every
    rank after the other ("slices"), while what is there already is worked on (arXiv 1404.5997, section 3).

    >>> str(Layout(dp=4, tp=2, zero=1)), str(Layout(dp=4, blocks=(("dense4", "model"), ("head", "model"))))
    ('dp=4,tp=2,micro=1,zero=1', 'dp=4,micro=1,blocks=dense4:model+head:model')
    """

    dp: int = 1
    tp: int = 1
    pp: int = 1
    vpp: int = 1
    cp: int = 1
    ep: int = 1
    micro: int = 1
    zero: int = 0
    shard: int = 0
    sp: str = "off"
    recompute: str = "none"
    overlap: str = "dp"
    offload: str = "none"
    compress: str = "none"
    schedule: str = "1f1b"
    fused: bool = True
    precision: str = "bfloat16"
    blocks: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for key in (*DEGREES, "micro"):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"{key}={value!r} in a layout", rule=f"{key} is a whole number of at least 1")
            if value > _MOST:
                raise UsageError(f"{key}={value} in a layout", rule=f"{key} is at most {_MOST:,}")
        if self.zero not in (0, 1, 2, 3):
            raise UsageError(f"zero={self.zero!r} in a layout", rule="zero is 0, 1, 2 or 3 (FSDP is 3)")
        if (
            not isinstance(self.shard, int)
            or isinstance(self.shard, bool)
            or not 0 <= self.shard <= _MOST
            or self.shard == 1
        ):
            raise UsageError(
                f"shard={self.shard!r} in a layout", rule="shard is the ranks that share a copy, at least 2; 0 is all"
            )
        for key, words in _WORDS.items():
            if getattr(self, key) not in words:
                raise UsageError(
                    f"{key}={getattr(self, key)!r} in a layout", rule=f"{key} is one of {', '.join(words)}"
                )
        for name, choice in self.blocks:
            if choice not in CHOICES:
                raise UsageError(
                    f"block {name!r} is split by {choice!r}", rule=f"a block is split by {', '.join(CHOICES)}"
                )
        ways = {choice for _, choice in self.blocks} - {"data"}
        if len(ways) > 1:
            raise UsageError(
                f"blocks split by {' and '.join(sorted(ways))}", rule="all blocks of a layout take their inputs one way"
            )

    @property
    def ranks(self) -> int:
        """Processes that the layout needs."""
        return self.dp * self.tp * self.pp * self.cp

    @property
    def by_model(self) -> dict[str, str]:
        """The blocks that are split by model, and how each takes its inputs."""
        return {name: choice for name, choice in self.blocks if choice != "data"}

    @property
    def pipeline(self) -> ScheduleKind:
        """The schedule of its pipeline, as schedule.py names it."""
        return "interleaved" if self.vpp > 1 else cast(ScheduleKind, self.schedule)

    @classmethod
    def parse(cls, text: str, **defaults: Any) -> Self:
        """Read the spelling `dp=4,tp=2,micro=1,recompute=selective,zero=1`; defaults fill what is not said.

        >>> Layout.parse("dp=2,precision=fp32").precision
        'float32'
        """
        given: dict[str, Any] = {}
        for word in filter(None, (w.strip() for w in text.split(","))):
            key, equals, value = (part.strip() for part in word.partition("="))
            if not equals or key not in _FIELDS:
                rule = f"key=value with a key of {', '.join((*_SPELT, 'blocks'))}"
                raise UsageError(f"{word!r} in layout {text!r}", rule=rule)
            if key in given:
                raise UsageError(f"{key} stands twice in layout {text!r}")
            given[key] = _read(key, value)
        return cls(**{**defaults, **given})

    def __str__(self) -> str:
        default = Layout()
        words = []
        for key in _SPELT:
            value = getattr(self, key)
            if key in ("dp", "micro") or value != getattr(default, key):
                words.append(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
        if self.blocks:
            words.append("blocks=" + "+".join(f"{name}:{choice}" for name, choice in self.blocks))
        return ",".join(words)

    def to_dict(self) -> dict[str, Any]:
        """The layout for JSON; every key is spelt out."""
        return {f.name: dict(self.blocks) if f.name == "blocks" else getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what to_dict wrote; unknown keys are refused."""
        unknown = set(data) - _FIELDS
        if unknown:
            raise UsageError(f"unknown layout keys {sorted(unknown)}", rule=f"keys are {', '.join(sorted(_FIELDS))}")
        given = dict(data)
        if isinstance(given.get("blocks"), Mapping):
            given["blocks"] = tuple(sorted(given["blocks"].items()))
        return cls(**given)

    def but(self, **changes: Any) -> Layout:
        """The same layout with some axes changed."""
        return replace(self, **changes)


_FIELDS = {f.name for f in fields(Layout)}
_SPELT = tuple(f.name for f in fields(Layout) if f.name != "blocks")


def said_keys(text: str) -> list[str]:
    """The keys that a spelling says, in its order.

    >>> said_keys("dp=2, micro=4")
    ['dp', 'micro']
    """
    return [key.strip() for key, equals, _ in (word.partition("=") for word in text.split(",")) if equals]


def _read(key: str, value: str) -> Any:
    if key == "blocks":
        return tuple(_choice(word) for word in value.split("+"))
    if key in (*DEGREES, "micro", "zero", "shard"):
        if not value.lstrip("-").isdigit():
            raise UsageError(f"{key}={value!r} in a layout", rule=f"{key} is a whole number")
        return int(value)
    if key == "fused":
        if value not in ("true", "false"):
            raise UsageError(f"fused={value!r} in a layout", rule="fused is true or false")
        return value == "true"
    if key == "offload":
        return _offloaded(value)
    return _ALIASES.get(key, {}).get(value, value)


def _offloaded(value: str) -> str:
    """What is offloaded, in whichever order it was said."""
    said = [word.strip() for word in value.split("+")]
    parts = ("weights", "activations", "optimizer")
    if not set(said) <= set(parts) or len(said) > len(set(said)):
        return value
    return "all" if len(said) == len(parts) else "+".join(part for part in parts if part in said)


def _choice(word: str) -> tuple[str, str]:
    name, _, choice = word.rpartition(":")
    if not name:
        raise UsageError(
            f"blocks={word!r} in a layout",
            rule="NAME:data, NAME:model, NAME:turns or NAME:slices, several with a plus between",
        )
    return name, choice


Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayoutTable:
    """Many layouts as one array an axis. The arrays broadcast against each other: a search keeps the degrees in a
    column (n, 1) and the options in a row (1, k), so that a law that reads only degrees is worked out n times and not
    n x k times. Words are their index in RECOMPUTE, SEQUENCE, OVERLAP, OFFLOAD, COMPRESS, SCHEDULES and
    PRECISIONS.
    """

    dp: Ints
    tp: Ints
    pp: Ints
    vpp: Ints
    cp: Ints
    ep: Ints
    micro: Ints
    zero: Ints
    sp: Ints
    recompute: Ints
    overlap: Ints
    offload: Ints
    compress: Ints
    fused: Ints
    precision: Ints
    schedule: Ints = field(default_factory=lambda: np.zeros((), dtype=np.int64))
    shard: Ints = field(default_factory=lambda: np.zeros((), dtype=np.int64))
    blocks: tuple[tuple[str, str], ...] = ()  # one per-block choice for the whole table

    @classmethod
    def of(cls, layouts: Sequence[Layout] | Iterable[Layout]) -> Self:
        """A table of one row a layout; all layouts must share their per-block choice."""
        rows = list(layouts)
        choices = {layout.blocks for layout in rows}
        if len(choices) > 1:
            raise UsageError("layouts of one table differ in their per-block choice", rule="one choice a table")
        columns = {key: np.array([_code(key, getattr(row, key)) for row in rows], dtype=np.int64) for key in _SPELT}
        return cls(**columns, blocks=choices.pop() if choices else ())

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that all axes broadcast to."""
        return np.broadcast_shapes(*(getattr(self, key).shape for key in _SPELT))

    @property
    def size(self) -> int:
        """How many layouts."""
        return int(np.prod(self.shape))

    @property
    def ranks(self) -> Ints:
        """Processes each layout needs."""
        return self.dp * self.tp * self.pp * self.cp

    @property
    def sharing(self) -> Ints:
        """Ranks that share one copy of what ZeRO shards."""
        return np.where(self.shard > 0, self.shard, self.dp * self.cp)

    def layout(self, *index: int) -> Layout:
        """One row as a Layout."""
        shape = self.shape
        at = {key: int(_one(getattr(self, key), shape, index)) for key in _SPELT}
        words: dict[str, Any] = {key: values[at[key]] for key, values in _WORDS.items()}
        return Layout(**{**at, **words, "fused": bool(at["fused"])}, blocks=self.blocks)

    def layouts(self, places: NDArray[np.intp]) -> list[Layout]:
        """Rows as Layouts, by their places in the flattened table."""
        shape = self.shape
        index = np.unravel_index(places, shape)
        at = {key: np.broadcast_to(getattr(self, key), shape)[index].tolist() for key in _SPELT}
        words = {key: [values[code] for code in at[key]] for key, values in _WORDS.items()}
        columns = {**at, **words, "fused": [bool(code) for code in at["fused"]]}
        return [
            Layout(**dict(zip(columns, row, strict=True)), blocks=self.blocks)
            for row in zip(*columns.values(), strict=True)
        ]

    def rows(self, start: int, stop: int) -> LayoutTable:
        """Rows start to stop along the first dim, still broadcasting."""
        cut = {key: _cut(getattr(self, key), start, stop, len(self.shape)) for key in _SPELT}
        return LayoutTable(**cut, blocks=self.blocks)

    def take(self, keep: NDArray[Any]) -> LayoutTable:
        """Rows along the first dim, by mask or index, still broadcasting."""
        cut = {
            key: getattr(self, key)[keep]
            if getattr(self, key).ndim == len(self.shape) and getattr(self, key).shape[0] == self.shape[0]
            else getattr(self, key)
            for key in _SPELT
        }
        return LayoutTable(**cut, blocks=self.blocks)

    def pairs(self, row: NDArray[np.intp], column: NDArray[np.intp]) -> LayoutTable:
        """Pairs along the first two dims, by index, as the first dim of a table of one dim fewer."""
        cut = {key: _pair(getattr(self, key), row, column, len(self.shape)) for key in _SPELT}
        return LayoutTable(**cut, blocks=self.blocks)


def _pair(column: Ints, row: NDArray[np.intp], other: NDArray[np.intp], dims: int) -> Ints:
    """A column at pairs of places in the first two dims, which become one."""
    whole = column.reshape((1,) * (dims - column.ndim) + column.shape)
    if whole.shape[:2] == (1, 1):
        same: Ints = whole[0]
        return same
    picked: Ints = whole[row if whole.shape[0] > 1 else 0, other if whole.shape[1] > 1 else 0]
    return picked


def _one(column: Ints, shape: tuple[int, ...], index: tuple[int, ...]) -> Any:
    """A value of a column at a place of the table, as broadcasting has it."""
    if len(index) != len(shape):
        return np.broadcast_to(column, shape)[index]
    apart = len(shape) - column.ndim
    return column[tuple(i if n > 1 else 0 for i, n in zip(index[apart:], column.shape, strict=True))]


def _cut(column: Ints, start: int, stop: int, dims: int) -> Ints:
    return column[start:stop] if column.ndim == dims and column.shape[0] > 1 else column


def _code(key: str, value: Any) -> int:
    return _WORDS[key].index(value) if key in _WORDS else int(value)
