"""A captured graph cut into parts: where cost cuts, nothing lost on the way, refusals in words."""

from __future__ import annotations

from pipes import batch, made

import pytest
import torch
from torch import nn

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.layouts.stages import stages
from rigwise.models.trace import trace_module
from rigwise.run.limits import settle
from rigwise.run.parallel.balance import CHUNK, starts
from rigwise.run.parallel.capture import capture
from rigwise.run.parallel.cut import cut
from rigwise.run.parallel.stages import prepare
from rigwise.run.tasks import characters


@pytest.mark.parametrize("pp", [2, 3, 4])
def test_the_transformer_is_cut_where_its_estimate_cuts_it(pp: int) -> None:
    model = characters.Transformer(50)
    words = torch.zeros(2, 128, dtype=torch.int64)
    graph = capture(model, words, loss=characters.loss, targets=words)
    prepare(graph, model, Layout(pp=pp))
    told = trace_module(model, words, loss=characters.loss, target=words)
    layers = stages(told, pp)[:, [b.role for b in told.blocks].index("layer")]
    for chunk in range(pp):
        held = {str(n.target).split(".")[1] for n in graph.graph.nodes if n.op == "get_attr" and "layers." in n.target
                and any(u.meta.get(CHUNK) == chunk for u in n.users)}  # fmt: skip
        assert len(held) == layers[chunk]


def test_only_the_stream_crosses_and_inputs_stay_where_they_are() -> None:
    model, loss = made("words")
    inputs, targets = batch("words", 2)
    graph = capture(model, inputs, loss=loss, targets=targets)
    prepare(graph, model, Layout(pp=3))
    parts = cut(graph, starts(graph, 3))
    assert [len(part.leaves) for part in parts] == [1, 1, 0]
    assert [part.inputs for part in parts] == [(0,), (), (1,)]


@pytest.mark.parametrize("pp", [8, 20])
def test_more_stages_than_blocks(pp: int) -> None:
    model, loss = made("words")
    inputs, targets = batch("words", 2)
    with pytest.raises(UsageError, match="Words has 3 layers") as caught:
        prepare(capture(model, inputs, loss=loss, targets=targets), model, Layout(pp=pp))
    assert caught.value.nearest == "pp 3"


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.cell(x)[0]
        return out


def test_a_recurrent_layer_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'cell'"):
        capture(Recurrent(), torch.zeros(3, 2, 4))


def test_interleaving_needs_its_micro_batches() -> None:
    with pytest.raises(UsageError, match="3 micro-batches over 2 interleaved stages") as caught:
        settle(Layout(pp=2, vpp=2, micro=4), 12, whole=False)
    assert caught.value.nearest in ("2 micro-batches", "4 micro-batches")
