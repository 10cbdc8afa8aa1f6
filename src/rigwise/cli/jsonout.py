"""JSON for programs: schema_version first, plain numbers, and unknown as null."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rigwise.report.payload import SCHEMA_VERSION, plain


def dumps(payload: Mapping[str, Any]) -> str:
    """The text of a payload.

    >>> dumps({"a": 1}).split()
    ['{', '"schema_version":', '1,', '"a":', '1', '}']
    """
    return json.dumps({"schema_version": SCHEMA_VERSION, **plain(payload)}, indent=2, ensure_ascii=False)
