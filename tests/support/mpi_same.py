"""Started by mpirun: every collective over MPI beside gloo's, on the same numbers. Prints what differs, then "same"."""

# ruff: noqa: B023 - each function is called before the loop goes on
from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import torch
import torch.distributed as dist

from rigwise.run.mpi.group import NAME, register

MOVED = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.int64)
ADDED = (*MOVED, torch.int32)
CLOSE = {torch.float32: 1e-6, torch.float64: 1e-14, torch.float16: 4e-3, torch.bfloat16: 3e-2}
Group = dist.ProcessGroup
wrong: list[str] = []


def numbers(dtype: torch.dtype, *shape: int, seed: int = 0) -> torch.Tensor:
    made = torch.Generator().manual_seed(1000 * dist.get_rank() + seed)
    return (
        torch.randint(-4, 5, shape, generator=made).abs().to(dtype)
        if not dtype.is_floating_point
        else (torch.randn(shape, generator=made).to(dtype))
    )


def same(what: str, dtype: torch.dtype, ours: list[torch.Tensor], theirs: list[torch.Tensor], exact: bool) -> None:
    close = 0.0 if exact else CLOSE.get(dtype, 0.0)
    for one, other in zip(ours, theirs, strict=True):
        largest = float(other.double().abs().max()) if other.numel() else 1.0
        if not torch.allclose(one.double(), other.double(), rtol=0, atol=close * max(largest, 1.0)):
            wrong.append(f"{what} {dtype}: {one.flatten()[:4]} and {other.flatten()[:4]}")


def both(what: str, dtype: torch.dtype, do: Callable[[Group], list[torch.Tensor]], exact: bool = True) -> None:
    same(what, dtype, do(mpi), do(gloo), exact)


def reductions() -> None:
    ops = {name: getattr(dist.ReduceOp, name) for name in ("SUM", "MIN", "MAX", "PRODUCT", "AVG")}
    for dtype in ADDED:
        for name, op in ops.items():
            if name == "AVG" and not dtype.is_floating_point:
                continue
            for later in (False, True):

                def reduce(group: Group) -> list[torch.Tensor]:
                    tensor = numbers(dtype, 5, 7)
                    work = dist.all_reduce(tensor, op=op, group=group, async_op=later)
                    if work is not None:
                        work.wait()
                    return [tensor]

                both(f"all_reduce {name}", dtype, reduce, exact=False)

        def scattered(group: Group) -> list[torch.Tensor]:
            out = torch.empty(3, 2, dtype=dtype)
            dist.reduce_scatter_single(out, numbers(dtype, 3 * world, 2), group=group)
            return [out]

        def listed(group: Group) -> list[torch.Tensor]:
            out = torch.empty(4, dtype=dtype)
            dist.reduce_scatter(out, [numbers(dtype, 4, seed=i) for i in range(world)], group=group)
            return [out]

        def rooted(group: Group) -> list[torch.Tensor]:
            tensor = numbers(dtype, 6)
            dist.reduce(tensor, 1, group=group)
            return [tensor] if rank == 1 else []

        both("reduce_scatter_single", dtype, scattered, exact=False)
        both("reduce_scatter", dtype, listed, exact=False)
        both("reduce", dtype, rooted, exact=False)


def copies() -> None:
    for dtype in MOVED:

        def cast(group: Group) -> list[torch.Tensor]:
            tensor = numbers(dtype, 4, 6).t()  # not in one piece
            copy = tensor.clone() if group is gloo else tensor
            dist.broadcast(copy, 1, group=group)
            return [copy]

        def gathered(group: Group) -> list[torch.Tensor]:
            outs = [torch.empty(3, 2, dtype=dtype) for _ in range(world)]
            dist.all_gather(outs, numbers(dtype, 3, 2), group=group)
            return outs

        def whole(group: Group) -> list[torch.Tensor]:
            out = torch.empty(3 * world, 2, dtype=dtype)
            dist.all_gather_single(out, numbers(dtype, 3, 2), group=group)
            return [out]

        def inside(group: Group) -> list[torch.Tensor]:
            out = torch.empty(3 * world, dtype=dtype)
            own = out.narrow(0, 3 * rank, 3)
            own.copy_(numbers(dtype, 3))
            dist.all_gather_single(out, own, group=group)
            return [out]

        def to_root(group: Group) -> list[torch.Tensor]:
            outs = [torch.empty(5, dtype=dtype) for _ in range(world)] if rank == 0 else None
            dist.gather(numbers(dtype, 5), outs, 0, group=group)
            return outs or []

        def from_root(group: Group) -> list[torch.Tensor]:
            out = torch.empty(5, dtype=dtype)
            entries = [numbers(dtype, 5, seed=i) for i in range(world)] if rank == 1 else None
            dist.scatter(out, entries, 1, group=group)
            return [out]

        for do in (cast, gathered, whole, inside, to_root, from_root):
            both(do.__name__, dtype, do)


