"""A model: blocks of operations in the order in which a sample passes them. What is trained, and nothing of how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from rigwise.models.operations import Operation
from rigwise.models.reach import Reach

Family = Literal["mlp", "convnet", "transformer", "encoder", "recurrent", "traced"]
Unit = Literal["token", "image", "sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Operations that belong together, and how often they repeat one after the other.

    boundary: elements a sample hands on to the next block: what a pipeline sends and what full recomputation keeps.
    role: "layer" blocks are what a pipeline divides; "first" and "last" (embedding, head and loss) stay with the first
    and the last stage.
    """

    name: str
    operations: tuple[Operation, ...]
    boundary: float
    count: int = 1
    role: Literal["first", "layer", "last"] = "layer"

    @property
    def parameters(self) -> float:
        """Weights and biases of one repetition."""
        return sum(o.parameters for o in self.operations)

    @property
    def flops(self) -> float:
        """FLOP of one repetition forward, one sample."""
        return sum(o.flops for o in self.operations)

    @property
    def flops_backward(self) -> float:
        """FLOP of one repetition backward, one sample."""
        return sum(o.flops_backward for o in self.operations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is trained: blocks in order, and the few facts that the rules of splitting ask for.

    tokens: tokens in a sample (its sequence length), 1 where samples are images or rows. A fact that does not apply is
    None: heads of a convnet, experts of a dense model. tied: parameters counted in two blocks that are one tensor (the
    embedding that is also the output projection); they count once in `parameters`, and are held twice by a pipeline
    that puts the two blocks on different stages. input_bytes: what the loader delivers for a sample. reaches: what each
    convolution sees of the input, in order, repetitions one by one; empty where it is not known.
    """

    name: str
    family: Family
    blocks: tuple[Block, ...]
    unit: Unit = "sample"
    tokens: int = 1
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    ffn: int | None = None
    vocab: int | None = None
    experts: int | None = None
    top_k: int | None = None
    tied: float = 0.0
    input_bytes: float = 0.0
    has_batch_norm: bool = False
    source: str = ""
    reaches: tuple[Reach | None, ...] = ()

    @property
    def parameters(self) -> float:
        """All weights and biases, tied ones once."""
        return sum(b.parameters * b.count for b in self.blocks) - self.tied

    @property
    def trainable_parameters(self) -> float:
        """The weights that the optimizer steps; a frozen tied tensor is not subtracted twice."""
        return sum(o.parameters * n for o, n in self.operations() if o.trainable) - self.tied_trained

    @property
    def tied_trained(self) -> float:
        """Of the tied parameters those that both blocks train: none where either of them is frozen."""
        frozen = any(not o.trainable and o.split == "vocab" for o, _ in self.operations())
        return 0.0 if frozen else self.tied

    @property
    def active_parameters(self) -> float:
        """Weights that one token meets: a mixture of experts counts top_k of its experts."""
        if not self.experts or not self.top_k:
            return self.parameters
        share = self.top_k / self.experts
        idle = sum(
            o.parameters * n * (1 - share) for o, n in self.operations() if o.split in ("expert_column", "expert_row")
        )
        return self.parameters - idle

    @property
    def flops(self) -> float:
        """FLOP of one sample forward."""
        return sum(b.flops * b.count for b in self.blocks)

    @property
    def flops_backward(self) -> float:
        """FLOP of one sample backward, without recomputation."""
        return sum(b.flops_backward * b.count for b in self.blocks)

    @property
    def units(self) -> int:
        """Blocks in sequence that a pipeline can divide: repeated layers counted one by one."""
        return sum(b.count for b in self.blocks if b.role == "layer")

    def operations(self) -> Iterator[tuple[Operation, int]]:
        """Each operation with the number of times that it is performed."""
        for block in self.blocks:
            for operation in block.operations:
                yield operation, block.count


def append(blocks: list[Block], made: Block) -> None:
    """Put a block after the others. One that equals the last but for its name repeats it; a name that is taken gets a
    number.
    """
    last = blocks[-1] if blocks else None
    if last and replace(last, name=made.name, count=made.count) == made:
        blocks[-1] = replace(last, count=last.count + made.count)
        return
    taken = sum(block.name.split("/")[0] == made.name for block in blocks)
    blocks.append(replace(made, name=f"{made.name}/{taken + 1}") if taken else made)
