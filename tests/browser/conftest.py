"""A server with the built page, and a real Chromium that fails a test on any word on its console."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from itertools import islice

import pytest

TOKEN = "test-token"
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Of a server of this process."""
    pytest.importorskip("fastapi", reason="FastAPI is not installed: pip install rigwise[web]")
    import uvicorn

    from rigwise.web.app import create_app

    place = socket.socket(proto=socket.IPPROTO_TCP)  # as the server's own: no answer waits for an acknowledgement
    place.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(token=TOKEN), log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{place.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """The browser, where one is found and the page is built."""
    from playwright.sync_api import sync_playwright

    from rigwise.web.built import missing

    if why := missing():
        pytest.skip(why)
    place = os.environ.get("RIGWISE_CHROMIUM") or shutil.which("chromium")
    if not place:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=place, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def backtest(tmp_path_factory) -> dict:
    """What the room of validation is told at its end, of a few rows of every table: all of them take a minute."""
    from rigwise import api
    from rigwise.measurements.published import tables
    from rigwise.report.payload import plain
    from rigwise.web import drawings

    place = tmp_path_factory.mktemp("backtest") / "rows.csv"
    with place.open("w", encoding="utf-8") as out:
        for i, table in enumerate(tables()):
            with table.open(encoding="utf-8") as rows:
                head = next(rows)
                out.writelines([head] * (i == 0) + list(islice(rows, 3)))
    found = api.validate(place)
    told = plain({**found.to_dict(), "points": drawings.points(found)})
    return {**told, "schema_version": 1, "same": {"command": "rigwise validate", "python": "rigwise.validate()"}}


class Visitor:
    """A page of the browser, with the token kept already."""

    def __init__(self, page, address: str) -> None:
        self.page, self.address = page, address
        self.bad: list[str] = []

    def allow(self, word: str) -> None:
        """Words on the console that a test asked for: the browser itself tells of a status that is an error."""
        self.bad = [text for text in self.bad if word not in text]

    def tell_validation(self, answer: dict) -> None:
        """Answer the job of the room of validation in the place of the server."""
        context = self.page.context
        job = {"id": "told", "verb": "validation", "state": "running", "progress": None, "stage": "", "problem": None}
        done = json.dumps({**job, "state": "done", "answer": answer})
        end = f"event: end\ndata: {json.dumps({**job, 'state': 'done'})}\n\n"
        context.route("**/api/jobs", lambda route: route.fulfill(status=201, json=job))
        context.route("**/api/jobs/told", lambda route: route.fulfill(body=done, content_type="application/json"))
        context.route(
            "**/api/jobs/told/events", lambda route: route.fulfill(body=end, content_type="text/event-stream")
        )

    def go(self, path: str, answered: bool = True):
        """Open a state of the page and wait for its answer."""
        self.page.goto(f"{self.address}/#token={TOKEN}")
        self.page.goto(f"{self.address}/#/{path}")
        if answered:
            self.page.wait_for_selector("[data-answer]", timeout=30_000)
        return self.page


@pytest.fixture
def visit(chromium, address) -> Iterator[Visitor]:
    """Somebody at a desk; any error or warning on the console fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    visitor = Visitor(page, address)
    page.on("console", lambda said: said.type in ("error", "warning") and visitor.bad.append(said.text))
    page.on("pageerror", lambda error: visitor.bad.append(f"{error}: {error.stack}"[:900]))
    yield visitor
    context.close()
    assert not visitor.bad, visitor.bad
