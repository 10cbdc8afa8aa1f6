"""The command line: one app, one way for an answer to come out and one way for an error.

Each command lives in a file of its own and is imported only when it is called, so that `rigwise --help` stays quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from cyclopts import App, CycloptsError

from rigwise.cli.console import console
from rigwise.cli.failures import from_exception, from_parser, show

HELP = "From the network you want to train to the machine it trains on: plan, predict, run, compare."

LAYOUTS = (
    "Layouts are spelt dp=4,tp=2,pp=2,micro=1,recompute=selective,zero=1 with the keys dp (data), tp (tensor), "
    "pp (pipeline), vpp (interleaved pieces a stage), cp (context), ep (expert), zero (0 to 3; FSDP is 3), micro "
    "(samples a micro-batch), recompute, sp, schedule, compress, overlap, offload, fused, precision; "
    "dp x tp x pp x cp is the number of ranks."
)
NAMES = (
    "Models: a name of `rigwise model list`, org/name, a config.json, a TOML, file.py:function. "
    'Clusters: 8xh100, H100:8, 2x8xh100-sxm-80gb, "4x RTX 4090", this, a TOML.'
)
EXITS = (
    "Exit codes: 0 done, 1 our fault, 2 wrong usage or input, 3 infeasible, 4 not found or ambiguous, "
    "5 launch or environment failed, 130 interrupted."
)

_COMMANDS = {
    "advise": "Which GPUs to get for a model and a need: bought new, used, or rented.",
    "plan": "Rank every legal way to split the training of a model over a cluster.",
    "estimate": "Predict time, memory, energy and money of one layout.",
    "scale": "Speed-up over the number of devices, and where adding more hurts.",
    "split": "What the ways to split one dense layer hold and exchange.",
    "run": "Train a task on this machine as a layout says; predicted beside measured.",
    "sweep": "A task under many settings, side by side: a table, a picture, and going on later.",
    "export": "A layout in the words of torchtitan, Megatron-LM, DeepSpeed or Accelerate.",
    "launch": "The script of Slurm, MPI, Ray, Kubernetes and others that starts a run, and starting it.",
    "measure": "Measure this machine: products, convolutions, memory, optimizers, links; or replay a task.",
    "history": "What was measured and run on this machine: list, compare, plot, export.",
    "doctor": "What this machine's devices, links and limits are, and what looks wrong.",
    "demo": "The whole walk on this machine in a minute: detect, plan, run, compare.",
    "report": "A plan as one HTML file that opens with no server.",
    "serve": "The page and the HTTP API, for this machine alone (the extra [web]).",
    "validate": "Predict every row of a table of measurements and sum up the errors.",
    "explain": "A word of the glossary: formula, a worked number, source.",
    "calibrate": "Fit the constants of the laws to tables of measurements, or this machine's profile to its history.",
}
_FILES = {"explain": "words"}  # commands whose file is not named as they are
_GROUPS = {
    "prices": (
        "Prices of cards and of machines by the hour.",
        {"show": "What is known of a device's prices.", "refresh": "Ask live sources (the extra [prices])."},
    ),
    "model": ("Models that can be planned.", {"list": "All names.", "show": "Operations, totals and shapes of one."}),
    "hardware": (
        "Devices that can be planned for.",
        {"list": "The catalogue.", "show": "All that is known of one.", "detect": "What this machine is."},
    ),
    "brain": (
        "The brain's computing power, and when machines reach it.",
        {
            "estimate": "Operations a second, memory and bandwidth, with their spread; a lower bound.",
            "compare": "Published estimates, each from its own inputs.",
            "machines": "How many of which device would sustain it, beside machines that stand.",
            "forecast": "The year in which machines reach it, as a distribution.",
            "neuron": "The walk along a neuron as a network, and a cell run on spike trains.",
        },
    ),
    "conv": (
        "A convolution: sizes, work and time by algorithm; images under kernels, and four ways to read one.",
        {
            "map": "Which algorithm wins where, over kernel and image size.",
            "image": "Filtering: an image under kernels, a feature map each.",
            "spectrum": "Log spectrum, low and high pass with the share of energy kept.",
            "domains": "One convolution done in both domains, and the difference.",
            "diffuse": "A kernel as a propagator that keeps the mass.",
            "find": "Cross-correlation as a search for a template.",
            "series": "A kernel over time: moving average and autoregression.",
            "learn": "Kernels of a first layer before and after training.",
        },
    ),
    "rig": (
        "A whole machine around GPUs, or several: every part with its reason, proved to be the best.",
        {"check": "What is wrong with a list of parts, and what is wasted."},
    ),
}
_OWN = {"conv", "rig"}
"""Groups that do something themselves; the parser wants such an action imported, so only where the group is called."""

_NO_RANKS = {"--help", "-h", "--nnodes"}  # words of `run` with which this process starts no ranks


def build(words: Sequence[str] | None = None) -> App:
    """The app with every command registered by its import path. words: what is called; None where anything may be."""
    from rigwise import __version__

    app = App(
        name="rigwise",
        help=HELP,
        help_epilogue="\n\n".join((LAYOUTS, NAMES, EXITS)),
        help_format="plaintext",
        version=__version__,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for name, (group_help, verbs) in _GROUPS.items():
        group = App(name=name, help=group_help)
        for verb, text in verbs.items():
            group.command(f"rigwise.cli.{name}:{verb}_", name=verb, help=text)
        if name in _OWN and (words is None or name in words):
            group.default(getattr(import_module(f"rigwise.cli.{name}"), name))
        app.command(group)
    for name, text in _COMMANDS.items():
        app.command(f"rigwise.cli.{_FILES.get(name, name)}:{name}", name=name, help=text)
    text = "Install completion for bash, zsh or fish."
    app.command("rigwise.cli.completion:install", name="--install-completion", help=text)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. argv: the words after `rigwise`, sys.argv's by default."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json, plain = "--json" in words, "--no-color" in words
    try:
        _read_ahead(words)
        code = build(words)(
            words,
            console=console(plain=plain),
            error_console=console(plain=plain, stderr=True),
            exit_on_error=False,
            print_error=False,
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CycloptsError as error:
        return show(from_parser(error), as_json=as_json, plain=plain)
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return show(from_exception(error, debug="--debug" in words), as_json=as_json, plain=plain)


def _read_ahead(words: Sequence[str]) -> None:
    """Ranks that run or measure are forked from a process that reads torch for seconds: it is begun before this one
    reads the rest of the command. Not where a launcher or an agent starts the ranks.
    """
    ranks = words[:1] == ["measure"] or (words[:1] == ["run"] and len(words) > 1)
    if ranks and not _NO_RANKS & {word.partition("=")[0] for word in words}:
        from rigwise.run.seats import seat
        from rigwise.run.server_process import begin

        if seat() is None:
            begin()


def options() -> list[str]:
    """Every command with every word that it takes, one a line: what the frozen list in the tests compares.

    >>> "plan --cluster" in options(), "model show NAME" in options()
    (True, True)
    """
    return sorted(line for name, app in _walk(build(), "") for line in _words(name, app))


def _walk(app: App, path: str) -> list[tuple[str, App]]:
    found = [] if app.default_command is None else [(path, app)]
    for name in app:
        if not name.startswith("-"):
            found += _walk(app[name], f"{path} {name}".strip())
    return found


def _words(path: str, app: App) -> list[str]:
    arguments = app.assemble_argument_collection(parse_docstring=True)
    names = [name for argument in arguments if argument.parse for name in argument.names]
    return [f"{path} {name}" for name in names if name != "*"]
