"""The axes that a search looks at: what could win is among them."""

from __future__ import annotations

import numpy as np
import pytest

from machines import selene
from rigwise.cost.estimate import Question
from rigwise.layouts.rules import legal
from rigwise.models.mlp import mlp
from rigwise.models.zoo import load
from rigwise.search.scale import scale
from rigwise.search.space import axes, space


@pytest.mark.parametrize(("pp", "vpp"), [(4, 2), (8, 3), (16, 1), (32, 4)])
def test_stages_need_not_divide_the_layers(pp: int, vpp: int) -> None:
    """Llama 3.1 405B has 126 layers; with embedding and head they make 32 stages of four pieces."""
    model, cluster = load("llama-3.1-405b"), selene(512)
    table = space(model, cluster, axes(model, cluster, 512), "bfloat16")
    found = (table.pp == pp) & (table.vpp == vpp) & legal(table, model, cluster, 512)
    assert np.broadcast_to(found, table.shape).any()


def test_all_options_are_in_the_whole_space() -> None:
    model, cluster = load("gpt3-1.3b"), selene(8)
    usual, whole = (axes(model, cluster, 8, every=every) for every in (False, True))
    for key in usual.__dataclass_fields__:
        few, many = getattr(usual, key), getattr(whole, key)
        assert few is many is None or set(few) <= set(many)
    assert {"keep", "off", "on"} == set(whole.sp)
    assert len(whole.offload) == 8


def test_sharded_is_sharded_however_short_the_model() -> None:
    ask = Question(model=mlp(sizes=[4096, 4096]), cluster=selene(4), batch=256)
    rows = scale(ask, [1, 2, 4]).curves["sharded"]
    assert [row and row.layout.zero for row in rows] == [0, 3, 3]
