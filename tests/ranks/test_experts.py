"""Experts shared out over ranks train as one process does, and their tokens move as the law says."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mixing import BATCH, EXPERTS, TOKENS, WIDE, both, trained
from rigwise.layouts.exchange import by_expert
from rigwise.layouts.layout import Layout
from rigwise.run.compress.two_phase import ring_bytes
from rigwise.run.keeping.filling import weights
from together import together
from training import train

FLOAT64, DOUBLE, COUNT = 1e-12, 8, 4  # COUNT: bytes of a number of rows
STEPS = 20


KINDS = pytest.mark.parametrize(("dp", "ep", "micro"), [(4, 2, 2), (4, 4, 4)])


@cache
def shared(dp: int, ep: int, micro: int) -> list[Any]:
    return together(dp, both, Layout(dp=dp, ep=ep, precision="float32"), STEPS, micro)


@cache
def alone() -> Any:
    return trained(Layout(precision="float32"), STEPS, BATCH)


@KINDS
def test_losses_weights_and_gradients_are_those_of_one_process(dp: int, ep: int, micro: int) -> None:
    losses, whole, *_ = alone()
    reference = {held.name: (weight, gradient) for held, weight, gradient in whole}
    seen: dict[str, Counter[int]] = {}
    for own, pieces, *_ in shared(dp, ep, micro):
        assert own == pytest.approx(losses, rel=FLOAT64)
        assert [held.name for held, *_ in pieces] == [held.name for held, *_ in whole]
        for held, *tensors in pieces:
            for tensor, expected in zip(tensors, reference[held.name], strict=True):
                piece = held.cut(torch.from_numpy(expected)).numpy()
                np.testing.assert_allclose(tensor, piece, rtol=0, atol=FLOAT64 * max(1.0, np.abs(expected).max()))
            seen.setdefault(held.name, Counter()).update([held.runs[0][0][0]])
    for name, starts in seen.items():
        cut = name.rpartition(".")[2] in ("up", "down")
        assert list(starts.values()) == ([dp // ep] * ep if cut else [dp])


@KINDS
def test_all_ranks_together_hold_the_elements_of_the_law(dp: int, ep: int, micro: int) -> None:
    """Whatever the routing: each mixture moves tokens top_k H elements, four times; one that is first, twice."""
    total: Counter[str] = Counter()
    leaving = 0.0
    for _, _, sent, *_ in shared(dp, ep, micro):
        rows = [one for one in sent if one.collective == "all_to_all" and one.item == DOUBLE]
        total.update({of: sum(one.elements for one in rows if one.of == of) for of in ("forward", "backward")})
        leaving += sum(one.bytes for one in rows)
    tokens = BATCH * TOKENS * STEPS
    once = {top_k: float(by_expert(tokens, top_k, WIDE, ep)[0].elements) for top_k in (1, 2)}
    assert total["forward"] == 2 * once[2] + 2 * 2 * once[1]
    assert total["backward"] == once[2] + 2 * 2 * once[1]  # the inputs of the first are no weights
    assert 0 < leaving < DOUBLE * sum(total.values())


@KINDS
def test_a_rank_sends_the_bytes_of_the_law_where_tokens_spread_evenly(dp: int, ep: int, micro: int) -> None:
    law = [(move.of, move.collective, float(move.sent) * DOUBLE) for move in by_expert(EXPERTS, 2, WIDE, ep)]
    counts = ("forward", "all_to_all", EXPERTS * (ep - 1) / ep * COUNT)
    for *_, sent in shared(dp, ep, micro):
        assert [(one.of, one.collective, one.bytes) for one in sent] == [counts, *law]


def test_gradients_of_experts_go_round_their_own_replicas_only() -> None:
    for _, pieces, sent, told, _ in shared(4, 2, 2):
        sizes = [sum(w.nbytes for held, w, _ in pieces if held.is_whole is kind) for kind in (True, False)]
        found = sum(one.bytes for one in sent if one.of == "gradient") / STEPS
        assert found == told == ring_bytes(sizes[0], 4) + ring_bytes(sizes[1], 2)


def test_a_checkpoint_holds_whole_mixtures() -> None:
    """The packaged task, from one rank to experts shared out over two: read in pieces, and written in pieces."""
    alone = train("experts", "dp=1", steps=6)
    train("experts", "dp=1", steps=3, output="parts")
    shared_out = train("experts", "dp=2,ep=2,micro=16", steps=6, output="parts", resume=True)
    assert shared_out.resumed_from == 3
    assert shared_out.losses == pytest.approx(alone.losses, rel=1e-5)
    first, second = (weights(run.checkpoint) for run in (alone, shared_out))
    assert first.keys() == second.keys()
    for name, whole in first.items():
        torch.testing.assert_close(second[name], whole, rtol=1e-4, atol=1e-6)
