"""The laws against published results."""

from __future__ import annotations

import numpy as np
import pytest

from machines import selene
from rigwise.cost.estimate import Question, estimate, evaluate
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.models.zoo import load

# Korthikanti et al. 2022 (arXiv 2205.05198) table 5: seconds a step, full recomputation, then selective with sequence
# parallelism. Model, devices, batch, layout.
TABLE_5 = [
    ("megatron-22b", 8, 4, {"tp": 8, "micro": 4}, 1.42, 1.10),
    ("megatron-175b", 64, 64, {"tp": 8, "pp": 8, "vpp": 3}, 18.13, 13.75),
    ("megatron-530b", 280, 280, {"tp": 8, "pp": 35, "vpp": 3}, 49.05, 37.83),
    ("megatron-1t", 512, 512, {"tp": 8, "pp": 64}, 94.42, 71.49),
]


@pytest.mark.parametrize(("name", "devices", "batch", "degrees", "full", "selective"), TABLE_5)
def test_korthikanti_step_times(
    name: str, devices: int, batch: int, degrees: dict[str, int], full: float, selective: float
) -> None:
    question = Question(model=load(name, seq=2048), cluster=selene(devices), batch=batch, stack="megatron")
    for measured, options in ((full, {"recompute": "full"}), (selective, {"recompute": "selective", "sp": "on"})):
        predicted = estimate(question, Layout(**degrees, **options)).step_s
        assert predicted == pytest.approx(measured, rel=0.08)


def test_zero_paper_figure_1() -> None:
    """ZeRO (arXiv 1910.02054) figure 1: 7.5 G parameters, 64 ranks, Adam, 12 bytes: 120, 31.4, 16.6, 1.88 GB."""
    model = load("megatron-7.5b", seq=1024)
    scale = 7.5e9 / model.parameters
    question = Question(model=model, cluster=selene(64), batch=64, stack="deepspeed-3d")
    for zero, published in ((0, 120.0), (1, 31.4), (2, 16.6), (3, 1.88)):
        law = evaluate(question, LayoutTable.of([Layout(dp=64, zero=zero)])).step.memory
        states = next(iter(law.stages()))
        total = sum(float(np.max(states[key])) for key in ("weights", "gradients", "optimizer")) * scale / 1e9
        assert total == pytest.approx(published, rel=0.01), zero


def test_korthikanti_activation_memory() -> None:
    """Section 4: s b h (34 + 5 a s / h) bytes a layer; 10 + 24/t + 5 a s/(h t) with t tensor ranks."""
    from rigwise.cost.memory import kept
    from rigwise.layouts.precision import element_bytes

    model = load("megatron-22b", seq=2048, flash=False)
    layer = next(b for b in model.blocks if b.role == "layer")
    s, h, a = 2048, 6144, 64
    core = 5 * a * s / h
    cases = [
        (Layout(tp=1), 34 + core),
        (Layout(tp=8), 10 + 24 / 8 + core / 8),
        (Layout(tp=8, sp="on"), (34 + core) / 8),
        (Layout(tp=8, sp="on", recompute="selective"), 34 / 8),
        (Layout(tp=8, sp="on", recompute="full"), 2 / 8),
        (Layout(tp=8, recompute="full"), 2),
    ]
    for layout, factor in cases:
        table = LayoutTable.of([layout])
        got = kept(layer, table, element_bytes(table.precision)).saved.item()
        assert got == pytest.approx(s * h * factor, rel=2e-3), layout
