"""Runs that go on, with pipelines: bit for bit as the same layout, and with every number kept as another one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rigwise.run.keeping.filling import whole
from rigwise.run.result import RunResult
from training import train


def kept(run: RunResult) -> dict[str, Any]:
    return whole(run.checkpoint)


@pytest.mark.parametrize("layout", ["pp=2,micro=6", "pp=2,vpp=2,micro=12"])
def test_a_pipeline_goes_on_bit_for_bit(layout: str) -> None:
    task = ":dropout" if "vpp" not in layout else ":deep"
    undisturbed = train(task, layout, steps=5, output="whole")
    train(task, layout, steps=3, output="parts")
    resumed = train(task, layout, steps=5, output="parts", resume=True)
    assert resumed.losses == undisturbed.losses
    first, second = kept(undisturbed), kept(resumed)
    assert first.keys() == second.keys()
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_four_replicas_become_two_stages_of_two_halves_and_one_process() -> None:
    """The optimizer of the task rests after three steps, so later checkpoints hold what was read, cut and put together
    again: weights (one of them the table and the head) and all that Adam keeps.
    """
    undisturbed = train(":tied", "dp=1", steps=6).losses
    first = train(":tied", "dp=4", steps=3, output="out")
    before = kept(first)
    assert {name.rsplit("/", 1)[1] for name in before if name.startswith("optimizer/words.weight")} >= {
        "exp_avg",
        "exp_avg_sq",
        "max_exp_avg_sq",
    }
    cut = train(":tied", "tp=2,pp=2,micro=6", steps=5, output="out", resume=True)
    back = train(":tied", "dp=1", steps=6, output="out", resume=True)
    assert (cut.resumed_from, back.resumed_from) == (3, 5)
    for later in (kept(cut), kept(back)):
        assert later.keys() == before.keys()
        assert [name for name, tensor in before.items() if not torch.equal(later[name], tensor)] == []
    assert back.losses == pytest.approx(undisturbed, rel=1e-12)
