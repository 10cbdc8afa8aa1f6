"""From a case to a figure in the row's own metric, with its 80 % interval, by the laws of cost/.

Times come from the laws; a rate is a time inverted, its low from the high of the time. What a table did not say widens
the interval (data/assumptions.toml).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import exp, hypot, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, KernelCase, StepCase, TransferCase
from rigwise.calibration.patterns import said, spread_of, table
from rigwise.cost.collective import all_reduce_seconds, group, send_seconds, wires
from rigwise.cost.convolution import conv_seconds
from rigwise.cost.efficiencies import Efficiencies, efficiencies
from rigwise.cost.estimate import Answer, Question, evaluate
from rigwise.cost.interval import Z80, interval
from rigwise.cost.matmul import engine, gemm_seconds
from rigwise.errors import RigwiseError, UsageError
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.measurements import words
from rigwise.measurements.conventions import TokenWork, flops_per_token
from rigwise.measurements.tables import unit
from rigwise.models.model import Model

Floats = NDArray[np.float64]
_Key = tuple[object, ...]
_FROZEN = 2 / 3  # of the three products a weight takes part in, the one of its own gradient falls away


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
    fullest rank (None where nobody asked)."""

    seconds: float
    spread: float
    memory: float | None
    basis: str


class Predictor:
    """Predicts cases. Steps that differ only in their layout are one question to the laws, answered once as a table."""

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        """cases: all that will be asked, so that layouts of one question are known before it is answered."""
        self._layouts: dict[_Key, dict[Layout, int]] = {}
        self._answers: dict[_Key, Answer | RigwiseError] = {}
        for case in cases:
            if isinstance(case, StepCase):
                self._register(case)

    def predict(self, case: Case) -> Prediction:
        """The prediction of a case. Raises UsageError where the laws cannot answer in the row's metric."""
        if isinstance(case, KernelCase):
            return _kernel(case)
        if isinstance(case, TransferCase):
            return _transfer(case)
        return _figure(case, self.step(case))

    def step(self, case: StepCase) -> Step:
        """The step of a case; of several layouts that of the fastest that fits, or of the smallest if none does."""
        key = self._register(case)
        answer = self._answer(case, key)
        places = [self._layouts[key][layout] for layout in case.layouts]
        seconds = _flat(answer.seconds, answer)[places]
        memory = None
        if len(places) > 1 or case.row.metric == "peak_mem_gib":
            memory = _flat(answer.memory, answer)[places]
        best = _fastest_that_fits(seconds, memory, case.machine.cluster.device.memory)
        question = answer.question
        around = interval(question.model, question.cluster, answer.step.eff, question.known)
        return Step(
            seconds=float(seconds[best]),
            spread=log(around.high / around.low) / (2 * Z80),
            memory=None if memory is None else float(memory[best]),
            basis=around.basis,
        )

    def _register(self, case: StepCase) -> _Key:
        first = case.layouts[0]
        key = (
            case.subject.key,
            case.machine.key,
            case.batch,
            case.stack,
            case.optimizer,
            case.with_optimizer,
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
                stepping=case.with_optimizer,
            )
            try:
                self._answers[key] = evaluate(question, LayoutTable.of(list(self._layouts[key])))
            except RigwiseError as refusal:
                self._answers[key] = refusal
        answer = self._answers[key]
        if isinstance(answer, RigwiseError):
            raise answer
        return answer


def _flat(values: Floats, answer: Answer) -> Floats:
    return np.broadcast_to(values, answer.table.shape)


def _fastest_that_fits(seconds: Floats, memory: Floats | None, limit: float) -> int:
    if memory is None:
        return 0
    if (memory <= limit).any():
        return int(np.argmin(np.where(memory <= limit, seconds, np.inf)))
    return int(np.argmin(memory))


def _figure(case: StepCase, step: Step) -> Prediction:
    row, devices = case.row, case.machine.cluster.devices
    spread = hypot(step.spread, spread_of(case.assumed))
    basis = _basis(step.basis, case.assumed)
    if row.metric == "peak_mem_gib":
        assert step.memory is not None
        total = step.memory * case.memory_devices / unit(row.metric)
        return _spread(total, hypot(table("assumptions")["memory"]["spread"], spread_of(case.assumed)), basis)
    if row.metric in ("step_s", "ms"):
        return _spread(step.seconds / unit(row.metric), spread, basis)
    if row.metric == "hours":
        assert case.samples is not None
        whole = case.samples / case.batch * step.seconds * (devices if case.device_hours else 1)
        return _spread(whole / unit(row.metric), spread, basis)
    return _spread(_rate(case, case.batch / step.seconds), spread, basis)


