"""Dense networks of any sizes."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.errors import UsageError
from rigwise.models.convnet import paired, read_layer
from rigwise.models.features import Tape
from rigwise.models.model import Model
from rigwise.models.sizes import check_sizes


def mlp(
    *, sizes: Sequence[int], bias: bool = True, dropout: bool = False, loss: bool = True, name: str = "mlp"
) -> Model:
    """Dense layers with ReLU between them.

    sizes: features of the input, of every hidden layer and of the output. Two layers after each other are one block,
    so that tensor parallelism has a pair to cut ("column", then "row"); an odd last layer is not cut.

    >>> mlp(sizes=[784, 1000, 10]).parameters
    795010.0
    """
    check_sizes(sizes=sizes)
    if not isinstance(sizes, (list, tuple)) or len(sizes) < 2:
        raise UsageError(f"an MLP of sizes {sizes}", rule="at least an input and an output")
    tape = Tape()
    x = tape.image(sizes[0])
    dense = range(1, len(sizes))
    for first in dense[::2]:
        pair = [n for n in (first, first + 1) if n in dense]
        splits = [layer.split for layer in paired([read_layer(f"dense {sizes[n]}") for n in pair])]
        for n, split in zip(pair, splits, strict=True):
            x = tape.linear(x, sizes[n], bias=bias, split=split)
            if n == dense[-1]:
                continue
            x = tape.relu(x, "heads" if split == "column" else "none")
            x = tape.dropout(x, "heads" if split == "column" else "none") if dropout else x
        tape.close(f"dense{first}" if len(pair) == 1 else f"dense{first}-{first + 1}", x)
    if loss:
        tape.loss(x)
        tape.close("loss", x, last=True)
    return tape.model(name, family="mlp", unit="sample", hidden=max(sizes[1:-1], default=sizes[-1]))
