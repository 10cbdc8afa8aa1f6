"""A server in a thread of this process, and plain requests to it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

TOKEN = "test-token"


class Server:
    """A server on this machine. send: one request; a dict as body is sent as JSON."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        link = HTTPConnection("127.0.0.1", self.port, timeout=60)
        raw = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()
        said = {"content-type": "application/json", "x-rigwise-token": TOKEN}
        said |= {key.replace("_", "-"): value for key, value in headers.items()}
        link.putrequest(method, path, skip_host="host" in said, skip_accept_encoding=True)
        for key, value in said.items():
            if value:
                link.putheader(key, value)
        if raw is not None:
            link.putheader("content-length", str(len(raw)))
        link.endheaders(raw)
        answer = link.getresponse()
        told = answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        link.close()
        return told

    def ask(self, verb: str, **request: object) -> tuple[int, dict]:
        """A verb's status and answer."""
        status, _, body = self.send("POST", f"/api/{verb}", request)
        return status, json.loads(body)


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    from rigwise.web.app import create_app

    folder = tmp_path_factory.mktemp("served")
    (folder / "tiny.toml").write_text('builder = "mlp"\nsizes = [784, 100, 10]\n', encoding="utf-8")
    (folder.parent / "secret.toml").write_text('builder = "mlp"\nsizes = [784, 100, 10]\n', encoding="utf-8")
    return create_app(token=TOKEN, folder=folder, static=folder / "nothing")


@pytest.fixture(scope="session")
def server(app) -> Iterator[Server]:
    import uvicorn

    place = socket.socket(proto=socket.IPPROTO_TCP)  # as the server's own: no answer waits for an acknowledgement
    place.bind(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", timeout_keep_alive=600))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield Server(place.getsockname()[1])
    running.should_exit = True
    thread.join(10)
    place.close()
