"""This machine measured over HTTP: what `rigwise measure` does, with how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rigwise import api
from rigwise.hardware.detect import cores


def measure(said: dict[str, Any], progress: Callable[..., None]) -> Mapping[str, Any]:
    """Measure at every setting and write it to the user's history; a product's rate stands beside its time, and what
    was measured of each small network beside what the rest says of it."""
    settings = api.settings_here(cores())
    parts = sum(1 + len(api.parts_of(ranks, first=i == 0)) for i, (ranks, _) in enumerate(settings))
    found = api.measure(**said, settings=settings, on_part=Heard(parts, progress))
    return {"settings": [_told(one) for one in found]}


def _told(one: Any) -> dict[str, Any]:
    rows = [{**row.to_dict(), "rate": api.rate_of(row)} for row in one.rows]
    return {**one.to_dict(), "rows": rows, "passes": api.passes_of(one.rows)}


class Heard:
    """Progress over all parts, in hundredths of a part, from what is told of the one under way."""

    def __init__(self, parts: int, progress: Callable[..., None]) -> None:
        self._all, self._progress, self._seen = parts, progress, list[str]()

    def __call__(self, what: str, share: float) -> None:
        """Hear of a part. share: what of it is done, 0 to 1."""
        if what not in self._seen:
            self._seen.append(what)
        done = 100 * min(len(self._seen) - 1, self._all - 1) + round(100 * share)
        self._progress(done, 100 * self._all, stage=what)
