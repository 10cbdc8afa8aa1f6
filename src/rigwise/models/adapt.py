"""Fine-tuning: frozen weights, low-rank branches beside them (LoRA), and both over 4-bit weights (QLoRA).

LoRA (arXiv 2106.09685) leaves W (K x N) as it is and trains A (K x r) and B (r x N) beside it. A frozen product has no
gradient of its weights, so its backward pass is one product instead of two, and it keeps its input only for A.
QLoRA (arXiv 2305.14314) stores the frozen weights of the layers in 4 bits and a scale: 4.127 bits with double
quantisation, 4.5 without; norms, tables and the output projection stay in the working precision, unless the software
packs that too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Literal, get_args

from rigwise.errors import UsageError
from rigwise.models.model import Block, Model
from rigwise.models.operations import Operation, Split, forward_only, linear, stream

Kind = Literal["full", "lora", "qlora", "frozen"]
_UNPACKED = (
    2.0  # a product that unpacks its weight keeps its input cast to float32, two elements of 16 bits (bitsandbytes)
)
_COPY = 16.0  # PEFT's modules_to_save keeps the frozen tensor beside its trained copy
NF4_BITS = 4.127  # arXiv 2305.14314 section 3: 4 bits, and 0.127 bits of scales in 8 bits
NF4_SINGLE_BITS = 4.5  # without double quantisation: 4 bits, and a float32 scale every 64 weights
FUSED = {"qkv": 3, "kv": 2, "cross_kv": 2}  # products that stand for several weight matrices, each with its own A


def adapt(
    model: Model,
    kind: str = "full",
    *,
    rank: int = 16,
    targets: Collection[str] | None = None,
    head: bool = False,
    pack_head: bool = False,
    bits: float = NF4_BITS,
    train_ends: bool = False,
    ends_bits: float | None = None,
    unfrozen: int = 0,
) -> Model:
    """The same network with fewer weights to train.

    kind: "full" changes nothing; "lora" and "qlora" freeze everything and add branches of the given rank beside the
    linears of the layers (targets: names of operations, all of them where None); "frozen" trains the last `unfrozen`
    blocks' repetitions and the head alone. head: a branch beside the output projection too. pack_head: "qlora" stores
    it as the linears of the layers. bits: of a packed weight. train_ends: embedding and head are trained besides (new
    tokens), as copies beside the frozen ones. ends_bits: in how many bits frozen embeddings and heads are stored, None
    for the layout's precision (PEFT's preparation of a quantised model makes them float32).
    Raises UsageError for an unknown kind, a rank below 1, or targets that the model does not have.

    >>> from rigwise.models.zoo import load
    >>> adapt(load("llama-2-7b"), "lora", rank=8, targets=["qkv", "out"]).trainable_parameters
    8388608.0
    """
    if kind not in get_args(Kind):
        raise UsageError(f"no way of adapting {kind!r}", rule=f"one of {', '.join(get_args(Kind))}")
    if rank < 1:
        raise UsageError(f"rank = {rank!r}", rule="rank is a whole number of at least 1")
    if kind == "full":
        return model
    if kind == "frozen":
        return replace(model, blocks=tuple(_last_unfrozen(model, unfrozen)))
    chosen = _targets(model, targets)
    packed = bits if kind == "qlora" else None
    ends = None if train_ends else ends_bits
    if head:
        chosen |= {o.name for b in model.blocks if b.role == "last" for o in b.operations if o.split == "vocab"}
    blocks = [
        _end(block, ends, train_ends)
        if block.role == "first" or (block.role == "last" and not (head or pack_head))
        else _adapted(block, chosen, rank, packed if block.role == "layer" or pack_head else None)
        for block in model.blocks
    ]
    return replace(model, name=f"{model.name}+{kind}", blocks=tuple(blocks))


def _targets(model: Model, targets: Collection[str] | None) -> frozenset[str]:
    linears = {o.name for b in model.blocks if b.role == "layer" for o in b.operations if o.kind == "linear"}
    if targets is None:
        return frozenset(linears - {"router"})
    missing = set(targets) - linears
    if missing or not targets:
        raise UsageError(
            f"{model.name} has no linear {', '.join(sorted(missing)) or 'named'}",
            rule=f"targets are among {', '.join(sorted(linears))}",
        )
    return frozenset(targets)


def _end(block: Block, bits: float | None, trained: bool) -> Block:
    """A block that is no layer: frozen, or trained as a copy beside the frozen one."""
    if trained:
        return replace(
            block, operations=tuple(replace(o, weight_bits=_COPY) if o.parameters else o for o in block.operations)
        )
    return replace(block, operations=tuple(frozen(o, bits) for o in block.operations))


def _adapted(block: Block, targets: frozenset[str], rank: int, bits: float | None) -> Block:
    made: list[Operation] = []
    for operation in block.operations:
        if operation.kind == "linear" and operation.name in targets:
            made += [frozen(operation, bits), *branch(operation, rank, _matrices(operation, block))]
        else:
            made.append(frozen(operation, bits if operation.kind == "linear" else None))
    return replace(block, operations=tuple(made))


def _matrices(operation: Operation, block: Block) -> int:
    """Weight matrices that one product stands for: an up projection with its gate is two."""
    if operation.name.endswith("up") and operation.split in ("column", "expert_column"):
        down = operation.name.removesuffix("up") + "down"
        return next((round(operation.n / o.k) for o in block.operations if o.name == down), 1)
    return FUSED.get(operation.name, 1)


def branch(beside: Operation, rank: int, matrices: int = 1) -> Iterator[Operation]:
    """The two low-rank products beside a linear and their sum with its output; A keeps the shared input.

    Dropout before A keeps a mask, a byte an element, and each of several As behind one input a copy besides.

    matrices: weight matrices that the linear stands for, each with an A of its own; the Bs lie side by side. Along a
    column split A is held whole and B is cut with the outputs; along a row split A is cut with the inputs.
    """
    first: Split = "row" if beside.split == "row" else "sequence"
    second: Split = "column" if beside.split in ("column", "vocab") else "sequence"
    if beside.split in ("expert_column", "expert_row"):
        first = second = beside.split
    m, batch = beside.m, beside.batch
    dropped = batch * m * beside.k * (0.5 + 1.5 * (matrices - 1) * (beside.name not in FUSED))
    down = linear(f"{beside.name}_a", batch=batch, m=m, n=rank * matrices, k=beside.k, split=first)
    yield replace(down, saved_apart=dropped)
    yield linear(f"{beside.name}_b", batch=batch, m=m, n=beside.n, k=rank, split=second)
    size = batch * m * beside.n
    joined: Split = "heads" if second == "column" else "expert" if "expert" in beside.split else "sequence"
    yield stream(
        f"{beside.name}_sum",
        reads=2 * size,
        writes=size,
        reads_backward=size,
        writes_backward=size,
        split=joined,
    )


def frozen(operation: Operation, bits: float | None = None) -> Operation:
    """The same operation with weights that nobody trains: no weight gradient, and no input kept for one."""
    if operation.kind == "embedding":
        return replace(forward_only(operation), weight_bits=bits)
    if not operation.parameters:
        return operation
    made = replace(operation, trainable=False, weight_bits=bits)
    if operation.kind != "linear":
        return made
    outputs = operation.batch * operation.m * operation.n * operation.steps
    return replace(
        made,
        flops_backward=operation.flops * operation.input_gradient,
        reads_backward=outputs * operation.input_gradient,
        saved=0.0,
        saved_apart=0.0 if bits is None else _UNPACKED * operation.batch * operation.m * operation.k * operation.steps,
        kernels_backward=int(operation.input_gradient),
    )


def _last_unfrozen(model: Model, unfrozen: int) -> Iterator[Block]:
    """All but the head and the last repetitions frozen, and without a backward pass: no gradient goes down there."""
    layers = model.units
    if not 0 <= unfrozen <= layers:
        raise UsageError(f"unfrozen = {unfrozen!r}", rule=f"between 0 and the {layers} layers of {model.name}")
    left = layers - unfrozen  # layers still to freeze, from the front
    for block in model.blocks:
        if block.role == "last":
            yield block
            continue
        cut = block.count if block.role == "first" else min(left, block.count)
        left -= cut if block.role == "layer" else 0
        if cut:
            still = tuple(forward_only(o) for o in block.operations)
            yield replace(block, name=f"{block.name}_frozen", operations=still, count=cut)
        if block.count > cut:
            yield replace(block, count=block.count - cut)
