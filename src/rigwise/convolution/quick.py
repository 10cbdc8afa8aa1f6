"""Calls of `conv` that go straight to torch's own, by all that they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Quick = tuple[Callable[..., Any], tuple[Any, ...], Callable[[], int], int, Callable[[Any, Any], bool] | None]
"""Torch's own convolution and what it takes; what counts threads, and the count that this was timed at; where only
the forward pass was timed, what tells whether gradients are asked for."""
QUICK: dict[Any, Quick] = {}
"""By all that a call names, where torch's own is the soonest: any more work would be felt in the smallest layers."""
