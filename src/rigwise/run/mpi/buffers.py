"""Tensors as MPI takes them: an address, a length and, where numbers are added up, a type.

What only moves goes as bytes, whatever its type. What is reduced goes in MPI's own types; float16 and bfloat16, which
MPI does not know, are added up in float32 and rounded once. A GPU's tensor goes as it is where the MPI takes device
memory, else by way of a copy in the host's.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

_TYPES = {
    torch.float32: "FLOAT",
    torch.float64: "DOUBLE",
    torch.complex64: "C_FLOAT_COMPLEX",
    torch.complex128: "C_DOUBLE_COMPLEX",
    torch.int8: "INT8_T",
    torch.uint8: "UINT8_T",
    torch.int16: "INT16_T",
    torch.int32: "INT32_T",
    torch.int64: "INT64_T",
}
_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
_Kind: Any = dist.ReduceOp.RedOpType
_OPS = {
    _Kind.SUM: "SUM",
    _Kind.AVG: "SUM",
    _Kind.PRODUCT: "PROD",
    _Kind.MIN: "MIN",
    _Kind.MAX: "MAX",
    _Kind.BAND: "BAND",
    _Kind.BOR: "BOR",
    _Kind.BXOR: "BXOR",
}
_OF_BOOLS = {_Kind.SUM: "LOR", _Kind.PRODUCT: "LAND"}


class Buffers:
    """What one MPI takes. on_device: device memory too."""

    def __init__(self, mpi: Any, on_device: bool) -> None:
        self.mpi = mpi
        self.on_device = on_device

    def local(self, tensor: torch.Tensor, *, blank: bool = False) -> torch.Tensor:
        """The tensor, or a copy where MPI cannot take it: not in one piece, or on a device. blank: without content."""
        tensor = tensor.detach()
        host = tensor.device.type != "cpu" and not self.on_device
        if tensor.device.type == "cuda":
            torch.cuda.current_stream(tensor.device).synchronize()
        if blank and (host or not tensor.is_contiguous()):
            device = torch.device("cpu") if host else tensor.device
            return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
        return (tensor.cpu() if host else tensor).contiguous()

    def summand(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same for a reduction: in a type that MPI adds up."""
        tensor = self.local(tensor)
        if tensor.dtype == torch.bool:
            return tensor.view(torch.uint8)
        if tensor.dtype not in _TYPES and tensor.dtype not in _WIDER:
            raise TypeError(f"MPI adds up no {tensor.dtype}")
        return tensor.to(_WIDER.get(tensor.dtype, tensor.dtype))

    def op(self, op: Any, dtype: torch.dtype) -> Any:
        """MPI's operation for torch's."""
        kind = getattr(op, "op", op)
        average = kind == _Kind.AVG and not (dtype.is_floating_point or dtype.is_complex)
        if kind not in _OPS or average:
            raise TypeError(f"no {kind} of {dtype} over MPI")
        names = {**_OPS, **_OF_BOOLS} if dtype == torch.bool else _OPS
        return getattr(self.mpi, names[kind])

    def typed(self, tensor: torch.Tensor) -> list[Any]:
        """A summand's memory as numbers."""
        return [self._memory(tensor), tensor.numel(), getattr(self.mpi, _TYPES[tensor.dtype])]

    def bytes(self, tensor: torch.Tensor) -> list[Any]:
        """A tensor's memory; MPI counts it, since a count is that of a rank's part in some calls."""
        return [self._memory(tensor), self.mpi.BYTE]

    def parts(self, tensor: torch.Tensor, numbers: list[int]) -> list[Any]:
        """A tensor's memory in parts of so many of its numbers each."""
        return [self._memory(tensor), [count * tensor.element_size() for count in numbers], self.mpi.BYTE]

    def _memory(self, tensor: torch.Tensor) -> Any:
        return self.mpi.buffer.fromaddress(tensor.data_ptr(), tensor.nbytes)


def averages(op: Any) -> bool:
    """Is the sum to be divided by the number of ranks?"""
    return bool(getattr(op, "op", op) == _Kind.AVG)


def settle(local: torch.Tensor, tensor: torch.Tensor) -> None:
    """Put what MPI wrote where the caller looks for it, if that is not the same memory."""
    if local.data_ptr() != tensor.data_ptr():
        tensor.detach().copy_(local.view(tensor.shape))


def shared(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Do two tensors lie in the same memory? MPI takes none twice in a call."""
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
