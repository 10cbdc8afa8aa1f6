"""The words of the glossary with formula, worked number and source (data/terms.toml), for `rigwise explain`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rigwise.advise import teach
from rigwise.advise.assumptions import data
from rigwise.errors import not_found
from rigwise.hardware.catalog import device

_CARDS = {"V100": "v100-sxm2-16gb", "A100": "a100-sxm-40gb", "RTX 3090": "rtx-3090", "RTX 4090": "rtx-4090"}
_OPERATIONS: Mapping[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
_FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "max": max,
    "min": min,
    "ceil": math.ceil,
    "log2": math.log2,
    "log": math.log,
    "exp": math.exp,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word. worked: its arithmetic; gives: what that comes to; of: what the number is. lesson: article 7's own
    estimate, for the words that it explains so.
    """

    name: str
    says: str
    formula: str
    worked: str
    gives: float
    of: str
    source: str
    lesson: tuple[teach.Line, ...] = ()

    @property
    def shown(self) -> str:
        """The worked number as a line."""
        return f"{self.worked} = {self.gives:.6g} {self.of}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "term": self.name,
            "says": self.says,
            "formula": self.formula,
            "worked": self.worked,
            "gives": self.gives,
            "of": self.of,
            "source": self.source,
            "lesson": [line.to_dict() for line in self.lesson],
        }


def terms() -> tuple[str, ...]:
    """Every word, in the glossary's order."""
    return tuple(data("terms"))


def term(name: str) -> Term:
    """A word, however it is spelt: tensor-cores, "Tensor core". Raises NotFoundError with the nearest.

    >>> term("tensor-cores").gives
    2.14468
    """
    known = _spellings()
    found = next((known[word] for word in _forms(name) if word in known), None)
    if found is None:
        raise not_found("word", name, terms(), hint="`rigwise explain` lists all")
    row = {key: value for key, value in data("terms")[found].items() if key != "also"}
    return Term(name=found, lesson=tuple(_lesson(found)), **row)


def worked(arithmetic: str) -> float:
    """What a line of arithmetic comes to; numbers, + - * / **, max, min, ceil, log2, log and exp.

    >>> worked("2 * 7 / 8 * 1e9"), worked("max(0.1, 0.216)")
    (1750000000.0, 0.216)
    """
    return float(_value(ast.parse(arithmetic, mode="eval").body))


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.BinOp):
        return _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp):
        return _OPERATIONS[type(node.op)](_value(node.operand))
    assert isinstance(node, ast.Call), ast.dump(node)
    assert isinstance(node.func, ast.Name), ast.dump(node)
    return _FUNCTIONS[node.func.id](*(_value(argument) for argument in node.args))


@cache
def _spellings() -> Mapping[str, str]:
    also = {_plain(word): name for name, row in data("terms").items() for word in row.get("also", ())}
    return also | {_plain(name): name for name in data("terms")}


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("-", " ").replace("_", " ").split())


def _forms(text: str) -> tuple[str, ...]:
    """The word as it is written, and without the ending of a plural."""
    plain = _plain(text)
    return plain, plain.removesuffix("s"), plain.removesuffix("es"), plain.removesuffix("ies") + "y"


def _lesson(name: str) -> Iterable[teach.Line]:
    cards = {words: device(known) for words, known in _CARDS.items()}
    if name == "tensor core":
        return teach.tensor_cores()
    if name == "asynchronous copy":
        return teach.asynchronous_copies()
    if name == "memory bandwidth":
        pairs = {
            "A100 over V100": (cards["A100"], cards["V100"]),
            "RTX 4090 over RTX 3090": (cards["RTX 4090"], cards["RTX 3090"]),
        }
        return teach.bandwidths(pairs)
    return teach.caches(cards) if name == "cache" else ()
