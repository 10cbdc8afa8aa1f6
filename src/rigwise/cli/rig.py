"""`rigwise rig` and `rigwise rig check`: a whole machine around GPUs, and what is wrong with a list of one's own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.files import check_picture, write_aside, write_picture
from rigwise.cli.options import Look, Training
from rigwise.cli.tables import Column, facts, table
from rigwise.errors import InfeasibleError, UsageError

if TYPE_CHECKING:
    from rigwise.rig.rig import Rig

_MACHINE = Group("Machine", sort_key=5)
_WRITERS = {".md": "markdown", ".csv": "parts_csv", ".toml": "cluster_toml"}


@Parameter(name="*", group=_MACHINE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is around a machine, for both commands."""

    model: str | None = None
    """The network that it shall train; without one, findings have no times."""
    layout: str | None = None
    """How the training is split, dp=4,zero=1; the best layouts by default."""
    preprocess: Literal["while", "before"] | None = None
    """Samples are prepared while training or before; by default before for tokens."""
    circuit: str | None = None
    """The wall circuit: "120 V 15 A", "230 V 16 A"; by default both are looked at."""
    per_kwh: float | None = None
    """US dollars a kilowatt-hour; 0.175 by default."""
    parts: Path | None = None
    """A folder with a parts database: tables as in the catalogue, or a clone of BuildCores OpenDB."""

    def said(self) -> dict[str, Any]:
        """The options as arguments of the verb."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@Parameter(name="*", group=_MACHINE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wished of a machine that is designed."""

    budget: float | None = None
    """US dollars for all of it; without one the best is found at any price."""
    objective: Literal["price", "cost", "time"] = "price"
    """What the best machine has least of: price, cost with three years of electricity, or the time of a step."""
    ram: str | None = None
    """At least this much RAM: "64 GiB"; a plain number is GiB."""
    storage: str | None = None
    """At least this much storage: "2 TB"."""
    network: str = ""
    """Between machines: "100 Gbit/s infiniband", "25 GbE"."""
    cooling: Literal["blower", "open", "hybrid", "water", "passive", "sxm", ""] = ""
    """Only cards that are cooled so."""
    case: Annotated[list[str] | None, Parameter(negative="")] = None
    """Only cases of this style: desktop, rack, server, frame; may be given several times."""
    new: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """No used parts."""
    power_limit: float | None = None
    """Watts that each GPU is held to."""
    keep: Annotated[list[str] | None, Parameter(negative="")] = None
    """A part that must be in it; may be given several times."""
    price: Annotated[list[str] | None, Parameter(negative="")] = None
    """A price of your own, NAME=700; may be given several times."""

    def said(self) -> dict[str, Any]:
        """The options as arguments of the verb."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        limit = said.pop("power_limit")
        return {**said, "case": self.case or (), "keep": self.keep or (), "price": self.price or (), "limit": limit}


def rig(
    *,
    gpus: str | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    choice: int = 1,
    wish: Wish = Wish(),
    around: Around = Around(),
    output: Annotated[Path | None, Parameter(name="--output")] = None,
    picture: Path | None = None,
    training: Training = Training(),
    look: Look = Look(),
) -> None:
    """Design a whole machine, or several, around GPUs.

    Parameters
    ----------
    gpus
        4xrtx-3090, or machines x GPUs: 2x4xrtx-3090.
    from_
        An answer of `advise` as JSON (--output or --json): its GPUs, network, batch and price of electricity.
    choice
        Which choice of that answer; the first by default.
    output
        Write the list here as .md or .csv, or the machines as a cluster for `plan --cluster` as .toml.
    picture
        Write the topology here (.svg or .png).
    """
    check_picture(picture)
    _check_output(output)
    asked = {**wish.said(), **around.said(), **_trained(around, training)}
    if from_ is not None:
        found = api.rig_from(from_, choice, gpus=gpus, **asked)
    elif gpus is None:
        raise UsageError("rig around no GPUs", rule="--gpus or --from", nearest="--gpus 4xrtx-3090")
    else:
        found = api.rig(gpus, **asked)
    _tell(found, look, output, picture)


def check_(
    parts_list: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    nodes: int = 1,
    around: Around = Around(),
    output: Annotated[Path | None, Parameter(name="--output")] = None,
    picture: Path | None = None,
    training: Training = Training(),
    look: Look = Look(),
) -> int:
    """Check a list of parts: what does not fit, what slows the step, what is wasted.

    Parameters
    ----------
    parts_list
        A TOML with [[part]], a PCPartPicker list as text or Markdown, or a CSV; - reads the standard input.
    nodes
        Machines of the kind that are joined.
    output
        Write the list here as .md or .csv, or the machines as a cluster for `plan --cluster` as .toml.
    picture
        Write the topology here (.svg or .png).
    """
    check_picture(picture)
    _check_output(output)
    text = _pasted() if parts_list == "-" else parts_list
    found = api.check_rig(text, nodes=nodes, **around.said(), **_trained(around, training))
    _tell(found, look, output, picture)
    return 0 if found.passes else look.refuse(_refused(found))


def _pasted() -> str:
    """A list from the standard input."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig") + "\n"
    except UnicodeDecodeError as wrong:
        raise UsageError(f"what was read is no text: {wrong}", rule="a list in UTF-8") from None


