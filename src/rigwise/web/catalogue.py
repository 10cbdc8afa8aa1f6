"""The names that can be said: models with their sizes, devices, personas, works, optimizers, stacks."""

from __future__ import annotations

from functools import cache

from starlette.responses import Response

from rigwise import __version__, api
from rigwise.report.payload import SCHEMA_VERSION


@cache
def _text() -> bytes:
    import json

    from rigwise.advise.charts import works
    from rigwise.advise.needs import personas
    from rigwise.brain.parameters import parameters
    from rigwise.convolution.filters import named
    from rigwise.layouts.layout import PRECISIONS
    from rigwise.models.optimizers import optimizers

    devices = [
        {
            "name": row["name"],
            "says": row["rated_name"] or row["name"],
            "vendor": row["vendor"],
            "year": row["year"],
            "memory_bytes": row["memory"],
            "watts": row["tdp"],
        }
        for row in api.devices()
    ]
    told = {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "models": api.model_names(),
        "devices": devices,
        "personas": personas(),
        "works": works(),
        "precisions": list(PRECISIONS),
        "optimizers": list(optimizers()),
        "brain_inputs": sorted(parameters()),
        "kernels": {name: kernel.says for name, kernel in named().items()},
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def names() -> Response:
    """All of them, as JSON; the same as long as the server runs."""
    return Response(_text(), media_type="application/json", headers={"cache-control": "no-cache"})
