"""Every error of the app leaves as a problem document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from rigwise.errors import RigwiseError
from rigwise.web.problems import MEDIA, document, known, problem, unread


def answer(body: dict[str, Any]) -> JSONResponse:
    """The response that carries a document."""
    return JSONResponse(body, status_code=body["status"], media_type=MEDIA)


def handle_errors(app: FastAPI) -> None:
    """Every error leaves as a problem document."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        return answer(problem(known(error)))

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return answer(problem(unread(list(error.errors()))))

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = 4 if error.status_code == 404 else 2
        return answer(document(error.status_code, str(error.detail), exit_code=code))

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    for kind in (RigwiseError, OSError, MemoryError):
        app.add_exception_handler(kind, ours)
