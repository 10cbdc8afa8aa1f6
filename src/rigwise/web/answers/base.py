"""What the verbs answer over HTTP: the fields that a page or a program may rely on. OpenAPI shows these classes, and
web/src/lib/types.ts is made of them (web/typescript.py), so that server and page cannot drift apart.

Units are in the names: _s seconds, _gib GiB, _usd dollars. An answer may hold more than is named here, and None is what
is not known.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Told(BaseModel):
    """The base: what is named is there; more may be."""

    model_config = ConfigDict(extra="allow")


class Spelling(Told):
    """The command and the Python that give the same answer; "" where there is none."""

    command: str
    python: str


class Same(Told):
    """What every answer holds: its schema, and the command and the Python that ask the same."""

    schema_version: int
    same: Spelling


class Quantity(Told):
    """A value with its spread."""

    value: float | None
    p10: float | None
    p50: float | None
    p90: float | None
    unit: str
    source: str
