"""What was not sent yet: error feedback, kept by parameter, so that nothing is lost when buckets are cut anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

_KEPT = "residual/"


class Residuals:
    """One flat float32 tensor for each set of parameters that travel together; zero at first.

    names: the parameters' names by id. The unit is a rank's own gradient: the mean over ranks of what is kept, added to
    all that was applied, is the mean of all gradients.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._flats: dict[tuple[str, ...], torch.Tensor] = {}
        self._views: dict[str, torch.Tensor] = {}

    def of(self, parameters: Sequence[torch.Tensor]) -> torch.Tensor:
        """The flat tensor of these parameters, in their order."""
        names = tuple(self._names[id(parameter)] for parameter in parameters)
        if names not in self._flats:
            self._join(names, parameters)
        return self._flats[names]

    def _join(self, names: tuple[str, ...], parameters: Sequence[torch.Tensor]) -> None:
        flat = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device)
        begin = 0
        for name, parameter in zip(names, parameters, strict=True):
            view = flat[begin : begin + parameter.numel()]
            if name in self._views:
                view.copy_(self._views[name].reshape(-1))
            self._views[name] = view.view(parameter.shape)
            begin += parameter.numel()
        self._flats = {other: kept for other, kept in self._flats.items() if not set(other) & set(names)}
        self._flats[names] = flat

    def state_dict(self) -> dict[str, torch.Tensor]:
        """A copy by parameter name, under residual/."""
        return {f"{_KEPT}{name}": view.clone() for name, view in self._views.items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take what state_dict gave; parameters that it does not know begin at zero."""
        self._flats = {}
        self._views = {key.removeprefix(_KEPT): kept for key, kept in state.items() if key.startswith(_KEPT)}
