"""What a bottleneck costs the user's own step: the cost model asked again with another wiring of the machine.

A Wiring is what of a machine the laws of cost/ can feel: lanes and generation of the GPUs' slots, whether they reach
each other directly, how many share a port, how much they throttle, cores, RAM and disk, the network card. The
best layouts of the machine with every lane are found once; a wiring's step is that of the best of them on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf

from rigwise.cost.datakinds import Supply, supply
from rigwise.cost.estimate import Question, estimate
from rigwise.cost.loader import LoaderReport, feed, loader_report
from rigwise.cost.record import Estimate
from rigwise.errors import InfeasibleError
from rigwise.hardware.catalog import bridge, links
from rigwise.hardware.cluster import Node
from rigwise.hardware.device import Host, Link
from rigwise.hardware.fabrics import PCIE_WIDTHS, decode_rate, own_link
from rigwise.layouts.layout import Layout
from rigwise.search.plan import plan

_TOP = 4  # layouts that are tried on every wiring: a narrow link may prefer the second


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """lanes, gen: of the GPU with the narrowest slot; None is the device's own. direct: whether GPUs reach each other's
    memory over PCIe. sharing: GPUs behind one port. bridged: NVLink bridges join pairs. slow: share of its speed that a
    GPU loses by throttling and power limits. Amounts are bytes and bytes/s.
    """

    lanes: int | None = None
    gen: int | None = None
    direct: bool | None = None
    sharing: int = 1
    bridged: bool = False
    cores: int | None = None
    threads: int | None = None
    arch: str = ""
    ram: float | None = None
    ram_rate: float | None = None
    disk: float | None = None
    nic: str = ""
    nics: int = 0
    slow: float = 0.0


BEST = Wiring(cores=4096, threads=8192, arch="zen5", ram=1e14, ram_rate=1e13, disk=1e12)
"""A host that nothing waits for."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A network that is trained on machines of one kind of GPU. question: on the usual machine; layouts: the best ones
    there. What depends on lanes and cards is asked of the laws once for each of them; the loader is added to it.
    """

    question: Question
    layouts: tuple[Layout, ...]
    known: dict[Wiring, tuple[float, ...]] = field(default_factory=dict, compare=False, repr=False)

    def _alone(self, wiring: Wiring) -> tuple[float, ...]:
        """Seconds of each layout's step without its loader; infinite where it does not fit."""
        links_only = Wiring(
            lanes=wiring.lanes,
            gen=wiring.gen,
            direct=wiring.direct,
            bridged=wiring.bridged,
            nic=wiring.nic,
            nics=wiring.nics,
            slow=wiring.slow,
        )
        if links_only not in self.known:
            asked = replace(_wired(self.question, links_only), loading=None)
            found = [estimate(asked, layout) for layout in self.layouts]
            least = min(e.memory_total for e in found)
            self.known[links_only] = tuple(e.step_s if e.fits or e.memory_total == least else inf for e in found)
        return self.known[links_only]

    def _best(self, wiring: Wiring) -> tuple[float, float, int]:
        """Seconds of the best layout's step with and without its loader, and which layout."""
        alone = self._alone(wiring)
        if self.question.loading is None:
            best = min(range(len(alone)), key=alone.__getitem__)
            return alone[best], alone[best], best
        facts = self._facts(wiring)
        steps = [
            (step + float(feed(facts, self.question.batch, layout.dp).waits(step)), step, i)
            for i, (step, layout) in enumerate(zip(alone, self.layouts, strict=True))
            if step < inf
        ]
        return min(steps)

    def _facts(self, wiring: Wiring) -> Supply:
        asked = _wired(self.question, wiring)
        assert asked.loading is not None
        return supply(asked.loading, asked.model, asked.cluster)

    def estimate(self, wiring: Wiring) -> Estimate:
        """The step on a machine that is wired so, under the best of the layouts, with all its parts."""
        return estimate(_wired(self.question, wiring), self.layouts[self._best(wiring)[2]])

    def seconds(self, wiring: Wiring) -> float:
        """Seconds of the step."""
        return self._best(wiring)[0]

    def loader(self, wiring: Wiring) -> LoaderReport | None:
        """What the loader gives and the step wants; None for synthetic data."""
        if self.question.loading is None:
            return None
        _, alone, best = self._best(wiring)
        facts, batch = self._facts(wiring), self.question.batch
        return loader_report(facts, feed(facts, batch, self.layouts[best].dp), batch, alone)

    def loss(self, wiring: Wiring, better: Wiring) -> float:
        """Share by which the step is longer than on the better wiring; 0 where it is not."""
        return max(0.0, self.seconds(wiring) / self.seconds(better) - 1.0)

    def alone(self, wiring: Wiring) -> float | None:
        """Seconds of a step of the same batch on one machine; None where no layout fits there."""
        single = replace(self.question, cluster=replace(self.question.cluster, nodes=1))
        try:
            ranked = plan(_wired(single, wiring), precision=self.layouts[0].precision, top=1)
        except InfeasibleError:
            return None
        return ranked.best.step_s

    @cached_property
    def usual(self) -> Estimate:
        """The step on the usual machine."""
        return self.estimate(Wiring())

    @property
    def loads(self) -> bool:
        """Whether samples are loaded; synthetic ones cost nothing."""
        return self.question.loading is not None


