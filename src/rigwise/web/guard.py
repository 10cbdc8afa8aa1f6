"""What every request passes first: Host, Origin, token and size; and the headers that every answer carries.

A page of another site can make a browser send requests to 127.0.0.1. It cannot read what comes back, cannot make up the
token, and the browser tells on it by Origin and Sec-Fetch-Site. Rebinding a name to 127.0.0.1 shows in Host. So:

    Host      names this machine, always
    Origin    of what changes nothing is free; of the rest it is our own, and Sec-Fetch-Site says same-origin or none
    token     of all that is not GET, HEAD or OPTIONS, compared in constant time
    size      of a body, by what it says and by what comes
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rigwise.web.problems import MEDIA, document

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_BODY = 256 * 1024
TOKEN_HEADER = "x-rigwise-token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class _TooBig(Exception):
    """A body grew over the limit."""


class Guard:
    """The outermost layer of the app. token: what must be sent along; most: bytes of a body at most."""

    def __init__(self, app: ASGIApp, *, token: str, most: int = MOST_BODY) -> None:
        self.app, self.token, self.most = app, token, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refusal := self._refusal(scope):
            await _refuse(send, *refusal)
        else:
            await self._measured(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason where a request is not let in."""
        said: dict[bytes, str] = {}
        for key, value in scope["headers"]:
            if key in said and key in (b"host", b"origin", b"content-length"):
                return 400, f"{key.decode('latin-1')} is there twice"
            said.setdefault(key, value.decode("latin-1"))
        if _host(said.get(b"host", "")) not in HOSTS:
            return 400, "the Host header does not name this machine"
        if scope["method"] not in _READS and (no := self._stranger(scope, said)):
            return no
        length = said.get(b"content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return 400, "content-length is no number"
        return (413, f"a body has {self.most:,} bytes at most") if int(length) > self.most else None

    def _stranger(self, scope: Scope, said: Mapping[bytes, str]) -> tuple[int, str] | None:
        origin = said.get(b"origin")
        if origin is not None and origin != f"{scope['scheme']}://{said[b'host']}":
            return 403, "the request comes from the page of another site"
        if said.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "the request comes from the page of another site"
        token = said.get(TOKEN_HEADER.encode(), "")
        if not hmac.compare_digest(token.encode("latin-1"), self.token.encode()):
            return 401, f"{TOKEN_HEADER} is missing or wrong: `rigwise serve` prints it with the address"
        return None

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app behind a count of the bytes that come in; a framework's own answer to a cut body is dropped."""
        seen, over, started = 0, False, False

        async def counted() -> Message:
            nonlocal seen, over
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.most:
                    over = True
                    raise _TooBig
            return message

        async def signed(message: Message) -> None:
            nonlocal started
            if over and not started:
                return
            if message["type"] == "http.response.start":
                started = True
                have = {key.lower() for key, _ in message["headers"]}
                extra = [row for row in HEADERS if row[0] not in have]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        with suppress(_TooBig):
            await self.app(scope, counted, signed)
        if over and not started:
            await _refuse(send, 413, f"a body has {self.most:,} bytes at most")


def _host(header: str) -> str | None:
    """The name in a Host header; None where it cannot be read or holds more than name and port."""
    try:
        split = urlsplit("//" + header)
        _ = split.port
    except ValueError:
        return None
    return None if split.path or split.username is not None or split.query or split.fragment else split.hostname


async def _refuse(send: Send, status: int, says: str) -> None:
    body = json.dumps(document(status, says)).encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", MEDIA.encode()), (b"content-length", length), (b"connection", b"close"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
