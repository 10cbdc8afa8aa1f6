"""What slows a machine is seen while it works: limits of GPUs by looks at them, a processor's heat by its counters."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from rigwise.hardware import watch
from rigwise.hardware.sensors import GpuState

GPU = GpuState(
    index=0, name="NVIDIA H100", pcie_gen=5, pcie_gen_max=5, lanes=16, lanes_max=16, clock=1.4e9, clock_max=1.98e9,
    power=690.0, power_limit=700.0, power_limit_default=700.0, temperature=80.0, used=1e9, users=1,
)  # fmt: skip
LIMITED = replace(GPU, throttled=("power limit",))


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        ([], ()),
        ([[GPU]] * 9 + [[LIMITED]], ()),  # a boost ends at a limit now and then
        ([[GPU], [LIMITED]], ("GPU 0: power limit in 1 of 2 looks",)),
        ([[GPU, replace(LIMITED, index=1)]] * 3, ("GPU 1: power limit in 3 of 3 looks",)),
    ],
)
def test_a_limit_is_told_where_it_holds_often(looks: list, says: tuple) -> None:
    assert watch.slowed(looks, {}, {}) == says


def test_heat_is_told_by_what_the_counters_gained(tmp_path: Path) -> None:
    for cpu in (0, 1):
        folder = tmp_path / f"cpu{cpu}" / "thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(f"{cpu + 1}\n")
        (folder / "package_throttle_count").write_text("5\n")
    before = watch.hot_counts(tmp_path)
    assert before == {"core": 3, "package": 5}
    assert watch.slowed([], before, before) == ()
    assert watch.slowed([], before, {**before, "package": 9}) == ("heat slowed the processor 4 times (package)",)


def test_a_counter_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "cpu0" / "thermal_throttle"
    folder.mkdir(parents=True)
    (folder / "core_throttle_count").write_text("many")
    assert watch.hot_counts(tmp_path) == {}


def test_gpus_are_looked_at_while_a_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_EVERY_S", 0.001)
    monkeypatch.setattr(watch, "gpu_states", lambda: [LIMITED])
    with watch.Watch() as seen:
        while not seen._looks:
            time.sleep(0.001)
    assert seen.used == ("GPU 0 is in use: 1 process compute on it",)
    assert seen.says[0].startswith("GPU 0: power limit in ")


def test_without_gpus_no_thread_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "gpu_states", list)
    with watch.Watch() as seen:
        assert seen._thread is None
    assert seen.used == ()
