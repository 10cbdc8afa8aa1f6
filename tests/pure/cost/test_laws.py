"""Identities and monotonicity of the laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines import A100, NVSWITCH, selene
from rigwise.cost.collective import all_reduce_seconds, all_to_all_seconds, gather_seconds, group, wires
from rigwise.cost.efficiencies import efficiencies, stack_names
from rigwise.cost.energy import PowerShares, energy_joules
from rigwise.cost.host import with_host
from rigwise.cost.matmul import attention_seconds, engine, gemm_seconds
from rigwise.cost.money import Rates, cost_usd
from rigwise.errors import NotFoundError, UsageError
from rigwise.hardware.cluster import Cluster, Node

EFF = efficiencies(A100)
ON = engine(A100, "bfloat16", EFF.device)
sizes = st.integers(1, 4096)


@settings(max_examples=60, deadline=None)
@given(m=sizes, n=sizes, k=sizes)
def test_a_product_is_never_faster_than_its_bounds(m: int, n: int, k: int) -> None:
    seconds = gemm_seconds(1, m, n, k, ON)
    assert seconds >= 2 * m * n * k / A100.peak["bfloat16"]
    assert seconds >= 2 * (m * k + k * n + m * n) / A100.bandwidth
    assert seconds >= EFF.device.kernel_s


@settings(max_examples=40, deadline=None)
@given(m=sizes, n=sizes, k=sizes, more=st.integers(2, 4))
def test_a_product_grows_with_every_dim(m: int, n: int, k: int, more: int) -> None:
    once = gemm_seconds(1, m, n, k, ON)
    for larger in ((m * more, n, k), (m, n * more, k), (m, n, k * more)):
        assert gemm_seconds(1, *larger, ON) >= once * 0.999


def test_laws_are_array_functions() -> None:
    m = np.array([64, 128, 4096])
    together = gemm_seconds(1, m, 512, 512, ON)
    assert together.tolist() == [gemm_seconds(1, int(one), 512, 512, ON).item() for one in m]


def test_attention_is_half_where_causal_and_quadratic() -> None:
    full, _ = attention_seconds(512, 4096, 4096, 128, ON, causal=False)
    half, _ = attention_seconds(512, 4096, 4096, 128, ON, causal=True)
    longer, _ = attention_seconds(512, 8192, 8192, 128, ON, causal=False)
    assert half / full == pytest.approx(0.5, rel=0.05)
    assert longer / full == pytest.approx(4.0, rel=0.05)


def test_one_rank_exchanges_nothing() -> None:
    cluster = selene(8)
    over, alone = wires(cluster, EFF), group(cluster, 1, 1)
    for law in (all_reduce_seconds, gather_seconds, all_to_all_seconds):
        assert law(1e9, alone, over) == 0


@settings(max_examples=50, deadline=None)
@given(size=st.floats(1, 1e11), ranks=st.sampled_from([2, 4, 8, 16, 64]), stride=st.sampled_from([1, 2, 8]))
def test_collectives_grow_with_bytes_and_keep_their_bound(size: float, ranks: int, stride: int) -> None:
    cluster = selene(512)
    over, among = wires(cluster, EFF), group(cluster, ranks, stride)
    once, twice = (all_reduce_seconds(factor * size, among, over) for factor in (1, 2))
    assert once < twice <= 2 * once
    assert once <= 2 * gather_seconds(size, among, over) * 1.0001
    whole = among.inside == ranks
    ends, rate = (ranks, NVSWITCH.bandwidth) if whole else (ranks / among.inside, cluster.node.network)
    assert once >= 2 * (ends - 1) / ends * size / rate * 0.999


def test_half_the_bandwidth_doubles_a_large_exchange() -> None:
    cluster = selene(8)
    slow = replace(cluster, node=replace(cluster.node, link=replace(NVSWITCH, bandwidth=120e9)))
    times = [all_reduce_seconds(8e9, group(c, 8, 1), wires(c, EFF)) for c in (cluster, slow)]
    assert times[1] / times[0] == pytest.approx(2.0, rel=0.01)


def test_groups_of_a_node_share_its_network_cards() -> None:
    """Article 5: three cards of a node that send over one network card take three times as long."""
    node = Node(device=A100, count=3, link=NVSWITCH, nic=replace(NVSWITCH, kind="rdma", bandwidth=5e9), nics=1)
    cluster = Cluster(name="2x3", node=node, nodes=2)
    over = wires(cluster, EFF)
    alone, shared = group(cluster, 2, 3), replace(group(cluster, 2, 3), sharing=np.array(1.0))
    far = [gather_seconds(4e9, among, over).item() for among in (alone, shared)]
    assert far[0] / far[1] == pytest.approx(3.0, rel=0.01)


def test_host_and_device_times_combine_between_the_larger_and_the_sum() -> None:
    for q in (1.0, 4.0):
        assert 3.0 <= with_host(3.0, 2.0, q) <= 5.0
    assert with_host(3.0, 2.0, 1.0) == 5.0


def test_energy_is_idle_draw_when_nothing_runs_and_full_draw_when_computing() -> None:
    shares = PowerShares(idle=0.2, exchanging=0.5, host_watts=0.0)
    draw = [energy_joules(1, 100.0, busy, moving, 1.0, shares).item() for busy, moving in ((0, 0), (1, 0), (0, 1))]
    assert draw == pytest.approx([20.0, 100.0, 50.0])


def test_money_of_rent_and_of_owning() -> None:
    assert cost_usd(8, 3600.0, 0.0, Rates()) is None
    rent = cost_usd(8, 3600.0, 1e9, Rates(hourly=2.0))
    assert rent is not None
    assert rent.item() == pytest.approx(16.0)
    owned = cost_usd(1, 3 * 365 * 86400 * 0.5, 3.6e6, Rates(price=1000.0, per_kwh=0.2, pue=1.0))
    assert owned is not None
    assert owned.item() == pytest.approx(1000.2)


def test_a_card_without_tensor_cores_runs_mixed_precision_at_its_float32_rate() -> None:
    old = replace(A100, arch="Pascal", peak={"float32": 10e12})
    eff = efficiencies(old).device
    assert engine(old, "float16", eff).rate == pytest.approx(engine(old, "float32", eff).rate)
    with pytest.raises(UsageError, match="float8"):
        engine(old, "float8", eff)


def test_every_stack_loads_and_an_unknown_one_names_the_nearest() -> None:
    for name in stack_names():
        assert efficiencies(A100, name).stack_name == name
    with pytest.raises(NotFoundError, match="megatron"):
        efficiencies(A100, "megatrn")


def test_equal_products_in_a_row_are_as_long_as_each_alone() -> None:
    on = engine(A100, "bfloat16", efficiencies(A100).device)
    m = np.repeat(np.arange(1, 251) * 64.0, 6).reshape(-1, 1, 1)
    together = gemm_seconds(1, m, 4096.0, 1024.0, on)
    alone = [gemm_seconds(1, rows, 4096.0, 1024.0, on).item() for rows in m[::6, 0, 0]]
    assert together.shape == m.shape
    assert together.ravel().tolist() == np.repeat(alone, 6).tolist()
