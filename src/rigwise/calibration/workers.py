"""Work of a fit shared out over the cores: groups of cases that know nothing of each other.

A worker is a process of its own that reads its share and answers with residuals; what it works out is the same whoever
does it, so a fit is the same on any number of cores. The program's own file is never run again for it, as the standard
pools would.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase
from rigwise.calibration.constants import Constant, with_values
from rigwise.calibration.predict import Predictor
from rigwise.cost.efficiencies import using
from rigwise.errors import RigwiseError
from rigwise.hardware.limits import allowed_cores, control_group
from rigwise.measurements.tables import RATES

Floats = NDArray[np.float64]
_WORTH = 150  # steps of a share from which starting a worker, about a second, is worth the while
_KERNELS = 20  # that take as long as a step
_MOST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Cases that the same constants move. columns: of each constant its candidates, shape (P, 1)."""

    cases: Sequence[Case]
    tables: Mapping[str, Any]
    constants: Sequence[Constant]
    columns: Sequence[Floats]
    candidates: int

    @property
    def work(self) -> float:
        """How long it takes, in training steps: each is an evaluation of the laws, of which kernels share one."""
        steps = sum(isinstance(case, StepCase) for case in self.cases)
        return steps + (len(self.cases) - steps) / _KERNELS

    def residuals(self) -> Floats:
        """Residuals of the cases for each candidate, shape (P, cases)."""
        found = np.full((self.candidates, len(self.cases)), np.nan)
        with using(with_values(self.tables, self.constants, self.columns)):
            predictor = Predictor(self.cases)
            for column, case in enumerate(self.cases):
                found[:, column] = residual(case, predictor)
        return found


def residual(case: Case, predictor: Predictor) -> Floats:
    """ln(measured/predicted) in time's direction, of each candidate; nan where the laws refuse."""
    measured = case.row.value
    try:
        predicted = predictor.values(case)
    except RigwiseError:
        return np.array(np.nan)
    if not measured or not np.all(predicted > 0):
        return np.array(np.nan)
    return np.asarray(np.log(measured / predicted) * (-1 if case.row.metric in RATES else 1))


def done(jobs: Sequence[Job], cores: int | None = None) -> list[Floats]:
    """The residuals of each job, in their order. cores: how many to use, all that this process may where None."""
    shares = _shares(jobs, _cores() if cores is None else cores)
    results: dict[int, Floats] = {}
    with _Workers([[jobs[i] for i in share] for share in shares[1:]]) as workers:
        results |= {i: jobs[i].residuals() for i in shares[0]}
        for share, found in zip(shares[1:], workers.answers(), strict=True):
            results |= dict(zip(share, found, strict=True))
    return [results[i] for i in range(len(jobs))]


def _cores() -> int:
    return int(min(allowed_cores(), control_group().cores or _MOST))


def _shares(jobs: Sequence[Job], cores: int) -> list[list[int]]:
    """Places of jobs by share, the first one this process's own; the longest job first to whoever has the least."""
    work = [job.work for job in jobs]
    count = max(1, min(cores, _MOST, len(jobs), int(sum(work) / _WORTH)))
    shares: list[list[int]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for place in sorted(range(len(jobs)), key=lambda i: -work[i]):
        least = loads.index(min(loads))
        shares[least].append(place)
        loads[least] += work[place]
    return shares


class _Workers:
    """Processes at work on a share each; all are ended on leaving, whatever happened."""

    def __init__(self, shares: Sequence[Sequence[Job]]) -> None:
        self._shares = shares
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _Workers:
        paths = os.pathsep.join(path for path in sys.path if path)
        alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": paths}
        command = [sys.executable, "-c", f"from {__name__} import work; work()"]
        for _ in self._shares:
            self._running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=alone))
        for one, share in zip(self._running, self._shares, strict=True):
            assert one.stdin is not None, "a pipe was asked for"
            with suppress(BrokenPipeError), one.stdin as says:
                pickle.dump(share, says)
        return self

    def answers(self) -> Iterator[list[Floats]]:
        """What each worker found, in the order of their shares; a share whose worker has died is done here."""
        for one, share in zip(self._running, self._shares, strict=True):
            assert one.stdout is not None, "a pipe was asked for"
            try:
                yield pickle.load(one.stdout)  # noqa: S301 of a process that was started here
            except (EOFError, pickle.UnpicklingError):
                yield [job.residuals() for job in share]

    def __exit__(self, *_: object) -> None:
        for one in self._running:
            if one.stdout is not None:
                one.stdout.close()
            one.kill()
            one.wait()


def work() -> None:
    """A worker's life: its share from standard input, the residuals to standard output."""
    jobs: list[Job] = pickle.load(sys.stdin.buffer)  # noqa: S301 of the process that started this one
    pickle.dump([job.residuals() for job in jobs], sys.stdout.buffer)
