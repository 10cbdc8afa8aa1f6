"""The house drawn from its source: rooms, imports and sizes. Used by the tests; run as a script it prints the rooms."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "rigwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import: the file that does it, the module it asks for, and whether importing the file runs it."""

    path: Path
    line: int
    module: str
    eager: bool  # not inside a function, not under TYPE_CHECKING

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def sources() -> list[Path]:
    """Every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    """rigwise.cost.memory for src/rigwise/cost/memory.py."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room a module stands in: cost for rigwise.cost.memory, api for rigwise.api, face for rigwise itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "face"


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every import of a file: at its top, under TYPE_CHECKING, inside functions, and by import_module("...")."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(
        Import(path=path, line=node.lineno, module=name, eager=eager)
        for node, eager in _walk(tree, eager=True)
        for name in _names(node, path)
    )


def _walk(node: ast.AST, eager: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        waits = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _for_the_type_checker(child)
        yield child, eager and not waits
        yield from _walk(child, eager and not waits)


def _for_the_type_checker(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _names(node: ast.AST, path: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _absolute(node, path)
        names = [alias.name for alias in node.names if (base, alias.name) != ("rigwise", "__version__")]
        return [whole if _is_module(whole := f"{base}.{name}") else base for name in names]
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "name")]
        if called in ("import_module", "__import__") and given and isinstance(given[0], ast.Constant):
            return [str(given[0].value)]
    return []


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(PACKAGE.parent).parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _is_module(name: str) -> bool:
    place = PACKAGE.parent.joinpath(*name.split("."))
    return name.startswith("rigwise.") and (place.with_suffix(".py").is_file() or place.is_dir())


def lines_of(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def functions_of(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file with its lines, decorators and docstring included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or first) - first + 1


def main() -> None:
    """Print lines and share of each room, and the largest file; a room above a fifth of the house is marked."""
    rooms: Counter[str] = Counter()
    for path in sources():
        rooms[room_of(module_of(path))] += lines_of(path)
    total, tests = rooms.total(), sum(map(lines_of, sorted((ROOT / "tests").rglob("*.py"))))
    width = max(map(len, rooms))
    for room, lines in rooms.most_common():
        share = lines / total
        sys.stdout.write(f"{room:<{width}} {lines:6,d} {share:6.1%}{'  above 20 %' if share > 0.2 else ''}\n")
    largest = max(sources(), key=lines_of)
    sys.stdout.write(f"{total:,d} lines, tests {tests:,d} ({tests / total:.2f} of the code); ")
    sys.stdout.write(f"largest file {largest.relative_to(ROOT)} with {lines_of(largest)}\n")


if __name__ == "__main__":
    main()
