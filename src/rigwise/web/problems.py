"""Errors as problem documents (RFC 9457): the same facts as --json, and the status that fits the exit code."""

from __future__ import annotations

from typing import Any

from rigwise.errors import LaunchError, NotFoundError, RigwiseError, UsageError

MEDIA = "application/problem+json"
STATUS = {1: 500, 2: 422, 3: 409, 4: 404, 5: 503}
"""HTTP status by exit code: usage, infeasible, not found, launch."""
_TITLES = {
    1: "rigwise failed",
    2: "wrong usage or input",
    3: "it cannot be done",
    4: "not found or ambiguous",
    5: "launch or environment failed",
}


def document(status: int, says: str, *, rule: str = "", nearest: str = "", exit_code: int = 2) -> dict[str, Any]:
    """The members of a problem document."""
    return {
        "type": "about:blank",
        "title": _TITLES[exit_code],
        "status": status,
        "detail": says,
        "rule": rule,
        "nearest": nearest,
        "exit_code": exit_code,
    }


def problem(error: RigwiseError) -> dict[str, Any]:
    """The document of one of our errors."""
    status = STATUS.get(error.exit_code, 500)
    return document(status, error.says, rule=error.rule, nearest=error.nearest, exit_code=error.exit_code)


def known(error: BaseException) -> RigwiseError:
    """Any exception as one of the family."""
    match error:
        case RigwiseError():
            return error
        case FileNotFoundError():
            return NotFoundError(f"no file {str(error.filename)!r}")
        case OSError():
            return LaunchError(f"the machine refused: {error.strerror or error}")
        case MemoryError():
            return LaunchError("this machine ran out of memory")
    return RigwiseError(
        f"rigwise failed, and it is our fault: {type(error).__name__}: {error}",
        nearest="please report it with the request",
    )


def unread(errors: list[Any]) -> UsageError:
    """The first thing that is wrong with a request, in our words."""
    first = errors[0]
    where = ".".join(str(part) for part in first.get("loc", ()) if part != "body")
    more = f"; and {len(errors) - 1} more" if len(errors) > 1 else ""
    return UsageError(f"{where or 'the body'}: {first['msg']}{more}", rule="the request is as /openapi.json says")
