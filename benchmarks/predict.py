"""How well `rigwise measure` predicts networks that it never saw: `make bench`, or this file alone.

Each setting (layout x threads a rank) is measured once, and fitted; then each network is predicted, replayed and run.
Options: --state FOLDER (keeps what is done and goes on there), --turn SECONDS (leaves with exit code 75 before an item
that may not fit, so that turns can be taken while a machine is quiet), --only LAYOUTxT or LAYOUTxT:NETWORK, --no-write.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from networks import NAMES

from rigwise.units import MEBI

SETTINGS = (("dp=1", 1), ("dp=1", 2), ("dp=2", 1), ("tp=2", 1))
STEPS = {  # of a turn
    "mlp": 400,
    "lenet": 150,
    "alexnet": 12,
    "resnet18": 8,
    "gpt_small": 12,
    "gpt_medium": 6,
    "lstm": 12,
    "vit": 12,
}
TURNS, LEAST, ENOUGH_S = 8, 3, 22.0  # turns of a network, at most and at least, and seconds after which they are enough
SECONDS = 20.0  # of measuring, as `rigwise measure` does without a word: all settings of this machine
NEEDS = {"measure": 35.0, "gpt_medium": 80.0, "network": 34.0}  # seconds that an item may take, for --turn
UNFINISHED = 75
HERE = Path(__file__).parent
ROWS = "rows.json"


def items() -> Iterator[tuple[str, str, int, str]]:
    """What there is to do, in order: (key, layout, threads, network or "measure")."""
    yield "measure", "", 0, "measure"
    for layout, threads in SETTINGS:
        for name in NAMES:
            yield f"{layout}x{threads}:{name}", layout, threads, name


def measured() -> dict[str, Any]:
    """The machine measured and fitted; the best product's FLOP/s by ranks and threads."""
    from rigwise import api

    begin = time.perf_counter()
    found = api.measure(seconds=SECONDS)
    took = time.perf_counter() - begin
    api.calibrate_here()
    best = {
        f"{one.ranks}x{one.threads}": max(
            rate for row in one.rows if row.kind == "product" and (rate := api.rate_of(row))
        )
        for one in found
    }
    print(f"measured in {took:.1f} s", flush=True)
    return {"best": best, "took": took, "others": max(one.others for one in found)}


def network(name: str, layout: str, threads: int, best: Mapping[str, float]) -> dict[str, Any]:
    """One network at one setting: rehearsed and run in turns. A row of means, or why there is none ("why").

    A neighbour's load on a shared machine comes and goes within a second or two; what is compared is what several turns
    say on average. The prediction is that of `rigwise run`, which asks for the machine's pace before it begins.
    """
    os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    from rigwise import api
    from rigwise.errors import RigwiseError

    task, ranks = f"{HERE / 'networks.py'}:{name}", int(layout.partition("=")[2])
    turns: list[dict[str, Any]] = []
    begin = time.perf_counter()
    try:
        while len(turns) < TURNS and (len(turns) < LEAST or time.perf_counter() - begin < ENOUGH_S):
            turns.append(_turn(task, layout, threads, STEPS[name], operations=not turns))
        asked = api.ask(task, f"this:{ranks}", layout=layout)
    except RigwiseError as why:
        return {"why": str(why)}
    except _NotPredicted as why:
        return {"why": str(why)}
    flop = (asked.model.flops + asked.model.flops_backward) * asked.question.batch / ranks
    mean = {key: fmean(one[key] for one in turns) for key in turns[0] if isinstance(turns[0][key], float)}
    return {
        **mean,
        "network": name,
        "layout": layout,
        "threads": threads,
        "turns": turns,
        "plain": flop / best[f"{ranks}x{threads}"],
        "operations": turns[0]["operations"],
    }


class _NotPredicted(Exception):
    """A run that had no prediction."""


def _turn(task: str, layout: str, threads: int, steps: int, operations: bool) -> dict[str, Any]:
    """One rehearsal and one run."""
    from rigwise import api

    replayed = api.replay(task, layout=layout, threads=threads, operations=operations)
    with tempfile.TemporaryDirectory() as folder:
        ran = api.run(task, layout, steps=steps, output=folder, device="cpu")
    found, result = ran.predicted, ran.result
    if found is None:
        raise _NotPredicted(ran.why_not)
    return {
        "measured": result.step_s,
        "predicted": found.step_s,
        "replayed": replayed.step_s,
        "low": found.interval[0],
        "high": found.interval[1],
        "parts": dict(result.parts),
        "parts_predicted": dict(found.time),
        "operations": replayed.operations_s + replayed.step_s - replayed.parts["compute"],
        "parts_replayed": dict(replayed.parts),
        "memory": float(result.peak_memory - result.base_memory),
        "memory_predicted": float(found.memory_total - found.memory["context"]),
        "memory_parts": dict(found.memory),
        "others": max(result.evidence.get("others", 0.0), replayed.others),
        "basis": found.basis,
    }


