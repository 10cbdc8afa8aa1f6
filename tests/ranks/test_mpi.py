"""The backend over MPI, in processes that a real mpirun has started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from rigwise.errors import LaunchError
from rigwise.run.mpi.library import check
from training import train

MPIRUN = shutil.which("mpirun", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
PROGRAM = Path(__file__).parents[1] / "support" / "mpi_same.py"
WITHIN_S = 300.0  # ranks of MPI poll: with more of them than free cores all is slow


def is_open(path: str) -> bool:
    """Is this Open MPI's mpirun?"""
    return "Open MPI" in subprocess.run([path, "--version"], capture_output=True, text=True).stdout


# it may lie beside another's
OPEN_MPI = next((path for path in map(shutil.which, ("mpirun.openmpi", "mpirun")) if path and is_open(path)), "")
needs_mpi = pytest.mark.skipif(
    MPIRUN is None or is_open(MPIRUN) or find_spec("mpi4py") is None,
    reason="needs MPICH's mpirun and mpi4py: pip install 'rigwise[mpi]'",
)


def mpirun(ranks: int, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **more}
    return subprocess.run(
        [str(MPIRUN), "-n", str(ranks), sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        env={**os.environ, **own},
    )


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_every_collective_is_that_of_gloo(ranks: int, tmp_path: Path) -> None:
    done = mpirun(ranks, str(PROGRAM), str(tmp_path / "store"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["same"] * ranks or done.stdout.count("same") == ranks


@needs_mpi
@pytest.mark.parametrize(("layout", "backends"), [("dp=2", ("auto", "mpi")), ("dp=2,zero=3", ("mpi",))])
def test_run_over_mpi_has_the_losses_of_gloo(layout: str, backends: tuple[str, ...]) -> None:
    words = ["-m", "rigwise", "run", "digits", "--layout", layout, "--steps", "12", "--device", "cpu", "--json"]
    alone = list(train("digits", layout, steps=12).losses)
    for backend in backends:
        done = mpirun(2, *words, "--output", backend, "--backend", backend)
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert answer["losses"] == alone
        assert answer["versions"]["backend"] == {"auto": "gloo", "mpi": "mpi4py"}[backend]


@pytest.mark.skipif(not OPEN_MPI, reason="needs Open MPI's mpirun: apt-get install openmpi-bin")
@pytest.mark.skipif(find_spec("mpi4py") is None, reason="needs mpi4py")
def test_run_over_open_mpi_has_the_losses_of_gloo() -> None:
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "MPI4PY_MPIABI": "openmpi"}
    # sandboxes have one user, and fewer cores than ranks
    start = [OPEN_MPI, "--allow-run-as-root", "--oversubscribe", "-n", "2", sys.executable]

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*start, *words], capture_output=True, text=True, timeout=WITHIN_S, env={**os.environ, **own}
        )

    loaded = ran("-c", "from mpi4py import MPI; print(MPI.Get_library_version())")
    if "Open MPI" not in loaded.stdout:
        pytest.skip("this mpi4py was built for another MPI, or cannot load Open MPI's library")
    words = ["-m", "rigwise", "run", "digits", "--layout", "dp=2", "--steps", "12", "--device", "cpu", "--json"]
    done = ran(*words, "--backend", "mpi", "--output", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["losses"] == list(train("digits", "dp=2", steps=12).losses)


@needs_mpi
def test_what_a_rank_is_refused_for_ends_all() -> None:
    done = mpirun(2, "-m", "rigwise", "run", "digits", "--layout", "dp=4", "--backend", "mpi")
    assert done.returncode != 0
    assert "has 4 ranks, MPI started 2" in done.stderr


@needs_mpi
def test_mpi_without_mpirun_is_refused_with_the_command() -> None:
    words = [sys.executable, "-m", "rigwise", "run", "digits", "--layout", "dp=2", "--backend", "mpi"]
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("PMI", "OMPI"))}
    done = subprocess.run(
        words, capture_output=True, text=True, env={**bare, "PYTHONPATH": os.pathsep.join(sys.path)}, timeout=WITHIN_S
    )
    assert done.returncode == 5
    assert "mpirun -n 2 rigwise run" in done.stderr


@needs_mpi
def test_the_mpirun_of_another_mpi_is_refused_before_mpi_begins() -> None:
    words = [sys.executable, "-m", "rigwise", "run", "digits", "--backend", "mpi", "--layout", "dp=2"]
    other = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}
    own = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **other, **own}, timeout=WITHIN_S)
    assert done.returncode == 5
    assert "mpirun is Open MPI's, and mpi4py was loaded with MPICH" in done.stderr


@pytest.mark.parametrize(
    ("environment", "version", "says"),
    [
        ({}, "MPICH Version: 5.0.2", "has not started this process"),
        ({"PMI_SIZE": "2"}, "Open MPI v5.0.11, package", "mpirun is MPICH's, and mpi4py was loaded with Open MPI"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "Intel(R) MPI Library 2021", "mpirun is Open MPI's"),
    ],
)
def test_mismatches(environment: dict[str, str], version: str, says: str) -> None:
    with pytest.raises(LaunchError, match=says.replace("(", r"\(")):
        check(environment, version)


def test_matches() -> None:
    check({"PMI_SIZE": "2"}, "MPICH Version: 5.0.2")
    check({"PMI_SIZE": "2"}, "Intel(R) MPI Library 2021")
    check({"OMPI_COMM_WORLD_SIZE": "2"}, "Open MPI v5.0.11, package")
