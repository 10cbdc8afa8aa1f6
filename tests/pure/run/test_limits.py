"""What run refuses before a rank starts, and what it offers instead."""

from __future__ import annotations

import pytest

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.layouts.runnable import LIMITS, check_layout
from rigwise.run import server_process
from rigwise.run.limits import settle


def test_threads_of_a_rank_sleep_while_they_wait_unless_told_otherwise(monkeypatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert server_process.process_environment()["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert server_process.process_environment()["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize(
    "spelling",
    [
        "dp=1",
        "dp=8,micro=4",
        "dp=2,precision=fp32",
        "dp=2,precision=tf32,overlap=none",
        "dp=2,compress=auto",
        "dp=4,ep=2",
        "dp=4,ep=4,micro=2",
        "dp=4,ep=2,tp=2",
        "dp=4,ep=4,zero=1",
        "dp=2,cp=2,pp=2,ep=4",
        "dp=2,zero=3,recompute=full",
        "dp=4,zero=3,shard=2",
        "dp=4,ep=4,compress=8bit",
        "dp=2,pp=2,compress=1bit",
        "dp=2,cp=2,compress=auto",
        "dp=4,zero=2,compress=bf16",
        "dp=2,pp=2,zero=1,schedule=zero_bubble",
        "dp=2,pp=2,zero=3,schedule=zero_bubble",
        "dp=4,ep=2,zero=3,shard=2",
        "dp=4,pp=2,zero=3,shard=2,schedule=zero_bubble",
        "dp=4,blocks=a:slices+b:slices,compress=8bit",
        "dp=1,tp=2,sp=on,offload=activations+optimizer",
    ],
)
def test_data_parallel_layouts_run(spelling: str) -> None:
    check_layout(Layout.parse(spelling))


@pytest.mark.parametrize(
    ("spelling", "asked", "nearest"),
    [
        ("dp=4,ep=3", "ep=3", "dp=4,micro=1"),
        ("dp=4,zero=2,compress=8bit", "compress=8bit", "dp=4,micro=1,zero=2"),
        ("dp=2,pp=2,compress=auto", "compress=auto", "dp=2,pp=2,micro=1"),
        ("dp=4,tp=2,blocks=a:model", "blocks=a:model", "dp=4,tp=2,micro=1"),
        ("dp=4,ep=2,blocks=a:turns", "blocks=a:turns", "dp=4,ep=2,micro=1"),
        ("dp=2,pp=2,blocks=a:model,recompute=full", "blocks=a:model", "dp=2,pp=2,micro=1,recompute=full"),
        ("dp=2,compress=8bit,offload=all", "offload=all", "dp=2,micro=1,offload=activations+optimizer,compress=8bit"),
        ("dp=2,offload=weights", "offload=weights", "dp=2,micro=1"),
        ("dp=2,precision=fp8", "precision=float8", "dp=2,micro=1"),
    ],
)
def test_everything_else_is_refused_with_the_nearest_that_works(spelling: str, asked: str, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_layout(Layout.parse(spelling))
    assert caught.value.says.endswith(f"cannot be run: {asked}")
    assert caught.value.nearest == nearest
    check_layout(Layout.parse(nearest))


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.key)
def test_no_limit_holds_for_the_plainest_layout(limit: object) -> None:
    assert not limit.broken(Layout())


@pytest.mark.parametrize(
    ("dp", "micro", "batch", "whole", "settled"),
    [(1, 1, 64, True, 64), (4, 1, 64, True, 16), (4, 8, 64, False, 8), (3, 1, 48, False, 1), (2, 32, 64, False, 32)],
)
def test_a_rank_takes_full_micro_batches(dp: int, micro: int, batch: int, whole: bool, settled: int) -> None:
    assert settle(Layout(dp=dp, micro=micro), batch, whole).micro == settled


@pytest.mark.parametrize(
    ("dp", "micro", "batch", "whole", "nearest"),
    [
        (3, 1, 64, True, "batch 63 or batch 66"),
        (2, 24, 64, False, "batch 48 or batch 96"),
        (8, 1, 4, True, "batch 8"),
        (4, 16, 32, False, "batch 64"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused(dp: int, micro: int, batch: int, whole: bool, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"batch {batch} does not divide by dp {dp}") as caught:
        settle(Layout(dp=dp, micro=micro), batch, whole)
    assert caught.value.nearest == nearest