def _line(row: Mapping[str, Any]) -> str:
    where = f"{row['network']:<11} {row['layout']} x {row['threads']}"
    errors = " ".join(f"{key} {row[key] / row['measured'] - 1:+.0%}" for key in SAYS)
    memory = f"memory {row['memory'] / MEBI:.0f} MiB {row['memory_predicted'] / row['memory'] - 1:+.0%}"
    return f"{where}  {row['measured'] * 1e3:8.2f} ms  {errors}  {memory}  others {row['others']:.2f}"


SAYS = {
    "predicted": "from `measure` alone, network never seen",
    "replayed": "with `--replay`: the task rehearsed",
    "operations": "with `--replay`: its operations one by one",
    "plain": "FLOP over the best product's rate",
}


def summary(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page: mean and largest error of each prediction."""
    lines = ["| prediction | mean error | max | inside its 80 % bar |", "|---|---|---|---|"]
    for key, words in SAYS.items():
        errors = [abs(row[key] / row["measured"] - 1) for row in rows]
        inside = sum(row["low"] <= row["measured"] <= row["high"] for row in rows) / len(rows)
        share = f"{inside:.0%}" if key == "predicted" else ""
        lines.append(f"| {words} | {sum(errors) / len(errors):.1%} | {max(errors):.0%} | {share} |")
    memory = [abs(row["memory_predicted"] / row["memory"] - 1) for row in rows]
    lines.append(f"| peak memory above the process's base | {sum(memory) / len(memory):.1%} | {max(memory):.0%} | |")
    return lines


def page(state: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as Markdown."""
    from rigwise.api import machine

    cpu = machine()["cpu"]
    rows = [row for row in state.values() if "measured" in row]
    missing = [f"- {key}: {row['why']}" for key, row in state.items() if "why" in row]
    title = f"# Predicted from measurements of the machine, {_today()}"
    head = f"{title}\n\n{cpu['name']}, {cpu['usable_cores']} cores; measured in {state['measure']['took']:.0f} s."
    each = [
        "| network | layout x threads | measured | 80 % bar | predicted | replay | its operations | plain "
        "| memory | predicted | other programs, cores |",
        "|---" * 11 + "|",
    ]
    for row in rows:
        low, high = row["low"] * 1e3, row["high"] * 1e3
        timed = f"{row['measured'] * 1e3:.2f} ms | {low:.2f} - {high:.2f} ms"
        errors = " | ".join(f"{row[key] / row['measured'] - 1:+.0%}" for key in SAYS)
        memory = f"{row['memory'] / MEBI:.0f} MiB | {row['memory_predicted'] / row['memory'] - 1:+.0%}"
        where = f"{row['layout']} x {row['threads']}"
        each.append(f"| {row['network']} | {where} | {timed} | {errors} | {memory} | {row['others']:.2f} |")
    return "\n".join([head, "", *summary(rows), "", *each, "", *missing, ""])


def _today() -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"


def work(state: Path, turn: float | None, only: str | None) -> dict[str, dict[str, Any]]:
    """Do what is not done yet, as far as a turn goes; all that is done, by key."""
    begin = time.perf_counter()
    file = state / ROWS
    done: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for key, layout, threads, name in items():
        asked = only is None or name == "measure" or only in (key, key.partition(":")[0])
        if key in done or not asked:
            continue
        if turn is not None and time.perf_counter() - begin + NEEDS.get(name, NEEDS["network"]) > turn:
            break
        done[key] = measured() if name == "measure" else network(name, layout, threads, done["measure"]["best"])
        file.write_text(json.dumps(done))
        if name != "measure":
            print(_line(done[key]) if "measured" in done[key] else f"{key}: {done[key]['why']}", flush=True)
    return done


def main() -> int:
    """Every setting, or as many as fit into a turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--turn", type=float)
    parser.add_argument("--only")
    parser.add_argument("--no-write", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as private:
        folder = asked.state or Path(private)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["XDG_DATA_HOME"] = str(folder)  # the user's own history and profiles stay as they are
        done = work(folder, asked.turn, asked.only)
    rows = [row for row in done.values() if "measured" in row]
    if rows:
        print("\n".join(summary(rows)))
    if any(key not in done for key, *_ in items()):
        return UNFINISHED
    if not asked.no_write:
        (HERE / "results" / f"predict-{_today()}.md").write_text(page(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
