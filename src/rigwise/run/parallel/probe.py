"""The first batch goes through the model once before training: it finds out what data parallelism must be told
(parameters that get no gradient, buffers that a forward pass changes) and meets a task's mistakes before ranks wait for
each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rigwise.errors import UsageError
from rigwise.models.trace import call


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What one forward pass showed. unused: trainable parameters that the loss does not reach. changed: buffers that
    the pass writes. normed: modules with batch statistics.
    """

    unused: tuple[str, ...]
    changed: tuple[str, ...]
    normed: tuple[str, ...]

    def warnings(self, ranks: int) -> list[str]:
        """What a reader of the losses should know."""
        said = []
        if self.normed and ranks > 1:
            said.append(
                f"batch statistics of {_some(self.normed)} are a rank's own: losses differ from training on one rank; "
                "GroupNorm or LayerNorm do not depend on the ranks"
            )
        if self.unused:
            said.append(f"the loss does not reach {_some(self.unused)}: no gradient, not trained")
        return said


def _some(names: tuple[str, ...], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + rest


def probe(model: nn.Module, loss: Callable[[Any, Any], torch.Tensor], inputs: Any, targets: Any) -> Probe:
    """Send one micro-batch forward, leave the model as it was, and see what training will meet."""
    before = {name: (buffer, buffer.clone()) for name, buffer in model.named_buffers()}
    value = loss(call(model, inputs), targets)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        what = f"a tensor of shape {list(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
        raise UsageError(f"the loss gave {what}", rule="a loss is one number: the mean over the samples")
    if not value.requires_grad:
        raise UsageError("the loss depends on no trainable parameter", rule="some parameter of the model is trained")
    reached = _reached(value)
    now = dict(model.named_buffers())
    changed = tuple(name for name, (buffer, copy) in before.items() if not torch.equal(now.get(name, buffer), copy))
    with torch.no_grad():
        for name in changed:
            buffer, copy = before[name]
            buffer.copy_(copy)
            owner, _, last = name.rpartition(".")
            model.get_submodule(owner)._buffers[last] = buffer  # a module may have put another tensor in its place
    return Probe(
        unused=tuple(name for name, p in model.named_parameters() if p.requires_grad and id(p) not in reached),
        changed=changed,
        normed=tuple(name for name, module in model.named_modules() if isinstance(module, _BatchNorm)),
    )


def _reached(value: torch.Tensor) -> set[int]:
    """The parameters that a backward pass from here would come to, by id."""
    seen, todo, found = set(), [value.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        todo.extend(following for following, _ in node.next_functions)
    return found
