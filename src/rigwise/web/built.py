"""Where the built page lies, and what is said where it was not built."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent / "page"
"""Made by the build (web/build.py); a checkout has none until `make page`."""


def missing(folder: Path = PAGE) -> str:
    """Why there is no page; "" where there is one."""
    if (folder / "index.html").is_file():
        return ""
    told = folder / "MISSING"
    why = told.read_text(encoding="utf-8").strip() if told.is_file() else "it was not built"
    return f"the page is not there ({why}); in a checkout say `make page`, which needs npm's registry once"


def instead(why: str) -> str:
    """The HTML that stands where the page would."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>rigwise</title>'
        f"<h1>rigwise</h1><p>The server runs, and {why}.</p>"
        '<p>The HTTP API works without it: <a href="/openapi.json">/openapi.json</a>.</p></html>'
    )
