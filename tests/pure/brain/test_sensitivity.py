"""Sobol's indices against the Ishigami function, whose own are known, and against SALib on the brain itself."""

from __future__ import annotations

import numpy as np
import pytest

from rigwise.brain.demands import demands, flops
from rigwise.brain.estimate import estimate
from rigwise.brain.parameters import points, shipped
from rigwise.brain.sensitivity import indices, sobol, tornado

A, B = 7.0, 0.1


def ishigami(x):
    return np.sin(x["x1"]) + A * np.sin(x["x2"]) ** 2 + B * x["x3"] ** 4 * np.sin(x["x1"])


def known() -> dict[str, tuple[float, float]]:
    """First-order and total indices (Ishigami and Homma 1990)."""
    alone = (1 + B * np.pi**4 / 5) ** 2 / 2
    both = 8 * B**2 * np.pi**8 / 225
    whole = A**2 / 8 + alone + both
    return {
        "x1": (alone / whole, (alone + both) / whole),
        "x2": (A**2 / 8 / whole, A**2 / 8 / whole),
        "x3": (0.0, both / whole),
    }


def test_the_ishigami_functions_indices() -> None:
    rng = np.random.default_rng(0)
    a, b = ({name: rng.uniform(-np.pi, np.pi, 100_000) for name in known()} for _ in range(2))
    for share in indices(ishigami, a, b):
        first, total = known()[share.name]
        assert share.first == pytest.approx(first, abs=0.02)
        assert share.total == pytest.approx(total, abs=0.02)


def test_a_constant_has_no_variance_to_share() -> None:
    a = {"x": np.ones(100)}
    assert [(s.first, s.total) for s in indices(lambda v: v["x"], a, a)] == [(0.0, 0.0)]


def test_salib_says_the_same_of_the_brain() -> None:
    pytest.importorskip("SALib", reason="SALib is not installed: pip install rigwise[dev]")
    from SALib.analyze import sobol as salib
    from SALib.sample import sobol as sampler

    inputs = shipped()
    ours = {share.name: share for share in sobol(inputs, samples=2**14)}
    kinds = {"uniform": "unif", "loguniform": "logunif", "lognormal": "lognorm"}
    z = 2 * 1.2815515655446004
    bounds = [
        [np.log(p.low * p.high) / 2, np.log(p.high / p.low) / z] if p.kind == "lognormal" else [p.low, p.high]
        for p in (inputs[name].spread for name in ours)
    ]
    dists = [kinds[inputs[name].spread.kind] for name in ours]
    problem = {"num_vars": len(ours), "names": list(ours), "bounds": bounds, "dists": dists}
    drawn = sampler.sample(problem, 2**11, calc_second_order=False, seed=1)
    fixed = {name: p.value for name, p in inputs.items()}
    y = np.log10(demands({**fixed, **dict(zip(ours, drawn.T, strict=True))})["flops"])
    theirs = salib.analyze(problem, y, calc_second_order=False, num_resamples=2, seed=1)  # no intervals asked
    for place, name in enumerate(ours):
        assert ours[name].first == pytest.approx(theirs["S1"][place], abs=0.03), name
        assert ours[name].total == pytest.approx(theirs["ST"][place], abs=0.03), name


def test_the_logarithm_of_a_product_has_hardly_an_interaction() -> None:
    shares = sobol(shipped())
    assert sum(share.first for share in shares) == pytest.approx(1, abs=0.05)
    assert sum(share.total for share in shares) == pytest.approx(1, abs=0.05)


def test_the_tornado_is_sorted_and_starts_from_the_point_values() -> None:
    bars = tornado(shipped())
    assert [bar.swing for bar in bars] == sorted((bar.swing for bar in bars), reverse=True)
    assert bars[0].name == "purkinje_rate"
    at = flops(points(shipped()))
    rest = float(sum(at.values()) - at["purkinje"])
    assert (bars[0].at_high - rest) / (bars[0].at_low - rest) == pytest.approx(20)
    assert "linpack_share" not in {bar.name for bar in bars}


def test_a_fixed_input_is_in_neither() -> None:
    e = estimate(sets=["rate=200"], draws=200)
    assert "purkinje_rate" not in {bar.name for bar in e.bars} | {share.name for share in e.shares}
