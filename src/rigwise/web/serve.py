"""The server on this machine: a socket on 127.0.0.1, a fresh token, and the app behind both."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_urlsafe
from threading import Thread

import uvicorn

from rigwise.errors import LaunchError, RigwiseError, UsageError
from rigwise.hardware.detect import cores
from rigwise.web.app import answer, create_app
from rigwise.web.built import missing
from rigwise.web.memo import Memo
from rigwise.web.verbs import FIRST, VERBS

ADDRESS = "127.0.0.1"
_MOST_HELPERS = 8


def serve(port: int, folder: Path | None, tell: Callable[[str, str], None]) -> None:
    """Serve until interrupted. port: 0 takes a free one. folder: where models and clusters may be read from.

    tell is called with the address, token in its fragment, and with why there is no page ("" where there is one), once
    the socket listens. Raises LaunchError where the port is taken, UsageError for a folder that is not there.
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"no folder {folder}", rule="models and clusters are read from a folder that exists")
    token = token_urlsafe(24)
    app = create_app(token=token, folder=folder, helpers=min(cores(), _MOST_HELPERS))
    with closing(listening(port)) as taken:
        tell(f"http://{ADDRESS}:{taken.getsockname()[1]}/#token={token}", missing())
        Thread(target=warm, args=(app.state.memo,), daemon=True).start()
        config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none", server_header=False)
        uvicorn.Server(config).run(sockets=[taken])


def warm(memo: Memo) -> None:
    """Answer the page's first question before it is asked: catalogues are read the first time they are used."""
    with suppress(RigwiseError):
        said = answer(VERBS["plan"], VERBS["plan"].request(**FIRST), None, memo)
        best = {**FIRST, "layout": json.loads(said)["layouts"][0]["spelling"]}
        answer(VERBS["timeline"], VERBS["timeline"].request(**best), None, memo)


def listening(port: int) -> socket.socket:
    """A socket that listens on this machine alone."""
    # named, or asyncio leaves Nagle's algorithm on and many an answer waits 40 ms for the browser's acknowledgement
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((ADDRESS, port))
        taken.listen(128)  # who comes before the app is ready waits, and is not refused
    except (OSError, OverflowError) as error:
        taken.close()
        if isinstance(error, OSError) and error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise LaunchError(f"port {port} cannot be had", rule="a port that is free", nearest="--port 0") from None
    return taken
