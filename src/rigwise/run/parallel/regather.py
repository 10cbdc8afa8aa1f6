"""Values that are gathered again in the backward pass instead of being kept: keys and values of other ranks' tokens,
and, with sp=on, the sequence in front of a cut layer (arXiv 2205.05198, section 4.2.2).

What autograd would keep of such a value is put down as where it lay in the value; when it is asked for, the pieces are
gathered once for all that kept something of it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks

from rigwise.run.parallel import exchanges
from rigwise.run.parallel.exchanges import Cut

Tensor = torch.Tensor


class Gathered:
    """A value whose pieces the ranks keep. piece: this rank's."""

    def __init__(self, piece: Tensor, cut: Cut) -> None:
        self.piece, self.cut = piece.detach(), cut
        self.users = 0
        self._again: Tensor | None = None

    def again(self) -> Tensor:
        """The whole, gathered once for all that kept it."""
        if self._again is None:
            self._again = exchanges.gather(self.piece, self.cut, "backward").contiguous()
        whole = self._again
        self.users -= 1
        if not self.users:
            self._again = None
        return whole


Known = list[tuple["weakref.ref[Tensor]", Gathered]]
_known: list[Known] = []


@contextmanager
def gathering_again() -> Iterator[Known]:
    """Autograd keeps nothing of the values that are told inside (`remember`)."""
    known: Known = []

    def pack(tensor: Tensor) -> Any:
        at = tensor.untyped_storage().data_ptr()
        for reference, source in known:
            whole = reference()
            if whole is not None and whole.untyped_storage().data_ptr() == at:
                source.users += 1
                return source, tensor.shape, tensor.stride(), tensor.storage_offset()
        return tensor

    def unpack(kept: Any) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        source, *how = kept
        whole: Tensor = source.again().as_strided(*how)
        return whole

    _known.append(known)
    try:
        with saved_tensors_hooks(pack, unpack):
            yield known
    finally:
        _known.remove(known)


def remember(whole: Tensor, piece: Tensor, cut: Cut) -> None:
    """A value that can be gathered again from a piece; nothing where nobody asks for that."""
    if _known and torch.is_grad_enabled():
        _known[-1].append((weakref.ref(whole), Gathered(piece, cut)))
