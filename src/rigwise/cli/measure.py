"""`rigwise measure`: this machine measured and written to the history, or a task replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from rigwise import api
from rigwise.cli.options import Look
from rigwise.cli.progress import stages
from rigwise.cli.tables import Column, facts, table
from rigwise.errors import UsageError
from rigwise.units import show_bytes, show_flops, show_rate, show_seconds

if TYPE_CHECKING:
    from rigwise.api import Measured, Replayed
    from rigwise.measure.rows import Row

_STEPS = 100  # of a progress bar
_SPEEDS = {"product": "products", "conv": "convolutions", "attention": "attention", "recurrent": "LSTM layers"}


def measure(
    *,
    seconds: float | None = None,
    thorough: Annotated[bool, Parameter(negative="")] = False,
    replay: str | None = None,
    layout: str = "",
    ranks: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    output: Path | None = None,
    look: Look = Look(),
) -> int:
    """Measure this machine, about 20 s, and write it to the history; or replay a task.

    Parameters
    ----------
    seconds
        To spend on it, all settings together; 20 by default.
    thorough
        More sizes, for minutes.
    replay
        Rehearse a few steps of this task instead, with each of its operations timed: the sharpest prediction.
    layout
        Of a replay: dp=N or tp=N; dp over the ranks by default.
    ranks
        That measure at once; by default one, and one a core.
    threads
        Of each rank; by default one, and all cores.
    batch
        Of a replay: samples of one rank; its share of the task's batch by default.
    device
        auto takes a GPU where there is one.
    output
        A history file in place of your own.
    """
    if replay is not None:
        with _progress(look) as on_part:
            done = api.replay(
                replay,
                layout,
                ranks=1 if ranks is None else ranks,
                threads=threads,
                batch=batch,
                history=output,
                on_part=on_part,
            )
        look.answer(done.to_dict, lambda screen: _draw_replay(screen, done))
        return 0
    if batch is not None or layout:
        raise UsageError("batch or layout without --replay", rule="only a task has a batch and a layout")
    said = ranks is not None or threads is not None
    settings = [(1 if ranks is None else ranks, 1 if threads is None else threads)] if said else None
    return _measure(seconds, thorough, device, output, settings, look)


def _measure(
    seconds: float | None,
    thorough: bool,
    device: str,
    output: Path | None,
    settings: list[tuple[int, int]] | None,
    look: Look,
) -> int:
    """All settings of this machine, or what the ranks of a launcher find together; the exit code."""
    from rigwise.run.failures import ToldElsewhere

    try:
        with _progress(look) if api.speaks() else nullcontext() as on_part:
            found = api.measure(
                seconds=seconds, thorough=thorough, device=device, history=output, settings=settings, on_part=on_part
            )
    except ToldElsewhere as told:
        return told.exit_code
    if not found:  # rank 0 of the same launcher tells it
        return 0
    payload = {"schema_version": 1, "settings": [one.to_dict() for one in found]}
    look.answer(lambda: payload, lambda screen: _draw(screen, found))
    kept = found[0].session is not None
    look.note("next: rigwise calibrate --from history" if kept else "not written: the history is off")
    return 0


@contextmanager
def _progress(look: Look) -> Iterator[Callable[[str, float], None]]:
    """A bar for each part on a terminal, a line for each elsewhere."""
    screen, said = look.progress, set[str]()
    with stages(look) as told:

        def on_part(what: str, share: float) -> None:
            told(what, round(share * _STEPS), _STEPS)
            if look.chatty and not screen.is_terminal and what not in said:
                said.add(what)
                screen.print(what, soft_wrap=True)

        yield on_part


def _draw(screen: Console, found: Sequence[Measured]) -> None:
    for one in found:
        rows = [*_speeds(one.rows), *_memory(one.rows), *_around(one.rows)]
        title = f"{one.ranks} rank{'s' * (one.ranks > 1)} of {one.threads} thread{'s' * (one.threads > 1)}"
        columns = [Column(head="what", right=False), Column(head="median"), Column(head="best"), Column(head="timed")]
        where = "not kept" if one.session is None else f"session {one.session}"
        screen.print(table(screen, columns, rows, title=f"{title} ({where})"))
        if one.links:
            heads = [
                Column(head="between ranks", right=False),
                *(Column(head=h) for h in ("alpha", "bandwidth", "error")),
            ]
            lines = [
                [f.collective, show_seconds(f.alpha), show_rate(f.bandwidth), f"{f.error:.0%} (max {f.worst:.0%})"]
                for f in one.links
            ]
            screen.print(table(screen, heads, lines))
        screen.print(f"spread of the times of one thing: {one.spread:.0%}")
        for doubt in one.doubts:
            screen.print(f"note: {doubt}", markup=False)
        for what in one.skipped:
            screen.print(f"not measured: {what}", markup=False)
        screen.print()


def _speeds(rows: Sequence[Row]) -> Iterator[list[str]]:
    from rigwise.api import rate_of

    for kind, says in _SPEEDS.items():
        rates = sorted(rate for row in rows if row.kind == kind and (rate := rate_of(row)))
        if rates:
            middle, best = (show_flops(value, per_second=True) for value in (rates[len(rates) // 2], rates[-1]))
            yield [f"{says}, float32", middle, best, str(len(rates))]


def _memory(rows: Sequence[Row]) -> Iterator[list[str]]:
    copies = [row for row in rows if row.kind == "copy"]
    for size in sorted({row.sizes["bytes"] for row in copies})[1::2]:
        for row in copies:
            if row.sizes["bytes"] == size and row.which != "old":
                says = "a copy" if row.which == "new" else "a sum in place"
                yield [f"memory, {says} of {show_bytes(size)}", show_rate(row.value), "", str(row.times)]


def _around(rows: Sequence[Row]) -> Iterator[list[str]]:
    for which in dict.fromkeys(row.which for row in rows if row.kind == "product of a type"):
        rates = sorted(row.value for row in rows if row.which == which)
        middle, best = (show_flops(value, per_second=True) for value in (rates[len(rates) // 2], rates[-1]))
        yield [f"products, {which}", middle, best, str(len(rates))]
    for row in rows:
        if row.kind == "disk":
            yield [f"disk, a file of {show_bytes(row.sizes['bytes'])} read", show_rate(row.value), "", str(row.times)]
        if row.kind == "to device":
            yield [f"to the GPU, {row.which}", show_rate(row.value), "", str(row.times)]
        if row.kind == "launch":
            yield ["a launch", show_seconds(row.value), "", str(row.times)]


def _draw_replay(screen: Console, done: Replayed) -> None:
    where = f"{done.ranks} rank{'s' * (done.ranks > 1)} of {done.threads} thread{'s' * (done.threads > 1)}"
    screen.print(
        facts(
            [
                ("task", f"{done.task}, {where}"),
                ("step", show_seconds(done.step_s)),
                *((part, show_seconds(value)) for part, value in done.parts.items()),
                ("operations", f"{done.operations} different ones, {show_seconds(done.operations_s)} of a step in all"),
            ]
        )
    )
    for doubt in done.doubts:
        screen.print(f"note: {doubt}", markup=False)
