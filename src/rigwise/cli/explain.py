"""How `estimate --explain` is drawn: the arithmetic of a step and of its memory, and where the numbers come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from rigwise import units
from rigwise.cli.console import can_draw
from rigwise.cli.tables import Column, facts, table

if TYPE_CHECKING:
    from rigwise.api import Explained
    from rigwise.calibration.provenance import Constant
    from rigwise.cost.terms import Term, Value

_SHOW: dict[str, Callable[[float], str]] = {
    "": lambda value: f"{value:,.4g}" if abs(value) < 1e6 else units.show_count(value),
    "s": units.show_seconds,
    "B": units.show_bytes,
    "B/s": units.show_rate,
    "FLOP": units.show_flops,
    "FLOP/s": lambda value: units.show_flops(value, per_second=True),
    "J": units.show_joules,
    "USD": units.show_usd,
    "W": lambda value: f"{units.show_number(value)} W",
}
_OPERATIONS = [
    Column(head="operation", right=False),
    Column(head="pass", right=False),
    Column(head="M x N x K", right=False, drop=2),
    Column(head="FLOP, B"),
    Column(head="tile waves", right=False, drop=4),
    Column(head="bound", right=False, drop=1),
    Column(head="reached", drop=3),
    Column(head="each"),
    Column(head="in step"),
]
_PASSES = {"forward": "fwd", "input": "dx", "weight": "dW"}
_LEGEND = "dx: gradient of the input, dW: of the weights; work in FLOP, or bytes where nothing is multiplied"
_LEAST = 5e-4  # of the step: operations below it are summed in one line


def show(value: Value) -> str:
    """A value with its unit."""
    return value.value if isinstance(value.value, str) else _SHOW[value.unit](value.value)


def draw(screen: Console, found: Explained) -> None:
    """The whole explanation."""
    known = [v.value for v in found.arithmetic.facts if v.symbol == "factor" and isinstance(v.value, float)]
    page = _Page(screen=screen, factor=known[0] if known else 1.0)
    page.head(f"the step: {units.show_seconds(found.step.amount)}")
    page.quiet(f"T = {found.step.formula}", 0)
    screen.print(facts((v.symbol, f"{show(v):<10} {v.says}") for v in found.arithmetic.facts))
    for part in found.step.terms:
        if part.amount:
            page.part(part, found.step.amount)
    if idle := [part.name for part in found.step.terms if not part.amount]:
        page.quiet(f"\nnothing in: {', '.join(idle)}", 0)
    page.head(f"memory of the fullest device: {units.show_bytes(found.memory.amount)}")
    for part in found.memory.terms:
        page.tree(part, 1, units.show_bytes, formula=True)
    _of_step(page, found.arithmetic.energy, "energy of the step", units.show_joules)
    _of_step(page, found.arithmetic.cost, "cost of the step", units.show_usd)
    _interval(page, found)
    _catalogue(page, found)
    _constants(page, found)


@dataclass(slots=True, kw_only=True)
class _Page:
    """The page while it is written. factor: on every second. said: symbols that were explained already."""

    screen: Console
    factor: float
    said: set[str] = field(default_factory=set)

    def head(self, title: str) -> None:
        self.screen.print()
        self.screen.print(Rule(title, align="left", style="bold", characters="─" if can_draw(self.screen) else "-"))

    def quiet(self, words: str, depth: int) -> None:
        self.screen.print(Padding(Text(words, style="dim"), (0, 0, 0, 2 * depth), expand=False))

    def part(self, part: Term, whole: float) -> None:
        """One part of the step: its formula, and its terms."""
        self.screen.print()
        title = f"{part.name}  {units.show_seconds(part.amount)}  {part.amount / whole:.1%}"
        self.screen.print(Text(title, style="bold"))
        self.quiet(f"= {part.formula}{f'  (docs/laws/{part.card}.md)' if part.card else ''}", 1)
        self.told(part, 1)
        if part.name == "compute":
            self.quiet(_LEGEND, 1)
        for term in part.terms or part.made:
            if part.name == "compute":
                self.block(term, whole)
            else:
                self.tree(term, 1, units.show_seconds)

    def block(self, block: Term, whole: float) -> None:
        """A block's operations in a table; a block that hardly counts in one line."""
        shown = [term for term in block.terms if term.amount >= _LEAST * whole]
        self.screen.print(Text(f"\n  {block.name}: {self.times(block, units.show_seconds)}"))
        if not shown:
            return
        rows = [row for term in sorted(shown, key=_order(shown)) for row in _operation(term)]
        before = ""
        for row in rows:
            row[0], before = "" if row[0] == before else row[0], row[0] or before
        if (rest := len(block.terms) - len(shown)) > 0:
            less = block.amount - sum(term.amount for term in shown)
            rows.append([f"{rest} smaller", *[""] * 7, units.show_seconds(less)])
        self.screen.print(table(self.screen, _OPERATIONS, rows, gap=1))

    def tree(self, term: Term, depth: int, amount: Callable[[float], str], *, formula: bool = False) -> None:
        """A term with its values, and the terms that it is the sum of; one that only hands on its term is left out."""
        if not term.amount:
            return
        self.screen.print(Text(f"{'  ' * depth}{term.name}: {self.times(term, amount)}"))
        inner = term.terms or term.made
        if term.formula and (formula or depth > 1) and (not inner or formula):
            self.quiet(f"= {term.formula}", depth + 1)
        self.told(term, depth + 1)
        for one in inner:
            self.tree(one, depth + 1, amount)

    def times(self, term: Term, amount: Callable[[float], str]) -> str:
        """How a term comes of its repetitions: 0.93 x 1,024 x 7.11 ms = 6.75 s."""
        factor = self.factor if amount is units.show_seconds else 1.0
        often = term.times / factor
        words = [f"{factor:.3g}"] if factor != 1 else []
        words += [f"{often:,.6g}"] if abs(often - 1) > 1e-9 else []
        return f"{' x '.join([*words, amount(term.each)])} = {amount(term.amount)}" if words else amount(term.amount)

    def told(self, term: Term, depth: int) -> None:
        """The values of a term; what a symbol means is said once."""
        words = []
        for v in term.values:
            words.append(f"{v.symbol} {show(v)}" + (f" ({v.says})" if v.says and v.symbol not in self.said else ""))
            self.said.add(v.symbol)
        if words:
            self.quiet("; ".join(words), depth)


