"""Machines: the count is the need over what is sustained, each limit binds where it should, what stands is compared."""

from __future__ import annotations

import pytest

from rigwise import api
from rigwise.brain.estimate import estimate
from rigwise.brain.machines import DEVICES, machine
from rigwise.brain.mapping import PURKINJE, network
from rigwise.brain.tables import table
from rigwise.brain.work import work
from rigwise.errors import NotFoundError, UsageError


@pytest.fixture(scope="module")
def brain():
    return estimate(draws=2000)


@pytest.fixture(scope="module")
def fleet():
    return api.brain_machines(["h100", "rtx-4090", "mi300x"])


def test_the_work_is_the_article_s_network(brain) -> None:
    task = work("cells", brain)
    assert task.flops == network(PURKINJE).flops
    assert task.model.flops_backward == 0
    assert task.needed == brain.quantities["flops"].value


def test_the_count_is_the_need_over_what_is_sustained(fleet) -> None:
    for one in fleet.machines:
        sustained = min(one.rates["shape"].value, one.rates["network"].value)
        assert one.count.value == pytest.approx(fleet.work.needed / sustained)
        assert one.binds == ("shape" if one.rates["shape"].value <= one.rates["network"].value else "network")
        assert one.count.p10 < one.count.p50 < one.count.p90


def test_a_peak_says_little(fleet) -> None:
    for one in fleet.machines:
        rates = {name: rate.value for name, rate in one.rates.items()}
        assert rates["peak"] >= rates["dense"] > rates["shape"] > rates["hpcg"]
        assert rates["peak"] > rates["linpack"]


def test_wires_bind_where_a_message_brings_little_work(brain) -> None:
    cells, events = work("cells", brain), work("events", brain)
    assert events.bytes_per_flop > 100 * cells.bytes_per_flop
    assert machine(brain, cells, "h100").binds == "shape"
    assert machine(brain, events, "h100").binds == "network"


def test_messages_that_stay_in_the_device_free_the_wires() -> None:
    apart, near = (estimate(sets=[f"local_share={share}"], draws=200) for share in (0.1, 0.9))
    far, close = (machine(some, work("events", some), "h100").rates["network"].value for some in (apart, near))
    assert close == pytest.approx(9 * far)


def test_without_messages_the_wires_do_not_bind() -> None:
    alone = estimate(sets=["local_share=1"], draws=200)
    one = machine(alone, work("events", alone), "h100")
    assert one.binds == "shape"
    assert one.rates["network"].value is None
    assert one.count.p10 < one.count.p90


def test_a_device_that_is_less_than_a_cell_is_said(fleet) -> None:
    one_cell = 200 * network(PURKINJE).flops
    for one in fleet.machines:
        less = min(one.rates["shape"].value, one.rates["network"].value) < one_cell
        assert any("less than one Purkinje cell" in line for line in one.warnings) == less
    assert any("outside what was measured" in line for line in fleet.machines[0].warnings)


def test_memory_binds_where_little_is_computed(brain) -> None:
    slow = estimate(sets=["rate=0.01"], draws=200)
    one = machine(slow, work("cells", slow), "h100")
    assert one.binds == "memory"
    assert one.count.value == pytest.approx(slow.quantities["memory"].value / (80 * 2**30))


def test_reading_binds_where_cells_hold_much_and_compute_little() -> None:
    wide = estimate(sets=["ops_per_weight=1e-6", "bytes_per_message=1e-6"], draws=200)
    one = machine(wide, work("cells", wide), "h100")
    assert one.binds == "bandwidth"
    assert one.count.value == pytest.approx(wide.quantities["bandwidth"].value / 3.35e12, rel=0.01)
    assert work("events", wide).read == 0.0, "its network reads and writes what it updates"


def test_a_rate_that_is_asked_for_is_sustained_in_proportion() -> None:
    once, twice = (api.brain_machines(["h100"], flops=flops) for flops in (1e18, 2e18))
    assert twice.machines[0].count.value == pytest.approx(2 * once.machines[0].count.value)
    assert twice.machines[0].power.value == pytest.approx(2 * once.machines[0].power.value)


def test_what_is_not_known_is_none_and_not_nothing(fleet) -> None:
    priceless = api.brain_machines(["b200"]).machines[0]
    assert priceless.capital is None
    assert priceless.to_dict()["capital"] is None
    h100 = fleet.machines[0]
    assert h100.capital.value > 1e12
    assert h100.power.value > 1e10
    assert h100.electricity.value == pytest.approx(h100.power.value / 1e3 * 8760 * 0.11)


def test_hpcg_for_a_byte_is_what_the_machines_reached() -> None:
    ratios = [float(r["hpcg_flops"]) / float(r["devices"]) / float(r["device_bytes_per_s"]) for r in table("hpcg")]
    row = next(row for row in table("parameters") if row["id"] == "hpcg_flop_per_byte")
    assert float(row["low"]) == pytest.approx(min(ratios), rel=0.01)
    assert float(row["high"]) == pytest.approx(max(ratios), rel=0.01)
    assert float(row["value"]) == pytest.approx(sorted(ratios)[1], rel=0.01)


def test_machines_that_stand_are_far_from_it_and_el_capitan_by_both_benchmarks(fleet) -> None:
    said = {(one.name, one.measured): one for one in fleet.standing}
    capitan = {measured: one for (name, measured), one in said.items() if name == "El Capitan"}
    assert capitan["LINPACK"].share / capitan["HPCG"].share == pytest.approx(1809 / 17.41, rel=1e-3)
    assert all(one.share < 0.02 for one in fleet.standing if one.share is not None)
    assert sum(one.sustained is not None for one in fleet.standing) > 10
    assert all(one.source for one in fleet.standing)


def test_the_default_devices_are_in_the_catalogue(brain) -> None:
    assert set(DEVICES) <= set(api.device_names())


def test_what_cannot_be_is_refused(brain) -> None:
    with pytest.raises(UsageError, match="shape"):
        work("spheres", brain)
    with pytest.raises(UsageError, match="above 0"):
        work("cells", brain, -1.0)
    with pytest.raises(NotFoundError):
        api.brain_machines(["h1000"])
    with pytest.raises(UsageError, match="float4"):
        api.brain_machines(["h100"], precision="float4")
