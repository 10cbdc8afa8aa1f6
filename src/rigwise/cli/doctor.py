"""`rigwise doctor`: what this machine is, and what looks wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from rigwise import api
from rigwise.cli.options import Look
from rigwise.cli.tables import facts
from rigwise.units import show_bytes, show_rate

if TYPE_CHECKING:
    from rigwise.api import Examined
    from rigwise.hardware.sensors import GpuState

_BITS = 8


def doctor(*, report: Annotated[bool, Parameter(negative="")] = False, look: Look = Look()) -> None:
    """Look at devices, links, lanes, drivers, versions and limits, and say what looks wrong.

    Parameters
    ----------
    report
        Print everything as a block of text to paste into a bug report.
    """
    found = api.examine()
    look.answer(found.to_dict, lambda screen: _paste(found) if report else _draw(screen, found))


def _paste(found: Examined) -> None:
    from rigwise.cli.jsonout import dumps

    print("```json")
    print(dumps(found.to_dict()))
    print("```")


def _draw(screen: Console, found: Examined) -> None:
    known = found.patient.facts
    cpu, memory, packages = known["cpu"], known["memory"], known["packages"]
    clock = f"{cpu['clock_hz'] / 1e9:.2f} GHz"
    rows = [
        ("system", known["system"]),
        ("processor", f"{cpu['name'] or 'unnamed'}, {cpu['usable_cores']} usable cores, {clock}"),
        ("memory", f"{show_bytes(memory['usable'])} usable, {show_bytes(memory['free'])} free"),
        *((f"GPU {gpu.index}", _gpu(gpu)) for gpu in found.patient.gpus),
        ("driver", f"{known['driver']}, CUDA {known['cuda']}" if known["driver"] else "no NVIDIA driver answers"),
        *((f"network {name}", _rate(rate)) for name, rate in found.patient.cards.items()),
        ("versions", ", ".join(f"{name} {version}" for name, version in packages.items() if version)),
        ("energy", "; ".join(found.patient.uncounted) or "counted"),
    ]
    screen.print(facts(rows))
    screen.print()
    if not found.symptoms:
        screen.print("nothing looks wrong")
    for one in found.symptoms:
        screen.print(f"{one.severity}: {one.evidence}: {one.why}; {one.fix}", markup=False)


def _rate(bits: float) -> str:
    return show_rate(bits / _BITS) if bits else "up; its speed is not told"


def _gpu(gpu: GpuState) -> str:
    watts = f", {gpu.power_limit:.0f} W" if gpu.power_limit else ""
    return f"{gpu.name}, PCIe {gpu.pcie_gen}.0 x{gpu.lanes}{watts}"