def _order(terms: Sequence[Term]) -> Callable[[Term], int]:
    """Operations in their order, the passes of each together."""
    names = list(dict.fromkeys(_name(term)[0] for term in terms))
    return lambda term: names.index(_name(term)[0])


def _name(term: Term) -> tuple[str, str]:
    """An operation and its pass."""
    operation, _, which = term.name.rpartition(", ")
    return operation, which


def _operation(term: Term) -> list[list[str]]:
    """A row for a pass, and one for each thing that it does beside its product."""
    name, which = _name(term)
    flop, moved = term.value("flop"), term.value("bytes" if which == "forward" else "bytes_back")
    work, reached = "", ""
    if isinstance(flop, float):
        work, reached = units.show_count(flop), f"{units.show_count(flop / term.each)}/s"
    elif isinstance(moved, float):
        work, reached = units.show_bytes(moved), f"{units.show_count(moved / term.each)}B/s"
    ends = units.show_seconds(term.each), units.show_seconds(term.amount)
    row = [name, _PASSES.get(which, which), _shape(term), work, _tile(term), _bound(term), reached, *ends]
    beside = [inner for inner in term.terms if inner.name != "product"]
    return [row, *(["", "", f"+ {inner.name}", *[""] * 5, units.show_seconds(inner.amount)] for inner in beside)]


def _shape(term: Term) -> str:
    window, out = term.value("kernel"), term.value("out")
    if isinstance(window, str):
        return f"{window} {term.value('C'):g}-{term.value('K'):g} @{out}"
    sizes = [size for symbol in ("M", "N", "K") if isinstance(size := term.value(symbol), float)]
    many = [n for symbol in ("B", "heads") if isinstance(n := term.value(symbol), float) and n > 1]
    return "x".join(f"{size:g}" for size in (*many, *sizes)) if sizes else ""


