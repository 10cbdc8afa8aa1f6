"""JSON for programs: schema_version first, plain numbers, and unknown as null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

SCHEMA_VERSION = 1
"""Grows when a field that others read changes its name, unit or meaning; new fields do not count."""


def plain(value: Any) -> Any:
    """The value with NumPy scalars, tuples, paths and infinities as JSON has them.

    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def dumps(payload: Mapping[str, Any]) -> str:
    """The text of a payload.

    >>> dumps({"a": 1}).split()
    ['{', '"schema_version":', '1,', '"a":', '1', '}']
    """
    return json.dumps({"schema_version": SCHEMA_VERSION, **plain(payload)}, indent=2, ensure_ascii=False)
