"""What stages and context ranks send is what the laws say, to the byte."""

from __future__ import annotations

from collections import Counter
from pipes import TOKENS, WIDE, agree, batch, made

import pytest

from rigwise.layouts.exchange import by_context
from rigwise.layouts.layout import Layout
from rigwise.models.trace import trace_module

DOUBLE = 8


def boundary() -> float:
    """Elements a sample hands from a layer to the next, as an estimate has them."""
    model, loss = made("words")
    inputs, targets = batch("words", 2)
    blocks = trace_module(model.float(), inputs, loss=loss, target=targets).blocks
    (size,) = {block.boundary for block in blocks if block.role == "layer"}
    return size


@pytest.mark.parametrize(("pp", "vpp", "micros"), [(3, 1, 4), (2, 2, 2)])
def test_stages_send_one_boundary_each_way_for_each_micro_batch(pp: int, vpp: int, micros: int) -> None:
    ranks = agree(("words", Layout(pp=pp, vpp=vpp), micros), steps=1, layers=4)
    each = boundary() * 2 * DOUBLE * micros
    for stage, (_, _, (_, sent, _), _) in enumerate(ranks):
        assert sent["F"] == each * (vpp - (stage == pp - 1))
        assert sent["B"] == each * (vpp - (stage == 0))


@pytest.mark.parametrize("cp", [2, 4])
def test_context_ranks_send_keys_and_values_as_the_law_has_it(cp: int) -> None:
    layers, micros, micro = 3, 2, 2
    ranks = agree(("words", Layout(cp=cp), micros), steps=1)
    law = {move.of + move.collective: float(move.sent) for move in by_context(micro, TOKENS, WIDE, cp)}
    for *_, ledger in ranks:
        found: Counter[str] = Counter()
        for sent in ledger:
            if sent.of != "gradient":
                found[sent.of + sent.collective] += sent.bytes
        assert found == {key: value * DOUBLE * layers * micros for key, value in law.items()}
