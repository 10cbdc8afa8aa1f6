"""Writes web/src/lib/types.ts, the page's side of the HTTP API, from the server's OpenAPI.

python web/typescript.py           write it
python web/typescript.py --check   fail where it is not what the server says
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "src" / "lib" / "types.ts"
_HEAD = """// Made by web/typescript.py from the server's OpenAPI; src/rigwise/web/answers/ is what to change.
// Units are in the names: _s seconds, _gib GiB, _usd dollars.
"""
_PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
Schema = dict[str, Any]


def text() -> str:
    """The whole file."""
    from rigwise.web.app import create_app

    schema = create_app(token="", static=Path()).openapi()
    schemas = schema["components"]["schemas"]
    wanted = [name for path in schema["paths"].values() for name in _answers(path)]
    found: dict[str, str] = {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _interface(name, schemas[name])
            wanted += _references(schemas[name])
    return "\n".join([_HEAD, *(found[name] for name in sorted(found, key=_called))])


def _answers(path: Schema) -> list[str]:
    """Names of the schemas that the operations of a path answer with."""
    kinds = [
        content["schema"]
        for operation in path.values()
        for status, said in operation["responses"].items()
        if status.startswith("2")
        for content in said.get("content", {}).values()
        if "schema" in content
    ]
    return _references(kinds)


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for one in schema for name in _references(one)]
    if not isinstance(schema, dict):
        return []
    here = [schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else []
    return here + [name for one in schema.values() for name in _references(one)]


def _called(name: str) -> str:
    """A schema's name on the page: PlanAnswer is Plan, for the page has no class of requests."""
    return name.removesuffix("Answer")


def _interface(name: str, schema: Schema) -> str:
    needed = schema.get("required", [])
    lines = [f"  {key}{'' if key in needed else '?'}: {_kind(one)};" for key, one in schema["properties"].items()]
    says = schema.get("description", "").split("\n")[0]
    return "\n".join([f"/** {says} */", f"export interface {_called(name)} {{", *lines, "}", ""])


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        return _called(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        return " | ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(word) for word in schema.get("enum", [schema.get("const")])).replace('"', "'")
    if "prefixItems" in schema:
        return f"[{', '.join(_kind(one) for one in schema['prefixItems'])}]"
    if schema.get("type") == "array":
        inside = _kind(schema["items"])
        return f"({inside})[]" if "|" in inside else f"{inside}[]"
    if schema.get("type") == "object":
        more = schema.get("additionalProperties")
        return f"Record<string, {_kind(more) if isinstance(more, dict) and more else 'unknown'}>"
    return _PLAIN.get(schema.get("type", ""), "unknown")


def main() -> int:
    """What the command says."""
    if "--check" in sys.argv[1:]:
        return int(TARGET.read_text(encoding="utf-8") != text())
    TARGET.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
