"""The loader: the articles' worked examples, published pipelines, and what must hold for every loader."""

from __future__ import annotations

import re
from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import selene
from rigwise import api
from rigwise.cost.datakinds import Loading, Supply, data_kind, data_kinds, supply
from rigwise.cost.estimate import Question, estimate, evaluate
from rigwise.cost.loader import copy_seconds, feed, hands, loader_report, through, with_loader
from rigwise.errors import NotFoundError, UsageError
from rigwise.hardware.load import load_cluster
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.models.zoo import load
from rigwise.units import GIBI, MEBI

RESNET = load("resnet50")
IMAGES = 32 * 225 * 225 * 3 * 4  # bytes of article 3's batch


def plain(**given: object) -> Supply:
    """A loader of one device that only the stages a test names slow down; a batch of 1 is one sample of `stored`."""
    values = {
        "kind": data_kind("tensors"),
        "stored": 0.0,
        "sent": 0.0,
        "work": 0.0,
        "workers": 4,
        "pinned": True,
        "cores": 8,
        "threads": 16,
        "disk": inf,
        "ram": inf,
        "link": inf,
        "core": inf,
        "sharing": 1,
        "devices": 1,
        "nodes": 1,
        "assumed": (),
    }
    return Supply(**values | given)


# --- the articles -----------------------------------------------------------------------------------------------------


def test_article_3_a_batch_over_16_8_and_4_lanes() -> None:
    assert IMAGES == 19_440_000
    assert pytest.approx(18.539, abs=5e-4) == IMAGES / MEBI
    lanes = np.array([16, 8, 4]) * GIBI
    assert (copy_seconds(IMAGES, lanes, pinned=True) * 1e3).round(2).tolist() == [1.13, 2.26, 4.53]
    assert (copy_seconds(IMAGES, lanes, pinned=False) * 1e3).round().tolist() == [2, 5, 9]  # its "in practice"


def test_article_3_more_lanes_gain_three_percent_and_nothing_with_pinned_memory() -> None:
    four, sixteen = (plain(sent=IMAGES, link=lanes * GIBI, pinned=False) for lanes in (4, 16))
    step = {what: 0.216 + feed(what, 1, 1).waits(0.216).item() for what in (four, sixteen)}
    assert step[four] / step[sixteen] - 1 == pytest.approx(0.032, abs=2e-3)
    assert feed(replace(four, pinned=True), 1, 1).waits(0.216) == 0


def test_article_3_a_slow_disk_hides_behind_the_step_unless_it_blocks() -> None:
    disk = plain(stored=IMAGES, disk=100 * MEBI)
    assert feed(disk, 1, 1).stages["read"].item() == pytest.approx(0.1854, abs=1e-4)
    assert feed(disk, 1, 1).waits(0.2) == 0
    assert 0.2 + feed(replace(disk, workers=0), 1, 1).waits(0.2).item() == pytest.approx(0.385, abs=1e-3)


@pytest.mark.parametrize(("ram", "milliseconds"), [(6.4, 13.3), (51.2, 1.66)])
def test_article_3_a_batch_over_the_ram(ram: float, milliseconds: float) -> None:
    batch = 128 * 244 * 244 * 3 * 4
    assert batch / GIBI == pytest.approx(0.085, abs=5e-4)
    through_ram = feed(plain(sent=batch, ram=ram * GIBI, core=1e30), 1, 1).stages["pin"].item()
    assert through_ram / 4 * 1e3 == pytest.approx(milliseconds, abs=0.05)  # written, read, written, read


def test_article_6_a_prefetching_loader_of_100_batches() -> None:
    ahead = plain(stored=1.0, disk=1 / 0.030)
    load_s, step, batches = 0.030, 0.040, 100
    assert load_s + batches * (step + feed(ahead, 1, 1).waits(step).item()) == pytest.approx(4.030)
    between = feed(replace(ahead, workers=0), 1, 1)
    assert batches * (step + between.waits(step).item()) == pytest.approx(7.000)


def test_article_6_from_gpu_to_gpu_over_two_hosts() -> None:
    card, lane = 4e6 / 4e9, 4e6 / 15.75e9
    assert card / lane == pytest.approx(3.94, abs=0.01)
    hops = [lane, lane, card, lane, lane]
    assert through(hops, pipelined=True).item() == pytest.approx(1.0e-3)
    assert through(hops, pipelined=False).item() == pytest.approx(card + 4 * lane)


# --- published pipelines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cluster", "replicas", "workers", "measured", "off"),
    [
        ("8xa100", 1, 16, 2512, 0.03),  # zen2's figure comes from here
        ("8xa100", 8, 16, 16652, 0.25),  # NVIDIA DeepLearningExamples: three nets reach 16,368 to 16,652
        ("8xv100-sxm2-32gb", 8, 8, 8615, 0.10),
        ("1xa100", 1, 10, 1923, 0.25),  # huggingface/pytorch-image-models#1491, Pillow
    ],
)
def test_what_workers_deliver(cluster: str, replicas: int, workers: int, measured: float, off: float) -> None:
    what = supply(Loading(data="imagenet-jpeg", workers=workers), RESNET, load_cluster(cluster))
    fed = feed(what, 256 * replicas, replicas)
    assert max(fed.stages, key=lambda stage: fed.stages[stage].item()) == "decode"
    assert 256 * replicas / fed.beside.item() == pytest.approx(measured, rel=off)


