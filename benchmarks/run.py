"""Every benchmark, part by part: `make bench` prints them and writes benchmarks/results/DATE.md.

    python benchmarks/run.py              every part that today's file does not have yet
    python benchmarks/run.py search mpi   these, again if they are there
    python benchmarks/run.py --list       the parts and the minutes that they take on two free cores

A part is a process of its own, with three times its minutes to end; the file is written anew after each. All together
end within --minutes (25): what finds no time any more is left for the next call, which goes on with it. The scripts do
more by themselves: see the head of each. Nothing here is a test: a slow machine is slow. Hosts need root.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
UNFINISHED = 75  # as predict.py leaves with what it was not asked to do
_MARK = "<!-- part: {} -->"
_TORN = "not measured to its end"
_SLOW = 3.0  # times a part's minutes until it is stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A script of this folder with its words. minutes: on two free cores. asked_for: left out unless it is named.
    markdown: it prints tables, else plain lines.
    """

    title: str
    minutes: float
    words: Sequence[str]
    asked_for: bool = False
    markdown: bool = False


PARTS = {
    "start": Part(title="Starting, loading, estimating", minutes=0.5, words=["figures.py", "start"], markdown=True),
    "search": Part(title="Search", minutes=0.5, words=["figures.py", "search"], markdown=True),
    "advise": Part(
        title="Advice, the brain's draws", minutes=1.0, words=["figures.py", "advise", "brain"], markdown=True
    ),
    "rig": Part(title="Whole machines", minutes=0.4, words=["figures.py", "rig"], markdown=True),
    "peer": Part(title="A peer", minutes=1.5, words=["figures.py", "peer"], markdown=True, asked_for=True),
    "mpi": Part(title="All-reduce over gloo and MPI", minutes=1.0, words=["figures.py", "mpi"], markdown=True),
    "starts": Part(title="Start of a run", minutes=1.0, words=["starts.py"]),
    "loading": Part(title="Loading beside computing", minutes=1.0, words=["loading.py"]),
    "loops": Part(title="Training beside loops by hand", minutes=2.0, words=["loops.py"]),
    "compression": Part(
        title="Compressed gradients",
        minutes=2.5,
        words=["compression.py", "speed", "--rates", "100mbit", "1gbit", "--ways", "none", "8bit", "1bit"],
    ),
    "losses": Part(title="Compressed gradients: loss", minutes=2.5, words=["compression.py", "losses", "--seeds", "1"]),
    "breakeven": Part(title="Data against tensor parallel over a slow link", minutes=0.8, words=["breakeven.py"]),
    "kills": Part(title="Kills", minutes=2.5, words=["kills.py", "20"]),
    "convolution": Part(
        title="Convolution, one thread",
        minutes=2.0,
        words=["convolution.py", "--parts", "layers,small,scipy,network", "--budget", "100"],
    ),
    "convolution-threads": Part(
        title="Convolution, two threads",
        minutes=1.0,
        words=["convolution.py", "--parts", "layers", "--threads", "2", "--budget", "40"],
    ),
    "convolution-errors": Part(
        title="Errors of convolutions, seen / bound, in roundoffs", minutes=0.5, words=["convolution_errors.py"]
    ),
    "predict": Part(
        title="Predicted from measurements of the machine",
        minutes=3.0,
        words=["predict.py", "--only", "dp=1x1", "--no-write"],
    ),
    "web": Part(title="The page and its server", minutes=1.5, words=["web.py"]),
}


def measure(part: Part, limit_s: float) -> tuple[str, bool]:
    """What a part said, and whether it came to its end. Its processes are gone afterwards."""
    command = [sys.executable, str(HERE / part.words[0]), *part.words[1:]]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=said, stderr=told, start_new_session=True)
        why = ""
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code, why = 1, f"stopped after {limit_s / 60:.1f} minutes"
        finally:
            _end(process)
        said.seek(0)
        told.seek(0)
        text, errors = said.read().strip(), told.read().strip().splitlines()
    sound = code in (0, UNFINISHED)
    if not sound:
        text += f"\n\n{_TORN}: {why or (errors or ['it said nothing'])[-1]}"
    text = text or (errors or ["it said nothing"])[-1]  # as where something is missing here
    return (text if part.markdown else f"```text\n{text.strip()}\n```"), sound


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End whatever a part left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read(path: Path) -> dict[str, str]:
    """Each part's section in a file of results."""
    if not path.exists():
        return {}
    pieces = re.split(_MARK.format(r"([a-z-]+)"), path.read_text("utf-8"))
    return {name: text.strip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}


def write(path: Path, sections: Mapping[str, str]) -> None:
    """The file anew, its parts in their order."""
    from rigwise.files import replace_text

    path.parent.mkdir(exist_ok=True)
    parts = [f"{_MARK.format(name)}\n{sections[name]}\n" for name in PARTS if name in sections]
    replace_text(path, "\n".join([f"# rigwise {path.stem}\n\n{machine()}, one thread.\n", *parts]))


def machine() -> str:
    """What the figures were taken on."""
    from rigwise.hardware.cpus import read_processor
    from rigwise.hardware.detect import cores

    cpu = read_processor().name or platform.machine()
    return f"{cpu}, {cores()} cores, {platform.system()}, Python {platform.python_version()}"


def run(names: Sequence[str], path: Path | None, minutes: float) -> list[str]:
    """Measure the parts, print and write each; those that found no time, or not enough."""
    begin, unfinished = time.monotonic(), []
    sections = read(path) if path else {}
    for number, name in enumerate(names, 1):
        part, left_s = PARTS[name], minutes * 60 - (time.monotonic() - begin)
        if left_s < part.minutes * 60:
            unfinished.append(name)
            continue
        print(f"[{number}/{len(names)}] {name}: {part.title}, about {part.minutes:g} min", file=sys.stderr, flush=True)
        started = time.monotonic()
        text, sound = measure(part, min(left_s, _SLOW * part.minutes * 60))
        took = (time.monotonic() - started) / 60
        print(f"[{number}/{len(names)}] {name}: {'done' if sound else 'NOT DONE'} in {took:.1f} min", file=sys.stderr)
        if not sound:
            unfinished.append(name)
        section = f"## {part.title}\n\n{text}"
        print(f"\n{section}\n", flush=True)
        if path and (sound or _TORN in sections.get(name, _TORN)):
            sections[name] = section
            write(path, sections)
            print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}", flush=True)
    return unfinished


def main(argv: list[str]) -> int:
    """The parts that were asked for, or those that are not done today."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="see --list")
    parser.add_argument("--list", action="store_true", help="the parts and their minutes")
    parser.add_argument("--minutes", type=float, default=25.0, help="until nothing new is begun and all is stopped")
    parser.add_argument("--no-write", action="store_true", help="print only")
    asked = parser.parse_args(argv)
    if unknown := [name for name in asked.parts if name not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if asked.list:
        for name, part in PARTS.items():
            print(f"{name:20s}{part.minutes:4g} min  {part.title}{' (only if named)' if part.asked_for else ''}")
        return 0
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    path = None if asked.no_write else RESULTS / f"{today}.md"
    done = {name for name, text in (read(path) if path else {}).items() if _TORN not in text}
    names = asked.parts or [name for name, part in PARTS.items() if not part.asked_for and name not in done]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    unfinished = run(names, path, asked.minutes)
    if unfinished:
        print(f"no time, or no figures: {', '.join(unfinished)}; the same command goes on with them", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
