"""Optimizers with their bytes and FLOPs a trainable parameter; the table is optimizers.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rigwise.errors import not_found

_TABLE = Path(__file__).with_suffix(".toml")
_WEIGHT_BYTES = 4.0  # the step works on float32 weights and gradients


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """What one step costs for each trainable parameter.

    state_bytes: kept between steps. state_reads, state_writes: bytes of state moved in a step. passes: times that
    weight and gradient are gone over. flops: on the vector units. matrix_flops: of matrix products, for each element of
    the smaller side of its weight matrix. factored: the state is a row and a column a matrix.
    own_type: the state's type does not follow the weights'.
    """

    name: str
    state_bytes: float
    state_reads: float
    state_writes: float
    passes: int = 1
    flops: float
    matrix_flops: float = 0.0
    factored: bool = False
    own_type: bool = False
    source: str = ""

    @property
    def traffic_bytes(self) -> float:
        """Bytes read and written in a step with float32 weights and gradients: read both, write the weight.

        >>> optimizer("adamw").traffic_bytes
        28.0
        """
        return _WEIGHT_BYTES * (2 * self.passes + 1) + self.state_reads + self.state_writes

    @property
    def side_bytes(self) -> float:
        """Bytes of state for each row and for each column of a weight matrix, beside state_bytes.

        >>> optimizer("adafactor").side_bytes, optimizer("adam").side_bytes
        (4.0, 0.0)
        """
        return _WEIGHT_BYTES if self.factored else 0.0


def optimizers() -> list[str]:
    """The names of all optimizers."""
    return sorted(_tables())


def optimizer(name: str) -> Optimizer:
    """An optimizer by name or alias, case, dashes and underscores aside. Raises NotFoundError for an unknown one."""
    key = _index().get(_plain(name))
    if key is None:
        raise not_found("optimizer", name, optimizers(), hint=", ".join(optimizers()))
    facts = {field: value for field, value in _tables()[key].items() if field != "aliases"}
    return Optimizer(name=key, **facts)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


@cache
def _index() -> dict[str, str]:
    return {_plain(word): name for name, table in _tables().items() for word in (name, *table.get("aliases", ()))}