# --- properties -------------------------------------------------------------------------------------------------------

amounts = st.floats(1e-4, 1e4)
rates = st.floats(1e-3, 1e6)
supplies = st.builds(
    plain,
    stored=amounts,
    sent=amounts,
    work=amounts,
    disk=rates,
    ram=rates,
    link=rates,
    core=rates,
    workers=st.integers(0, 64),
    pinned=st.booleans(),
    cores=st.integers(1, 64),
    threads=st.integers(64, 128),
    sharing=st.integers(1, 4),
    devices=st.just(8),
    nodes=st.integers(1, 4),
)


@given(what=supplies, replicas=st.integers(1, 32), step=st.floats(1e-6, 1e6))
def test_a_step_waits_at_most_for_all_stages_and_less_with_prefetching(
    what: Supply, replicas: int, step: float
) -> None:
    fed = feed(what, 64, replicas)
    waits, stages = fed.waits(step), sum(fed.stages.values())
    assert 0 <= waits <= stages * (1 + 1e-9) + 1e-9
    assert feed(replace(what, workers=0), 64, replicas).waits(step) >= 0
    if what.workers:
        pinned = feed(replace(what, pinned=True), 64, replicas)
        assert pinned.waits(step) <= waits * (1 + 1e-9) + 1e-9 * step
        assert pinned.waits(step) == pytest.approx(max(0.0, pinned.beside.item() - step), abs=1e-9 * (step + stages))


@given(what=supplies, more=st.floats(1, 100), replicas=st.integers(1, 32))
def test_faster_parts_never_make_a_loader_slower(what: Supply, more: float, replicas: int) -> None:
    now = sum(feed(what, 64, replicas).stages.values())
    for better in (
        replace(what, disk=what.disk * more),
        replace(what, ram=what.ram * more),
        replace(what, link=what.link * more),
        replace(what, core=what.core * more),
        replace(what, work=what.work / more),
        replace(what, workers=what.workers + 1),
        replace(what, cores=what.cores + 1, threads=what.threads + 1),
        replace(what, sharing=1),
    ):
        assert sum(feed(better, 64, replicas).stages.values()) <= now * (1 + 1e-9)


@given(cores=st.integers(1, 64), per_core=st.integers(1, 4))
def test_hands_grow_ever_slower_and_end_with_the_threads(cores: int, per_core: int) -> None:
    got = hands(np.arange(0, 4 * cores * per_core), cores, cores * per_core)
    more = np.diff(got)
    assert (more >= 0).all()
    assert (np.diff(more) <= 1e-12).all()
    assert got[-1] == hands(cores * per_core, cores, cores * per_core) <= cores * per_core


@given(what=supplies, step=st.floats(1e-3, 1e3))
def test_the_interval_holds_the_step(what: Supply, step: float) -> None:
    fed = feed(what, 64, 8)
    low, high = with_loader(step * 0.8, step * 1.25, what, fed)
    assert low < step + fed.waits(step) < high


def test_a_table_is_the_same_law_as_single_rows() -> None:
    what = supply(Loading(data="imagenet-jpeg", pinned=False), RESNET, load_cluster("2x8xa100"))
    replicas = np.array([[1, 2], [4, 16]])
    waits = feed(what, 512, replicas).waits(np.array([0.01, 0.02]).reshape(2, 1, 1))
    assert waits.shape == (2, 2, 2)
    for at, n in np.ndenumerate(replicas):
        assert waits[1][at] == feed(what, 512, n).waits(0.02)


def test_nodes_load_beside_each_other() -> None:
    loading = Loading(data="imagenet-jpeg", workers=4)
    one, four = (supply(loading, RESNET, load_cluster(name)) for name in ("8xa100", "4x8xa100"))
    assert feed(four, 4096, 32).beside.item() == pytest.approx(feed(one, 1024, 8).beside.item())


# --- in an estimate ---------------------------------------------------------------------------------------------------

ASK = Question(model=RESNET, cluster=load_cluster("8xh100"), batch=2048)
LAYOUT = Layout(dp=8, micro=256)


def asked(**given: object) -> Question:
    return replace(ASK, loading=Loading(**{"data": "imagenet-jpeg", **given}))


def test_synthetic_data_costs_nothing() -> None:
    found = estimate(ASK, LAYOUT)
    assert (found.time["loader"], found.loader) == (0, None)
    assert found.to_dict()["loader"] is None
    tokens = Question(model=load("gpt2"), cluster=selene(8), batch=64)
    loaded = estimate(replace(tokens, loading=Loading(data="tokens")), Layout(dp=8, micro=8))
    assert loaded.time == estimate(tokens, Layout(dp=8, micro=8)).time  # tokens always hide
    assert loaded.loader is not None
    assert "hides" in loaded.loader.says


