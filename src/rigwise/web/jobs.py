"""Long answers: each job is a process of its own, so that cancelling it ends it at once; its news come as events."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any, Literal

from rigwise.errors import LaunchError, RigwiseError
from rigwise.web.problems import problem

MOST_RUNNING = 4
_MOST_KEPT = 32
_LINE = 64 * 2**20  # bytes that a line of a job may have
_BEAT = 10.0  # seconds between signs of life
State = Literal["running", "done", "failed", "cancelled"]


@dataclass(kw_only=True)
class Job:
    """A question that is being answered. id: random, and all that one needs to listen. progress: (done, all). stage: what it
    is at, in words.

    doing: it makes the machine work, and is not the answer to the same question again. steps: what a run told so far.
    """

    verb: str
    request: dict[str, Any]
    id: str = field(default_factory=lambda: token_urlsafe(12))
    state: State = "running"
    progress: tuple[int, int] | None = None
    stage: str = ""
    answer: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    process: asyncio.subprocess.Process | None = None
    doing: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self, *, whole: bool = False) -> dict[str, Any]:
        """The job for JSON; whole: with its answer."""
        told = {"id": self.id, "verb": self.verb, "state": self.state, "progress": self.progress, "stage": self.stage}
        more = {"request": self.request, "steps": self.steps, "answer": self.answer} if whole else {}
        return {**told, "problem": self.problem, **more}

    async def tell(self, **changes: Any) -> None:
        """Change something and wake those who listen."""
        async with self.news:
            for name, value in changes.items():
                setattr(self, name, value)
            self.news.notify_all()


class Jobs:
    """The jobs of a server. folder: where they may read files."""

    def __init__(self, folder: str | None) -> None:
        self.folder = folder
        self.by_id: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, verb: str, request: dict[str, Any], *, doing: bool = False) -> Job:
        """A new job, or the one that answers the same already. Raises LaunchError while too many run.

        doing: only one such job at a time, for two would measure each other.
        """
        for job in self.by_id.values():
            if job.verb == verb and job.request == request and job.state in ("running", "" if doing else "done"):
                return job
        if doing and any(job.doing and job.state == "running" for job in self.by_id.values()):
            raise LaunchError("the machine is at work already", rule="one at a time: two would measure each other")
        if sum(job.state == "running" for job in self.by_id.values()) >= MOST_RUNNING:
            raise LaunchError(
                f"{MOST_RUNNING} jobs run already", rule=f"{MOST_RUNNING} at a time", nearest="cancel one"
            )
        job = Job(verb=verb, request=request, doing=doing)
        self.by_id[job.id] = job
        for old in [j for j in self.by_id.values() if j.state != "running"][:-_MOST_KEPT]:
            del self.by_id[old.id]
        task = asyncio.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def cancel(self, job: Job) -> None:
        """End a job that runs; nothing happens to another."""
        if job.state == "running":
            await job.tell(state="cancelled")
            _end(job.process)

    async def close(self) -> None:
        """End all jobs; called when the server stops."""
        for job in list(self.by_id.values()):
            await self.cancel(job)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)

    async def _run(self, job: Job) -> None:
        try:
            await self._worked(job)
        except OSError as error:
            await _failed(job, LaunchError(f"a job's process could not be started: {error}"))
        finally:
            _end(job.process)

    async def _worked(self, job: Job) -> None:
        pipe = asyncio.subprocess.PIPE
        job.process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rigwise.web.worker"),
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        question = {"verb": job.verb, "request": job.request, "folder": self.folder}
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(json.dumps(question).encode())
            await process.stdin.drain()
        process.stdin.close()
        async for line in process.stdout:
            if job.state != "running":
                break
            await _heard(job, json.loads(line))
        _end(process)
        code = await process.wait()
        if job.state == "running":
            await _failed(job, LaunchError(f"the job's process ended with {code} and no answer"))


async def _heard(job: Job, line: dict[str, Any]) -> None:
    if "progress" in line:
        job.steps += line.get("steps", ())
        await job.tell(progress=tuple(line["progress"]), stage=line.get("stage", ""))
    elif "answer" in line:
        await job.tell(answer=line["answer"], state="done")
    else:
        await job.tell(problem=line["problem"], state="failed")


async def _failed(job: Job, error: RigwiseError) -> None:
    await job.tell(problem=problem(error), state="failed")


def _end(process: asyncio.subprocess.Process | None) -> None:
    """End a process and what it started."""
    if process is not None and process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


async def events(job: Job) -> AsyncIterator[str]:
    """Server-sent events of a job: `progress` now and at every change, and `end` once; a comment as a sign of life.

    Each carries the steps that this listener has not heard of.
    """
    heard = 0
    while True:
        state, said = job.state, json.dumps({**job.to_dict(), "steps": job.steps[heard:]})
        heard = len(job.steps)
        if state != "running":
            yield f"event: end\ndata: {said}\n\n"
            return
        yield f"event: progress\ndata: {said}\n\n"
        seen = job.progress, job.stage
        while job.state == "running" and (job.progress, job.stage) == seen:
            try:
                async with job.news:
                    await asyncio.wait_for(job.news.wait(), _BEAT)
            except TimeoutError:
                yield ": still there\n\n"
