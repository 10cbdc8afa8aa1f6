"""A trace of a few steps of every rank, for https://ui.perfetto.dev or chrome://tracing: what runs beside what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from rigwise.errors import LaunchError
from rigwise.files import replace_text
from rigwise.run.ranks import Ranks
from rigwise.units import KILO

TRACE = "trace.json"
_SKIPPED, _WARM, _TRACED = 3, 1, 5  # steps: first allocations are no picture of the rest


class Tracer:
    """Watches steps 5 to 9 of this run, or what there is of fewer. Does nothing where no trace was asked for."""

    def __init__(self, ranks: Ranks, steps: int, wanted: bool) -> None:
        """steps: that this run will take."""
        self.ranks = ranks
        self._profile: profile | None = None
        if wanted:
            skipped = max(0, min(_SKIPPED, steps - _WARM - _TRACED))
            warm = min(_WARM, max(0, steps - 1))
            kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if ranks.device.type == "cuda" else [])]
            active = max(1, min(_TRACED, steps - skipped - warm))
            self._profile = profile(
                activities=kinds,
                schedule=schedule(wait=skipped, warmup=warm, active=active, repeat=1),
                on_trace_ready=lambda _: None,
                acc_events=True,
            )

    def __enter__(self) -> Self:
        if self._profile:
            self._profile.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._profile:
            self._profile.stop()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of a step, by name."""
        if self._profile is None:
            yield
            return
        with record_function(name):
            yield

    def step(self) -> None:
        """A step is over."""
        if self._profile:
            self._profile.step()

    def write(self, output: Path) -> Path | None:
        """One file of all ranks' traces, after the context is left. Raises LaunchError where it cannot be written."""
        if self._profile is None:
            return None
        own = output / f".trace-{self.ranks.rank}.json"
        try:
            self._profile.export_chrome_trace(str(own))
            self.ranks.barrier()
            if self.ranks.rank == 0:
                parts = [output / f".trace-{rank}.json" for rank in range(self.ranks.world)]
                replace_text(output / TRACE, json.dumps(joined([json.loads(part.read_text()) for part in parts])))
                for part in parts:
                    part.unlink()
        except OSError as error:
            raise LaunchError(f"cannot write {output / TRACE}: {error.strerror}") from error
        return output / TRACE


def joined(traces: list[dict[str, Any]]) -> dict[str, Any]:
    """The traces of several processes on one clock (microseconds), each process named after its rank."""
    first = min(trace.get("baseTimeNanoseconds", 0) for trace in traces)
    events: list[dict[str, Any]] = []
    for rank, trace in enumerate(traces):
        later = (trace.get("baseTimeNanoseconds", 0) - first) / KILO
        events.append({"ph": "M", "name": "process_name", "pid": rank, "args": {"name": f"rank {rank}"}})
        for event in trace["traceEvents"]:
            if event.get("ph") != "M":
                events.append(_moved(event, rank, len(traces), later))
    kept = {key: value for key, value in traces[0].items() if key not in ("traceEvents", "traceName")}
    return {**kept, "baseTimeNanoseconds": first, "traceEvents": events, "torch": str(torch.__version__)}


def _moved(event: dict[str, Any], rank: int, world: int, later: float) -> dict[str, Any]:
    """An event in the process of its rank, with arrows that meet no other rank's."""
    moved = {**event, "pid": rank}
    if "ts" in event:
        moved["ts"] = float(event["ts"]) + later
    if isinstance(event.get("id"), int):
        moved["id"] = event["id"] * world + rank
    return moved
