"""Rules of lanes, peers and network cards. Each function is a row of data/rules.toml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rigwise.rig.build import Build, Use
from rigwise.rig.findings import Found, looks_after
from rigwise.rig.lanes import ENOUGH, lanes_wanted, seat, transfer_seconds
from rigwise.rig.wiring import WAYS, direct_link, eased, pairs, ways, wiring_of
from rigwise.rig.words import percent, plural
from rigwise.units import BITS_PER_BYTE, GIGA, show_rate, show_seconds

MATTERS = 0.05  # of the step: from here a loss is a warning
_FEW = 4  # GPUs for which more than eight lanes each never pay: article 3


@looks_after("lanes")
def _lanes(build: Build, use: Use) -> Iterator[Found]:
    seated = seat(build)
    if seated is None or not seated.gpus:
        return
    if use.brief and seated.lanes >= ENOUGH:
        return  # a note at most
    cards = len(seated.gpus)
    full = min((card.device.pcie_lanes or 16) for card in build.gpus)
    spread = ", ".join(f"x{s.lanes}" for s in seated.gpus)
    where = f"{plural(cards, 'GPU')} on {spread} of PCIe {seated.gen}"
    lost = _loss(build, use)
    if use.work is not None and lost is not None:
        effect = f"against x{full} it costs {percent(lost)} of the step" if lost else "the step does not feel it"
        if seated.lanes < full:
            hides = _hidden(build, use)
            yield Found(
                says=f"{where}: {effect}{hides}",
                fix=_wider(seated.lanes) if lost >= MATTERS else "nothing: it hardly matters",
                severity="warning" if lost >= MATTERS and seated.lanes < ENOUGH else "note",
                loss=lost or None,
            )
    elif cards >= _FEW and seated.lanes < ENOUGH:
        yield Found(
            says=f"{where}; {cards} GPUs want {ENOUGH} lanes each, {lanes_wanted(cards)} together",
            fix="a processor and board with more lanes",
        )
    elif seated.lanes < min(ENOUGH, full):
        batch = 32 * 225 * 225 * 3 * 4
        says = " against ".join(show_seconds(transfer_seconds(batch, n)) for n in (seated.lanes, 16))
        yield Found(
            says=f"{where}: a batch of 32 images takes {says} on 16 lanes, hidden by a pinned loader; "
            "gradients are exchanged more slowly",
            fix="nothing for independent runs; eight lanes for parallel training",
            severity="warning" if seated.lanes < 4 else "note",
        )


def _loss(build: Build, use: Use) -> float | None:
    if use.work is None:
        return None
    now = eased(wiring_of(build), Build(items=()))  # with a host that nothing waits for: lanes alone
    now = replace(now, direct=wiring_of(build).direct)
    device = build.gpus[0].device
    return use.work.loss(now, replace(now, lanes=device.pcie_lanes, gen=device.pcie_gen))


def _wider(lanes: int) -> str:
    return (
        "a board with eight lanes for each GPU"
        if lanes < ENOUGH
        else "a platform with more lanes, where its price is worth it"
    )


def _hidden(build: Build, use: Use) -> str:
    """What pinned loading makes of it, in words, where samples are loaded."""
    assert use.work is not None
    loading = use.work.question.loading
    if loading is None or loading.pinned or use.brief:
        return ""
    pinned = replace(use.work, question=replace(use.work.question, loading=replace(loading, pinned=True)), known={})
    lost = _loss(build, replace(use, work=pinned)) or 0.0
    return "; pinned loading hides it" if lost < 0.001 else f"; with pinned loading {percent(lost)}"


@looks_after("lanes-waste")
def _lanes_waste(build: Build, use: Use) -> Iterator[Found]:
    seated = seat(build)
    if seated is None or not seated.gpus or len(seated.gpus) > _FEW or (build.case and build.case.set):
        return
    total = sum(s.lanes for s in seated.gpus)
    wanted = lanes_wanted(len(seated.gpus))
    if len(seated.gpus) >= 2 and total > wanted and seated.lanes > ENOUGH:
        gain = _gain(build, use)
        if gain is None or gain < MATTERS:
            effect = "" if gain is None else f": beyond eight they bring {percent(gain)}"
            yield Found(
                says=f"{total} lanes for {plural(len(seated.gpus), 'GPU')}, {wanted} are enough{effect}",
                fix="a cheaper platform with eight lanes a GPU",
            )


def _gain(build: Build, use: Use) -> float | None:
    """Share by which the step would be longer on eight lanes a GPU."""
    if use.work is None:
        return None
    now = wiring_of(build)
    return use.work.loss(replace(now, lanes=ENOUGH), now)


@looks_after("peers")
def _peers(build: Build, use: Use) -> Iterator[Found]:
    if len(build.gpus) < 2 or build.gpus[0].cooling == "sxm":
        return
    found = ways(pairs(build))
    lost = ""
    if use.work is not None and set(found) & {"host", "socket"}:
        now = wiring_of(build)
        lost = f"; direct access would save {percent(use.work.loss(now, replace(now, direct=True)))} of the step"
    text = ", ".join(
        f"{plural(n, 'pair')} through {WAYS[way]} at {show_rate(rate)}" for way, (n, rate) in found.items()
    )
    if set(found) & {"host", "socket", "chipset"}:
        yield Found(says=f"{text}{lost}", fix="an NVLink bridge where the card takes one; one processor for all cards")


@looks_after("nic-slot")
def _nic_slot(build: Build, use: Use) -> Iterator[Found]:
    seated = seat(build)
    if seated is None:
        return
    for card, place in zip(build.nics, seated.nics, strict=True):
        carries = direct_link(place.gen, place.lanes).bandwidth * BITS_PER_BYTE
        if carries < card.rate * 0.9:
            yield Found(
                says=f"{card.name} sits on x{place.lanes} of PCIe {place.gen}: {carries / GIGA:.0f} of "
                f"{card.rate / GIGA:.0f} Gbit/s",
                fix=f"a slot of x{card.lanes}, a slower card, or a processor with more lanes",
            )


@looks_after("nic-rdma")
def _nic_rdma(build: Build, use: Use) -> Iterator[Found]:
    if use.nodes < 2:
        return
    for card in build.nics[:1]:
        direct = any(gpu.device.form != "pcie" or not gpu.device.name.startswith(_CONSUMER) for gpu in build.gpus)
        if not card.rdma:
            yield Found(
                says=f"{card.name} cannot read GPU memory: five hops instead of three from GPU to GPU",
                fix="an InfiniBand or RoCE card",
                severity="note" if card.rate <= 10 * GIGA else "",
            )
        elif not direct:
            yield Found(
                says=f"{build.gpus[0].device.full_name} does not let network cards read its memory with the "
                "stock driver: "
                "messages cross host memory",
                fix="workstation or data-centre cards, where the network is what binds",
                severity="note",
            )


_CONSUMER = ("rtx-2", "rtx-3", "rtx-4", "rtx-5", "gtx", "titan", "arc", "rx-")


@looks_after("nic-waste")
def _nic_waste(build: Build, use: Use) -> Iterator[Found]:
    for card in build.nics[:1]:
        if use.nodes < 2 and card.rate > 10 * GIGA:
            cost = None if card.price is None else card.price * len(build.nics)
            yield Found(
                says=f"{card.name} of {card.rate / GIGA:.0f} Gbit/s in a machine that stands alone",
                fix="leave it out until there is a second machine",
                money=cost,
            )
