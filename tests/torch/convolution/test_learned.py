"""Kernels of the digits network before and after training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rigwise import api
from rigwise.cli.main import main
from rigwise.convolution import choose, remembered
from rigwise.convolution.filters import read_kernel
from rigwise.convolution.learned import as_kernel, direction, edge_share, learned
from rigwise.models.operations import Conv
from rigwise.report.conv_map import layer_svg


def test_a_short_training_moves_the_kernels_and_the_seed_holds() -> None:
    found, again = (api.conv_learn("digits", steps=12, seed=3) for _ in range(2))
    assert found.before.shape == found.after.shape == (32, 3, 3)
    assert np.array_equal(found.before, again.before)
    assert found.after == pytest.approx(again.after, abs=1e-5)
    assert found.moved.min() > 0
    assert found.losses[1] < found.losses[0]
    assert json.dumps(found.to_dict())


def test_the_shares_of_known_kernels() -> None:
    assert edge_share(read_kernel("sobel-y").values) == pytest.approx(1.0)
    assert edge_share(read_kernel("prewitt-x").values) == pytest.approx(16 / 18)
    assert edge_share(read_kernel("laplace").values) == pytest.approx(0.0, abs=1e-12)
    rng = np.random.default_rng(0)
    drawn = [edge_share(kernel) for kernel in rng.normal(size=(4000, 3, 3))]
    assert np.mean(drawn) == pytest.approx(2 / 9, abs=0.01)


def test_a_network_that_learned_sobel_is_told_so() -> None:
    sobel = read_kernel("sobel-x").turned().values  # as a network lays it on
    bank = np.stack([np.ones((1, 3, 3)), sobel[None]])
    found = learned("made", bank + 0.1, bank, steps=1, losses=(1.0, 0.5))
    assert found.edge == 1
    assert found.nearest[1] == ("sobel at 0°", pytest.approx(1.0))
    assert direction(sobel) == pytest.approx(0.0)
    assert np.array_equal(as_kernel(sobel, "x").values, read_kernel("sobel-x").values)


def test_a_network_without_convolutions_is_refused(capsys) -> None:
    assert main(["conv", "learn", "mlp", "--steps", "1"]) == 2
    assert "no convolution" in capsys.readouterr().err


def test_this_machine_is_costed_by_rates_measured_here(monkeypatch, tmp_path):
    monkeypatch.setenv("RIGWISE_CONVOLUTION_CACHE", str(tmp_path / "kept.json"))
    kept = {**choose.rates("torch"), "dense-forward": 1e9}
    remembered.remember_rates("torch", kept)
    choose.rates.cache_clear()
    own = Conv(c=16, k=16, size=(32, 32), kernel=(3, 3), stride=(1, 1), pad=(1, 1))
    found = api.conv_layer(own, device="this", precision="float32", batch=4)
    assert found.basis.startswith("closed forms with the rates that were measured on this machine")
    assert found.library["forward"] > 4 * found.library["input_gradient"]
    assert found.why_not["overlap-save"]
    assert "dft" in layer_svg(found)
    choose.rates.cache_clear()
