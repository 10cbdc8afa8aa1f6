"""`rigwise demo`: the whole walk in a minute: detect this machine, plan for it, run the plan on real data, compare."""

from __future__ import annotations

from pathlib import Path

from rigwise import api
from rigwise.cli.hardware import draw_machine
from rigwise.cli.options import Look
from rigwise.cli.plan import ranking, searched
from rigwise.cli.run import draw_run, stepping

TASK = "digits"
RANKS = 2


def demo(*, steps: int = 200, output: Path | None = None, look: Look = Look()) -> None:
    """Detect this machine, plan a convnet on handwritten digits for it, run the plan with two processes, compare.

    Parameters
    ----------
    steps
        Optimizer steps of the run.
    output
        Folder for log.jsonl and the checkpoint; a new one under rigwise-runs by default.
    """
    screen = look.screen
    here = api.load_cluster(api.HERE)
    ranks = min(RANKS, here.devices) if here.device.kind == "gpu" else RANKS
    machine = api.load_cluster(f"{api.HERE}:{ranks}", probe=True)
    if look.chatty:
        screen.rule("this machine", align="left")
        draw_machine(screen, machine)
        screen.rule(f"a plan for {TASK} on it", align="left")
    asked = api.ask(TASK, machine)
    planned = asked.plan(top=3, objective="time", fix=None, full=False)
    if look.chatty:
        screen.print(f"{searched(planned)}\n")
        screen.print(ranking(screen, planned.layouts))
        for line in planned.why:
            screen.print(f"why: {line}", markup=False)
        screen.rule(f"the best of them, run for {steps} steps with {ranks} processes", align="left")
    with stepping(look, steps) as on_step:
        report = api.run(TASK, planned.best.layout, steps=steps, output=output, on_step=on_step, predicted=planned.best)
    look.answer(
        lambda: {"machine": machine.resolved, "plan": planned.to_dict(), "run": report.to_dict()},
        lambda _: draw_run(screen, report, look.chatty),
    )
