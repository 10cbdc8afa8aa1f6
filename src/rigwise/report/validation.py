"""The validation page: what was aimed at and what is reached, family by family, with the reasons where it is not.

    pages(validation, "validation.md") -> {"validation.md": text, "pictures/validation-llm.svg": text, ...}

The same outcomes give the same texts, to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rigwise.calibration.aims import Figure, Judged
from rigwise.calibration.composed import effective
from rigwise.calibration.figures import SCHEMES
from rigwise.calibration.groups import Family, families, grouped
from rigwise.calibration.outcomes import Outcome, summarise
from rigwise.calibration.validation import Validation
from rigwise.report import ranks
from rigwise.report.markdown import number, percent, table, words
from rigwise.report.scatter import panels_of, scatter_svg

PAGE = "validation"
_LEFT_OUT = ("layout", "device", "source")


def pages(found: Validation, name: str) -> Mapping[str, str]:
    """The page under its name, and each picture under its own, as text; places are relative to the page's folder."""
    pictures = {f"pictures/validation-{f.id}.svg": svg for f in families() if (svg := picture(found, f))}
    return {name: page(found), **pictures}


def picture(found: Validation, family: Family) -> str:
    """The picture of a family as SVG, or "" where it has no row that counts and is predicted."""
    panels = panels_of(family.units, found.counted(family.scheme, family.title))
    return scatter_svg(family.title, panels) if panels else ""