def work_of(question: Question, precision: str, layout: Layout | None = None) -> Work:
    """The work of a question: its layout, or the best ones of a plan. Raises InfeasibleError where nothing fits."""
    if layout is not None:
        found = estimate(question, layout)
        if not found.fits:
            raise InfeasibleError(
                f"{layout} does not fit on {question.cluster.device.name}", nearest="leave the layout out"
            )
        return Work(question=question, layouts=(layout,))
    ranked = plan(question, precision=precision, top=_TOP)
    return Work(question=question, layouts=tuple(row.layout for row in ranked.layouts))


def _wired(question: Question, wiring: Wiring) -> Question:
    cluster = question.cluster
    node = wired_node(cluster.node, wiring)
    loading = question.loading
    if loading is not None and loading.disk is None and wiring.disk is not None:
        cached = _cached(replace(question, cluster=replace(cluster, node=node)))
        loading = loading if cached else replace(loading, disk=wiring.disk)
    return replace(question, cluster=replace(cluster, node=node), loading=loading)


def _cached(question: Question) -> bool:
    """Whether the host's RAM holds the whole set."""
    assert question.loading is not None
    return "the set cached in RAM" in supply(question.loading, question.model, question.cluster).assumed


def wired_node(node: Node, wiring: Wiring) -> Node:
    """The node with a machine's own lanes, host and network card, its GPUs as fast as they stay."""
    device = node.device
    if wiring.slow:
        node = replace(node, device=replace(device, peak={k: v * (1.0 - wiring.slow) for k, v in device.peak.items()}))
    if device.pcie_gen is None or not device.pcie_lanes:
        return _carded(replace(node, host=_host(node, wiring)), wiring)
    lanes = min(wiring.lanes or device.pcie_lanes, device.pcie_lanes)
    lanes = next(width for width in PCIE_WIDTHS if width <= lanes)
    gen = min(wiring.gen or device.pcie_gen, device.pcie_gen)
    if device.form == "pcie":
        join = own_link(device, gen, lanes, peer=wiring.direct)
        node = replace(node, link=links()["none"] if node.count == 1 else join)
        pair = bridge(device.name) if wiring.bridged else None
        node = replace(node, link=pair, pair=None) if pair and node.count == 2 else replace(node, pair=pair)
    up = own_link(device, gen, lanes, peer=True)
    return _carded(replace(node, host_link=up, host=_host(node, wiring, up)), wiring)


def _carded(node: Node, wiring: Wiring) -> Node:
    """The node with the network card of the wiring, where it has one."""
    return replace(node, nic=links()[wiring.nic], nics=wiring.nics) if wiring.nic else node


def _host(node: Node, wiring: Wiring, up: Link | None = None) -> Host:
    return Host(
        cores=wiring.cores or node.host.cores,
        threads=wiring.threads or node.host.threads,
        ram=wiring.ram or node.host.ram,
        bandwidth=wiring.ram_rate or node.host.bandwidth,
        decode=decode_rate(wiring.arch) if wiring.arch else node.host.decode,
        sharing=wiring.sharing,
        copy={"pinned": up.bandwidth} if up else node.host.copy,
    )
