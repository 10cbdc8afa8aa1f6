"""Article 7's own estimators, as a teaching view: how tensor cores, asynchronous copies and bandwidth change a product.

    cycles = memory + loads x shared + operations x fused        without tensor cores
    cycles = memory + shared + tensor                            with them: one load, one operation
    cycles = prefetched + shared + tensor                        with asynchronous copies too

They explain; the laws in cost/ predict. Left out: everything that happens at once. Source: data/estimators.toml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rigwise.advise.assumptions import data
from rigwise.errors import UsageError
from rigwise.hardware.device import Device
from rigwise.units import show_bytes, show_rate


def cycles(edition: int, *, tensor_cores: bool, asynchronous: bool = False) -> int:
    """Cycles of a 32 x 32 product in the article's edition of 2020 or 2023.

    Raises UsageError for another edition, or for asynchronous copies in that of 2020 or without tensor cores.

    >>> [cycles(2023, tensor_cores=False), cycles(2023, tensor_cores=True)]
    [504, 235]
    >>> cycles(2023, tensor_cores=True, asynchronous=True), cycles(2020, tensor_cores=False)
    (200, 392)
    """
    row = data("estimators").get(str(edition))
    if row is None:
        raise UsageError(f"no edition of {edition}", rule="2020 or 2023")
    if asynchronous and ("prefetched" not in row or not tensor_cores):
        raise UsageError("asynchronous copies without tensor cores, or in 2020", rule="the article has them in 2023")
    memory = int(row["prefetched"] if asynchronous else row["memory"])
    if tensor_cores:
        return memory + int(row["shared"]) + int(row["tensor"])
    return memory + int(row["shared_loads"] * row["shared"]) + int(row["fused_ops"] * row["fused"])


def bandwidth_ratio(one: Device, other: Device) -> float:
    """How much faster one device is than another where memory bandwidth decides, as in large transformers.

    >>> from rigwise.hardware.catalog import device
    >>> round(bandwidth_ratio(device("a100-sxm-40gb"), device("v100-sxm2-16gb")), 2)
    1.73
    """
    return one.bandwidth / other.bandwidth


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a lesson: a formula with its numbers, and what it gives."""

    says: str
    formula: str
    value: float
    unit: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "says": self.says,
            "formula": self.formula,
            "value": self.value,
            "unit": self.unit,
            "source": self.source,
        }


def tensor_cores() -> Iterator[Line]:
    """The cycle counts of both editions, and the speed-ups."""
    for edition in (2020, 2023):
        row = data("estimators")[str(edition)]
        plain, fast = cycles(edition, tensor_cores=False), cycles(edition, tensor_cores=True)
        source = str(row["source"])
        loads = f"{row['memory']} + {row['shared_loads']}*{row['shared']} + {row['fused_ops']}*{row['fused']}"
        yield Line(says=f"{edition}, plain", formula=loads, value=plain, unit="cycles", source=source)
        short = f"{row['memory']} + {row['shared']} + {row['tensor']}"
        yield Line(says=f"{edition}, tensor cores", formula=short, value=fast, unit="cycles", source=source)
        yield Line(
            says=f"{edition}, speed-up", formula=f"{plain}/{fast}", value=plain / fast, unit="times", source=source
        )


def asynchronous_copies() -> Iterator[Line]:
    """What copies that overlap save beside tensor cores."""
    row = data("estimators")["2023"]
    value = cycles(2023, tensor_cores=True, asynchronous=True)
    formula = f"{row['prefetched']} + {row['shared']} + {row['tensor']}"
    yield Line(
        says="2023, tensor cores and asynchronous copies",
        formula=formula,
        value=value,
        unit="cycles",
        source=str(row["source"]),
    )


def bandwidths(pairs: Mapping[str, tuple[Device, Device]]) -> Iterator[Line]:
    """The ratio of memory bandwidths of pairs of devices."""
    for name, (one, other) in pairs.items():
        formula = f"{show_rate(one.bandwidth)} / {show_rate(other.bandwidth)}"
        source = f"catalogue: {one.source}"
        yield Line(says=name, formula=formula, value=bandwidth_ratio(one, other), unit="times", source=source)


def caches(devices: Mapping[str, Device]) -> Iterator[Line]:
    """The L2 caches of devices against the tile of weights that a large layer wants."""
    for name, device in devices.items():
        if device.l2:
            yield Line(
                says=name,
                formula=show_bytes(device.l2),
                value=device.l2 / 2**20,
                unit="MiB of L2",
                source=device.source,
            )
