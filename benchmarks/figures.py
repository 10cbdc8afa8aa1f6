"""Figures of the tool itself, in tables: one part each, as run.py runs them in a process of their own.

    python benchmarks/figures.py start | advise | brain | rig | search | mpi | peer

A figure is a median over repeats, in a fresh process where it says "process".
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

PLAN = ["plan", "gpt3-175b", "--cluster", "512xa100-sxm-80gb", "--batch", "1536", "--seq", "2048"]
SEARCHES = (64, 512, 4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    what: str
    value: float
    unit: str
    note: str = ""


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall seconds of one call."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def process(*words: str) -> Callable[[], object]:
    """A whole process: this Python with `words`."""
    return lambda: subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def start_up(repeats: int) -> list[Figure]:
    """What a person waits for before anything happens."""
    bare = seconds(process("-c", "pass"), repeats)
    face = seconds(process("-c", "import rigwise"), repeats)
    return [
        Figure(what="python -c pass", value=bare * 1e3, unit="ms", note="process; the floor under the next lines"),
        Figure(what="import rigwise", value=(face - bare) * 1e3, unit="ms", note="process, less the floor"),
        Figure(what="rigwise --help", value=seconds(process("-m", "rigwise", "--help"), repeats) * 1e3, unit="ms"),
        Figure(what="rigwise plan gpt3-175b", value=seconds(process("-m", "rigwise", *PLAN), repeats), unit="s"),
    ]


def loading(repeats: int) -> list[Figure]:
    """Every model of the zoo, built from its row."""
    import rigwise
    from rigwise.api import model_names

    names = model_names()
    whole = seconds(lambda: [rigwise.load_model(name) for name in names], repeats)
    return [Figure(what="models built a second", value=len(names) / whole, unit="/s", note=f"{len(names)} of the zoo")]


def estimating(repeats: int) -> list[Figure]:
    """One layout at a time, as a person or a page asks."""
    import rigwise

    model, cluster = rigwise.load_model("gpt3-175b", seq=2048), rigwise.load_cluster("512xa100-sxm-80gb")
    layout = rigwise.Layout(dp=8, tp=8, pp=8, sp="on", recompute="selective")
    one = seconds(lambda: rigwise.estimate(model, layout, cluster, batch=1536), repeats)
    return [Figure(what="estimates of one layout", value=1 / one, unit="/s", note="gpt3-175b on 512 A100, every part")]


def advising(repeats: int) -> list[Figure]:
    """Which GPUs to get: every device x number x way to get it x coarse layout, after a first call that reads files."""
    from rigwise import api

    figures = []
    for name, most in (("resnet50", None), ("bert-large", None), ("llama-3-8b", 64), ("mixtral-8x7b", None)):
        ask = partial(api.advise, name, budget=500_000.0, most=most)
        found = ask()
        took = seconds(ask, repeats)
        note = (
            f"{len(found.verdicts):,} machines, {len(found.every):,} ways to get them; up to {found.need.most} devices"
        )
        figures.append(Figure(what=f"advise {name}", value=took, unit="s", note=note))
    return figures


def drawing(repeats: int) -> list[Figure]:
    """The brain's estimate with its percentiles, from draws of every input."""
    import rigwise

    took = seconds(lambda: rigwise.brain_estimate(draws=100_000).quantities, repeats)
    return [Figure(what="100,000 draws of the brain's estimate", value=took * 1e3, unit="ms", note="five quantities")]


def beside() -> list[Figure]:
    """The same question to a peer."""
    from peer import PEER, calls_a_second

    rate, why = calls_a_second()
    if rate is None:
        print(f"{PEER} was not measured: {why}\n")
        return []
    return [Figure(what=f"{PEER}, one layout", value=rate, unit="/s", note="no bubble, no search; in its own venv")]


def exchanging() -> list[Figure]:
    """An all-reduce over gloo against MPI, ranks of this machine."""
    from mpi import RANKS, measure

    figures = []
    for ranks in RANKS:
        rows, why_not = measure(ranks)
        if why_not:
            print(f"MPI was not measured on {ranks} ranks: {why_not}\n")
        for row in rows:
            note = f"MPI {row['mpi'] * 1e6:,.0f} µs: {row['gloo'] / row['mpi']:.1f} x as quick"
            what = f"all-reduce of {row['bytes'] / 1024:,.0f} KiB on {ranks} ranks, gloo"
            figures.append(Figure(what=what, value=row["gloo"] * 1e6, unit="µs", note=note))
    return figures


def searching() -> list[Figure]:
    """The exact search of GPT-3 175B, batch 1536, over every axis."""
    import rigwise

    figures = []
    for devices in SEARCHES:
        found = rigwise.plan("gpt3-175b", f"{devices}xa100-sxm-80gb", batch=1536, seq=2048, top=1, full=True)
        best = found.layouts[0]
        note = f"{found.legal:,} legal of {found.considered:,} combinations, {found.feasible:,} fit, in "
        note += f"{found.seconds:.2f} s; best {best.layout} {best.step_s:.2f} s"
        rate = found.legal / found.seconds
        figures.append(Figure(what=f"search on {devices} A100", value=rate, unit="legal layouts/s", note=note))
    return figures


def rigging(repeats: int) -> list[Figure]:
    """Whole machines: the search of the catalogue, and the check of what it found."""
    import rigwise
    from rigwise.report.partslist import parts_csv

    found = parts_csv(rigwise.rig("4xrtx-3090"))
    works = (
        ("rigwise rig, four RTX 3090", lambda: rigwise.rig("4xrtx-3090")),
        ("the same, the shortest step of resnet50", _fastest),
        ("rigwise rig check of its list", lambda: rigwise.check_rig(found)),
    )
    return [Figure(what=what, value=seconds(work, repeats), unit="s", note="under 2 s") for what, work in works]


def _fastest() -> object:
    """The search with the cost model in it."""
    import rigwise

    return rigwise.rig("4xrtx-3090", model="resnet50", data="imagenet-jpeg", objective="time", budget=7000)


def table(figures: list[Figure]) -> str:
    """The figures as Markdown."""
    rows = [f"| {f.what} | {f.value:,.{0 if f.value >= 100 else 2}f} {f.unit} | {f.note} |" for f in figures]
    return "\n".join(["| what | median | note |", "|---|---:|---|", *rows])


PARTS: dict[str, Callable[[], list[Figure]]] = {
    "start": lambda: [*start_up(9), *loading(5), *estimating(50)],
    "advise": partial(advising, 5),
    "brain": partial(drawing, 9),
    "rig": partial(rigging, 3),
    "search": searching,
    "mpi": exchanging,
    "peer": beside,
}


def main(argv: list[str]) -> int:
    """Print the tables of the parts that were asked for."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in argv:
        print(table(PARTS[name]()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
