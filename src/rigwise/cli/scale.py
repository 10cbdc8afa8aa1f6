"""`rigwise scale MODEL`: speed-up over the number of devices, and where adding more hurts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from rigwise import api, units
from rigwise.cli.console import can_draw
from rigwise.cli.estimate import setting
from rigwise.cli.files import check_picture, write_picture
from rigwise.cli.options import ClusterName, Look, ModelName, Training
from rigwise.cli.pictures import bar
from rigwise.cli.tables import Column, facts, table
from rigwise.errors import UsageError

if TYPE_CHECKING:
    from rigwise.api import Asked
    from rigwise.cost.record import Estimate
    from rigwise.search.scale import Scaling


def scale(
    model: ModelName,
    /,
    *,
    cluster: ClusterName,
    devices: str = "",
    picture: Path | None = None,
    training: Training = Training(),
    look: Look = Look(),
) -> None:
    """Speed-up over the devices of a cluster, from one to all, for data, model, sharded and best layouts.

    Parameters
    ----------
    devices
        Numbers of devices: 1,2,4,8; powers of two up to the cluster by default.
    picture
        Write a picture here (.svg or .png): the speed-up over devices.
    """
    check_picture(picture)
    numbers = _numbers(devices)
    asked = api.ask(model, cluster, **training.said())
    found = asked.scale(numbers)
    if picture:
        from rigwise.report.pictures import scale_svg

        write_picture(picture, scale_svg(found))
    look.answer(lambda: {**asked.subject(), **found.to_dict()}, lambda screen: _draw(screen, asked, found, look.chatty))
    if picture:
        look.note(f"picture: {picture}")


def _numbers(text: str) -> list[int] | None:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isdigit() and int(word) > 0 for word in words):
        raise UsageError(f"--devices {text!r}", rule="whole numbers of at least 1 with commas", nearest="1,2,4,8")
    return sorted({int(word) for word in words}) or None


def _draw(screen: Console, asked: Asked, found: Scaling, chatty: bool) -> None:
    if chatty:
        screen.print(facts([*setting(asked), ("speed-up", found.against)]))
        screen.print()
    columns = [
        Column(head="devices"),
        *(Column(head=way, drop=0 if way == "best" else 3) for way in found.curves),
        Column(head="step"),
        Column(head="best layout", right=False, drop=4),
        Column(head="", right=False, drop=5),
    ]
    screen.print(table(screen, columns, _lines(screen, found)))
    if not chatty:
        return
    screen.print()
    for way, says in found.turns.items():
        screen.print(f"{way} hurts: {says}", markup=False)
    for warning in found.warnings:
        screen.print(f"note: {warning}", markup=False)


def _lines(screen: Console, found: Scaling) -> Iterator[list[str]]:
    speedups = {way: found.speedups(way) for way in found.curves}
    most = max(filter(None, speedups["best"]), default=1.0)
    for place, devices in enumerate(found.devices):
        best, speedup = found.curves["best"][place], speedups["best"][place]
        yield [
            f"{devices:,}",
            *(_times(found.curves[way][place], speedups[way][place]) for way in found.curves),
            "" if best is None else units.show_seconds(best.step_s),
            "" if best is None else str(best.layout),
            bar((speedup or 0.0) / most, 20, draw=can_draw(screen)),
        ]


def _times(estimate: Estimate | None, speedup: float | None) -> str:
    return "no room" if estimate is None or speedup is None else f"{speedup:,.2f}x"
