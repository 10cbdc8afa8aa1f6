"""Figures of outcomes made by hand, whose answers are known; aims judged, and their causes found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from outcomes import outcome
from rigwise.calibration.aims import Aim, aims
from rigwise.calibration.figures import SCHEMES, judge, reason
from rigwise.calibration.groups import families, family_of, grouped
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.patterns import table
from rigwise.calibration.peers import beside
from rigwise.calibration.statistics import ENOUGH, figure_of
from rigwise.measurements.published import rows


def missing(*errors: float, source: str = "lab", **cells: object) -> list[Outcome]:
    return [outcome(f"{source}-{i}", 10.0, 10.0 * (1 + e), **cells) for i, e in enumerate(errors)]


def aim(statistic: str, most: float, **facts: object) -> Aim:
    return Aim(id="x", rows="all", scheme="layout", figures=({"statistic": statistic, "most": most},), **facts)


def under(outcomes: Sequence[Outcome]) -> dict[str, Sequence[Outcome]]:
    return dict.fromkeys(SCHEMES, outcomes)


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("mean", 0.2), ("median", 0.1), ("max", 0.5), ("share over 10% too low", 0.25)],
)
def test_figures_of_errors(statistic: str, value: float) -> None:
    assert figure_of(statistic, missing(0.1, -0.1, 0.1, -0.5)) == pytest.approx(value)
    assert figure_of(statistic, []) is None
    assert figure_of(statistic, [outcome("a-1", 1.0, None)]) is None


def test_after_one_row_a_stack_that_is_slower_throughout_is_known() -> None:
    slow, quick = missing(0.5, 0.5, 0.5, source="slow"), missing(-0.2, -0.2, -0.2, source="quick")
    before, after = figure_of("median", slow), figure_of("median after one row", slow)
    assert before == pytest.approx(0.5)
    assert after is not None
    assert after < 0.25
    model = figure_of("median after one row of its model", [*slow, *quick])
    assert model is not None
    assert model < after
    assert figure_of("median after one row", missing(0.4, 0.4)) is None


def test_regret_is_of_the_layout_that_was_ranked_first() -> None:
    measured, predicted = (1.0, 1.2, 2.0), (1.1, 0.9, 1.5)
    swept = [
        outcome(f"a-{i}", m, p, tp=2**i, global_batch=8)
        for i, (m, p) in enumerate(zip(measured, predicted, strict=True))
    ]
    assert figure_of("mean regret", swept) == pytest.approx(0.2)
    assert figure_of("rank correlation", swept) == pytest.approx(0.5)


def test_shares_inside_are_of_families_and_regimes_with_enough_rows() -> None:
    wide = missing(*[0.05] * ENOUGH, source="wide")
    half = missing(*[0.05, 0.5] * (ENOUGH // 2), source="half", family="bert", metric="tokens_per_s_per_gpu")
    few = missing(0.9, source="few", family="collective", metric="bus_gb_s")
    everything = [*wide, *half, *few]
    assert figure_of("lowest share inside", everything) == pytest.approx(0.5)
    assert figure_of("highest share inside", everything) == pytest.approx(1.0)
    judged = judge(aim("highest share inside", 0.85), under(everything))
    cause = judged.figures[0].cause
    assert cause is not None
    assert cause.group == "Language models, one device"
    assert cause.without == pytest.approx(0.5)


def test_pairs_of_cards_count_where_they_differ_clearly() -> None:
    cards = {"h100-sxm-80gb": (100, 90), "a100-sxm-80gb": (50, 60), "v100-sxm2-16gb": (20, 70), "t4": (19, 1)}
    made = [
        outcome(f"a-{i}", m, p, device=card, family="vision", metric="images_per_s")
        for i, (card, (m, p)) in enumerate(cards.items())
    ]
    assert figure_of("pairs in order", made) == pytest.approx(4 / 5), "T4 and V100 differ by 5 %: no pair"
    times = [
        outcome(f"b-{i}", 1 / m, 1 / p, device=card, family="vision", metric="ms", micro_batch=8)
        for i, (card, (m, p)) in enumerate(cards.items())
    ]
    assert figure_of("pairs in order", times) == pytest.approx(4 / 5), "a time is a speed upside down"


def test_an_aim_is_judged_over_its_own_rows_and_counts_what_was_refused() -> None:
    rows = [*missing(0.01, 0.02), *missing(0.9, model="GNMT"), outcome("lab-9", 1.0, None)]
    suspect = outcome("lab-8", 1.0, 9.0, notes="SUSPECT: flat")
    judged = judge(aim("mean", 0.03, where={"family": "llm"}, without={"model": "gnmt"}), under([*rows, suspect]))
    assert (judged.rows, judged.predicted) == (3, 2)
    assert judged.figures[0].value == pytest.approx(0.015)
    assert judged.figures[0].met is True
    assert judged.figures[0].cause is None
    assert judged.to_dict()["figures"][0]["met"] is True


def test_the_cause_of_a_miss_is_the_group_without_which_the_aim_would_be_nearest() -> None:
    good = missing(*[0.01] * 6, device="h100-sxm-80gb")
    bad = missing(0.5, 0.7, source="other", device="t4")
    judged = judge(aim("mean", 0.05), under([*good, *bad]))
    cause = judged.figures[0].cause
    assert judged.figures[0].met is False
    assert cause is not None
    assert (cause.kind, cause.group, cause.rows) == ("source", "other", 2)
    assert cause.without == pytest.approx(0.01)
    assert cause.signed == pytest.approx(0.6)


def test_a_group_of_most_rows_is_not_a_cause() -> None:
    judged = judge(aim("mean", 0.05), under(missing(0.5, 0.5, 0.5)))
    assert judged.figures[0].met is False
    assert judged.figures[0].cause is None


def test_a_peer_is_measured_on_exactly_our_rows() -> None:
    ours = [outcome(f"vtrain-{i}", 10.0, 11.0, source="ground_truth_multi.csv [1]", tp=2**i) for i in range(3)]
    found = beside(ours, {"vtrain-0": 5.0, "vtrain-1": 20.0, "elsewhere-1": 3.0}, "Peer")
    us, them = found
    assert (us.who, them.who) == ("rigwise", "Peer")
    assert us.summary.supported == them.summary.supported == 2
    assert us.summary.mean == pytest.approx(0.1)
    assert them.summary.mean == pytest.approx(0.75)
    assert them.summary.maximal == pytest.approx(1.0)


def test_the_aims_are_well_formed_and_have_rows_among_those_we_carry() -> None:
    carried = [Outcome(row=row) for row in rows()]
    ids = [entry.id for entry in aims()]
    assert len(set(ids)) == len(ids)
    for entry in aims():
        assert entry.scheme in SCHEMES
        assert any(entry.takes(o) for o in carried), entry.id
        for target in entry.figures:
            assert ("most" in target) != ("least" in target)
            assert figure_of(target["statistic"], []) is None
            assert ("peer" not in target) or entry.peer


def test_table_5_is_eight_rows() -> None:
    table_5 = next(entry for entry in aims() if entry.id == "table-5")
    assert sum(table_5.takes(Outcome(row=row)) for row in rows()) == 8


def test_every_row_has_a_family_and_every_metric_of_it_a_panel_or_none() -> None:
    for row in rows():
        family = family_of(row)
        assert family is not None, row.id
        drawn = {metric for metrics in family.units.values() for metric in metrics}
        assert row.metric in drawn or (family.id, row.metric) == ("collectives", "ms"), row.id


def test_sizes_stand_in_the_order_of_their_numbers() -> None:
    many = [outcome(f"a-{n}", 1.0, 1.0, n_devices=n) for n in (1024, 64, 1, 8, 512)]
    assert [key for (key,) in grouped(many, "size")] == [
        "1 device",
        "2 to 8 devices",
        "9 to 64 devices",
        "65 to 512 devices",
        "over 512 devices",
    ]


def test_reasons_are_of_groups_that_exist() -> None:
    names = {family.id for family in families()}
    assert len(names) == len(families())
    sources = {row.prefix for row in rows()}
    for entry in table("reasons")["reason"]:
        assert entry["why"]
        if entry["by"] == "source":
            assert set(entry["groups"]) <= sources
    assert reason("vtrain-multi", "tensor degree", "2")
    assert not reason("table-5", "source", "nobody")
