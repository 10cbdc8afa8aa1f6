"""Compressed gradients among real ranks: replicas stay equal, nothing is lost, training goes where it should."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import compressing
from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.run.compress.codecs import codec
from rigwise.run.compress.pieces import Cut, piece_of
from rigwise.run.compress.prepare import warnings
from rigwise.run.keeping.filling import whole
from rigwise.run.result import RunResult
from rigwise.run.start import run
from training import train

WATCHED = f"{Path(compressing.__file__)}:watched"


def watched(layout: str, **other: object) -> RunResult:
    return run(WATCHED, layout, **{"steps": 6, "device": "cpu", **other})


@pytest.mark.parametrize(("ranks", "way"), [(2, "8bit-dynamic"), (3, "8bit")])  # and in all that is watched
def test_replicas_are_equal_to_the_last_bit_after_every_step(ranks: int, way: str) -> None:
    result = watched(f"dp={ranks},compress={way}")
    assert len(result.losses) == 6
    assert result.layout.compress == way


@pytest.mark.parametrize(("ranks", "way"), [(4, "1bit"), (2, "powersgd")])
def test_what_was_applied_and_what_is_left_are_all_gradients(ranks: int, way: str) -> None:
    result = watched(f"dp={ranks},compress={way}")
    applied = torch.load(compressing.APPLIED)
    local = [torch.load(compressing.LOCAL.format(rank=rank)) for rank in range(ranks)]
    left = [whole(result.checkpoint, f"rank-{rank}/exchange/residual/") for rank in range(ranks)]
    assert set(left[0])
    for name, sent in applied.items():
        mean = sum(own[name] for own in local) / ranks
        kept = sum(own[name].double() for own in left) / ranks if name in left[0] else 0
        torch.testing.assert_close(sent + kept, mean, rtol=1e-5, atol=1e-6 * float(mean.abs().max()))
        if name in left[0]:
            assert float(kept.abs().max()) > 0


@pytest.mark.parametrize("way", ["1bit", "powersgd"])
def test_a_resumed_run_goes_on_bit_for_bit_and_on_other_ranks_anew(way: str) -> None:
    undisturbed = watched(f"dp=2,compress={way}", steps=5)
    watched(f"dp=2,compress={way}", steps=3, output="parts")
    shutil.copytree("parts", "others")
    assert watched(f"dp=2,compress={way}", steps=5, output="parts", resume=True).losses == undisturbed.losses
    resumed = watched(f"dp=3,compress={way}", steps=5, output="others", resume=True)
    assert np.isfinite(resumed.losses).all()
    assert any("exchange begins anew" in says for says in resumed.warnings)


def test_rounded_gradients_train_nearly_alike() -> None:
    exact = train("digits", "dp=2", steps=20).losses
    for way, near in (("bf16", 1e-3), ("8bit", 2e-2)):
        assert np.allclose(train("digits", f"dp=2,compress={way}", steps=20).losses, exact, rtol=near), way


@pytest.mark.parametrize("way", ["1bit", pytest.param("powersgd", marks=pytest.mark.slow)])
def test_fed_back_errors_let_training_converge(way: str) -> None:
    losses = train("digits", f"dp=2,compress={way}", steps=120).losses
    assert np.mean(losses[-10:]) < 0.3 * losses[0]


def test_auto_takes_a_way_and_says_which() -> None:
    result = watched("dp=2,compress=auto")
    assert result.layout.compress in ("none", "bf16", "8bit")
    assert f"compress=auto took {result.layout.compress}" in result.warnings


def test_the_log_counts_the_bytes_of_one_exchange_a_step() -> None:
    sent = [json.loads(line)["sent"] for line in watched("dp=2,micro=6,compress=8bit").log.read_text().splitlines()]
    numbers = sum(p.numel() for p in compressing.network().parameters())
    size = codec("8bit", torch.device("cpu")).size
    assert sent == [Cut(count=numbers, world=2, piece=piece_of(size)).sent(size)] * 6
    plain = [json.loads(line)["sent"] for line in watched("dp=2").log.read_text().splitlines()]
    assert plain == [4 * numbers] * 6


def test_adam_beside_one_bit_is_warned_of() -> None:
    adam = torch.optim.Adam([torch.zeros(1)])
    assert any("compress=1bit beside Adam" in says for says in warnings("1bit", "1bit", adam, torch.device("cpu")))


def test_one_rank_has_nothing_to_compress() -> None:
    with pytest.raises(UsageError, match="compress=8bit") as caught:
        train(":plain", Layout(compress="8bit"))
    assert caught.value.nearest == "dp=1,micro=1"


def test_a_loss_that_is_not_finite_stops_training_compressed_too() -> None:
    with pytest.raises(UsageError, match="the loss is"):
        train(":explodes", "dp=2,compress=8bit")
