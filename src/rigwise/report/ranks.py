"""Sections of the validation page on order and on others: layout sweeps, the peers, pairs of cards."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.calibration.cards import Pair, by_source, share
from rigwise.calibration.outcomes import Outcome, Sweep, sweep_summary, sweeps
from rigwise.calibration.peers import Beside
from rigwise.calibration.validation import PEER, Validation
from rigwise.measurements import published
from rigwise.report.markdown import number, percent, table, words

PAGE = "validation"
_WORST = 8
_TABLE_5 = "seqsel_tab5"


def sections(found: Validation) -> list[str]:
    """Layout sweeps, the peers beside us, the order of cards: each where there are rows for it."""
    return [*_sweeps(found), *_peers(found), *_cards(found)]


def _sweeps(found: Validation) -> list[str]:
    lines, worst = [], []
    for scheme in ("layout", "device", "source", "shipped"):
        some = sweeps(found.counted(scheme))
        if not some:
            return []
        told = sweep_summary(some)
        regret, rank = told["regret"], told["rank_correlation"]
        shares = [percent(regret[key]) for key in ("mean", "median", "max")]
        lines.append([scheme, f"{told['groups']:,}", *shares, number(rank["mean"]), number(rank["median"])])
        if scheme == "layout":
            worst = sorted(some, key=lambda s: (-s.regret, s.what))[:_WORST]
    head = ["left out", "sweeps", "mean regret", "median", "max", "mean rank correlation", "median"]
    return [
        "## Layout sweeps",
        words(PAGE, "sweeps"),
        table(head, lines),
        words(PAGE, "worst_sweeps"),
        table(["sweep", "layouts", "regret", "rank correlation"], [_sweep(s) for s in worst]),
    ]


def _sweep(sweep: Sweep) -> list[str]:
    return [sweep.what, f"{sweep.layouts}", percent(sweep.regret), "-" if sweep.rank is None else number(sweep.rank)]


def _peers(found: Validation) -> list[str]:
    if not found.peers:
        return []
    head = [
        "rows",
        "who",
        "rows",
        "mean",
        "median",
        "max",
        "bias",
        "sweeps",
        "mean regret",
        "max regret",
        "rank correlation",
    ]
    lines = [
        [
            b.rows,
            b.who,
            f"{b.summary.supported:,}",
            *(percent(v) for v in (b.summary.mean, b.summary.median, b.summary.maximal)),
            percent(b.summary.signed, signed=True),
            f"{b.sweeps}",
            percent(b.regret),
            percent(b.worst),
            "-" if b.rank is None else number(b.rank),
        ]
        for b in found.peers
    ]
    return [
        "## Beside the peers",
        words(PAGE, "peers", peer=PEER),
        table(head, lines, "ll"),
        _better(found.peers),
        *_table_5(found.counted("layout")),
        words(PAGE, "other_peers"),
    ]


def _better(peers: Sequence[Beside]) -> str:
    """The figures in which the peer beats us, in words; "" where there are none."""
    ours, theirs = ([b for b in peers if (b.who == PEER) is peer] for peer in (False, True))
    places = [
        f"{mine.rows}, {name}: {show(other)} against {show(own)}"
        for mine, its in ((mine, its) for mine in ours for its in theirs if mine.rows == its.rows)
        for name, own, other, show, more in (
            ("mean error", mine.summary.mean, its.summary.mean, percent, False),
            ("median error", mine.summary.median, its.summary.median, percent, False),
            ("mean regret", mine.regret, its.regret, percent, False),
            ("greatest regret", mine.worst, its.worst, percent, False),
            ("rank correlation", mine.rank, its.rank, number, True),
        )
        if own is not None and other is not None and own != other and (other > own) is more
    ]
    return words(PAGE, "better_peers", peer=PEER, places="; ".join(places)) if places else ""


def _table_5(outcomes: Sequence[Outcome]) -> list[str]:
    peer = published.peer_seconds(PEER.lower())
    rows = [o for o in outcomes if _TABLE_5 in o.row.source and o.predicted is not None and o.row.id in peer]
    lines = [
        [
            f"{o.row.model}, {o.row.n_devices} GPUs",
            o.row.recompute,
            number(o.row.value),
            number(o.predicted),
            f"{number(o.low)} to {number(o.high)}",
            percent(o.error, signed=True),
            number(peer[o.row.id]),
            percent(peer[o.row.id] / o.row.value - 1, signed=True) if o.row.value else "-",
        ]
        for o in rows
    ]
    head = ["model", "recomputation", "measured s", "predicted s", "80 % interval", "error", f"{PEER} s", "error"]
    return [table(head, lines, "ll")] if lines else []


def _cards(found: Validation) -> list[str]:
    if not found.pairs:
        return []
    lines = [_pairs(source, some) for source, some in by_source(found.pairs).items()]
    lines.append(_pairs("**all**", found.pairs))
    wrong = [p for p in found.pairs if p.order < 1 and p.bandwidth == 1]
    wrong = sorted(wrong, key=lambda p: (-p.measured, p.source, p.model))[:_WORST]
    parts = [
        "## Which card is faster",
        words(PAGE, "cards"),
        table(["source", "pairs", "in order", "by memory bandwidth alone"], lines),
    ]
    if wrong:
        parts += [
            words(PAGE, "wrong_cards"),
            table(
                ["source", "network", "faster", "slower", "measured", "predicted"],
                [[p.source, p.model, p.faster, p.slower, f"{p.measured:.2f}x", f"{p.predicted:.2f}x"] for p in wrong],
                "llll",
            ),
        ]
    return parts


def _pairs(name: str, some: Sequence[Pair]) -> list[str]:
    return [name, f"{len(some):,}", percent(share(some)), percent(share(some, "bandwidth"))]
