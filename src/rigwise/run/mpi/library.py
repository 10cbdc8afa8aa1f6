"""The MPI under mpi4py: is it there, is it the one that mpirun belongs to, what does it grant.

A program that was started by one MPI's mpirun and talks through another MPI's library either aborts with a word about
PMI or believes to be alone. So the two are compared before MPI is initialised, by the variables that mpirun has set.
"""

from __future__ import annotations

import atexit
import ctypes
import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rigwise.errors import LaunchError

INSTALL = "pip install 'rigwise[mpi]', and that environment's mpirun"
_STARTED = {"OMPI_COMM_WORLD_SIZE": "Open MPI", "PMI_SIZE": "MPICH"}
"""What mpirun tells every process about their number: Open MPI's, and that of MPICH and what comes from it."""
_MPICH = ("MPICH", "Intel(R) MPI", "MVAPICH", "CRAY")  # they speak PMI


def started_by(environment: Mapping[str, str]) -> tuple[str, int]:
    """Whose mpirun started this process, and how many it started; ("", 0) for none.

    >>> started_by({"PMI_RANK": "0", "PMI_SIZE": "4"})
    ('MPICH', 4)
    """
    for name, family in _STARTED.items():
        if environment.get(name, "").isdigit():
            return family, int(environment[name])
    return "", 0


def family(version: str) -> str:
    """The family of an MPI library, from what it says of itself.

    >>> family("Open MPI v5.0.11, package: ...")
    'Open MPI'
    >>> family("MPICH Version:      5.0.2")
    'MPICH'
    """
    if version.startswith("Open MPI"):
        return "Open MPI"
    return "MPICH" if version.startswith(_MPICH) else ""


def check(environment: Mapping[str, str], version: str) -> None:
    """Refuse a process that mpirun did not start, and one whose library is not of mpirun's family."""
    starter, _ = started_by(environment)
    if not starter:
        raise LaunchError(
            "the MPI backend, but mpirun has not started this process",
            rule="--backend mpi runs under mpirun",
            nearest="mpirun -n 2 rigwise run TASK --layout dp=2 --backend mpi",
        )
    own = family(version)
    if own and own != starter:
        raise LaunchError(
            f"mpirun is {starter}'s, and mpi4py was loaded with {version.split(',')[0].strip()}",
            rule="mpirun and mpi4py belong to the same MPI",
            nearest=f"the mpirun of {own}, or an mpi4py that was built for {starter}",
        )


_loaded: list[Any] = []


def start() -> Any:
    """mpi4py's MPI, initialised once. LaunchError where it is missing, does not fit mpirun, or is not for threads."""
    if _loaded:
        return _loaded[0]
    if find_spec("mpi4py") is None:
        raise LaunchError("the MPI backend needs mpi4py, which is not installed", nearest=INSTALL)
    settings = import_module("mpi4py").rc
    settings.initialize = settings.finalize = False
    try:
        mpi = import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:
        raise LaunchError(f"mpi4py finds no MPI library: {error}", nearest=INSTALL) from error
    version = mpi.Get_library_version().split("\n")[0].rstrip("\0")
    check(os.environ, version)
    if not mpi.Is_initialized():
        mpi.Init_thread(mpi.THREAD_MULTIPLE)
        atexit.register(_finish, mpi, os.getpid())
    _fits(mpi, version)
    _loaded.append(mpi)
    return mpi


def _fits(mpi: Any, version: str) -> None:
    starter, world = started_by(os.environ)
    if mpi.COMM_WORLD.Get_size() != world:
        raise LaunchError(
            f"{starter}'s mpirun started {world} processes, and {version} sees {mpi.COMM_WORLD.Get_size()}",
            rule="mpirun and mpi4py belong to the same MPI",
            nearest="the mpirun that lies beside mpi4py's MPI",
        )
    if mpi.Query_thread() < mpi.THREAD_SERIALIZED:
        raise LaunchError(f"{version} grants no calls from threads", rule="the backend needs MPI_THREAD_SERIALIZED")


def _finish(mpi: Any, process: int) -> None:
    """End MPI in good order; not where a group is still open: its other ranks may be gone, and it would wait for ever.
    Then mpirun sees a process that left without a word, and ends the others.
    """
    import torch.distributed as dist

    if os.getpid() == process and not dist.is_initialized() and not mpi.Is_finalized():
        mpi.Finalize()


def takes_device_memory(mpi: Any) -> bool:
    """Can the library send from a CUDA device's memory? Open MPI and MPICH answer; who does not, cannot."""
    library = ctypes.CDLL(mpi.__file__)
    if hasattr(library, "MPIX_Query_cuda_support"):
        return bool(library.MPIX_Query_cuda_support())
    return False
