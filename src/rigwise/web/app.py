"""The app: every verb under /api, jobs with their events, the names that can be said, and the page.

    create_app(token="...") -> FastAPI

Verbs run on as many threads as there are cores: more at once would only wait for each other.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from rigwise import __version__
from rigwise.web import built
from rigwise.web.answers.planning import Names
from rigwise.web.catalogue import names
from rigwise.web.guard import MOST_BODY, TOKEN_HEADER, Guard
from rigwise.web.handlers import handle_errors
from rigwise.web.helpers import Helpers
from rigwise.web.jobroutes import add_jobs
from rigwise.web.jobs import Jobs
from rigwise.web.memo import Memo
from rigwise.web.names import READABLE
from rigwise.web.problems import MEDIA
from rigwise.web.requests import Request
from rigwise.web.verbs import VERBS, Verb, dumped

_PROBLEM = {"content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": says, **_PROBLEM}
    for status, says in {
        400: "a request that cannot be read",
        401: "no token, or a wrong one",
        403: "from the page of another site",
        404: "an unknown or ambiguous name",
        409: "infeasible: legal, but it cannot be done",
        413: "a body that is too large",
        422: "wrong usage or input",
        503: "the machine, a library or a process failed",
    }.items()
}


def create_app(
    *, token: str, folder: Path | None = None, static: Path = built.PAGE, most: int = MOST_BODY, helpers: int = 0
) -> FastAPI:
    """The app. token: what requests that start work must carry. folder: where models and clusters may be read from.

    static: where the built page lies. most: bytes of a body at most. helpers: processes that answer beside this one.
    """
    jobs, memo = Jobs(str(folder) if folder else None), Memo()
    beside = Helpers(helpers, str(folder or ""))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = max(helpers, os.cpu_count() or 1)
        beside.start()
        yield
        beside.close()
        await jobs.close()

    app = FastAPI(
        title="rigwise",
        version=__version__,
        description=f"The Python API over HTTP. What starts work carries the header {TOKEN_HEADER}.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        responses=_PROBLEMS,
    )
    app.state.memo = memo
    handle_errors(app)
    for verb in VERBS.values():
        if not verb.long:
            _add(app, verb, partial(answer, folder=folder, memo=memo, helpers=beside))
    told: dict[int | str, dict[str, Any]] = {200: {"description": "all of them", "model": Names}}
    app.get("/api/names", summary="Names that can be said: models, devices, personas, works.", responses=told)(names)
    add_jobs(app, jobs)
    _add_page(app, static)
    app.openapi = partial(_openapi, app, app.openapi)  # type: ignore[method-assign]
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Guard, token=token, most=most)
    return app


def _add(app: FastAPI, verb: Verb, answered: Callable[[Verb, Request], bytes]) -> None:
    def route(body: Request) -> Response:
        return Response(answered(verb, body), media_type="application/json")

    route.__annotations__["body"] = verb.request
    responses: dict[int | str, dict[str, Any]] = {200: {"description": "what `--json` prints", "model": verb.gives}}
    app.post(f"/api/{verb.name}", summary=verb.says, name=verb.name, responses=responses)(route)


def answer(verb: Verb, body: Request, folder: Path | None, memo: Memo, helpers: Helpers | None = None) -> bytes:
    """The answer as JSON, kept for whoever asks the same on the same day, unless it is read from a file. Raises
    the errors of the Python API."""
    if verb.fresh or any(str(said).lower().endswith(READABLE) for _, said in body):
        return dumped(verb, body, folder)
    said = body.model_dump_json(exclude_none=True)
    key = (verb.name, datetime.now(tz=UTC).date(), sha256(said.encode()).digest())
    return memo.get(key, lambda: (helpers and helpers.answer(verb.name, said)) or dumped(verb, body, folder))


def _openapi(app: FastAPI, plain: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """FastAPI's schema, with the class of problem documents."""
    schema = plain()
    texts = {name: {"type": "string"} for name in ("type", "title", "detail", "rule", "nearest")}
    numbers = {name: {"type": "integer"} for name in ("status", "exit_code")}
    problem = {"type": "object", "properties": {**texts, **numbers}, "required": [*texts, *numbers]}
    schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problem
    return schema


def _add_page(app: FastAPI, static: Path) -> None:
    why = built.missing(static)

    async def root(_: HttpRequest) -> Response:
        if why:
            return HTMLResponse(built.instead(why), status_code=503)
        return Response((static / "index.html").read_bytes(), media_type="text/html", headers=_FRESH)

    app.add_route("/", root, include_in_schema=False)
    if not why:
        app.mount("/assets", StaticFiles(directory=static / "assets"), name="assets")


_FRESH = {"cache-control": "no-store"}