def swaps() -> None:
    for dtype in MOVED:

        def swapped(group: Group) -> list[torch.Tensor]:
            out = torch.empty(2 * world, 3, dtype=dtype)
            dist.all_to_all_single(out, numbers(dtype, 2 * world, 3), group=group)
            return [out]

        def uneven(group: Group) -> list[torch.Tensor]:  # rank r sends r + 1 rows to each
            out = torch.empty(sum(range(1, world + 1)), 3, dtype=dtype)
            give, take = [rank + 1] * world, list(range(1, world + 1))
            dist.all_to_all_single(out, numbers(dtype, (rank + 1) * world, 3), take, give, group=group)
            return [out]

        def lists(group: Group) -> list[torch.Tensor]:
            outs = [torch.empty(4, dtype=dtype) for _ in range(world)]
            dist.all_to_all(outs, [numbers(dtype, 4, seed=i) for i in range(world)], group=group)
            return outs

        def passed(group: Group) -> list[torch.Tensor]:
            out, own = torch.empty(300_000, dtype=dtype), numbers(dtype, 300_000)
            to, source = (rank + 1) % world, (rank - 1) % world
            ops = [dist.P2POp(dist.isend, own, to, group), dist.P2POp(dist.irecv, out, source, group)]
            for work in dist.batch_isend_irecv(ops):
                work.wait()
            return [out]

        for do in (swapped, uneven, lists, passed):
            both(do.__name__, dtype, do)


def messages() -> None:
    tensor = torch.full((4,), float(rank))
    if rank == 0:
        seen = {dist.recv(tensor) for _ in range(world - 1)}
        if seen != set(range(1, world)):
            wrong.append(f"recv from anyone: {seen}")
    else:
        dist.send(tensor, 0)
    things: list[object] = [None] * world
    dist.all_gather_object(things, {"rank": rank, "long": "x" * (100 * rank)})
    if things != [{"rank": r, "long": "x" * (100 * r)} for r in range(world)]:
        wrong.append(f"objects: {things}")
    box = [{"of": "rank 1"} if rank == 1 else None]
    dist.broadcast_object_list(box, 1)
    if box != [{"of": "rank 1"}]:
        wrong.append(f"a broadcast object: {box}")
    truth = torch.tensor([rank == 0, True, False])
    dist.all_reduce(truth)
    if truth.tolist() != [True, True, False]:
        wrong.append(f"bools: {truth}")
    half = dist.new_group([0, 1])  # over MPI, of some ranks
    if rank < 2:
        pair = torch.ones(3)
        dist.all_reduce(pair, group=half)
        if pair.tolist() != [2.0] * 3:
            wrong.append(f"a group of two: {pair}")
    tensors = [torch.full((1000,), 1.0 + i) for i in range(20)]
    works = [dist.all_reduce(t, async_op=True) for t in tensors]
    for i, (work, t) in enumerate(zip(works, tensors, strict=True)):
        work.wait()
        if t[0] != world * (1.0 + i):
            wrong.append(f"{i} of 20 in flight: {t[0]}")
    for bad in (torch.ones(2, dtype=torch.float8_e4m3fn),):
        try:
            dist.all_reduce(bad)
            wrong.append("float8 was added up")
        except TypeError:
            pass


def training() -> None:
    """DDP, FSDP2 and DTensor: the same weights over MPI as over gloo."""
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
    from torch.nn.parallel import DistributedDataParallel

    def trained(group: Group, kind: str) -> list[torch.Tensor]:
        torch.manual_seed(1)
        net = torch.nn.Sequential(torch.nn.Linear(12, 12), torch.nn.ReLU(), torch.nn.Linear(12, 4))
        model: torch.nn.Module = net
        if kind == "ddp":
            model = DistributedDataParallel(net, process_group=group, bucket_cap_mb=0.0001)
        elif kind == "fsdp":
            fully_shard(net, mesh=DeviceMesh.from_group(group, "cpu"))
        else:
            cuts = {"0": ColwiseParallel(), "2": RowwiseParallel()}
            parallelize_module(net, DeviceMesh.from_group(group, "cpu"), cuts)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        for step in range(5):
            torch.manual_seed(100 + step + (0 if kind == "tensor" else 10 * rank))
            loss = model(torch.randn(8, 12)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        full = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in net.parameters()]
        return [tensor.detach() for tensor in full]

    for kind in ("ddp", "fsdp", "tensor"):
        both(kind, torch.float32, lambda group, kind=kind: trained(group, kind), exact=False)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)  # torch 2.13 renames what torch 2.13 calls
    register()
    from mpi4py import MPI

    rank, world = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()
    dist.init_process_group(NAME, init_method=f"file://{sys.argv[1]}", rank=rank, world_size=world)
    mpi, gloo = dist.group.WORLD, dist.new_group(backend="gloo")
    assert mpi is not None
    parts = {"reductions": reductions, "copies": copies, "swaps": swaps, "messages": messages, "training": training}
    for name in sys.argv[2:] or parts:
        parts[name]()
    dist.barrier()
    print("\n".join(wrong) or "same", flush=True)
    dist.destroy_process_group()
    sys.exit(bool(wrong))
