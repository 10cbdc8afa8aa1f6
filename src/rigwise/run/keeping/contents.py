"""What a checkpoint holds of a rank: tensors as boxes, everything else as plain values for its record.

model/NAME             weights and buffers
optimizer/NAME/KEY     what the optimizer keeps for a weight, cut as the weight is; numbers without dims are kept once
rank-R/PART/KEY        what a part of the run keeps for one rank alone: the left-over error of compressed gradients
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from rigwise.errors import UsageError
from rigwise.run.keeping.boxes import Box, boxes
from rigwise.run.parallel.held import Held
from rigwise.run.parallel.parallel import state_names
from rigwise.run.parallel.sharing import local

MODEL, OPTIMIZER = "model", "optimizer"


class Stateful(Protocol):
    """A part of a run that goes on from where it was: plain values and tensors by name."""

    def state_dict(self) -> dict[str, Any]:
        """What to keep."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is kept. held: this rank's pieces of weights and buffers. names: every key of the model's state_dict -> the
    name of its tensor (tied weights have several keys). parts: what else has a state, by name.
    """

    held: Sequence[Held]
    names: Mapping[str, str]
    optimizer: torch.optim.Optimizer
    parts: Mapping[str, Stateful]
    rank: int

    def pieces(self) -> Iterator[tuple[Held, torch.Tensor]]:
        """What the model's state_dict has, with this rank's memory of it."""
        kept = set(self.names.values())
        for held in self.held:
            if held.name in kept and held.parameter is not None:
                yield held, local(held.parameter.detach())

    def tensors(self) -> list[Box]:
        """All that this rank could write; several ranks may have the same."""
        found: list[Box] = []
        for held, tensor in self.pieces():
            found += boxes(f"{MODEL}/{held.name}", held, tensor)
        for held, key, value in self._states():
            if isinstance(value, torch.Tensor):
                piece = local(value)
                found += boxes(f"{OPTIMIZER}/{held.name}/{key}", _cut_as(held, key, piece), piece)
        for name, state in self._own():
            for key, value in state.items():
                if isinstance(value, torch.Tensor):
                    where = f"rank-{self.rank}/{name}/{key}"
                    found += boxes(where, Held.whole(where, value), value)
        return found

    def first(self) -> set[str]:
        """Names of what the lowest rank writes of several: buffers, which a rank changes by itself."""
        return {f"{MODEL}/{held.name}" for held in self.held if not isinstance(held.parameter, nn.Parameter)}

    def record(self) -> dict[str, Any]:
        """Plain values: the optimizer's settings with the names they hold for, and numbers it keeps for a weight."""
        names = self._names()
        groups = []
        for group in self.optimizer.param_groups:
            settings = {key: _plain(value) for key, value in group.items() if key != "params"}
            groups.append({**settings, "names": [names[id(p)] for p in group["params"] if id(p) in names]})
        numbers: dict[str, dict[str, Any]] = {}
        for held, key, value in self._states():
            if not isinstance(value, torch.Tensor):
                numbers.setdefault(held.name, {})[key] = _plain(value)
        own = {
            name: {key: value for key, value in state.items() if not isinstance(value, torch.Tensor)}
            for name, state in self._own()
        }
        tied = {key: name for key, name in self.names.items() if key != name}
        return {
            "tied": tied,
            "groups": groups,
            "numbers": numbers,
            "parts": {key: value for key, value in own.items() if value},
        }

    def _names(self) -> dict[int, str]:
        """The first name of each parameter, by id: tied weights have several."""
        return {id(held.parameter): held.name for held in reversed(self.held)}

    def _states(self) -> Iterable[tuple[Held, str, Any]]:
        seen = set()
        for held in self.held:
            if id(held.parameter) in seen or not isinstance(held.parameter, nn.Parameter):
                continue
            seen.add(id(held.parameter))
            for key, value in self.optimizer.state.get(held.parameter, {}).items():
                yield held, str(key), value

    def _own(self) -> Iterable[tuple[str, dict[str, Any]]]:
        return ((name, part.state_dict()) for name, part in self.parts.items())


def of_model(model: nn.Module, optimizer: torch.optim.Optimizer, **parts: Stateful) -> Contents:
    """Of a model that is on this rank as a whole, without a rank beside it."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    held = [Held.whole(name, tensor) for name, tensor in tensors.items()]
    return Contents(held=held, names=state_names(model), optimizer=optimizer, parts=parts, rank=0)


def _cut_as(held: Held, key: str, value: torch.Tensor) -> Held:
    """How a tensor of the optimizer is cut: as its weight, or not at all."""
    if held.fits(value):
        return held
    if value.dim() == 0 or held.is_whole:
        return Held.whole(held.name, value)
    raise UsageError(
        f"the optimizer keeps {key} of shape {list(value.shape)} for a piece {list(held.piece_shape)} of {held.name}",
        rule="what an optimizer keeps for a split weight has the weight's shape, or is one number",
        nearest="a layout that does not split the weight, or SGD, Adam, AdamW, RMSprop",
    )


def _plain(value: Any) -> Any:
    """A setting as JSON has it; one that JSON has not is left to the task, which makes it anew."""
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return None
    return value
