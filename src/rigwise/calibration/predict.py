"""From a case to a figure in the row's own metric, with its 80 % interval, by the laws of cost/.

Times come from the laws; a rate is a time inverted, its low from the high of the time. What a table did not say widens
the interval (data/assumptions.toml).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.calibration.cases import Case, KernelCase, StepCase, TransferCase
from rigwise.calibration.patterns import said, spread_of
from rigwise.calibration.quantity import figure
from rigwise.calibration.regimes import classes_of, doubted, novelty_of
from rigwise.cost.collective import all_reduce_seconds, group, send_seconds, wires
from rigwise.cost.convolution import Convs, conv_seconds
from rigwise.cost.efficiencies import Efficiencies, efficiencies
from rigwise.cost.estimate import Answer, Question, evaluate
from rigwise.cost.interval import Z80, interval, spread
from rigwise.cost.matmul import engine, gemm_seconds
from rigwise.errors import RigwiseError, UsageError
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.measurements import words
from rigwise.measurements.tables import unit

Floats = NDArray[np.float64]
_Key = tuple[object, ...]
# assumptions that a peak of memory depends on


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A figure in the row's metric. 80 % of measurements should lie from low to high. basis: how it came about."""

    value: float
    low: float
    high: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the laws say of a training step: seconds, the standard deviation of their logarithm, and bytes on the
    fullest rank as the row's tool counts them (None where nobody asked). Arrays of candidates where the efficiencies
    are."""

    seconds: Floats
    spread: float
    memory: Floats | None
    basis: str


class Predictor:
    """Predicts cases. Steps that differ only in their layout are one question to the laws, answered once as a table."""

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        """cases: all that will be asked, so that layouts of one question are known before it is answered."""
        self._layouts: dict[_Key, dict[Layout, int]] = {}
        self._answers: dict[_Key, Answer | RigwiseError] = {}
        self._kernels: dict[_Key, dict[str, KernelCase]] = {}
        self._seconds: dict[_Key, dict[str, Floats]] = {}
        for case in cases:
            if isinstance(case, StepCase):
                self._register(case)
            elif isinstance(case, KernelCase):
                self._kernels.setdefault(_kernel_key(case), {})[case.row.id] = case

    def predict(self, case: Case) -> Prediction:
        """The prediction of a case. Raises UsageError where the laws cannot answer in the row's metric."""
        value = float(np.max(self.values(case)))
        spread, basis = self._spread(case)
        factor = exp(Z80 * hypot(spread, spread_of(doubted(case))))
        told = f"{basis}; {said(case.assumed)}" if case.assumed else basis
        return Prediction(value=value, low=value / factor, high=value * factor, basis=told)

    def values(self, case: Case) -> Floats:
        """The figure in the row's metric: one, or one for each candidate of the efficiencies in use."""
        if isinstance(case, KernelCase):
            return self._kernel(case) / unit(case.row.metric)
        if isinstance(case, TransferCase):
            return _last(_transfer(case))
        step = self.step(case)
        if case.row.metric == "peak_mem_gib":
            assert step.memory is not None
            return step.memory * case.memory_devices / float(_printed(case)["unit"])
        return figure(case, step.seconds)

    def _kernel(self, case: KernelCase) -> Floats:
        """Seconds of a kernel, which is worked out with all that share its key."""
        key = _kernel_key(case)
        group = self._kernels.setdefault(key, {})
        if case.row.id not in group:
            group[case.row.id] = case
            self._seconds.pop(key, None)
        if key not in self._seconds:
            seconds = np.moveaxis(_kernel_seconds(list(group.values())), -1, 0)
            self._seconds[key] = dict(zip(group, seconds, strict=True))
        return self._seconds[key][case.row.id]

    def step(self, case: StepCase) -> Step:
        """The step of a case; of several layouts that of the fastest that fits, or of the smallest if none does."""
        key = self._register(case)
        answer = self._answer(case, key)
        places = [self._layouts[key][layout] for layout in case.layouts]
        seconds, memory = _flat(answer.seconds, answer)[..., places], None
        if len(places) > 1 or case.row.metric == "peak_mem_gib":
            memory = _flat(answer.memory, answer)[..., places]
        best = _fastest_that_fits(seconds, memory, case.machine.cluster.device.memory)
        told = _flat(_told(case, answer), answer)[..., places] if case.row.metric == "peak_mem_gib" else None
        question = answer.question
        around = interval(question.model, question.cluster, answer.step.eff, question.known, novelty_of(case))
        return Step(
            seconds=seconds[..., best],
            spread=log(around.high / around.low) / (2 * Z80),
            memory=None if told is None else told[..., best],
            basis=around.basis,
        )

    def _spread(self, case: Case) -> tuple[float, str]:
        """Standard deviation of the figure's logarithm, and how it came about."""
        if isinstance(case, StepCase):
            step = self.step(case)
            if case.row.metric != "peak_mem_gib":
                return step.spread, step.basis
            return spread(classes_of(case), novelty_of(case)), step.basis
        return spread(classes_of(case), novelty_of(case)), f"general ({case.stack} stack)"

    def _register(self, case: StepCase) -> _Key:
        first = case.layouts[0]
        key = (
            case.subject.key,
            case.machine.key,
            case.batch,
            case.stack,
            case.states,
            case.optimizer,
            case.with_optimizer,
            case.loading,
            first.precision,
            first.blocks,
        )
        known = self._layouts.setdefault(key, {})
        for layout in case.layouts:
            if layout not in known:
                known[layout] = len(known)
                self._answers.pop(key, None)
        return key

    def _answer(self, case: StepCase, key: _Key) -> Answer:
        if key not in self._answers:
            question = Question(
                model=case.subject.model,
                cluster=case.machine.cluster,
                batch=case.batch,
                optimizer=case.optimizer,
                stack=case.stack,
                states=case.states,
                stepping=case.with_optimizer,
                loading=case.loading,
            )
            try:
                self._answers[key] = evaluate(question, LayoutTable.of(list(self._layouts[key])))
            except RigwiseError as refusal:
                self._answers[key] = refusal
        answer = self._answers[key]
        if isinstance(answer, RigwiseError):
            raise answer
        return answer