def _rate(case: StepCase, samples: float) -> float:
    """Images, tokens or FLOP a second in the row's metric, from samples a second of all devices."""
    metric, model = case.row.metric, case.subject.model
    if metric == "images_per_s":
        return samples
    if model.unit != "token":
        raise UsageError(f"{metric} of {model.name}", rule="a model without tokens is measured in images/s or seconds")
    tokens = samples * model.tokens / case.machine.cluster.devices
    if metric == "tokens_per_s_per_gpu":
        return tokens
    flops = tokens * flops_of_token(case)
    if metric == "tflops_per_gpu":
        return flops / unit(metric)
    if metric == "mfu":
        return flops / _peak(case)
    raise UsageError(f"{metric} of a training step", rule="the metric does not belong to a training step")


def _peak(case: StepCase) -> float:
    """The dense rate that a published share refers to: of 16-bit products, unless the row's words say otherwise."""
    peak = case.machine.cluster.device.peak
    own = peak.get(case.layouts[0].precision) if _convention(case).get("own_peak") else None
    known = own or peak.get("bfloat16") or peak.get("float16") or peak.get("float32")
    if not known:
        raise UsageError(f"no peak of {case.device} is known", rule="a share of peak needs a peak")
    return known


def _convention(case: StepCase) -> Mapping[str, Any]:
    facts = words.read("conventions", case.label)
    assert facts is not None, "the last pattern takes everything"
    return facts


def flops_of_token(case: StepCase) -> float:
    """FLOP of one token under the convention that the row's words tell; frozen weights count no gradient."""
    work = token_work(case.subject.model, case.row.params)
    if case.subject.kind != "full":
        work = replace(work, parameters=work.parameters * _FROZEN, body_parameters=work.body_parameters * _FROZEN)
    return flops_per_token(str(_convention(case)["convention"]), work)


def token_work(model: Model, label_parameters: float | None = None) -> TokenWork:
    """What the FLOP conventions ask of a model.

    The width of attention is that of its heads together, which need not be the hidden size. Raises UsageError for a
    model that is no transformer.
    """
    if not (model.layers and model.hidden and model.vocab):
        raise UsageError(f"FLOP per token of {model.name}", rule="the FLOP conventions are for transformers")
    tables = sum(o.parameters * n for o, n in model.operations() if o.kind == "embedding")
    widths = [o.batch * o.k for o, _ in model.operations() if o.kind == "attention"]
    return TokenWork(
        parameters=model.active_parameters,
        body_parameters=model.active_parameters - tables + model.tied,
        layers=model.layers,
        hidden=max(widths, default=float(model.hidden)) if model.experts else float(model.hidden),
        vocab=model.vocab,
        seq=model.tokens,
        label_parameters=label_parameters,
    )


def _kernel(case: KernelCase) -> Prediction:
    eff = efficiencies(case.on, case.stack)
    on = engine(case.on, case.precision, eff.device, eff.stack.matmul)
    if case.conv is not None:
        seconds = float(conv_seconds(case.conv, case.batch, case.which, on))
    else:
        seconds = float(gemm_seconds(1, *case.product, on))
    kind = "conv" if case.conv is not None else "gemm"
    basis = _basis(f"general ({case.stack} stack)", case.assumed)
    return _spread(seconds / unit("ms"), hypot(_kernel_spread(kind), spread_of(case.assumed)), basis)


def _transfer(case: TransferCase) -> Prediction:
    cluster = case.machine.cluster
    eff = efficiencies(cluster.device, case.stack)
    basis = _basis(f"general ({case.stack} stack)", case.assumed)
    if case.between != "all":
        rate = _copy_rate(case, eff) * (2 if case.both_ways else 1)
        return _spread(rate / unit("bus_gb_s"), hypot(_kernel_spread("copy"), spread_of(case.assumed)), basis)
    n = cluster.devices
    seconds = float(all_reduce_seconds(case.size, group(cluster, n, 1), wires(cluster, eff)))
    spread = hypot(_kernel_spread("all_reduce"), spread_of(case.assumed))
    if case.row.metric == "ms":
        return _spread(seconds / unit("ms"), spread, basis)
    return _spread(2 * (n - 1) / n * case.size / seconds / unit("bus_gb_s"), spread, basis)


def _copy_rate(case: TransferCase, eff: Efficiencies) -> float:
    """Bytes/s of one large copy in one direction."""
    node = case.machine.cluster.node
    if case.between == "host":
        if node.host_link is None:
            raise UsageError(f"{case.device} has no link to a host", rule="a host copy needs a host link")
        return node.host_link.bandwidth
    seconds = float(send_seconds(case.size, np.array(False), 1, wires(case.machine.cluster, eff)))
    return max(case.size / seconds, node.link.bandwidth)


def _kernel_spread(kind: str) -> float:
    return float(table("assumptions")["kernel"][kind]["spread"])


def _basis(basis: str, assumed: tuple[str, ...]) -> str:
    return f"{basis}; {said(assumed)}" if assumed else basis


def _spread(value: float, spread: float, basis: str) -> Prediction:
    factor = exp(Z80 * spread)
    return Prediction(value=value, low=value / factor, high=value * factor, basis=basis)
