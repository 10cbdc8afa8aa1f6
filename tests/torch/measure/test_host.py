"""What is measured around the operations: the disk, products by type, and what a CPU does not have."""

from __future__ import annotations

import torch

from rigwise.api.measuring import _SPREAD, _steadier, doubts_of, pace_spread, skipped_of
from rigwise.measure import host
from rigwise.measure.rows import Row
from rigwise.measure.start import Found


def test_a_cpu_reads_its_disk_and_multiplies_in_bfloat16_and_has_no_way_to_a_device(monkeypatch) -> None:
    monkeypatch.setattr(host, "_FILE", 2 * host._BLOCK)
    monkeypatch.setattr(host, "_SIZES", {"cpu": (16,)})
    rows = list(host.measure_host(torch.device("cpu")))
    assert all(row.value > 0 for row in rows)
    assert {(row.kind, row.which, row.metric) for row in rows} >= {
        ("product of a type", "bfloat16", "flops_per_s_per_device")
    }
    assert not {"to device", "launch"} & {row.kind for row in rows}
    assert any("no GPU" in words for words in skipped_of(rows))


def test_a_disk_that_cannot_be_asked_to_forget_is_left_out_and_said(monkeypatch) -> None:
    monkeypatch.delattr(host.os, "posix_fadvise", raising=False)
    assert list(host._disk()) == []
    typed = Row(kind="product of a type", value=1.0)
    assert any(words.startswith("disk") for words in skipped_of([typed]))


def test_only_the_first_setting_says_what_it_skipped() -> None:
    assert skipped_of([Row(kind="relu", value=1.0)]) == ()


def found(spread: float) -> Found:
    return Found(rows=[Row(kind="pace", which="product", value=1.0, spread=spread)], world=1, threads=1, others=0.0)


def test_where_the_pace_moved_it_is_measured_again_and_the_steadier_one_is_kept() -> None:
    done = iter([found(0.9), found(0.2)])
    assert pace_spread(_steadier(lambda: next(done), float("inf")).rows) == 0.2
    done = iter([found(0.9), found(1.5)])
    assert pace_spread(_steadier(lambda: next(done), float("inf")).rows) == 0.9


def test_a_steady_machine_is_measured_once_and_so_is_one_that_has_no_time_left() -> None:
    done = iter([found(0.1)])
    assert pace_spread(_steadier(lambda: next(done), float("inf")).rows) == 0.1
    done = iter([found(0.9)])
    assert pace_spread(_steadier(lambda: next(done), float("-inf")).rows) == 0.9
    assert any("clocks moved" in words for words in doubts_of(_SPREAD * 2, 0.0))