def _printed(case: StepCase) -> Mapping[str, Any]:
    """What a row's peak of memory counts, and its unit."""
    facts = words.read("memory", case.row.text)
    assert facts is not None, "the last pattern takes everything"
    return facts


def _told(case: StepCase, answer: Answer) -> Floats:
    """Bytes on the fullest rank of what the row's tool counts."""
    law, counts = answer.step.memory, _printed(case)["counts"]
    return law.tensors() if counts == "tensors" else law.reserved() if counts == "reserved" else law.whole


def _flat(values: Floats, answer: Answer) -> Floats:
    return np.broadcast_to(values, np.broadcast_shapes(np.shape(values), answer.table.shape))


def _last(values: ArrayLike) -> Floats:
    """Without the dim in which the laws saw a single case."""
    array = np.asarray(values, dtype=np.float64)
    return array[..., 0] if array.ndim else array


def _fastest_that_fits(seconds: Floats, memory: Floats | None, limit: float) -> int:
    """The place among a case's layouts, by the first candidate; limit: bytes that a run could be made to fit into."""
    if memory is None:
        return 0
    first, held = (values.reshape(-1, values.shape[-1])[0] for values in (seconds, memory))
    if (held <= limit).any():
        return int(np.argmin(np.where(held <= limit, first, np.inf)))
    return int(np.argmin(held))


def _kernel_key(case: KernelCase) -> _Key:
    """Kernels with the same key are one call of the laws."""
    return case.on.name, case.precision, case.stack, case.which if case.conv else "product"


def _kernel_seconds(cases: Sequence[KernelCase]) -> Floats:
    """Seconds of kernels that share a key; a library's single call owes nothing to the framework around it."""
    first = cases[0]
    eff, stack = efficiencies(first.on, first.stack).device, efficiencies(first.on, first.stack).stack
    alone = replace(eff, kernel_s=eff.call_s)
    anew = stack.laid_out_anew(first.precision)
    on = engine(first.on, first.precision, alone, transposed=anew, unaligned=stack.unaligned)
    if first.conv is None:
        m, n, k = np.array([case.product for case in cases], dtype=np.float64).T
        return gemm_seconds(1, m, n, k, on)
    shapes = Convs.of([case.conv for case in cases if case.conv is not None])
    return conv_seconds(shapes, np.array([case.batch for case in cases]), first.which, on)


def _transfer(case: TransferCase) -> Floats:
    cluster, metric = case.machine.cluster, case.row.metric
    eff = efficiencies(cluster.device, case.stack)
    if case.between != "all":
        return np.asarray(_copy_rate(case, eff) * (2 if case.both_ways else 1) / unit("bus_gb_s"))
    n = cluster.devices
    over = replace(wires(cluster, eff), rings=case.rings)
    seconds = all_reduce_seconds([case.size], group(cluster, n, 1), over)
    if metric == "ms":
        return seconds / unit(metric)
    return 2 * (n - 1) / n * case.size / seconds / unit(metric)


def _copy_rate(case: TransferCase, eff: Efficiencies) -> Floats:
    """Bytes/s of one large copy in one direction."""
    node = case.machine.cluster.node
    if case.between == "host":
        if node.host_link is None:
            raise UsageError(f"{case.device} has no link to a host", rule="a host copy needs a host link")
        return np.array([node.host_link.bandwidth])
    seconds = send_seconds([case.size], np.array([False]), 1, wires(case.machine.cluster, eff))
    return np.maximum(case.size / seconds, node.link.bandwidth)
