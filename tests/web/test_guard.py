"""Who is let in: Host, Origin, Sec-Fetch-Site, token, size; and what every answer carries."""

from __future__ import annotations

import json
import re

import pytest

PLAN = {"model": "gpt2", "cluster": "2xrtx-3090"}
BAD_HOSTS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1:80@evil.example",
    "[::1",
    "127.0.0.1/evil",
    "localhost.evil:80",
    "0.0.0.0",
    "127.0.0.1:port",
]


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_host_that_is_not_this_machine_is_refused_even_for_reading(server, host) -> None:
    assert server.send("GET", "/api/names", host=host)[0] == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8765", "[::1]:8765", "LOCALHOST"])
def test_this_machine_by_each_of_its_names_is_served(server, host) -> None:
    assert server.send("GET", "/api/names", host=host)[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_work_that_another_site_asks_for_is_refused(server, origin) -> None:
    assert server.send("POST", "/api/plan", PLAN, origin=origin)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_what_the_browser_tells_of_the_site_counts(server, site) -> None:
    assert server.send("POST", "/api/plan", PLAN, sec_fetch_site=site)[0] == 403


def test_our_own_page_may_ask(server) -> None:
    here = f"http://127.0.0.1:{server.port}"
    assert server.send("POST", "/api/plan", PLAN, origin=here, sec_fetch_site="same-origin")[0] == 200


@pytest.mark.parametrize("token", ["", "wrong", "test-toke", "test-token "])
@pytest.mark.parametrize("path", ["/api/plan", "/api/jobs", "/", "/api/none"])
def test_nothing_is_done_without_the_token(server, path, token) -> None:
    if token == "test-token ":  # a header's edges are cut by HTTP itself
        token = "test token"
    status, headers, body = server.send("POST", path, PLAN, x_rigwise_token=token)
    assert (status, headers["content-type"]) == (401, "application/problem+json")
    assert json.loads(body)["exit_code"] == 2


def test_deleting_needs_the_token_too(server) -> None:
    assert server.send("DELETE", "/api/jobs/abc", x_rigwise_token="")[0] == 401


def test_a_large_body_is_refused_by_what_it_says_and_by_what_comes(server) -> None:
    assert server.send("POST", "/api/plan", b"x" * 300_000)[0] == 413
    chunks = b"".join(b"8000\r\n" + b"x" * 0x8000 + b"\r\n" for _ in range(10)) + b"0\r\n\r\n"
    from http.client import HTTPConnection

    link = HTTPConnection("127.0.0.1", server.port, timeout=20)
    link.putrequest("POST", "/api/plan")
    link.putheader("x-rigwise-token", "test-token")
    link.putheader("transfer-encoding", "chunked")
    link.endheaders()
    link.send(chunks)
    assert link.getresponse().status == 413
    link.close()


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "10, 11"])
def test_a_length_that_is_no_number_is_refused(server, length) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        head = f"POST /api/plan HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
        wire.sendall(head.encode("utf-8"))
        assert b" 400 " in wire.recv(1000).split(b"\r\n")[0]


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/api/names"), ("GET", "/api/none"), ("POST", "/")])
def test_every_answer_carries_the_policy(server, method, path) -> None:
    _, headers, _ = server.send(method, path, PLAN if method == "POST" else None)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers


def test_no_part_of_the_server_evaluates_or_unpickles() -> None:
    from house import PACKAGE

    text = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "web").rglob("*.py"))
    assert not re.findall(r"pickle|marshal|shell=True|(?<![\w.])(?:eval|exec)\(", text)
