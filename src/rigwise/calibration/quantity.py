"""From seconds of a step to the figure that a row prints: rates, shares of peak, hours of a whole run.

A share of peak or a FLOP rate is told under the convention of the row's source (measurements/conventions.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import StepCase
from rigwise.errors import UsageError
from rigwise.measurements import words
from rigwise.measurements.conventions import TokenWork, flops_per_token
from rigwise.measurements.tables import unit
from rigwise.models.model import Model

Floats = NDArray[np.float64]
_FROZEN = 2 / 3  # of the three products a weight takes part in, the one of its own gradient falls away


def figure(case: StepCase, seconds: Floats) -> Floats:
    """A row's figure from seconds of a step, in the row's metric; arrays go through.

    Raises UsageError where the metric does not belong to a training step.
    """
    metric = case.row.metric
    if metric in ("step_s", "ms"):
        return seconds / unit(metric)
    if metric == "hours":
        assert case.samples is not None
        devices = case.machine.cluster.devices if case.device_hours else 1
        return case.samples / case.batch * seconds * devices / unit(metric)
    return _rate(case, case.batch / seconds)


def _rate(case: StepCase, samples: Floats) -> Floats:
    """Images, tokens or FLOP a second in the row's metric, from samples a second of all devices."""
    metric, model = case.row.metric, case.subject.model
    if metric == "images_per_s":
        return samples
    if model.unit != "token":
        raise UsageError(f"{metric} of {model.name}", rule="a model without tokens is measured in images/s or seconds")
    places = "sample_length" in case.assumed and (words.read("lengths", case.row.text) or {}).get("places", True)
    counted = case.row.seq_len if places and case.row.seq_len else model.tokens
    tokens = samples * counted / case.machine.cluster.devices
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
