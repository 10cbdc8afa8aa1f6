"""`rigwise serve`: the HTTP API and the page, for this machine alone."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from rigwise.cli.options import Look
from rigwise.errors import LaunchError, UsageError


def serve(*, port: int = 8765, folder: Path | None = None, look: Look = Look()) -> None:
    """Serve the page and the HTTP API on 127.0.0.1 until interrupted.

    Parameters
    ----------
    port
        Where it listens; 0 takes a free one.
    folder
        Requests may name a model or a cluster of this folder: .toml and .json; nowhere else is read.
    """
    if not 0 <= port <= 65_535:
        raise UsageError(f"--port {port}", rule="a port is 0 to 65535", nearest="--port 8765")
    lacking = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if lacking:
        raise LaunchError(f"{' and '.join(lacking)} is not installed", nearest="pip install 'rigwise[web]'")
    from rigwise.web.serve import serve as run

    run(port, folder, lambda address, why: _tell(look, address, why))


def _tell(look: Look, address: str, why: str) -> None:
    """Where it can be opened; what follows # is the token, which a browser keeps to itself."""
    if look.json:
        from rigwise.cli.jsonout import dumps

        print(dumps({"address": address, "page": not why, "why_no_page": why}), flush=True)
        return
    look.screen.print(address, markup=False, soft_wrap=True, highlight=False)
    look.note("open this address in a browser; stop with Ctrl-C", *([f"note: {why}"] if why else []))
