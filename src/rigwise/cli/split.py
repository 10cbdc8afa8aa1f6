"""`rigwise split 128x1000x500`: one dense layer under every split, as one would do it with a pencil."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console

from rigwise import api, units
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, table

if TYPE_CHECKING:
    from rigwise.layouts.compare import SplitReport
    from rigwise.layouts.pieces import DenseSplit, Product, Shape

_HOLDS = {"data": "samples of A", "rows": "inputs: rows of W", "columns": "outputs: columns of W"}
_COMBINED = {"own": "kept", "add": "added", "stack": "stacked"}


def split(
    shape: str, /, *, ranks: int = 2, dtype: str = "float32", rate: str | None = None, look: Look = Look()
) -> None:
    """What the ways to split one dense layer hold and exchange, forward and backward.

    Parameters
    ----------
    shape
        Batch x inputs x outputs: 128x1000x500.
    ranks
        Devices that share the layer.
    dtype
        Type of the numbers: float32, bfloat16, ...
    rate
        The link between ranks, for the time of the exchange: "40 Gbit/s".
    """
    report = api.split(shape, ranks=ranks, dtype=dtype, rate=rate)
    look.answer(report.to_dict, lambda screen: _draw(screen, report, look.chatty))


def _draw(screen: Console, report: SplitReport, chatty: bool) -> None:
    b, i, o, n = report.batch, report.inputs, report.outputs, report.ranks
    if chatty:
        screen.print(
            f"forward C = A . W, A {b} x {i}, W {i} x {o}; backward delta . W^T; gradient A^T . delta; {n} ranks\n"
        )
    columns = (
        Column(head="split", right=False, style="bold"),
        Column(head="pass", right=False),
        Column(head="a rank computes", right=False),
        Column(head="results are", right=False),
        Column(head="handed on"),
        Column(head="bytes", drop=1),
    )
    screen.print(table(screen, columns, [row for one in report.splits for row in _products(one, report.element_bytes)]))
    screen.print()
    screen.print(_totals(screen, report))
    if chatty:
        screen.print()
        for line in _closing(report):
            screen.print(line)


def _products(one: DenseSplit, width: float) -> Iterator[list[str]]:
    for place, product in enumerate(one.products):
        moved = max(product.handed_on)
        yield [
            one.kind if place == 0 else "",
            product.of,
            _computes(product),
            _COMBINED[product.combine],
            f"{moved:,}" if moved else "-",
            units.show_bytes(moved * width) if moved else "-",
        ]


def _computes(product: Product) -> str:
    """The first rank's shapes, and the last's where the remainder made them others."""
    ranks = [
        f"{_size(left)} . {_size(right)} = {_size(result)}"
        for left, right, result in zip(product.left, product.right, product.result, strict=True)
    ]
    return ranks[0] if ranks[0] == ranks[-1] else f"{ranks[0]}; last {ranks[-1]}"


def _size(shape: Shape) -> str:
    return f"{shape[0]}x{shape[1]}"


def _totals(screen: Console, report: SplitReport) -> object:
    columns = [
        Column(head="split", right=False, style="bold"),
        Column(head="a rank holds", right=False, drop=3),
        Column(head="elements handed on"),
        Column(head="bytes"),
        Column(head="sent in a ring", drop=2),
        Column(head="memory of a rank", drop=1),
        Column(head="fewer than data under batch", drop=1),
        *([Column(head="time")] if report.rate else []),
    ]
    return table(screen, columns, [_total(report, one) for one in report.splits])


def _total(report: SplitReport, one: DenseSplit) -> list[str]:
    time, even = report.seconds(one), report.break_even.get(one.kind)
    memory = max(sum(parts) for parts in zip(*report.memory(one).values(), strict=True))
    return [
        one.kind,
        _HOLDS[one.kind],
        f"{one.handed_on:,}",
        units.show_bytes(report.bytes_handed_on(one)),
        units.show_bytes(report.ring_bytes(one)),
        units.show_bytes(memory),
        "" if even is None else f"{even:,.4g}",
        *([units.show_seconds(time.decimal)] if time else []),
    ]


def _closing(report: SplitReport) -> Iterator[str]:
    yield f"{report.least.kind} hands on least: {report.least.handed_on:,} elements to each other rank in a step"
    for kind, why in report.refused.items():
        yield f"no split by {kind}: {why}"
