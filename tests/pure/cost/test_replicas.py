"""One process that drives all devices against one process each."""

from __future__ import annotations

import pytest

from machines import selene
from rigwise.cost.efficiencies import efficiencies, shipped, using
from rigwise.cost.estimate import Question, estimate
from rigwise.layouts.layout import Layout
from rigwise.models import zoo


def seconds(stack: str, devices: int, model: str = "resnet50") -> float:
    question = Question(
        model=zoo.load(model), cluster=selene(devices), batch=16 * devices, optimizer="momentum", stack=stack
    )
    return estimate(question, Layout(dp=devices, micro=16, precision="float32")).step_s


def test_one_process_scales_worse_than_one_each() -> None:
    together = [seconds("dataparallel", n) / seconds("dataparallel", 1) for n in (2, 4, 8)]
    apart = [seconds("eager", n) / seconds("eager", 1) for n in (2, 4, 8)]
    assert together == sorted(together)
    assert all(one > each for one, each in zip(together, apart, strict=True))


def test_the_flag_decides_not_the_name() -> None:
    tables = dict(shipped())
    tables["stack"] = {**tables["stack"], "eager": {**tables["stack"]["eager"], "one_process": True}}
    one, four = seconds("eager", 1), seconds("eager", 4)
    with using(tables):
        assert seconds("eager", 4) > four
        assert seconds("eager", 1) == one


def test_one_device_exchanges_nothing() -> None:
    question = Question(model=zoo.load("resnet50"), cluster=selene(1), batch=16, stack="dataparallel")
    assert estimate(question, Layout(micro=16)).time["gradient_exchange"] == 0


@pytest.mark.parametrize("devices", [2, 8])
def test_weights_go_out_and_gradients_come_back(devices: int) -> None:
    question = Question(model=zoo.load("vgg16"), cluster=selene(devices), batch=16 * devices, stack="dataparallel")
    weights = 4 * question.model.parameters
    reached = efficiencies(question.cluster.device, "dataparallel").link("nvswitch").share * 1.3
    found = estimate(question, Layout(dp=devices, micro=16, precision="float32")).time["gradient_exchange"]
    assert found > 2 * weights / (question.cluster.node.link.bandwidth * reached)
