"""The verb for a training loop of one's own: a module made parallel on this rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rigwise.errors import LaunchError

if TYPE_CHECKING:
    from rigwise.layouts.layout import Layout
    from rigwise.run.parallel.mesh import Mesh
    from rigwise.run.parallel.parallel import Parallel


def parallelize(
    model: Any,
    layout: Layout | str,
    mesh: Mesh | None = None,
    *,
    inputs: Any,
    targets: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    cuts: Mapping[str, str] | None = None,
) -> Parallel:
    """Make a torch module parallel on this rank; all ranks of torch.distributed call it at the same time.

    model: whole and alike on all ranks, on this rank's device. layout: a Layout, or its spelling in float32. inputs:
    one micro-batch as it will come (a tensor, a tuple or a dict of tensors, samples first); with targets and loss the
    loss is fitted too, so that logits stay cut. cuts: module -> "columns" or "rows" where the choice of tensor cuts is
    not to be rigwise's. Raises UsageError for ranks that are not there and for a model that cannot be captured or cut,
    LaunchError where torch is missing.
    """
    try:
        from rigwise.run.parallel.parallel import parallelize as make
    except ImportError as error:
        raise LaunchError(f"parallelize needs torch: {error}", nearest="pip install 'rigwise[run]'") from error
    return make(model, layout, mesh, inputs=inputs, targets=targets, loss=loss, cuts=cuts)
