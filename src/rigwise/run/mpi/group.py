"""A process group of torch.distributed over mpi4py: `register()`, then init_process_group(NAME).

It has what DistributedDataParallel, FSDP, DTensor, pipelining and rigwise's own exchanges call. Each group has a
communicator and a lane of its own, so exchanges of different groups may overtake each other. There is no time limit:
where a rank dies, mpirun ends the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from rigwise.run.mpi.buffers import Buffers, averages, settle, shared
from rigwise.run.mpi.lane import Lane, Mail
from rigwise.run.mpi.library import start, takes_device_memory

NAME = "mpi4py"  # "mpi" is the name of what torch has when it was built with an MPI
_Exchange = Callable[[], object]
_ProcessGroup: Any = dist.ProcessGroup  # its stub has other arguments than torch itself hands over


def register() -> None:
    """Make the backend known to torch.distributed. LaunchError where MPI is missing or is not mpirun's."""
    start()
    if NAME.upper() not in dist.Backend._plugins:
        dist.Backend.register_backend(NAME, _make, extended_api=True, devices=["cpu", "cuda"])


def _make(options: Any, _: object) -> MpiGroup:
    mpi = start()
    ranks = options.global_ranks_in_group or range(options.group_size)
    world = mpi.COMM_WORLD
    group = world.Get_group().Incl(list(ranks))
    comm = world.Create_group(group)
    group.Free()
    return MpiGroup(mpi, comm)


