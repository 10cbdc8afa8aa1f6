"""A machine's profile, fitted to what a made-up machine would take."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from rigwise import api
from rigwise.calibration.curves import Timed, curves_of, law
from rigwise.calibration.here import link_fit, profile, transferred
from rigwise.calibration.store import load, matching, save
from rigwise.cost.measured import Curve, Rates, amounts
from rigwise.cost.profile import Profile
from rigwise.errors import NotFoundError, UsageError

RATE, FLOOR, MOVES = 5e10, 1e-5, 2e10


def made_up(kind: str, **sizes: float) -> float:
    flop, moved = (2.0, 1.0) if kind == "product" else (0.0, 1.0)
    counted = amounts(kind, sizes)
    return FLOOR + flop / 2 * float(counted[1]) / RATE + moved * float(counted[-1]) / MOVES


def machine() -> list[Timed]:
    draw = np.random.default_rng(0)
    timed = []
    for probe in range(12):
        parts = []
        for _ in range(3):
            m, n, k = (float(2 ** draw.uniform(3, 10)) for _ in range(3))
            for which in ("forward", "input", "weight"):
                sizes = {"m": m, "n": n, "k": k}
                parts.append(("product", which, sizes, made_up("product", **sizes)))
            for name in ("relu", "threshold_backward", "add", "sum"):
                parts.append((name, "", {"amount": 2 * m * n}, made_up("relu", amount=2 * m * n)))
        own = [
            Timed(kind=k, which=w, sizes=s | {"often": 1.0, "probe": float(probe)}, seconds=t) for k, w, s, t in parts
        ]
        whole = sum(one.seconds for one in own) + 5e-6 * len(own)
        timed += [*own, Timed(kind="pass", which="", sizes={"probe": float(probe)}, seconds=whole)]
    for size in (64.0, 1e4, 1e6):
        sizes = {"n": size}
        timed.append(Timed(kind="optimizer", which="sgd", sizes=sizes, seconds=FLOOR + size * 4 / MOVES))
    for size in (2.0**10, 2.0**20, 2.0**24):
        timed.append(Timed(kind="all_reduce", which="", sizes={"bytes": size, "ranks": 2.0}, seconds=1e-3 + size / 1e9))
    return timed


@cache
def fitted() -> Profile:
    return profile(machine(), name="this", machine="made up", ranks=1, threads=1, date="2026-11-22")


def test_the_law_finds_the_constants_of_a_machine_that_follows_it() -> None:
    sizes = {key: np.array([8.0, 64.0, 512.0, 100.0]) for key in "mnk"}
    counted = amounts("product", sizes)
    wanted = np.array([1e-5, 2e-11, 1e-10])
    assert law(counted, counted @ wanted) == pytest.approx(wanted, rel=1e-6)


def test_rates_say_what_was_timed_and_what_lies_between() -> None:
    rates = fitted().rates
    for m, n, k in ((32, 300, 70), (500, 500, 500)):
        curve = rates.curve("product", "forward")
        assert curve is not None
        assert curve.seconds(m=m, n=n, k=k) == pytest.approx(made_up("product", m=m, n=n, k=k), rel=0.05)


def test_far_outside_of_what_was_timed_the_law_goes_on() -> None:
    curve = fitted().rates.curve("product", "forward")
    assert curve is not None
    assert curve.seconds(m=2**14, n=2**14, k=2**14) == pytest.approx(
        made_up("product", m=2**14, n=2**14, k=2**14), rel=0.1
    )


def test_a_profile_knows_what_a_pass_costs_besides_and_how_well_it_says_an_unseen_one() -> None:
    found = fitted()
    assert found.rates.operation_s == pytest.approx(5e-6, rel=0.01)
    assert found.after < 0.1 < found.before
    assert found.wire is not None
    assert (found.wire.alpha, found.wire.bandwidth) == pytest.approx((1e-3, 1e9))


def test_a_slow_odd_point_does_not_move_its_neighbours_far() -> None:
    sizes = [{"m": 2.0**i, "n": 256.0, "k": 256.0} for i in range(3, 12)]
    timed = [Timed(kind="product", which="forward", sizes=s, seconds=made_up("product", **s)) for s in sizes]
    timed[4] = Timed(kind="product", which="forward", sizes=sizes[4], seconds=3 * timed[4].seconds)
    curve = curves_of(timed)["product", "forward"]
    assert curve.seconds(m=2.0**10, n=256, k=256) == pytest.approx(made_up("product", m=2.0**10, n=256, k=256), rel=0.5)


def test_profiles_go_to_disk_and_come_back(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load() == []
    found = fitted()
    save([found])
    again = matching("made up", 1, 1)
    assert again is not None
    assert again.to_dict() == found.to_dict()
    assert matching("another machine", 1, 1) is None
    assert matching("made up", 2, 1) is None
    with pytest.raises(NotFoundError, match="no profile"):
        load("that")
    with pytest.raises(UsageError, match="profile name"):
        save([found], "../up")


def test_a_profile_file_that_cannot_be_read_is_no_profile(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    path = save([fitted()])
    for text in ("{", '{"schema_version": 99, "profiles": []}', '{"schema_version": 1, "profiles": [{}]}'):
        path.write_text(text)
        assert load() == []


def test_nothing_timed_is_refused() -> None:
    with pytest.raises(UsageError, match="no products"):
        profile([], name="this", machine="x", ranks=1, threads=1, date="")


def test_an_estimate_by_a_profile_says_so_and_its_bar_is_the_profile_s() -> None:
    from dataclasses import replace

    asked = api.ask("mnist-mlp", "this:1", layout="dp=1", precision="float32", optimizer="sgd")
    plain = asked.estimate("dp=1,precision=float32")
    here = replace(asked, question=replace(asked.question, here=fitted())).estimate("dp=1,precision=float32")
    assert here.basis.startswith("measured here")
    assert here.interval[1] / here.interval[0] < plain.interval[1] / plain.interval[0]
    assert sum(here.time.values()) == pytest.approx(here.step_s)


def test_a_type_that_was_not_measured_goes_by_the_laws() -> None:
    from dataclasses import replace

    asked = api.ask("mnist-mlp", "this:1", layout="dp=1", precision="bfloat16")
    here = replace(asked, question=replace(asked.question, here=fitted())).estimate("dp=1,precision=bfloat16")
    assert not here.basis.startswith("measured here")


def test_two_figures_of_a_link_with_their_error() -> None:
    sizes = [2.0**power for power in range(10, 26, 3)]
    found = link_fit("all_gather", 4, sizes, [2e-4 + 0.75 * size / 3e9 for size in sizes])
    assert (found.alpha, found.bandwidth) == pytest.approx((2e-4, 3e9))
    assert found.worst < 1e-6


def test_kinds_that_were_not_timed_follow_all_streams_or_nothing() -> None:
    rates = Rates(curves=fitted().rates.curves)
    assert isinstance(rates.curve("an unheard stream"), Curve)
    assert rates.curve("attention", "forward") is None


def test_the_environment_names_the_profile_that_predictions_go_by(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    save([fitted()], "quiet")
    assert matching("made up", 1, 1) is None
    monkeypatch.setenv("RIGWISE_PROFILE", "quiet")
    assert matching("made up", 1, 1) is not None
    for name, refused in (("nosuch", NotFoundError), ("../quiet", UsageError)):
        monkeypatch.setenv("RIGWISE_PROFILE", name)
        with pytest.raises(refused):
            matching("made up", 1, 1)


def test_a_layer_that_threads_make_slower_says_nothing_of_the_others() -> None:
    """Nine products take 0.6 of their time with more threads, one takes three times as long."""

    def timed(number: int, seconds: float, **more: float) -> Timed:
        return Timed(kind="product", which="forward", sizes={"m": float(number), "often": 1.0, **more}, seconds=seconds)

    usual = [timed(n, 1e-3 * n, probe=float(n)) for n in range(1, 12)]
    there = [timed(n, 1e-3 * n * (3.0 if n == 9 else 0.6)) for n in range(1, 11)]
    *_, added = transferred(there, usual)
    assert added.seconds == pytest.approx(0.6 * 11e-3, rel=0.1)
