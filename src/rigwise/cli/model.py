"""`rigwise model list|show`: what can be planned, and the exact work of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from rigwise import api, units
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, facts, table
from rigwise.errors import UsageError

if TYPE_CHECKING:
    from rigwise.models.model import Model
    from rigwise.models.operations import Operation


def list_(*, look: Look = Look()) -> None:
    """All names of models, with their sizes."""
    models = [api.load_model(name) for name in api.model_names()]
    look.answer(lambda: {"models": [_totals(m) for m in models]}, lambda screen: _draw_list(screen, models))


def _draw_list(screen: Console, models: list[Model]) -> None:
    columns = (
        Column(head="model", right=False),
        Column(head="family", right=False, drop=2),
        Column(head="parameters"),
        Column(head="layers", drop=3),
        Column(head="sample", drop=1),
        Column(head="forward", drop=1),
        Column(head="source", right=False, drop=4),
    )
    rows = (
        (
            m.name,
            m.family,
            units.show_count(m.parameters),
            "" if m.layers is None else str(m.layers),
            f"{m.tokens:,} tokens" if m.unit == "token" else m.unit,
            units.show_flops(m.flops),
            m.source,
        )
        for m in models
    )
    screen.print(table(screen, columns, rows))


def show_(name: str, /, *, seq: int | None = None, batch: int = 1, look: Look = Look()) -> None:
    """The operations of one model, with totals and shapes.

    Parameters
    ----------
    name
        A name of `rigwise model list`, org/name, a config.json, a TOML or file.py:function.
    seq
        Tokens in a sample; the model's own by default.
    batch
        Samples that FLOP and elements are counted for.
    """
    if batch < 1:
        raise UsageError(f"--batch {batch}", rule="a batch is a whole number of at least 1", nearest="--batch 1")
    model = api.load_model(name, seq=seq)
    look.answer(
        lambda: {"model": name, "batch": batch, **_totals(model, batch), "blocks": _blocks(model, batch)},
        lambda screen: _draw(screen, model, batch, look.chatty),
    )


def _totals(model: Model, batch: int = 1) -> dict[str, Any]:
    names = ("name", "family", "unit", "tokens", "layers", "hidden", "heads", "kv_heads", "ffn", "vocab", "experts")
    return {
        **{name: getattr(model, name) for name in names},
        "parameters": model.parameters,
        "active_parameters": model.active_parameters,
        "flops": batch * model.flops,
        "flops_backward": batch * model.flops_backward,
        "source": model.source,
    }


def _blocks(model: Model, batch: int) -> list[dict[str, Any]]:
    return [
        {"name": b.name, "count": b.count, "role": b.role, "operations": [_row(o, batch) for o in b.operations]}
        for b in model.blocks
    ]


def _row(o: Operation, batch: int) -> dict[str, Any]:
    """One operation of one repetition; activations in elements, saved_bytes apart from them in bytes."""
    names = ("flops", "flops_backward", "reads", "writes", "reads_backward", "writes_backward", "saved", "saved_bytes")
    return {
        "name": o.name,
        "kind": o.kind,
        "shape": _shape(o),
        "parameters": o.parameters,
        "trainable": o.trainable,
        "split": o.split,
        **{name: batch * getattr(o, name) for name in names},
    }


def _shape(o: Operation) -> str:
    """The shape letters: M x K . K x N of a product, C HxW -> K PxQ of a convolution."""
    if o.conv:
        size, out, kernel = ("x".join(str(n) for n in dims) for dims in (o.conv.size, o.conv.out, o.conv.kernel))
        extras = "".join(
            f" {word} {'x'.join(str(n) for n in value)}"
            for word, value, usual in (("stride", o.conv.stride, 1), ("pad", o.conv.pad, 0))
            if any(n != usual for n in value)
        )
        groups = f" groups {o.conv.groups}" if o.conv.groups > 1 else ""
        return f"{o.conv.c} {size} -> {o.conv.k} {out}, {kernel}{extras}{groups}"
    if o.kind == "stream":
        return ""
    if o.kind == "embedding":
        return f"{o.m:,.0f} of {o.k:,.0f} x {o.n:,.0f}"
    many = f"{o.batch:,.0f} x " if o.batch != 1 else ""
    return f"{many}{o.m:,.0f} x {o.k:,.0f} . {o.k:,.0f} x {o.n:,.0f}"


def _draw(screen: Console, model: Model, batch: int, chatty: bool) -> None:
    columns = (
        Column(head="operation", right=False),
        Column(head="kind", right=False, drop=4),
        Column(head="shape", right=False, drop=3),
        Column(head="parameters", drop=1),
        Column(head="forward"),
        Column(head="backward", drop=2),
        Column(head="moved", drop=5),
        Column(head="saved", drop=2),
    )
    for block in model.blocks:
        times = f" x {block.count}" if block.count > 1 else ""
        rows = [_words(o, batch) for o in block.operations]
        screen.print(table(screen, columns, rows, title=f"{block.name}{times}"))
        screen.print()
    if chatty:
        screen.print(f"counted for {batch:,} sample{'s' * (batch > 1)}; moved and saved are elements, forward pass")
    screen.print(facts(_summary(model, batch)))


def _words(o: Operation, batch: int) -> tuple[str, ...]:
    saved = units.show_count(batch * o.saved) if o.saved else ""
    if o.saved_bytes:
        saved = " + ".join(filter(None, (saved, units.show_bytes(batch * o.saved_bytes))))
    return (
        o.name,
        o.kind,
        _shape(o),
        units.show_count(o.parameters) if o.parameters else "",
        units.show_flops(batch * o.flops) if o.flops else "",
        units.show_flops(batch * o.flops_backward) if o.flops_backward else "",
        units.show_count(batch * (o.reads + o.writes)),
        saved,
    )


def _summary(model: Model, batch: int) -> list[tuple[str, str]]:
    letters = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab", "experts", "top_k")
    said = {name: getattr(model, name) for name in letters}
    idle = model.active_parameters != model.parameters
    active = f", {units.show_count(model.active_parameters)} of them active for a token" if idle else ""
    return [
        ("model", f"{model.name} ({model.family})"),
        ("parameters", f"{model.parameters:,.0f}{active}"),
        ("shape", ", ".join(f"{name} {value:,}" for name, value in said.items() if value is not None)),
        ("sample", f"{model.tokens:,} tokens" if model.unit == "token" else f"one {model.unit}"),
        ("forward", units.show_flops(batch * model.flops)),
        ("backward", units.show_flops(batch * model.flops_backward)),
        ("source", model.source),
    ]