def page(found: Validation) -> str:
    """The page in Markdown."""
    parts = [_opening(found), *_aims(found), *_families(found)]
    parts += [text for family in families() for text in _family(found, family)]
    parts += [*_intervals(found), *ranks.sections(found), *_left_out(found)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(found: Validation) -> str:
    counted = found.counted("shipped")
    counts = {"rows": len(found.rows), "counted": len(counted), "predicted": _predicted(counted)}
    parts = [
        "# Validation",
        words(PAGE, "opening", table=found.table),
        words(PAGE, "crossed" if found.crossed else "shipped"),
        words(PAGE, "counts", composed=f"{len(found.composed):,}", **{key: f"{n:,}" for key, n in counts.items()}),
    ]
    return "\n\n".join(parts)


def _predicted(outcomes: Sequence[Outcome]) -> int:
    return sum(o.predicted is not None for o in outcomes)


def _aims(found: Validation) -> list[str]:
    judged = found.aims
    if not judged:
        return []
    head = ["rows", "left out", "figure", "rows that count", "rigwise", "aim", "prototype", "best peer", "verdict"]
    lines = [_aim(entry, figure) for entry in judged for figure in entry.figures]
    missed = [(entry, figure) for entry in judged for figure in entry.figures if figure.met is False]
    met = len(lines) - len(missed)
    parts = [
        "## The aims",
        words(PAGE, "aims", met=met, all=len(lines)),
        table(head, lines, "lllrrrrll"),
        "\n".join(f"- {entry.aim.rows}: {entry.aim.note}" for entry in judged if entry.aim.note),
    ]
    if missed:
        parts += [
            "### Where an aim is missed",
            words(PAGE, "missed"),
            table(
                ["rows", "figure", "group", "rows in it", "its median", "its bias", "all", "without it", "why"],
                [_miss(entry, figure) for entry, figure in missed],
                "lllrrrrrl",
            ),
        ]
    return parts


def _aim(entry: Judged, figure: Figure) -> list[str]:
    aim = entry.aim
    bound = (
        f"at most {_value(figure, figure.most)}"
        if figure.most is not None
        else f"at least {_value(figure, figure.least)}"
    )
    peer = "-" if figure.peer is None else f"{_value(figure, figure.peer)} ({aim.peer})"
    some = f"{entry.rows:,}" if entry.rows == entry.predicted else f"{entry.predicted:,} of {entry.rows:,}"
    verdict = {True: "met", False: "**missed**", None: "unknown"}[figure.met]
    prototype = "-" if figure.prototype is None else _value(figure, figure.prototype)
    return [aim.rows, aim.scheme, figure.statistic, some, _value(figure, figure.value), bound, prototype, peer, verdict]


def _value(figure: Figure, value: float | None) -> str:
    return number(value) if figure.statistic == "rank correlation" else percent(value)


def _miss(entry: Judged, figure: Figure) -> list[str]:
    cause, value = figure.cause, _value(figure, figure.value)
    if cause is None:
        return [entry.aim.rows, figure.statistic, "no single group", "-", "-", "-", value, "-", ""]
    told = [f"{cause.rows:,}", percent(cause.median), percent(cause.signed, signed=True)]
    without = _value(figure, cause.without)
    return [
        entry.aim.rows,
        figure.statistic,
        f"{cause.kind}: {cause.group}",
        *told,
        value,
        without,
        cause.why or "not known",
    ]


def _families(found: Validation) -> list[str]:
    schemes = {scheme: effective(found.counted(scheme), found.composed) for scheme in SCHEMES}
    if not _predicted(schemes["shipped"]):
        return []
    return [
        "## By family",
        words(PAGE, "families"),
        _summaries(schemes, "layout", "family"),
    ]


def _family(found: Validation, family: Family) -> list[str]:
    schemes = {s: effective(found.counted(s, family.title), found.composed) for s in SCHEMES}
    rows = schemes[family.scheme]
    if not rows:
        return []
    drawn = sum(len(p.outcomes) for p in panels_of(family.units, found.counted(family.scheme, family.title)))
    parts = [f"## {family.title}"]
    if drawn:
        parts.append(f"![{family.title}: predicted over measured](pictures/validation-{family.id}.svg)")
    parts.append(words(PAGE, "family", scheme=SCHEMES[family.scheme]))
    for key in ("source", "device", "size"):
        if key == "source" or len(grouped(rows, key)) > 1:
            parts.append(_summaries(schemes, family.scheme, key))
    return parts


def _summaries(schemes: Mapping[str, Sequence[Outcome]], own: str, key: str) -> str:
    groups = {scheme: grouped(schemes[scheme], key) for scheme in _LEFT_OUT}
    shipped = grouped(schemes["shipped"], key)
    head = [
        key,
        "rows",
        *(f"median, {scheme} left out" for scheme in _LEFT_OUT),
        "as shipped",
        "mean",
        "bias",
        "inside",
    ]
    lines = [
        _summary(name[0], [groups[s].get(name, []) for s in _LEFT_OUT], members, groups[own].get(name, members))
        for name, members in shipped.items()
    ]
    everything = [schemes[s] for s in _LEFT_OUT]
    if len(lines) > 1:
        lines.append(_summary("**all**", everything, schemes["shipped"], schemes[own]))
    return table(head, lines)


def _summary(
    name: str, left_out: Sequence[Sequence[Outcome]], shipped: Sequence[Outcome], own: Sequence[Outcome]
) -> list[str]:
    told = summarise(own)
    medians = [percent(summarise(outcomes).median) for outcomes in (*left_out, shipped)]
    some = f"{told.rows:,}" if told.rows == told.supported else f"{told.supported:,} of {told.rows:,}"
    return [name, some, *medians, percent(told.mean), percent(told.signed, signed=True), percent(told.inside)]


def _intervals(found: Validation) -> list[str]:
    schemes = {s: effective(found.counted(s), found.composed) for s in SCHEMES}
    groups = {s: grouped(schemes[s], "family", "regime") for s in _LEFT_OUT}
    lines = []
    for name, members in grouped(schemes["shipped"], "family", "regime").items():
        if done := _predicted(members):
            lines.append([*name, f"{done:,}", *(_inside(groups[s].get(name, [])) for s in _LEFT_OUT)])
    lines.append(["**all**", "", f"{_predicted(schemes['shipped']):,}", *(_inside(schemes[s]) for s in _LEFT_OUT)])
    return [
        "## Intervals",
        words(PAGE, "intervals"),
        table(["family", "regime", "rows", *(f"{s} left out" for s in _LEFT_OUT)], lines, "ll"),
    ]


def _inside(outcomes: Sequence[Outcome]) -> str:
    return percent(summarise(outcomes).inside)


def _left_out(found: Validation) -> list[str]:
    flagged: dict[tuple[str, str], list[str]] = {}
    for outcome in found.schemes["shipped"]:
        if outcome.flag:
            flagged.setdefault((outcome.flag, outcome.row.prefix), []).append(outcome.row.id)
    lines = [[flag, source, f"{len(ids):,}", _named(flag, ids)] for (flag, source), ids in sorted(flagged.items())]
    refused = [[why, f"{count:,}"] for why, count in found.report.refusals]
    return [
        "## What is left out, and why",
        words(PAGE, "left_out"),
        table(["why", "source", "rows", "which"], lines, "llrl") if lines else "",
        words(PAGE, "refused") if refused else "",
        table(["reason", "rows"], refused) if refused else "",
        *_composed(found),
    ]


def _named(flag: str, ids: Sequence[str]) -> str:
    """Derived rows are named by the row they come from; the others one by one."""
    return "named in the table's notes" if flag == "derived" else ", ".join(ids)


def _composed(found: Validation) -> list[str]:
    if not found.depths:
        return []
    lines = [
        [
            d.source,
            f"{d.rows:,}",
            f"{d.sweeps:,}",
            f"{d.deviation:.0e}",
            percent(d.straight),
            f"composed: {d.cells} cells" if d.composed else "measured",
        ]
        for d in found.depths
    ]
    return [
        "### Rows that were composed",
        words(PAGE, "composed"),
        table(["source", "rows", "sweeps over depth", "median deviation", "below 1e-4", "verdict"], lines, "lrrrrl"),
    ]
