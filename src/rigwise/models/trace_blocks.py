"""Cuts what a trace recorded into blocks: one for each unit of the module, equal ones in a row stored once.

A unit is a child of a ModuleList or Sequential (`unit_paths` in trace.py finds them); what runs outside any unit makes
blocks of its own, in the order of the first run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rigwise.models.model import Block
from rigwise.models.operations import Operation, Split
from rigwise.models.trace_events import Event, Parameter, idle, operation_of
from rigwise.models.trace_pairs import tag_pairs

LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Recording:
    """All that a trace found, for a batch of samples. outputs: elements that each unit hands on, whole batch.
    mixtures: path of a module of experts -> their number and how many of them a token meets.
    """

    events: tuple[Event, ...]
    parameters: Mapping[int, Parameter]
    units: frozenset[str]
    outputs: Mapping[str, float]
    batch: float
    mixtures: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Piece:
    """The events of a block to be. unit: the path of the unit that they ran in; None outside all units."""

    unit: str | None
    events: list[Event]


def blocks_of(recording: Recording) -> tuple[tuple[Block, ...], float]:
    """The blocks, and the parameters that are counted in two of them although they are one tensor."""
    pieces = pieces_of(recording.events, recording.units)
    seen: set[int] = set()
    tied = 0.0
    blocks: list[Block] = []
    for piece in pieces:
        used = {number for event in piece.events for number in event.weights}
        tied += sum(recording.parameters[number].elements for number in used & seen)
        seen |= used
        blocks.append(_block(piece, recording))
    unused = [p for number, p in recording.parameters.items() if number not in seen]
    if unused and blocks:
        rest = tuple(idle(f"{p.name} (unused)", p.elements, p.trainable) for p in unused)
        blocks[-1] = replace(blocks[-1], operations=blocks[-1].operations + rest)
    roles = roles_of(pieces)
    blocks = [replace(block, role=role) for block, role in zip(blocks, roles, strict=True)]  # type: ignore[arg-type]
    return tuple(_counted(tag_pairs(blocks, facts_of(recording)["vocab"]))), tied


def pieces_of(events: Iterable[Event], units: frozenset[str]) -> list[Piece]:
    """The events of a forward pass as the blocks that they belong to, in the order of their first run."""
    return _joined(_cut(events, units))


def _cut(events: Iterable[Event], units: frozenset[str]) -> list[Piece]:
    pieces: list[Piece] = []
    for event in events:
        unit = _unit_of(event.path, units)
        if not pieces or pieces[-1].unit != unit:
            pieces.append(Piece(unit=unit, events=[]))
        pieces[-1].events.append(event)
    return pieces


def _unit_of(path: str, units: frozenset[str]) -> str | None:
    parts = path.split(".")
    for length in range(1, len(parts) + 1):
        prefix = ".".join(parts[:length])
        if prefix in units:
            return prefix
    return None


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """A piece that has no parameters joins the one before it; a unit that runs again joins its first run."""
    joined: list[Piece] = []
    for piece in pieces:
        weights = any(event.weights for event in piece.events)
        again = next((p for p in joined if p.unit == piece.unit and p.unit is not None), None)
        home = again or (joined[-1] if joined and not weights and piece.events[0].path != LOSS else None)
        if home is None:
            joined.append(piece)
        else:
            home.events.extend(piece.events)
    first = joined[0] if joined else None
    if first and len(joined) > 1 and not any(event.weights for event in first.events):
        joined[1].events[:0] = first.events
        del joined[0]
    return joined


def _block(piece: Piece, recording: Recording) -> Block:
    counted: set[int] = set()
    made: list[Operation] = []
    prefix = piece.unit or ""
    for event in _repeated(piece.events):
        fresh = set(event.weights) - counted
        counted |= fresh
        found = operation_of(event, prefix, recording.parameters, fresh, recording.batch)
        made += [_of_experts(found[0], event, recording), *found[1:]]
    handed = recording.outputs.get(prefix) if piece.unit else None
    boundary = (piece.events[-1].writes if handed is None else handed) / recording.batch
    name = piece.unit or (LOSS if piece.events[0].path == LOSS else _outer_name(piece.events, recording.parameters))
    return Block(name=name, operations=tuple(split_tags(_numbered(made))), boundary=boundary)


def _of_experts(made: Operation, event: Event, recording: Recording) -> Operation:
    """A product with the experts of a mixture, which come one after the other, as one for all of them."""
    if event.path not in recording.mixtures or event.kind != "linear" or event.matrix is None:
        return made
    which = recording.parameters[event.matrix].name.rpartition(".")[2] if event.matrix in recording.parameters else ""
    if which not in ("up", "down"):
        return made
    split: Split = "expert_column" if which == "up" else "expert_row"
    return replace(made, batch=made.batch * made.steps, steps=1, split=split)


def _numbered(made: Sequence[Operation]) -> list[Operation]:
    """The second operation of a name gets a number, so that names tell operations apart."""
    seen: Counter[str] = Counter()
    named = []
    for operation in made:
        seen[operation.name] += 1
        count = seen[operation.name]
        named.append(operation if count == 1 else replace(operation, name=f"{operation.name}/{count}"))
    return named


def _outer_name(events: Sequence[Event], parameters: Mapping[int, Parameter]) -> str:
    """The module that holds most of a piece outside all units."""
    named = [event for event in events if event.path]
    if not named:
        return "outer"
    return max(named, key=lambda event: sum(parameters[number].elements for number in event.weights)).path


def _repeated(events: Sequence[Event]) -> list[Event]:
    """Events of one block, calls of the same operation in the same module added up (time steps of a recurrent cell)."""
    kept: dict[tuple[object, ...], Event] = {}
    for event in events:
        shape = (event.batch, event.m, event.n, event.k, event.conv) if event.kind != "stream" else ()
        key = (event.path, event.name, event.weights, event.kind, *shape)
        if key in kept:
            kept[key].absorb(event)
        else:
            kept[key] = event
    return list(kept.values())


def roles_of(pieces: Sequence[Piece]) -> list[str]:
    """First: an embedding before all units. Last: the loss, and what follows the last unit. All else: a layer."""
    inside = [place for place, piece in enumerate(pieces) if piece.unit is not None]
    start, end = (inside[0], inside[-1]) if inside else (0, len(pieces) - 1)
    roles = ["layer"] * len(pieces)
    for place, piece in enumerate(pieces):
        if place < start and any(event.kind == "embedding" for event in piece.events):
            roles[: place + 1] = ["first"] * (place + 1)
        if place > end or piece.events[0].path == LOSS:
            roles[place] = "last"
    return roles


def _counted(blocks: Sequence[Block]) -> list[Block]:
    """Equal blocks in a row as one with a count; where gradients are added up on the way back is no difference."""
    merged: list[Block] = []
    for block in blocks:
        before = merged[-1] if merged else None
        if before and _essence(before) == _essence(block):
            merged[-1] = replace(before, count=before.count + 1)
        else:
            merged.append(block)
    return merged


def _essence(block: Block) -> Block:
    bare = tuple(
        replace(o, reads_backward=0.0, writes_backward=0.0, kernels_backward=0) if o.kind == "stream" else o
        for o in block.operations
    )
    return replace(block, name="", count=1, operations=bare)


def split_tags(made: Sequence[Operation]) -> Sequence[Operation]:
    """Tags for tensor parallelism where a block has the shape of a transformer layer; otherwise nothing is cut.

    The shape: linears of equal input width before an attention, one back to that width after it, then the same around
    the feed-forward. Work between a column and its row goes by "heads", the rest by "sequence".
    """
    places = [place for place, o in enumerate(made) if o.kind == "linear"]
    cores = [place for place, o in enumerate(made) if o.kind == "attention"]
    if len(cores) != 1 or any(o.kind in ("conv", "bmm", "embedding") for o in made):
        return made
    groups = [[p for p in places if p < cores[0]], [p for p in places if p > cores[0]]]
    if not groups[0] or len(groups[1]) not in (1, 3, 4):
        return made
    hidden = made[groups[0][0]].k
    pairs = [(groups[0], groups[1][0])] + ([(groups[1][1:-1], groups[1][-1])] if len(groups[1]) > 1 else [])
    if any(made[row].n != hidden or any(made[c].k != hidden for c in columns) for columns, row in pairs):
        return made
    splits: list[Split] = ["sequence" if o.kind == "stream" else "none" for o in made]
    for columns, row in pairs:
        splits[columns[0] : row] = ["heads"] * (row - columns[0])
        for place in columns:
            splits[place] = "column"
        splits[row] = "row"
    return [replace(o, split=split, core=o.kind == "attention") for o, split in zip(made, splits, strict=True)]


def mixtures_of(modules: Iterable[tuple[str, object]]) -> dict[str, tuple[int, int]]:
    """Modules of experts that say how many they have, and how many of them a token meets."""
    found = {}
    for path, part in modules:
        experts, top_k = getattr(part, "experts", None), getattr(part, "top_k", None)
        if isinstance(experts, int) and isinstance(top_k, int):
            found[path] = (experts, top_k)
    return found


def facts_of(recording: Recording) -> dict[str, int | None]:
    """Heads, width and vocabulary, for the rules of splitting; None where the module has none."""
    cores = [event for event in recording.events if event.kind == "attention"]
    tables = [event for event in recording.events if event.kind == "embedding"]
    experts, top_k = next(iter(recording.mixtures.values()), (None, None))
    return {
        "experts": experts,
        "top_k": top_k,
        "heads": int(cores[0].batch / recording.batch) if cores else None,
        "kv_heads": int(cores[0].kv_heads / recording.batch) if cores else None,
        "vocab": int(tables[0].k) if tables else None,
        "hidden": int(tables[0].n) if tables else None,
    }
