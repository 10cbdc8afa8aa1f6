"""What the data-parallel ranks share: copies whose gradients are averaged, or shards of weights and gradients.

    zero 0   DistributedDataParallel: gradients averaged in buckets while the backward pass goes on
    zero 1   FSDP: gradients scattered once a step, stepped weights gathered once
    zero 2   the gradients scattered in every micro-batch
    zero 3   the weights gathered forward and backward too, and given back in between

Under hybrid sharding (shard) some ranks share a copy; gradients are scattered among them, and added over the copies in
the last micro-batch.

Shards are cut along the first dim of every tensor, in runs of ceil(rows / ranks), as torch's fully_shard does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import fx, nn
from torch.nn.parallel import DistributedDataParallel

from rigwise.errors import UsageError
from rigwise.layouts.pieces import Pass
from rigwise.models.trace import unit_paths
from rigwise.run.clock import Clock
from rigwise.run.compress.exchange import Exchange, hook
from rigwise.run.parallel.held import Held
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.sending import sending

# MB a bucket. Over gloo, small buckets start early and hide most, codes more than plain gradients: a link waits for the
# first bucket of codes longer than it carries it. NCCL's launches make torch's own 25 the better, and PowerSGD
# orthogonalises once a bucket.
_BUCKET_MB = {"cpu": 3, "cuda": 25}
_CODED_BUCKET_MB = {("powersgd", "cpu"): 25}
_ONE_BUCKET_MB = 1_000_000  # everything in one bucket: nothing overlaps


def replicate(
    module: nn.Module,
    mesh: Mesh,
    *,
    changed: bool,
    unused: Collection[str],
    clock: Clock | None = None,
    exchange: Exchange | None = None,
) -> DistributedDataParallel:
    """Copies over dp x cp. changed: a forward pass writes buffers; unused: parameters that get no gradient.
    exchange: what averages gradients instead.
    """
    usual = _CODED_BUCKET_MB.get((mesh.layout.compress, mesh.device.type), _BUCKET_MB[mesh.device.type])
    wrapped = DistributedDataParallel(
        module,
        device_ids=[mesh.device.index] if mesh.device.type == "cuda" else None,
        process_group=mesh.group("dp", "cp"),
        bucket_cap_mb=usual if "dp" in mesh.layout.overlap else _ONE_BUCKET_MB,
        gradient_as_bucket_view=True,
        forward_sync_buffers=changed,
        find_unused_parameters=bool(unused),
    )
    if exchange:
        wrapped.register_comm_hook(exchange, hook)
    elif clock:
        _Backward(module, unused, clock)
    return wrapped


class _Backward:
    """Tells the clock when the last gradient of a pass is there: what it still takes is exposed communication."""

    def __init__(self, module: nn.Module, unused: Collection[str], clock: Clock) -> None:
        self.clock = clock
        trained = [p for name, p in module.named_parameters() if p.requires_grad and name not in unused]
        self.left = self.all = len(trained)
        module.register_forward_pre_hook(self._begin)
        for parameter in trained:
            parameter.register_post_accumulate_grad_hook(self._one)

    def _begin(self, *_: Any) -> None:
        self.left = self.all

    def _one(self, _: torch.Tensor) -> None:
        self.left -= 1
        if not self.left:
            self.clock.lap("backward")


def shard(module: nn.Module, mesh: Mesh, apart: Collection[nn.Parameter] = ()) -> nn.Module:
    """Shards over dp x cp, in place. Blocks of a module are gathered one by one, a graph as a whole. apart: parameters
    that are not sharded here.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    left = set(apart)
    for name, parameter in module.named_parameters():
        if not parameter.dim():
            raise UsageError(
                f"parameter {name!r} is a single number without dims, which zero {mesh.layout.zero} cannot shard",
                rule="ZeRO shards the first dim of every parameter",
                nearest="a parameter of shape [1], or zero=0",
            )
    over = mesh.device_mesh("dp", "cp")
    back = mesh.layout.zero == 3
    packed = MixedPrecisionPolicy(reduce_dtype=torch.bfloat16 if mesh.layout.compress == "bf16" else None)
    for path in () if isinstance(module, fx.GraphModule) else unit_paths(module):  # a graph calls none of its modules
        unit = module.get_submodule(path)
        if any(parameter not in left for parameter in unit.parameters()):
            fully_shard(unit, mesh=over, reshard_after_forward=back, ignored_params=left, mp_policy=packed)
    sharded: nn.Module = fully_shard(
        module, mesh=over, reshard_after_forward=back, ignored_params=left, mp_policy=packed
    )  # type: ignore[assignment]
    for part in sharded.modules():
        if is_sharded(part):
            part.set_custom_all_gather(_Gather())  # type: ignore[operator]
            part.set_custom_reduce_scatter(_Scatter())  # type: ignore[operator]
    return sharded


