"""One HTML file that holds the page and its answers, and opens with no server: what `rigwise report` writes.

The bundle is the server's own, put inside; a content security policy of digests lets nothing else run, and nothing is
asked of anybody. Answers are the payloads of the verbs, under the keys by which the page asks for them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rigwise.errors import LaunchError, RigwiseError
from rigwise.export.frameworks import FRAMEWORKS
from rigwise.web.built import PAGE, missing
from rigwise.web.rooms import LAST, rooms
from rigwise.web.verbs import VERBS, payload

MOST = 1_000_000
"""Bytes of a report at most."""
_SCRIPT = re.compile(r'<script type="module"[^>]*src="\./([^"]+)"[^>]*></script>')
_STYLE = re.compile(r'<link rel="stylesheet"[^>]*href="\./([^"]+)"[^>]*>')
_PLACE = '<div id="app">'


def report(
    said: Mapping[str, Any], folder: Path | None = None, page: Path = PAGE, *, also: Collection[str] = ()
) -> str:
    """A plan and the other rooms as one file: the plan's ranking, the rooms, every number of devices, and of the
    plan's layouts as many pipelines as the size allows, the best first.

    said: the request of `plan`. also: rooms that are left out else, for they take a minute. Raises the errors of
    planning, and LaunchError where the page was not built. A room that cannot be answered is left out.
    """
    found = _answer("plan", said, folder)
    words = {key: "|".join(value) if isinstance(value, list) else value for key, value in said.items()}
    shown = {"plan": f"#/plan?{urlencode(words)}"}
    answers = {key_of("plan", said): found, "names": _names()}
    steps = list(_stages(found, said, folder))
    answers |= dict(steps[:1])
    text = one_file(answers, shown, page)
    for room, (address, questions) in rooms(said).items():
        if room not in LAST or room in also:
            with suppress(RigwiseError):
                more = {key_of(verb, asked): _answer(verb, asked, folder) for verb, asked in questions}
                text = _with(text, answers, more, shown, {room: address}, page)
    rest = {key: value for key, value in said.items() if key not in ("objective", "top", "fix", "full")}
    with suppress(RigwiseError):
        text = _with(text, answers, {key_of("scale", rest): _answer("scale", rest, folder)}, shown, {}, page)
    best = {**rest, "layout": found["layouts"][0]["spelling"]}
    for name in FRAMEWORKS:
        with suppress(RigwiseError):
            asked = {**best, "to": name}
            text = _with(text, answers, {key_of("export", asked): _answer("export", asked, folder)}, shown, {}, page)
    for step in steps[1:]:
        text = _with(text, answers, dict([step]), shown, {}, page)
    return text


def _with(
    text: str, answers: dict[str, Any], more: dict[str, Any], shown: dict[str, str], room: dict[str, str], page: Path
) -> str:
    """The file with more answers, which are kept with their room; as it was where that would be too long."""
    longer = one_file(answers | more, shown | room, page)
    if len(longer.encode()) > MOST:
        return text
    answers |= more
    shown |= room
    return longer


def _names() -> dict[str, Any]:
    """As much of the catalogue of names as a page needs that cannot ask."""
    empty: dict[str, Any] = {"models": [], "devices": [], "personas": {}, "works": {}, "precisions": []}
    return {**empty, "optimizers": [], "brain_inputs": [], "kernels": {}, "version": _version()}


def _stages(found: Mapping[str, Any], said: Mapping[str, Any], folder: Path | None) -> Iterator[tuple[str, Any]]:
    rest = {key: value for key, value in said.items() if key not in ("objective", "top", "fix", "full")}
    for row in found["layouts"]:
        asked = {**rest, "layout": row["spelling"]}
        yield key_of("timeline", asked), _answer("timeline", asked, folder)


def key_of(verb: str, said: Mapping[str, Any]) -> str:
    """The key of an answer, spelt as the page spells it.

    >>> key_of("plan", {"model": "gpt2", "cluster": "8xh100"})
    'plan {"cluster":"8xh100","model":"gpt2"}'
    """
    return f"{verb} {json.dumps(dict(sorted(said.items())), separators=(',', ':'), ensure_ascii=False)}"


def one_file(answers: Mapping[str, Any], shown: Mapping[str, str], page: Path = PAGE) -> str:
    """The page with answers inside, compressed. shown: the rooms that it holds with the address of each, the first of
    which it opens with. Raises LaunchError without a built page."""
    if why := missing(page):
        raise LaunchError(f"no report: {why}")
    text = (page / "index.html").read_text(encoding="utf-8")
    digests: dict[str, list[str]] = {"script": [], "style": []}

    def inside(kind: str, place: str, end: str) -> str:
        code = (page / place).read_text(encoding="utf-8")
        code = re.sub(rf"</({end})", r"<\\/\1", code, flags=re.IGNORECASE).replace("<!--", "\\x3C!--")
        digests[kind].append(f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'")
        return f'<script type="module">{code}</script>' if kind == "script" else f"<style>{code}</style>"

    text, scripts = _SCRIPT.subn(lambda found: inside("script", found[1], "script"), text)
    text, styles = _STYLE.subn(lambda found: inside("style", found[1], "style"), text)
    if (scripts, styles) != (1, 1):
        raise LaunchError(f"the built page has {scripts} scripts and {styles} styles", rule="one of each")
    made = datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    told = json.dumps({"made": made, "rooms": shown, "answers": answers}, separators=(",", ":"), allow_nan=False)
    data = base64.b64encode(gzip.compress(told.encode(), mtime=0)).decode()
    policy = f"default-src 'none'; script-src {' '.join(digests['script'])}; style-src {' '.join(digests['style'])}; "
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}img-src data: blob:">'
    text = text.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />{meta}', 1)
    place = text.rindex(_PLACE)
    return f'{text[:place]}<script type="text/plain" id="payload">{data}</script>{text[place:]}'


def _answer(verb: str, said: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    kind = VERBS[verb]
    return payload(kind, kind.request(**said), folder, lambda *_, **__: None)


def _version() -> str:
    from rigwise import __version__

    return __version__
