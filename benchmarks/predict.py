"""How well `rigwise measure` predicts networks that it never saw: `make bench`, or this file alone.

Each turn is one setting (ranks x threads): measure, fit, then each network predicted, replayed and run, so that all
figures of a turn are of the same minutes. Options: --state FILE (go on where an earlier call stopped), --turn (do one
setting and leave, exit code 75 while there are more), --setting RxT, --no-write.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from networks import NAMES

SETTINGS = ((1, 1), (1, 2), (2, 1))
STEPS = {
    "mlp": 200,
    "lenet": 100,
    "alexnet": 12,
    "resnet18": 8,
    "gpt_small": 14,
    "gpt_medium": 7,
    "lstm": 14,
    "vit": 16,
}
SECONDS = 8.0  # of measuring, a setting
UNFINISHED = 75
HERE = Path(__file__).parent


def turn(ranks: int, threads: int) -> list[dict[str, Any]]:
    """One setting: a row a network."""
    os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    from rigwise import api

    measured = api.measure(seconds=SECONDS, settings=[(ranks, threads)])
    api.calibrate_here()
    best = max(rate for row in measured[0].rows if row.kind == "product" and (rate := api.rate_of(row)))
    return [row for name in NAMES for row in _network(name, ranks, threads, best)]


def _network(name: str, ranks: int, threads: int, best: float) -> Iterator[dict[str, Any]]:
    from rigwise import api
    from rigwise.errors import RigwiseError

    task = f"{HERE / 'networks.py'}:{name}"
    try:
        replayed = api.replay(task, ranks=ranks, threads=threads, seconds=2.0)
        with tempfile.TemporaryDirectory() as folder:
            ran = api.run(task, f"dp={ranks}", steps=STEPS[name], output=folder, device="cpu")
        asked = api.ask(task, f"this:{ranks}", layout=f"dp={ranks}")
    except RigwiseError as why:
        print(f"{name} at {ranks} x {threads} was not measured: {why}", file=sys.stderr)
        return
    found, result = ran.predicted, ran.result
    if found is None:
        print(f"{name} at {ranks} x {threads} was not predicted: {ran.why_not}", file=sys.stderr)
        return
    flop = (asked.model.flops + asked.model.flops_backward) * asked.question.batch / ranks
    row = {
        "network": name,
        "ranks": ranks,
        "threads": threads,
        "measured": result.step_s,
        "predicted": found.step_s,
        "replayed": replayed.step_s,
        "plain": flop / best,
        "low": found.interval[0],
        "high": found.interval[1],
        "memory": result.peak_memory - result.base_memory,
        "memory_predicted": found.memory_total - found.memory["context"],
        "others": max(result.evidence.get("others", 0.0), replayed.others),
    }
    print(_line(row), flush=True)
    yield row


def _line(row: dict[str, Any]) -> str:
    errors = " ".join(f"{key} {row[key] / row['measured'] - 1:+.0%}" for key in ("predicted", "replayed", "plain"))
    where = f"{row['ranks']} x {row['threads']}"
    memory = row["memory_predicted"] / row["memory"] - 1
    measured = f"{row['measured'] * 1e3:8.2f} ms"
    return f"{row['network']:<11} {where}  {measured}  {errors}  memory {memory:+.0%}  others {row['others']:.2f}"


def summary(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The table of the page: mean and largest error of each prediction."""
    lines = ["| prediction | mean error | max | inside its 80 % bar |", "|---|---|---|---|"]
    says = {
        "predicted": "from `measure` alone, network never seen",
        "replayed": "with `--replay`",
        "plain": "FLOP over the best product's rate",
    }
    for key, words in says.items():
        errors = [abs(row[key] / row["measured"] - 1) for row in rows]
        inside = sum(row["low"] <= row["measured"] <= row["high"] for row in rows) / len(rows)
        share = f"{inside:.0%}" if key == "predicted" else ""
        lines.append(f"| {words} | {sum(errors) / len(errors):.1%} | {max(errors):.0%} | {share} |")
    memory = [abs(row["memory_predicted"] / row["memory"] - 1) for row in rows]
    lines.append(f"| peak memory above the process's base | {sum(memory) / len(memory):.1%} | {max(memory):.0%} | |")
    return lines


def page(rows: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    from rigwise.api import machine

    cpu = machine()["cpu"]
    title = f"# Predicted from measurements of the machine, {_today()}"
    head = f"{title}\n\n{cpu['name']}, {cpu['usable_cores']} cores."
    each = [
        "| network | ranks x threads | measured | predicted | replay | plain | other programs, cores |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        errors = " | ".join(f"{row[key] / row['measured'] - 1:+.0%}" for key in ("predicted", "replayed", "plain"))
        where = f"{row['ranks']} x {row['threads']}"
        each.append(f"| {row['network']} | {where} | {row['measured'] * 1e3:.2f} ms | {errors} | {row['others']:.2f} |")
    return "\n".join([head, "", *summary(rows), "", *each, ""])


def _today() -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"


def main() -> int:
    """Every setting, or the next one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--turn", action="store_true")
    parser.add_argument("--setting")
    parser.add_argument("--no-write", action="store_true")
    asked = parser.parse_args()
    state: dict[str, list[dict[str, Any]]] = {}
    if asked.state and asked.state.exists():
        state = json.loads(asked.state.read_text("utf-8"))
    wanted = [f"{r}x{t}" for r, t in SETTINGS] if asked.setting is None else [asked.setting]
    todo = [key for key in wanted if asked.setting or key not in state]
    with tempfile.TemporaryDirectory() as private:
        os.environ["XDG_DATA_HOME"] = private  # the user's own history and profiles stay as they are
        for key in todo[:1] if asked.turn else todo:
            ranks, threads = map(int, key.split("x"))
            state[key] = turn(ranks, threads)
            if asked.state:
                asked.state.write_text(json.dumps(state))
    rows = [row for key in state for row in state[key]]
    print("\n".join(summary(rows)))
    if any(key not in state for key in wanted):
        return UNFINISHED
    if not asked.no_write:
        (HERE / "results" / f"predict-{_today()}.md").write_text(page(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