class _Collective:
    """What fully_shard calls in place of its own, counted and waited for."""

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Memory for what is sent or comes."""
        return torch.empty(*size, dtype=dtype, device=device)


class _Gather(_Collective):
    def __call__(self, output_tensor: torch.Tensor, input_tensor: torch.Tensor, group: Any, **how: Any) -> Any:
        of: Pass = "forward" if torch._C._current_autograd_node() is None else "backward"
        with sending(of, "all_gather", output_tensor, group.size()):
            return dist.all_gather_single(output_tensor, input_tensor, group=group, **how)


class _Scatter(_Collective):
    def __call__(self, output_tensor: torch.Tensor, input_tensor: torch.Tensor, group: Any, **how: Any) -> Any:
        with sending("gradient", "reduce_scatter", input_tensor, group.size()):
            return dist.reduce_scatter_single(output_tensor, input_tensor, group=group, **how)


def is_sharded(module: nn.Module) -> bool:
    """Was it sharded here?"""
    return hasattr(module, "set_requires_gradient_sync")


@contextmanager
def micro_batch(module: nn.Module, zero: int, last: bool) -> Iterator[None]:
    """Forward and backward of one micro-batch: gradients are exchanged in the last one, under zero 2 and 3 in each."""
    if isinstance(module, DistributedDataParallel):
        with nullcontext() if last else module.no_sync():
            yield
        return
    if is_sharded(module):
        sharded: Any = module
        sharded.set_requires_gradient_sync(last or zero > 1)
        sharded.set_requires_all_reduce(last)  # over the copies of hybrid sharding
        sharded.set_reshard_after_backward(last or zero == 3)
    yield


def keep_whole(module: nn.Module) -> None:
    """From now on backward passes on a sharded module leave weights and gradients whole where they are, for `scatter`
    to share out.
    """
    _after_backward(module, sharing=False, giving_back=False)


def _after_backward(module: nn.Module, *, sharing: bool, giving_back: bool) -> None:
    sharded: Any = module
    sharded.set_is_last_backward(sharing)
    sharded.set_reshard_after_backward(giving_back)
    sharded.set_requires_gradient_sync(sharing)


def scatter(module: nn.Module, zero: int, last: bool, reached: set[Any]) -> None:
    """Share out the whole gradients of a sharded module after a micro-batch: fully_shard does so in the backward pass,
    which is over before weight gradients that were put off are there; torch's own pipelines call the same three.

    reached: what had a gradient in this step, kept from one call to the next. Gradients that are not put off (biases,
    norms) may have gone with the micro-batch before, whose pass came after this one's; they are then sent as zeros, as
    what is summed until the copies meet has one shape.
    """
    from torch.distributed.fsdp import fully_shard

    _after_backward(module, sharing=True, giving_back=last or zero == 3)
    module.set_requires_all_reduce(last)  # type: ignore[operator]
    root = fully_shard.state(module)  # type: ignore[attr-defined]
    for state in root._state_ctx.all_states:
        for group in state._fsdp_param_groups:
            _fill(group.fsdp_params, reached)
            group.post_backward()
    if last:
        reached.clear()
    root._root_post_backward_final_callback()
    keep_whole(module)


def _fill(sharded: Iterable[Any], reached: set[Any]) -> None:
    """Zeros for gradients that are not there this time; what never had one in this step is left without."""
    for parameter in sharded:
        whole = parameter.unsharded_param
        if whole.grad is not None or parameter.unsharded_accumulated_grad is not None:
            reached.add(parameter)
        elif parameter in reached:
            whole.grad = torch.zeros(whole.shape, dtype=whole.dtype, device=whole.device)


def inner(module: nn.Module) -> nn.Module:
    """The module inside DDP."""
    return module.module if isinstance(module, DistributedDataParallel) else module


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This rank's memory of a tensor that may be a shard."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def shards(book: Iterable[Held], module: nn.Module, mesh: Mesh, apart: Collection[str] = ()) -> list[Held]:
    """The book after sharding: each piece narrowed to this rank's rows. apart: names that are not sharded here."""
    ranks, place = mesh.degree("shard"), mesh.coordinate("shard")
    now = dict(module.named_parameters(remove_duplicate=False))
    made = []
    for held in book:
        if held.name not in now or held.name in apart:
            made.append(held)
            continue
        rows = held.piece_shape[0]
        each = -(-rows // ranks)
        start, stop = min(place * each, rows), min((place + 1) * each, rows)
        made.append(held.narrowed(0, start, stop, now[held.name]))
    return made
