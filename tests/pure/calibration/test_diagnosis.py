"""Each cause of a slow run is named where its evidence is there, and not otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigwise.calibration.diagnosis import Symptoms, diagnose

SOUND = Symptoms(
    step_s=0.1,
    low=0.09,
    predicted={"compute": 0.08, "communication": 0.01, "loader": 0.0, "optimizer": 0.01},
    measured={"compute": 0.08, "communication": 0.01, "loader": 0.0, "optimizer": 0.01},
    ranks=2,
    threads=1,
    cores=2,
    gradient_bytes=1e7,
    link=1e9,
)
SLOW = replace(SOUND, step_s=0.3, measured={"compute": 0.28, "communication": 0.01, "loader": 0.0, "optimizer": 0.01})


def causes(run: Symptoms) -> list[str]:
    return [cause.cause for cause in diagnose(run)]


def test_a_run_near_its_prediction_has_no_diagnosis() -> None:
    assert causes(SOUND) == []
    assert causes(replace(SOUND, step_s=0.107, others=1.0)) == []  # 1.19 of the lower bound


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"ranks": 4}, "cores oversubscribed"),
        ({"others": 0.9}, "other programs on the cores"),
        ({"faults": 9000.0}, "page faults"),
        ({"throttled": ("GPU 0: power limit",)}, "throttled"),
        ({"measured": {**SOUND.measured, "loader": 0.2}}, "loader starved"),
        ({"measured": {**SOUND.measured, "communication": 0.2}}, "slow link"),
        ({"measured": {**SOUND.measured, "communication": 0.2}, "peer": False}, "no peer access"),
        ({}, "not known"),
    ],
)
def test_a_cause_is_named_by_its_evidence(changed: dict, cause: str) -> None:
    found = diagnose(replace(SLOW, **changed))
    assert cause in [one.cause for one in found]
    assert all(one.evidence and one.fix for one in found)


def test_the_part_that_lost_most_comes_first() -> None:
    run = replace(SLOW, others=0.5, measured={**SOUND.measured, "loader": 0.15, "compute": 0.1})
    assert causes(run)[0] == "loader starved"


def test_a_fast_link_is_not_blamed() -> None:
    quick = replace(SLOW, measured={**SLOW.measured, "communication": 0.04}, link=3e8)
    assert "slow link" not in causes(quick)


def test_other_programs_on_cores_that_the_run_has_no_use_for_are_not_blamed() -> None:
    assert causes(replace(SLOW, others=1.0, ranks=1, cores=8)) == ["not known"]
    assert causes(replace(SLOW, others=1.0, ranks=8, cores=8, link=None)) == ["other programs on the cores"]


def test_a_step_as_predicted_is_not_called_slow_for_a_wide_bar() -> None:
    assert causes(replace(SOUND, low=0.05)) == []
    assert causes(replace(SOUND, low=0.05, faults=9000.0)) == []


def test_a_loader_that_waits_comes_before_programs_that_may_slow_the_rest() -> None:
    run = replace(SLOW, others=1.9, measured={**SOUND.measured, "loader": 0.2, "compute": 0.09})
    assert causes(run) == ["loader starved", "other programs on the cores"]
