"""`rigwise explain TERM`: a word of the glossary with formula, a worked number and its source."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, facts, table


def explain(
    term: Annotated[str | None, Parameter(help="A word; without one all words are listed.")] = None,
    /,
    *,
    look: Look = Look(),
) -> None:
    """A word of the glossary: formula, a worked number, source."""
    if term is None:
        words = api.terms()
        look.answer(lambda: {"terms": words}, lambda screen: screen.print(", ".join(words), markup=False))
        return
    found = api.define(term)
    look.answer(found.to_dict, lambda screen: _draw(screen, found))


def _draw(screen: Console, found: object) -> None:
    from rigwise.advise.terms import Term

    assert isinstance(found, Term)
    rows = [
        ("word", found.name),
        ("is", found.says),
        ("formula", found.formula),
        ("worked", found.shown),
        ("source", found.source),
    ]
    screen.print(facts(rows))
    if not found.lesson:
        return
    screen.print()
    columns = [
        Column(head="", right=False),
        Column(head="arithmetic", right=False),
        Column(head="gives"),
        Column(head=""),
    ]
    lines = [[line.says, line.formula, units.show_number(line.value), line.unit] for line in found.lesson]
    screen.print(table(screen, columns, lines, title="article 7's estimate"))
