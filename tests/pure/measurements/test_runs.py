"""A run told in a line: parts in any order, every unit, and what is said where a part cannot be read."""

from __future__ import annotations

from itertools import permutations

import pytest

from rigwise.errors import NotFoundError, RigwiseError, UsageError
from rigwise.measurements.runs import Figure, read_figure, told_run

KEYS = frozenset({"batch", "tp", "precision"})

FIGURES = [
    ("3.9 s", "step_s", 3.9),
    ("3.9s/step", "step_s", 3.9),
    ("390 ms per iteration", "step_s", 0.39),
    ("1.5 min", "step_s", 90.0),
    ("2 seconds", "step_s", 2.0),
    ("11000 tokens/s/gpu", "tokens_per_s_per_device", 11000.0),
    ("11k tok/s/device", "tokens_per_s_per_device", 11000.0),
    ("420 tokens/s", "tokens_per_s", 420.0),
    ("1.2 M tokens/sec", "tokens_per_s", 1.2e6),
    ("812 images/s", "samples_per_s", 812.0),
    ("100 imgs/s/gpu", "samples_per_s_per_device", 100.0),
    ("45 % mfu", "mfu", 0.45),
    ("45% MFU", "mfu", 0.45),
    ("mfu=0.45", "mfu", 0.45),
    ("180 TFLOP/s", "flops_per_s_per_device", 180e12),
    ("0.18 PFLOPs/gpu", "flops_per_s_per_device", 180e12),
]


@pytest.mark.parametrize(("text", "metric", "value"), FIGURES)
def test_a_figure_is_read_with_its_unit(text: str, metric: str, value: float) -> None:
    figure = read_figure(text)
    assert figure is not None
    assert (figure.metric, figure.value) == (metric, pytest.approx(value))


@pytest.mark.parametrize(
    "name", ["8xh100", "h100 8x", "llama-8b", "4x RTX 4090", "this:2", "3.toml", "gpt3-175b", "resnet50"]
)
def test_a_name_is_no_figure(name: str) -> None:
    assert read_figure(name) is None


@pytest.mark.parametrize("parts", list(permutations(["8xh100", "llama-8b", "3.9 s", "batch=64"]))[::5])
def test_parts_stand_in_any_order(parts: tuple[str, ...]) -> None:
    run = told_run(", ".join(parts), KEYS)
    assert set(run.names) == {"8xh100", "llama-8b"}
    assert run.figure.value == 3.9
    assert run.settings == {"batch": "64"}


def test_thousands_may_be_parted() -> None:
    assert told_run("8xh100,1,250,000 tokens/s", KEYS).figure.value == 1.25e6
    assert told_run("batch=128,300 ms", KEYS).settings == {"batch": "128"}


def test_every_figure_of_one_run_means_the_same_step() -> None:
    """8 devices at 300 TFLOP/s, batch 16 of 1000 tokens, 1.2e15 FLOP: a step of 2 s."""
    facts = {"batch": 16.0, "tokens": 1000.0, "devices": 8.0, "flops": 1.2e15, "peak": 300e12}
    for metric, value in [
        ("step_s", 2.0),
        ("tokens_per_s", 8000.0),
        ("tokens_per_s_per_device", 1000.0),
        ("samples_per_s", 8.0),
        ("samples_per_s_per_device", 1.0),
        ("flops_per_s_per_device", 75e12),
        ("mfu", 0.25),
    ]:
        assert Figure(metric=metric, value=value, text="").seconds(**facts) == pytest.approx(2.0), metric


WRONG: list[tuple[str, type[RigwiseError], str]] = [
    ("8xh100, llama-8b", UsageError, "no figure"),
    ("8xh100, llama-8b, 3.9 parsecs", UsageError, "'3.9 parsecs' is no figure"),
    ("3 s, 4 s", UsageError, "'3 s' and '4 s'"),
    ("3 s, bach=3", NotFoundError, "no setting 'bach'; nearest: batch"),
    ("3 s, batch=3, batch=4", UsageError, "batch stands twice"),
    ("a, b, c, 3 s", UsageError, "3 names"),
    ("0 s", UsageError, "above 0"),
    ("130 % mfu", UsageError, "below 100 %"),
    ("", UsageError, "no figure"),
]


@pytest.mark.parametrize(("text", "kind", "says"), WRONG, ids=[text for text, _, _ in WRONG])
def test_what_cannot_be_read_says_so(text: str, kind: type[RigwiseError], says: str) -> None:
    with pytest.raises(kind) as refused:
        told_run(text, KEYS)
    assert says in str(refused.value)


def test_a_share_of_an_unknown_peak_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown peak"):
        Figure(metric="mfu", value=0.4, text="40 % mfu").seconds(batch=1, tokens=1, devices=1, flops=1, peak=None)
