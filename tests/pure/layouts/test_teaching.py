"""The worked examples of articles 5 and 6 and of the 8-bit paper, number for number."""

from __future__ import annotations

import pytest

from rigwise.layouts.teaching import (
    batch_warnings,
    compressed,
    loader_s,
    message_s,
    mixed_speedup,
    naive_data_parallel,
    path_s,
    shared_card_s,
    speedups,
)
from rigwise.units import GIBI

GRADIENT = 1000 * 1000 * 4  # bytes: 1000 x 1000 weights in float32
PCIE, INFINIBAND, CARD = 15.75e9, 40e9 / 8, 4e9  # bytes/s


def test_article_5_message() -> None:
    assert GRADIENT == 4_000_000
    assert message_s(GRADIENT, INFINIBAND).decimal == pytest.approx(0.80e-3)
    assert message_s(GRADIENT, INFINIBAND).binary == pytest.approx(0.745e-3, abs=0.5e-6)
    assert message_s(GRADIENT, PCIE).decimal == pytest.approx(0.254e-3, abs=0.5e-6)


@pytest.mark.parametrize(
    ("nodes", "devices", "messages", "alone", "shared"),
    [(2, 3, 3, 2.25e-3, 6.75e-3), (4, 3, 9, 6.75e-3, 20.25e-3), (1, 3, 0, 0.0, 0.0)],
)
def test_article_5_shared_card(nodes: int, devices: int, messages: int, alone: float, shared: float) -> None:
    # the page is remembered to print 7.75 ms for two nodes of three; 3 x 3 x 0.75 is 6.75
    time = shared_card_s(nodes, devices, 0.75e-3)
    assert time.messages == messages
    assert time.alone == pytest.approx(alone)
    assert time.shared == pytest.approx(shared)


def test_article_5_krizhevsky() -> None:
    assert [round(s, 2) for s in speedups([98.05, 50.24, 26.20, 26.78, 15.68, 15.91])] == [
        1,
        1.95,
        3.74,
        3.66,
        6.25,
        6.16,
    ]


def test_alexnet_over_four_devices_is_slower_than_over_one() -> None:
    naive = naive_data_parallel(60e6, 4, devices=4, rate=7e9, step=0.1)
    assert naive.gradient / GIBI == pytest.approx(0.2235, abs=5e-5)
    assert naive.transfer.binary == pytest.approx(31.9e-3, abs=5e-5)
    assert naive.exchange.binary == pytest.approx(127.7e-3, abs=5e-5)
    assert naive.exchange.decimal > naive.exchange.binary
    assert naive.slower
    assert not naive_data_parallel(60e6, 1, devices=4, rate=7e9, step=0.1).slower


@pytest.mark.parametrize(
    ("step", "penalty", "speedup"),
    [
        (104.1, 6.81, 3.53),
        (104.1, 7.01, 3.53),  # the sum of the terms that the paper lists
        (104.1, 2.55, 3.67),
        (177.0, 6.81, 3.71),
        (177.0, 2.55, 3.80),
    ],
)
def test_speedup_of_the_8_bit_paper(step: float, penalty: float, speedup: float) -> None:
    assert round(mixed_speedup(4, step, 6.5, 3.34, 0.05, penalty), 2) == speedup


def test_eight_bit_gradients() -> None:
    packed = compressed(1e6, bits=8, pack=1e-9, unpack=0.5e-9)
    assert (packed.plain, packed.packed) == (4.0e6, 1.0e6)
    assert packed.pack == pytest.approx(1.0e-3)
    assert packed.unpack == pytest.approx(0.5e-3)


@pytest.mark.parametrize(
    ("batch", "ranks", "warnings"), [(128, 2, 0), (128, 4, 1), (128, 8, 2), (200, 2, 1), (256, 1, 0)]
)
def test_article_5_batch_a_device(batch: int, ranks: int, warnings: int) -> None:
    assert len(batch_warnings(batch, ranks)) == warnings


def test_article_6_card_against_pcie() -> None:
    card, pcie = (message_s(4e6, rate).decimal for rate in (CARD, PCIE))
    assert card == pytest.approx(1.0e-3)
    assert pcie == pytest.approx(0.254e-3, abs=0.5e-6)
    assert card / pcie == pytest.approx(3.94, abs=0.005)


def test_article_6_path_without_direct_access() -> None:
    hops = [PCIE, PCIE, CARD, PCIE, PCIE]  # GPU, host memory, card, card, host memory, GPU
    assert path_s(4e6, hops) == pytest.approx(sum(4e6 / rate for rate in hops))
    assert path_s(4e6, hops, pipelined=True) == pytest.approx(4e6 / CARD)


@pytest.mark.parametrize(
    ("load", "compute", "ahead", "seconds"),
    [(0.03, 0.04, True, 4.03), (0.03, 0.04, False, 7.0), (0.04, 0.03, True, 4.03)],
)
def test_article_6_loader(load: float, compute: float, ahead: bool, seconds: float) -> None:
    assert loader_s(load, compute, 100, ahead) == pytest.approx(seconds)
