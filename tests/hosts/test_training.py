"""`rigwise run` on several hosts: the same training as on one, also when something breaks."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hosts import Hosts, why_not
from running_hosts import PATIENCE_S, Running, kill, until
from training import GO, train

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there are hosts")


STEPS = 17  # two checkpoints on the way, every five steps


def nobody_left(processes: list[psutil.Process]) -> bool:
    return all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in processes)


def test_a_killed_rank_and_a_broken_checkpoint_leave_the_losses_as_they_are() -> None:
    with Hosts(2) as hosts:
        run = Running(hosts, ":held", "--layout", "dp=2", steps=STEPS)
        newest = run.output / "checkpoints/step-00000010"
        until(lambda: run.newest() == newest.name, 300)
        victim = next(newest.glob("*.distcp"))
        victim.write_bytes(b"torn" + victim.read_bytes()[4:])
        everyone = run.everyone()
        kill(run.rank(1))
        Path(GO).touch()
        assert run.ended() == [0, 0], run.said(0) + run.said(1)
        assert nobody_left(everyone)
    assert "rank 1 was killed by SIGKILL; starting again from step-" in run.said(1)
    assert "cannot be read" in run.said(0)  # the older one was taken
    assert run.losses() == pytest.approx(train(":held", steps=STEPS).losses, rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("count", "layout"), [(3, "dp=3"), (4, "dp=2,tp=2"), (4, "dp=4,zero=3"), (4, "dp=2,pp=2")])
def test_three_and_four_hosts_train_as_one_does(count: int, layout: str) -> None:
    with Hosts(count) as hosts:
        run = Running(hosts, ":deep", "--layout", layout, nnodes=str(count), steps=12)
        assert run.ended(200) == [0] * count, "".join(run.said(host) for host in range(count))
    assert run.losses() == pytest.approx(train(":deep", layout, steps=12).losses, rel=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("host", [0, 1])
def test_a_killed_agent_is_started_again(host: int) -> None:
    with Hosts(2) as hosts:
        run = Running(hosts, ":slow", "--layout", "dp=2", steps=60)
        run.reached(12)
        everyone = run.everyone()
        kill(run.agent(host))
        assert run.ended() == [0, 0], run.said(0) + run.said(1)
        assert nobody_left(everyone)
    assert "the agent of this host was killed by SIGKILL; starting it again" in run.said(host)
    assert run.losses() == pytest.approx(train(":slow", steps=60).losses, rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("host", [0, 1])
def test_a_host_that_is_gone_ends_the_other_with_a_clear_error(host: int) -> None:
    with Hosts(2) as hosts:
        run = Running(hosts, ":slow", "--layout", "dp=2", steps=2000)
        run.reached(12)
        everyone = run.everyone()
        kill(psutil.Process(run.launchers[host].pid))
        assert run.ended()[1 - host] == 5, run.said(1 - host)
        until(lambda: nobody_left(everyone), 30)
    assert "rigwise: " in run.said(1 - host) or "error" in run.said(1 - host)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cable_that_is_mended_leaves_the_losses_as_they_are() -> None:
    with Hosts(2) as hosts:
        run = Running(hosts, ":slow", "--layout", "dp=2", steps=60)
        run.reached(12)
        hosts.plug(1, connected=False)
        time.sleep(2 * PATIENCE_S)
        hosts.plug(1, connected=True)
        assert run.ended() == [0, 0], run.said(0) + run.said(1)
    assert run.losses() == pytest.approx(train(":slow", steps=60).losses, rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cable_cut_for_good_leaves_one_host_that_goes_on() -> None:
    with Hosts(2) as hosts:
        run = Running(hosts, ":slow", "--layout", "dp=2", nnodes="1:2", steps=60)
        run.reached(12)
        everyone = run.everyone()
        hosts.plug(1, connected=False)
        until(lambda: run.launchers[0].poll() is not None, 300)
        assert run.launchers[0].returncode == 0, run.said(0)
        assert len(run.losses()) == 60
        assert run.ended()[1] == 5
        assert nobody_left(everyone)
    assert "1 rank" in run.said(0)
    assert "error" in run.said(1) or "rigwise: " in run.said(1)
    assert run.losses() == pytest.approx(train(":slow", steps=60).losses, rel=1e-5)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path("out").absolute()
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("no disk of a few megabytes can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_full_disk_ends_the_run_on_all_hosts_with_a_clear_error(small_disk: Path) -> None:
    with Hosts(2) as hosts:
        run = Running(hosts, ":slow", "--layout", "dp=2", steps=400)
        run.reached(12)
        everyone = run.everyone()
        with suppress(OSError):
            (small_disk / "ballast").write_bytes(b"0" * (8 << 20))
        codes = run.ended(300)
        assert codes == [5, 5], run.said(0) + run.said(1)
        assert nobody_left(everyone)
    assert "No space left on device" in run.said(0) + run.said(1)
    whole = [path for path in small_disk.glob("checkpoints/step-*") if (path / "record.json").stat().st_size]
    assert whole
    assert not list(small_disk.glob("checkpoints/.partial-*"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_alarm_names_whose_link_became_slow() -> None:
    with Hosts(2, rate="200mbit") as hosts:
        run = Running(hosts, ":wide", "--layout", "dp=2", steps=60)
        run.reached(15)
        hosts.shape(1, "20mbit")
        assert run.ended() == [0, 0], run.said(0) + run.said(1)
    assert "alarm at step" in run.said(0)
    assert "rank 1 sends at" in run.said(0)
