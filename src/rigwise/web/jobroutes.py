"""The paths of jobs: start, look, listen, cancel."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from rigwise.errors import NotFoundError
from rigwise.web import requests
from rigwise.web.answers.measured import JobTold
from rigwise.web.jobs import Job, Jobs, events
from rigwise.web.problems import unread
from rigwise.web.verbs import VERBS

Id = Annotated[str, Path(max_length=40)]
_JOB: dict[int | str, dict[str, Any]] = {200: {"description": "the job", "model": JobTold}}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "server-sent events: progress, end", "content": {"text/event-stream": {}}}
}


def add_jobs(app: FastAPI, jobs: Jobs) -> None:
    """Add the paths to the app."""

    def found(job_id: str) -> Job:
        if job_id not in jobs.by_id:
            raise NotFoundError(f"no job {job_id!r}", rule="jobs are forgotten some time after their end")
        return jobs.by_id[job_id]

    @app.post("/api/jobs", status_code=201, summary="Start a long answer.", responses={201: _JOB[200]})
    async def start(body: requests.Job) -> dict[str, Any]:
        return (await jobs.start(body.verb, checked(body), doing=VERBS[body.verb].doing)).to_dict()

    @app.get("/api/jobs/{job_id}", summary="A job, with its answer when it is there.", responses=_JOB)
    async def look(job_id: Id) -> dict[str, Any]:
        return found(job_id).to_dict(whole=True)

    @app.get("/api/jobs/{job_id}/events", summary="The news of a job.", responses=_EVENTS)
    async def listen(job_id: Id) -> StreamingResponse:
        return StreamingResponse(
            events(found(job_id)), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    @app.delete("/api/jobs/{job_id}", summary="Cancel a job.", responses=_JOB)
    async def cancel(job_id: Id) -> dict[str, Any]:
        job = found(job_id)
        await jobs.cancel(job)
        return job.to_dict()


def checked(body: requests.Job) -> dict[str, Any]:
    """A job's request, after the class of its verb. Raises NotFoundError for the verb, UsageError for the request."""
    if body.verb not in VERBS:
        raise NotFoundError(f"no verb {body.verb!r}", nearest=", ".join(VERBS))
    try:
        return VERBS[body.verb].request(**body.request).said()
    except ValidationError as error:
        raise unread(list(error.errors())) from None