def _tile(term: Term) -> str:
    rows, columns, waves, cut = (term.value(symbol) for symbol in ("tile_m", "tile_n", "waves", "cut"))
    if not isinstance(rows, float) or not isinstance(waves, float) or not isinstance(cut, float):
        return ""
    return f"{rows:g}x{columns:g}{f'/{cut:g}' if cut > 1 else ''} {waves:.3g}"


def _bound(term: Term) -> str:
    """What an operation's seconds are mostly made of."""
    math, memory, floor = (term.value(symbol) for symbol in ("T_math", "T_mem", "t_kernel"))
    if not isinstance(floor, float):
        return ""
    if not isinstance(math, float) or not isinstance(memory, float):
        return "launch" if 2 * floor > term.each else "memory"
    return max((math, "math"), (memory, "memory"), (floor, "launch"))[1]


def _of_step(page: _Page, term: Term | None, title: str, amount: Callable[[float], str]) -> None:
    """Energy or money, where it is known."""
    if term is None:
        return
    page.head(f"{title}: {amount(term.amount)}")
    page.quiet(f"= {term.formula}  (docs/laws/{term.card}.md)", 1)
    page.told(term, 1)
    for one in term.terms:
        if one.amount:
            page.screen.print(Text(f"  {one.name}: {amount(one.amount)}"))


def _interval(page: _Page, found: Explained) -> None:
    """What is not known, and how wide that makes the interval."""
    low, high = (units.show_seconds(end) for end in found.estimate.interval)
    page.head(f"80 % interval of the step: {low} to {high}")
    page.quiet("= T exp(-+1.2816 s), s^2 = sum of squares, as deviations of ln T  (docs/laws/interval.md)", 1)
    page.screen.print(facts((f"  {v.symbol}", f"{show(v):<8} {v.says}") for v in found.arithmetic.doubts))
    e = found.estimate
    around = [("memory", e.memory_interval, units.show_bytes)]
    around += [("energy", e.energy_interval, units.show_joules)] if e.energy_interval else []
    around += [("cost", e.cost_interval, units.show_usd)] if e.cost_interval else []
    page.screen.print(facts((f"  {name}", f"{show(ends[0])} to {show(ends[1])}") for name, ends, show in around))


def _catalogue(page: _Page, found: Explained) -> None:
    """The catalogue's figures by source, and the rates that come of them."""
    page.head("figures of the catalogue")
    for source in dict.fromkeys(figure.source for figure in found.figures):
        rows = [figure for figure in found.figures if figure.source == source]
        page.screen.print(facts((f"  {figure.name}", _SHOW[figure.unit](figure.value)) for figure in rows))
        page.quiet(f"source: {source}", 2)
    for engine in found.arithmetic.engines:
        page.screen.print(Text(f"\n  {engine.name} products sustain {_SHOW['FLOP/s'](engine.amount)}"))
        page.quiet(f"= {engine.formula}", 2)
        page.told(engine, 2)


def _constants(page: _Page, found: Explained) -> None:
    """The efficiencies that were taken."""
    page.head("constants")
    page.quiet(f"cost/data/efficiencies.toml: {found.provenance}", 1)
    for place in dict.fromkeys(c.path.rpartition(".")[0] for c in found.constants):
        page.screen.print(Text(f"  {place}", style="bold"))
        out = Table.grid(padding=(0, 2, 0, 0))
        for justify in ("left", "right", "left", "left"):
            out.add_column(justify=justify, overflow="fold")
        for c in found.constants:
            if c.path.rpartition(".")[0] == place:
                out.add_row(*(Text(cell) for cell in _cells(c, place)))
        page.screen.print(Padding(out, (0, 0, 0, 4), expand=False))


def _cells(c: Constant, place: str) -> list[str]:
    origin = "prior" if not c.fitted else "fitted" if c.prior is None else f"fitted from {c.prior:.3g}"
    whose = "" if c.given == place else f", {c.given}'s"
    return [c.path.rpartition(".")[2], f"{c.value:.3g}", origin + whose, c.says]
