"""What advice takes where nobody says (data/assumptions.toml), each figure with its source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rigwise.errors import UsageError
from rigwise.hardware.device import Device


@cache
def data(name: str) -> Mapping[str, Any]:
    """A TOML of advise/data by its stem."""
    return tomllib.loads(files("rigwise.advise").joinpath("data", f"{name}.toml").read_text("utf-8"))


def assumed(table: str) -> Mapping[str, Any]:
    """A table of the assumptions.

    >>> assumed("use")["per_kwh"]
    0.175
    """
    found: Mapping[str, Any] = data("assumptions")[table]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine around the cards: dollars, watts, how many cards it takes, and whether its fans are loud."""

    name: str
    form: str
    most: int
    price: float
    watts: float
    source: str
    loud: bool = False


@cache
def hosts() -> tuple[Machine, ...]:
    """Every machine that cards are put into."""
    return tuple(Machine(**row) for row in data("assumptions")["host"])


def host_named(name: str) -> Machine | None:
    """The machine of a name: desktop, workstation, server."""
    return next((host for host in hosts() if host.name == name), None)


def host_for(device: Device, count: int) -> Machine | None:
    """The least machine that takes `count` of a device; None where nobody sells one (laptops, superchips, TPUs).

    >>> from rigwise.hardware.catalog import device
    >>> host_for(device("rtx-3090"), 4).name
    'workstation'
    """
    if device.form == "soc":
        return Machine(name="itself", form="soc", most=1, price=0.0, watts=0.0, source="the device is the machine")
    fitting = [host for host in hosts() if host.form == device.form and host.most >= count]
    return min(fitting, key=lambda host: host.price, default=None)


def circuit_watts(text: str) -> float:
    """Watts of a wall circuit for hours: "120V 15A", of which four fifths may be drawn; or watts as they are.

    >>> circuit_watts("120V 15A"), circuit_watts("3000")
    (1440.0, 3000.0)
    """
    words = text.replace(" ", "").upper()
    volts, between, amperes = words.partition("V")
    try:
        if between:
            return float(volts) * float(amperes.removesuffix("A")) * float(assumed("headroom")["continuous"])
        return float(words.removesuffix("W"))
    except ValueError:
        raise UsageError(
            f"cannot read the circuit {text!r}",
            rule='volts and amperes, or watts: "120V 15A", 3000',
            nearest="230V 16A",
        ) from None