class MpiGroup(_ProcessGroup):  # type: ignore[misc]
    """Ranks of one communicator. The methods are torch's, with torch's names and arguments."""

    def __init__(self, mpi: Any, comm: Any) -> None:
        super().__init__(comm.Get_rank(), comm.Get_size())
        self._mpi, self._comm = mpi, comm
        self._name = self._description = ""
        self._buffers = Buffers(mpi, takes_device_memory(mpi))
        self._lane = Lane(threaded=mpi.Query_thread() >= mpi.THREAD_MULTIPLE)
        self._mail: list[tuple[Any, Tensor, bool]] = []  # MPI reads and writes this memory until its request is through

    def getBackendName(self) -> str:
        """The name."""
        return NAME

    def getGroupName(self) -> str:
        """What torch calls this group; torch keeps it in a backend of its own kind, of which there is none here."""
        return self._name

    def setGroupName(self, name: str) -> None:
        """Keep it."""
        self._name = name

    def getGroupDesc(self) -> str:
        """What the group is for."""
        return self._description

    def setGroupDesc(self, description: str) -> None:
        """Keep it."""
        self._description = description

    def shutdown(self) -> None:
        """Finish what is queued and give the communicator back."""
        self._lane.close()
        if self._comm is not None and not self._mpi.Is_finalized():
            self._comm.Free()
            self._comm = None

    abort = shutdown

    def _run(self, exchanges: Sequence[_Exchange], result: Any, opts: Any) -> dist.Work:
        def all_of_them() -> None:
            for exchange in exchanges:
                exchange()

        later = bool(getattr(opts, "asyncOp", True))
        return self._lane.run(exchanges[0] if len(exchanges) == 1 else all_of_them, result, later)

    def _divide(self, local: Tensor, op: Any) -> None:
        if averages(op):
            local.div_(self.size())

    # Reductions.

    def allreduce(self, tensors: list[Tensor], opts: Any = None, timeout: object = None) -> dist.Work:
        """Every rank gets the reduction of all."""
        op = getattr(opts, "reduceOp", dist.ReduceOp.SUM)
        return self._run([self._reduction(tensor, op) for tensor in tensors], tensors, opts)

    allreduce_coalesced = allreduce

    def _reduction(self, tensor: Tensor, op: Any) -> _Exchange:
        local, own = self._buffers.summand(tensor), self._buffers.op(op, tensor.dtype)

        def exchange() -> None:
            self._comm.Allreduce(self._mpi.IN_PLACE, self._buffers.typed(local), own)
            self._divide(local, op)
            settle(local, tensor)

        return exchange

    def reduce(self, tensors: list[Tensor], opts: Any) -> dist.Work:
        """The root gets the reduction of all."""
        (tensor,), op, root = tensors, opts.reduceOp, opts.rootRank
        local, own = self._buffers.summand(tensor), self._buffers.op(op, tensor.dtype)
        mine = self.rank() == root

        def exchange() -> None:
            typed = self._buffers.typed(local)
            self._comm.Reduce(self._mpi.IN_PLACE if mine else typed, typed if mine else None, own, root)
            if mine:
                self._divide(local, op)
                settle(local, tensor)

        return self._run([exchange], tensors, opts)

    def reduce_scatter(self, outputs: list[Tensor], inputs: list[list[Tensor]], opts: Any) -> dist.Work:
        """Each rank gets the reduction of its entry of the lists."""
        (output,), (entries,) = outputs, inputs
        whole = torch.cat([entry.detach().reshape(-1) for entry in entries])
        counts = [entry.numel() for entry in entries]
        return self._run([self._scattering(output, whole, counts, opts.reduceOp)], outputs, opts)

    def reduce_scatter_single(self, output: Tensor, input: Tensor, opts: Any) -> dist.Work:
        """Each rank gets the reduction of its part of one tensor."""
        counts = [output.numel()] * self.size()
        return self._run([self._scattering(output, input, counts, opts.reduceOp)], [output], opts)

    def reduce_scatter_single_coalesced(self, outputs: list[Tensor], inputs: list[Tensor], opts: Any) -> dist.Work:
        """The same for several tensors."""
        pairs = [
            self._scattering(o, i, [o.numel()] * self.size(), opts.reduceOp)
            for o, i in zip(outputs, inputs, strict=True)
        ]
        return self._run(pairs, outputs, opts)

    def _scattering(self, output: Tensor, whole: Tensor, counts: list[int], op: Any) -> _Exchange:
        _same(sum(counts), whole.numel())
        sent, own = self._buffers.summand(whole), self._buffers.op(op, whole.dtype)
        got = self._buffers.summand(output)
        if shared(got, sent):
            sent = sent.clone()

        def exchange() -> None:
            self._comm.Reduce_scatter(self._buffers.typed(sent), self._buffers.typed(got), counts, own)
            self._divide(got, op)
            settle(got, output)

        return exchange

    # Copies.

    def broadcast(self, tensors: list[Tensor], opts: Any, timeout: object = None) -> dist.Work:
        """Every rank gets the root's."""

        def one(tensor: Tensor) -> _Exchange:
            local = self._buffers.local(tensor)

            def exchange() -> None:
                self._comm.Bcast(self._buffers.bytes(local), opts.rootRank)
                settle(local, tensor)

            return exchange

        return self._run([one(tensor) for tensor in tensors], tensors, opts)

    def allgather(self, outputs: list[list[Tensor]], inputs: list[Tensor], opts: Any = None) -> dist.Work:
        """Every rank gets the list of all; the entries may differ in length."""
        pairs = [self._gathering(many, one) for many, one in zip(outputs, inputs, strict=True)]
        return self._run(pairs, outputs, opts)

    allgather_coalesced = allgather

    def _gathering(self, outputs: list[Tensor], own: Tensor) -> _Exchange:
        _same(outputs[self.rank()].numel(), own.numel())
        sent, flat = self._buffers.local(own), self._flat(outputs)
        counts = [output.numel() for output in outputs]

        def exchange() -> None:
            self._comm.Allgatherv(self._buffers.bytes(sent), self._buffers.parts(flat, counts))
            _spread(flat, outputs)

        return exchange

    def all_gather_single(self, output: Tensor, input: Tensor, opts: Any = None) -> dist.Work:
        """Every rank gets all in one tensor."""
        return self._run([self._gathering_whole(output, input)], [output], opts)

    def all_gather_single_coalesced(self, outputs: list[Tensor], inputs: list[Tensor], opts: Any = None) -> dist.Work:
        """The same for several tensors."""
        pairs = [self._gathering_whole(o, i) for o, i in zip(outputs, inputs, strict=True)]
        return self._run(pairs, outputs, opts)

    def _gathering_whole(self, output: Tensor, own: Tensor) -> _Exchange:
        _same(output.numel(), own.numel() * self.size())
        sent, got = self._buffers.local(own), self._buffers.local(output, blank=True)
        if shared(sent, got):  # FSDP sends a part of what it receives
            sent = sent.clone()

        def exchange() -> None:
            self._comm.Allgather(self._buffers.bytes(sent), self._buffers.bytes(got))
            settle(got, output)

        return exchange

    def gather(self, outputs: list[list[Tensor]], inputs: list[Tensor], opts: Any) -> dist.Work:
        """The root gets the list of all."""
        (own,), root = inputs, opts.rootRank
        wanted = outputs[0] if self.rank() == root else []
        sent, flat = self._buffers.local(own), self._flat(wanted) if wanted else None

        def exchange() -> None:
            counts = [output.numel() for output in wanted]
            got = self._buffers.parts(flat, counts) if flat is not None else None
            self._comm.Gatherv(self._buffers.bytes(sent), got, root)
            if flat is not None:
                _spread(flat, wanted)

        return self._run([exchange], outputs, opts)

    def scatter(self, outputs: list[Tensor], inputs: list[list[Tensor]], opts: Any) -> dist.Work:
        """Each rank gets its entry of the root's list."""
        (output,), root = outputs, opts.rootRank
        entries = inputs[0] if self.rank() == root else []
        flat = self._buffers.local(torch.cat([e.detach().reshape(-1) for e in entries])) if entries else None
        got = self._buffers.local(output, blank=True)

        def exchange() -> None:
            counts = [entry.numel() for entry in entries]
            sent = self._buffers.parts(flat, counts) if flat is not None else None
            self._comm.Scatterv(sent, self._buffers.bytes(got), root)
            settle(got, output)

        return self._run([exchange], outputs, opts)

    def all_to_all_single(
        self, output: Tensor, input: Tensor, output_splits: list[int], input_splits: list[int], opts: Any = None
    ) -> dist.Work:
        """Each rank sends each other a run of its rows; no splits are equal ones."""
        counts = [self._counts(output, output_splits), self._counts(input, input_splits)]
        sent, got = self._buffers.local(input), self._buffers.local(output, blank=True)
        if shared(sent, got):
            sent = sent.clone()

        def exchange() -> None:
            self._comm.Alltoallv(self._buffers.parts(sent, counts[1]), self._buffers.parts(got, counts[0]))
            settle(got, output)

        return self._run([exchange], [output], opts)

    def _counts(self, tensor: Tensor, splits: list[int]) -> list[int]:
        rows = tensor.shape[0] if tensor.dim() else 1
        if not splits:
            if rows % self.size():
                raise ValueError(f"{rows} rows for {self.size()} ranks: without splits they must divide")
            splits = [rows // self.size()] * self.size()
        _same(sum(splits), rows)
        return [count * (tensor.numel() // rows if rows else 0) for count in splits]

    def alltoall(self, outputs: list[Tensor], inputs: list[Tensor], opts: Any = None) -> dist.Work:
        """Each rank sends each other an entry of its list."""
        sent = self._buffers.local(torch.cat([entry.detach().reshape(-1) for entry in inputs]))
        flat = self._flat(outputs)
        give, take = ([entry.numel() for entry in entries] for entries in (inputs, outputs))

        def exchange() -> None:
            self._comm.Alltoallv(self._buffers.parts(sent, give), self._buffers.parts(flat, take))
            _spread(flat, outputs)

        return self._run([exchange], outputs, opts)

    def barrier(self, opts: Any = None) -> dist.Work:
        """Wait for all ranks."""
        return self._run([self._comm.Barrier], [], opts)

    def _flat(self, tensors: list[Tensor]) -> Tensor:
        first = tensors[0]
        on = first.device if first.device.type == "cpu" or self._buffers.on_device else torch.device("cpu")
        return torch.empty(sum(tensor.numel() for tensor in tensors), dtype=first.dtype, device=on)

    # Messages from one to one: MPI moves them while nobody waits, so two ranks may send to each other at once.

    def send(self, tensors: list[Tensor], to: int, tag: int = 0) -> dist.Work:
        """To a rank of the group."""
        local = self._buffers.local(tensors[0])
        request = self._comm.Isend(self._buffers.bytes(local), to, tag)
        self._post(request, local, sent=True)
        return Mail(self._mpi, request, lambda: None, tensors)

    def recv(self, tensors: list[Tensor], source: int, tag: int = 0) -> dist.Work:
        """From a rank of the group."""
        (tensor,) = tensors
        local = self._buffers.local(tensor, blank=True)
        request = self._comm.Irecv(self._buffers.bytes(local), source, tag)
        self._post(request, local, sent=False)
        return Mail(self._mpi, request, lambda: settle(local, tensor), tensors)

    def recv_anysource(self, tensors: list[Tensor], tag: int = 0) -> dist.Work:
        """From whoever sends first; source_rank() says who."""
        return self.recv(tensors, self._mpi.ANY_SOURCE, tag)

    def _post(self, request: Any, local: Tensor, *, sent: bool) -> None:
        """Keep a message's memory until it is through: nobody has to wait for what he sent."""
        self._mail = [(r, t, s) for r, t, s in self._mail if r and not (s and r.Test())]
        self._mail.append((request, local, sent))


def _spread(flat: Tensor, outputs: list[Tensor]) -> None:
    for output, part in zip(outputs, flat.split([output.numel() for output in outputs]), strict=True):
        output.detach().copy_(part.view(output.shape))


def _same(one: int, other: int) -> None:
    if one != other:
        raise ValueError(f"{other} numbers where {one} belong")
