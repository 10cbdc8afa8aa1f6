"""The walk along a neuron as a network, built with models/ so that its FLOPs are counted by the same code as any.

    inputs x T --receptors (dense)--> rows x columns x T --dendrite (convolution)--> same --max-pooling--> sum -->
    soma filter 1 x 1 x T --> ReLU --> Poisson dropout --> normalisation --> release

Letters: N = rows x columns inputs, T steps of time, R synapses that charge reaches along a dendrite, D dendrites in the
filter. Each of N T inputs spreads over R D T places, which is a transposed convolution: as many products as the
convolution itself, and counted exactly also at the ends of the dendrite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.brain.parameters import read_range, read_sets
from rigwise.brain.tables import table
from rigwise.errors import UsageError, check_whole, not_found
from rigwise.models.features import Feature, Tape
from rigwise.models.model import Model

Floats = NDArray[np.float64]


SIZES = ("rows", "columns", "reach", "dendrites", "steps", "pool")
SHAPES = ("decay", "receptors", "frames")
_MOST_INPUTS = 1_000_000  # of a cell that is run in memory, a float32 for each time step


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The sizes of one neuron. rows x columns: its inputs, as they lie on dendrites; reach, dendrites: its filter.

    decay: of a filter's length, where its weight has fallen to 1/e. receptors: standard deviation of the logarithm of a
    receptor's weight. frames: time steps a second. The three only matter where a cell is run; the article says the
    frames, the others are assumed.
    """

    name: str
    rows: int
    columns: int
    reach: int
    dendrites: int
    steps: int = 5
    pool: int = 1
    decay: float = 0.25
    receptors: float = 0.5
    frames: float = 30.0

    def __post_init__(self) -> None:
        check_whole(**{key: getattr(self, key) for key in SIZES})
        if self.inputs > _MOST_INPUTS:
            raise UsageError(f"{self.inputs:,} inputs of a cell", rule=f"rows x columns is at most {_MOST_INPUTS:,}")
        for key in SHAPES:
            if not (isfinite(value := getattr(self, key)) and 0 < value <= 1000):
                raise UsageError(f"{key}={value:g} of a cell", rule=f"{key} is above 0 and at most 1000")

    def but(self, sets: Mapping[str, float | str] | Sequence[str]) -> Cell:
        """The cell with sizes of one's own: ["rows=200", "reach=20"].

        Raises NotFoundError for an unknown size and UsageError for a value that cannot be.

        >>> GRANULE.but(["rows=4"]).inputs
        4
        """
        own: dict[str, float] = {}
        for name, text in read_sets(sets).items():
            if name not in (*SIZES, *SHAPES):
                raise not_found("size of a cell", name, (*SIZES, *SHAPES), hint=", ".join((*SIZES, *SHAPES)))
            value, high = read_range(f"{name}={text}", text)
            if high is not None or (name in SIZES and value != int(value)):
                rule = "one whole number" if name in SIZES else "one number"
                raise UsageError(f"{name}={text}", rule=f"{name} is {rule}")
            own[name] = int(value) if name in SIZES else value
        return replace(self, **own)  # type: ignore[arg-type]

    @property
    def inputs(self) -> int:
        """Synapses onto the cell."""
        return self.rows * self.columns

    @property
    def weights(self) -> int:
        """Of the dendrite's filter: 3 x 4 x 5 = 60 of a granule cell, 10 x 1000 x 5 = 50,000 of a Purkinje cell."""
        return self.reach * self.dendrites * self.steps


PURKINJE = Cell(name="purkinje", rows=100, columns=1000, reach=10, dendrites=1000, pool=10)
GRANULE = Cell(name="granule", rows=15, columns=1, reach=3, dendrites=4, pool=3)
NAMES = {"purkinje": "Purkinje", "granule": "granule"}
CELLS: Mapping[str, Cell] = {cell.name: cell for cell in (PURKINJE, GRANULE)}


def steps_of(seconds: float, frames: float = 30.0) -> float:
    """Steps of time in a duration, at so many frames a second.

    >>> [round(steps_of(ms / 1000), 1) for ms in (20, 80, 200)]
    [0.6, 2.4, 6.0]
    """
    return seconds * frames


def blocks() -> Sequence[Mapping[str, str]]:
    """The walk, one row a step: biology, what it is in a network, what that leaves out."""
    return table("mapping")


def network(cell: Cell, *, forward: bool = False) -> Model:
    """The neuron as a model; one sample is one evaluation. forward: without a backward pass, as the bound counts it.

    >>> network(PURKINJE).blocks[1].flops
    50000000000.0
    """
    tape = Tape()
    tape.frozen = forward
    x = tape.image(cell.inputs, cell.steps)
    x = tape.conv(x, cell.inputs, 1, groups=cell.inputs, name="receptors")
    tape.close("synapse", x)
    x = Feature(1, (cell.rows, cell.columns, cell.steps), whole=x)
    pad = tuple((size - 1) // 2 for size in (cell.reach, cell.dendrites, cell.steps))
    x = tape.conv(x, 1, (cell.reach, cell.dendrites, cell.steps), pad=pad, transposed=True, name="dendrite")
    tape.close("dendrite", x)
    x = tape.pool(x, (min(cell.pool, x.size[0]), 1, 1))
    x = tape.pool(x, (x.size[0], x.size[1], 1), average=True)
    x = tape.conv(x, 1, (1, 1, x.size[2]), name="soma")
    tape.close("soma", x)
    x = tape.norm(tape.dropout(tape.relu(x)))
    tape.close("axon", x, last=True)
    return tape.model(cell.name, unit="sample")


def dendrite_flops(
    inputs: ArrayLike, reach: ArrayLike, dendrites: ArrayLike, steps: ArrayLike, ops: ArrayLike = 2.0
) -> Floats:
    """FLOP of the dendrite's convolution for one evaluation: ops (N T)(R D T), arrays broadcast.

    Left out: trees (a filter has one reach everywhere), sums that are not linear. Source: Dettmers 2015; that the two
    sizes are multiplied is our reconstruction.

    >>> dendrite_flops(1e5, 10, 1000, 5).item()
    50000000000.0
    """
    n, r, d, t, each = (np.asarray(x, dtype=np.float64) for x in (inputs, reach, dendrites, steps, ops))
    return np.asarray(each * (n * t) * (r * d * t))


def other_flops(inputs: ArrayLike, steps: ArrayLike, ops: ArrayLike = 2.0) -> Floats:
    """FLOP of receptors and soma for one evaluation: ops N T + ops T.

    >>> other_flops(15, 5).item()
    160.0
    """
    n, t, each = (np.asarray(x, dtype=np.float64) for x in (inputs, steps, ops))
    return np.asarray(each * n * t + each * t)


def weights(inputs: ArrayLike, reach: ArrayLike, dendrites: ArrayLike, steps: ArrayLike) -> Floats:
    """Numbers that a cell keeps for long: N receptors, R D T of the filter, T of the soma, 2 of the scaling.

    >>> weights(1e5, 10, 1000, 5).item()
    150007.0
    """
    n, r, d, t = (np.asarray(x, dtype=np.float64) for x in (inputs, reach, dendrites, steps))
    return np.asarray(n + r * d * t + t + 2)
