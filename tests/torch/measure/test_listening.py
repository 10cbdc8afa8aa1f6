"""What is heard of a step, and the sum of a replay."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rigwise.errors import UsageError
from rigwise.measure.listen import Listener
from rigwise.measure.networks import loss_of, network
from rigwise.measure.others import Others
from rigwise.measure.probes import probes
from rigwise.measure.reading import Seen
from rigwise.measure.rows import Row, row, together

CPU = torch.device("cpu")


def heard(model: nn.Module, x: torch.Tensor) -> dict[Seen, list[float]]:
    listener = Listener(CPU)
    with listener:
        model(x).square().mean().backward()
    return listener.seconds()


def sizes(found: dict[Seen, list[float]], kind: str, which: str) -> list[dict[str, float]]:
    return [dict(what.sizes) for what in found if (what.kind, what.which) == (kind, which)]


def test_the_three_products_of_a_layer_are_told_apart() -> None:
    x = torch.randn(5, 7, requires_grad=True)
    found = heard(nn.Linear(7, 3), x)
    for which in ("forward", "input", "weight"):
        assert sizes(found, "product", which) == [{"m": 5.0, "n": 3.0, "k": 7.0}], which


def test_a_convolution_is_heard_with_its_geometry() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=2), nn.Conv2d(8, 6, 3, stride=2))
    found = heard(model, torch.randn(2, 4, 10, 10))
    first = {"b": 2.0, "c": 2.0, "k": 4.0, "g": 2.0, "p": 100.0, "s": 100.0, "r": 9.0}
    assert first in sizes(found, "conv", "forward")
    assert sizes(found, "conv", "weight") == [first]  # nobody asks for the gradient of the data
    assert sizes(found, "conv", "backward") == [
        {"b": 2.0, "c": 8.0, "k": 6.0, "g": 1.0, "p": 16.0, "s": 100.0, "r": 9.0}
    ]


def test_attention_lstm_and_embedding_are_heard() -> None:
    model, x, _ = network(["embedding 50 16", "causal 2", "lstm 8", "dense 3"], (2, 6))
    found = heard(model, x)
    assert sizes(found, "causal attention", "backward") == [{"b": 4.0, "m": 6.0, "n": 6.0, "k": 8.0}]
    assert sizes(found, "recurrent", "forward") == [{"b": 2.0, "t": 6.0, "n": 8.0, "k": 16.0}]
    assert sizes(found, "embedding", "backward") == [{"m": 12.0, "n": 16.0, "k": 50.0}]


def test_views_are_not_heard_and_amounts_count_what_moves() -> None:
    found = heard(nn.Sequential(nn.Flatten(), nn.ReLU()), torch.randn(2, 3, 4, requires_grad=True))
    assert sizes(found, "relu", "") == [{"amount": 48.0}]
    assert not any(what.kind in ("view", "t", "detach", "expand") for what in found)


def test_every_probe_can_be_built_and_trained() -> None:
    made = probes(CPU, thorough=False)
    assert len(made) > 20
    kinds: set[str] = set()
    for probe in made:
        listener = Listener(CPU)
        with listener:
            probe.step()
        kinds |= {what.kind for what in listener.seconds()}
    assert kinds >= {"product", "conv", "attention", "causal attention", "recurrent", "embedding", "avg_pool2d"}


def test_a_word_that_is_no_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="no layer 'densely'"):
        network(["densely 3"], (2, 3))


def test_a_residual_keeps_the_shape() -> None:
    model, x, shape = network(["keep", "dense 8", "relu", "dense 6", "add", "dense 2"], (3, 6))
    assert model(x).shape == shape == (3, 2)
    loss_of(model(x), torch.zeros(3, dtype=torch.long)).backward()


def test_ranks_that_measured_at_once_are_one() -> None:
    one, two = row("relu", [1.0, 1.1, 1.2], amount=3.0), row("relu", [3.0, 3.1, 3.2], amount=3.0)
    both = together([[one, row("only here", [1.0])], [two]])
    assert both[0].value == pytest.approx(2.1)
    assert [r.kind for r in both] == ["relu", "only here"]


def test_one_rank_has_nobody_to_wait_for() -> None:
    alone = Others(1, CPU)
    alone.meet()
    assert alone.all(True)
    assert not alone.all(False)
    assert alone.sum(2.5) == 2.5


def test_the_rows_of_a_thing_timed_once_have_no_spread() -> None:
    assert row("x", [1.0]).spread is None
    assert Row(**row("x", [1.0, 2.0, 3.0]).to_dict()).key == row("x", [2.0]).key