def test_a_starved_step_takes_as_long_as_its_slowest_stage() -> None:
    found = estimate(asked(workers=2), LAYOUT)
    assert found.loader is not None
    assert found.loader.stage == "decode"
    assert found.samples_per_s == pytest.approx(found.loader.gives)
    assert sum(found.time.values()) == pytest.approx(found.step_s)
    assert found.time["loader"] == pytest.approx(found.loader.waits_s)
    assert found.interval[0] < found.step_s < found.interval[1]
    assert found.loader.says in found.warnings[-1]


def test_the_workers_that_are_advised_are_enough() -> None:
    starved = estimate(asked(workers=6, disk=inf, data="imagenet-256px-jpeg"), LAYOUT).loader
    assert starved is not None
    enough = re.search(r"(\d+) workers a device", starved.advice[0])
    assert enough
    helped = estimate(asked(workers=int(enough[1]), disk=inf, data="imagenet-256px-jpeg"), LAYOUT)
    fewer = estimate(asked(workers=int(enough[1]) - 1, disk=inf, data="imagenet-256px-jpeg"), LAYOUT)
    assert helped.time["loader"] == 0
    assert fewer.time["loader"] > 0


@pytest.mark.parametrize(
    ("given", "stage", "word"),
    [
        ({"workers": 1}, "decode", "decoding on the GPU"),
        ({"workers": 32, "disk": 100e6}, "read", "RAM that holds the set"),
        ({"workers": 0}, "decode", "workers"),
        ({"workers": 4, "data": "tensors", "disk": inf, "pinned": False}, "decode", "pinned memory"),
    ],
)
def test_the_binding_stage_is_named_with_what_lifts_it(given: dict[str, object], stage: str, word: str) -> None:
    cluster = load_cluster("8xh100")
    host = replace(cluster.node.host, cores=16, threads=16)
    small = replace(cluster, node=replace(cluster.node, host=host))
    report = estimate(replace(asked(**given), cluster=small), LAYOUT).loader
    assert report is not None
    assert report.stage == stage
    assert word in "; ".join(report.advice)


def test_what_nobody_said_is_in_the_basis() -> None:
    found = estimate(replace(asked(), cluster=load_cluster("4xrtx-4090")), Layout(dp=4, micro=256))
    for word in ("32 cores a node", "8 workers a device", "a usual core", "a drive of 2.00 GB/s"):
        assert word in found.basis


def test_a_cpu_loads_between_steps_and_copies_nothing() -> None:
    what = supply(Loading(data="tensors"), RESNET, load_cluster("this:2"))
    fed = feed(what, 16, 2)
    assert what.workers == 0
    assert fed.stages["copy"] == fed.stages["pin"] == 0
    assert fed.blocking > 0


def test_every_layout_of_a_table_waits_for_its_own_replicas() -> None:
    layouts = [Layout(dp=8, micro=16), Layout(dp=4, pp=2, micro=16), Layout(dp=2, pp=4, micro=16)]
    answer = evaluate(asked(workers=2), LayoutTable.of(layouts))
    assert answer.feed is not None
    gives = 2048 / answer.feed.beside
    assert gives.tolist() == sorted(gives, reverse=True)  # fewer ranks load with fewer workers


def test_a_kind_is_refused_where_the_model_takes_another() -> None:
    with pytest.raises(UsageError, match=r"gpt2 takes data by the token.*tokens, text"):
        supply(Loading(data="imagenet-jpeg"), load("gpt2"), selene(8))
    with pytest.raises(NotFoundError, match="imagenet-jpeg"):
        api.estimate("resnet50", "dp=8", "8xh100", data="imagenet-jpg")
    for wrong in ({"workers": 4}, {"data": "tensors", "workers": -1}, {"data": "tensors", "disk": "0 MB/s"}):
        with pytest.raises(UsageError):
            api.estimate("resnet50", "dp=8", "8xh100", **wrong)


def test_every_kind_can_be_loaded_and_a_plan_counts_it() -> None:
    models = {"image": RESNET, "sample": RESNET, "token": load("gpt2")}
    for name, kind in data_kinds().items():
        what = supply(Loading(data=name), models[kind.per], selene(8))
        assert what.stored > 0
        assert 0 < what.work < 1
    found = api.plan("resnet50", "8xh100", batch=2048, data="imagenet-jpeg", workers=2, top=2)
    assert found.best.time["loader"] > 0
    assert found.best.layout.recompute == "none"  # of layouts that all wait, the one that would be fastest
    assert any("waiting for data" in line for line in found.why)


def test_the_report_of_a_loader_that_hides_says_both_rates() -> None:
    what = supply(Loading(data="imagenet-jpeg", workers=8), RESNET, load_cluster("8xh100"))
    report = loader_report(what, feed(what, 2048, 8), 2048, 1.0)
    assert (
        report.says
        == "decoding: 8 workers a device give 14,400 samples/s, the step wants 2,050: it hides behind the step"
    )
    assert (report.waits_s, report.advice) == (0, ())