def _trained(around: Around, training: Training) -> dict[str, Any]:
    said = {key: value for key, value in training.said().items() if value is not None}
    if said and around.model is None:
        raise UsageError(f"--{next(iter(said))} without a network", nearest="--model NAME")
    return said


def _refused(found: Rig) -> InfeasibleError:
    worst = next(f for f in found.findings if f.severity == "error")
    return InfeasibleError(f"this machine does not work: {worst.says}", rule=worst.rule, nearest=worst.fix)


def _check_output(path: Path | None) -> None:
    if path is not None and path.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"output {str(path)!r}",
            rule="a list is an .md or a .csv, a cluster for plan a .toml",
            nearest=str(path.with_suffix(".md")),
        )


def _tell(found: Rig, look: Look, output: Path | None, picture: Path | None) -> None:
    if output is not None:
        from rigwise.report import partslist

        write_aside(output, getattr(partslist, _WRITERS[output.suffix.lower()])(found))
    if picture is not None:
        from rigwise.report.topology import topology_svg

        write_picture(picture, topology_svg(found))
    look.answer(found.to_dict, lambda screen: _draw(screen, found, look.chatty))
    for path in (output, picture):
        if path is not None:
            look.note(f"written: {path}")


def _draw(screen: Console, found: Rig, chatty: bool) -> None:
    columns = (
        Column(head="part", right=False),
        Column(head="#"),
        Column(head="name", right=False),
        Column(head="price"),
        Column(head="W", drop=2),
        Column(head="why", right=False),
    )
    rows = [
        (
            line.item.part.kind,
            str(line.item.count),
            line.item.part.name + (" (used)" if line.item.part.condition == "used" else ""),
            "unknown" if line.item.part.price is None else units.show_usd(line.item.part.price * line.item.count),
            f"{line.item.part.watts * line.item.count:,.0f}" if line.item.part.watts else "",
            line.reason,
        )
        for line in found.lines
    ]
    screen.print(table(screen, columns, rows))
    screen.print()
    screen.print(facts(totals(found)))
    _draw_findings(screen, found, chatty)
    if not chatty:
        return
    if found.fabric:
        for text in found.fabric.says():
            screen.print(f"network: {text}", markup=False)
    for line in found.lines:
        if line.others:
            from rigwise.rig.reasons import says

            screen.print(f"instead of the {line.item.part.kind}: {says(line.others)}", markup=False)
    if found.proof:
        screen.print(f"proof: {found.proof.says()}", markup=False)


def _draw_findings(screen: Console, found: Rig, chatty: bool) -> None:
    screen.print()
    for finding in found.findings:
        if finding.severity == "note" and not chatty:
            continue
        money = f" [{units.show_usd(finding.money)}]" if finding.money else ""
        word = "by hand" if finding.unknown else finding.severity
        screen.print(f"{word}: {finding.says}{money}", markup=False)
        if finding.fix and finding.severity != "note":
            screen.print(f"   fix: {finding.fix} (rule {finding.rule})", markup=False)


def totals(found: Rig) -> list[tuple[str, str]]:
    """Price, power, heat, noise and step of a machine in words."""
    from rigwise.rig.heat import BTU, noise_db
    from rigwise.rig.objective import electricity

    price = "unknown: a part has no price" if found.price is None else units.show_usd(found.price)
    many = f" for {found.use.nodes} machines with what joins them" if found.use.nodes > 1 else ""
    years = electricity(found.build, found.use) * found.use.nodes
    step = ""
    if found.step_s is not None and found.interval is not None:
        low, high = (units.show_seconds(end) for end in found.interval)
        step = f"{units.show_seconds(found.step_s)}  ({low} to {high}) with {found.layout}"
    return [
        ("price", price + many),
        (
            "power",
            f"{found.watts:,.0f} W at the wall; {units.show_usd(years)} of electricity in 3 years at 15 % of the hours",
        ),
        ("heat, noise", f"{found.watts * BTU:,.0f} BTU an hour, about {noise_db(found.build):.0f} dB at the machine"),
        ("step", step),
        ("verdict", found.verdict),
    ]
