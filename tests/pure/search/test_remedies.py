"""What would make a layout fit: legal, it fits, the degrees stay, and nothing with fewer changes would do."""

from __future__ import annotations

import pytest

from rigwise import api
from rigwise.layouts.layout import Layout
from rigwise.layouts.rules import broken
from rigwise.search.remedies import remedy

TABLE = [
    ("llama-3-8b", "8xh100", "dp=8", 32),
    ("llama-3-8b", "8xh100", "dp=4,tp=2,micro=8", 32),
    ("llama-3-70b", "64xh100", "dp=8,tp=8", 64),
    ("gpt3-13b", "16xa100-sxm-80gb", "dp=4,tp=4,micro=4", 64),
]


@pytest.mark.parametrize(("model", "cluster", "layout", "batch"), TABLE)
def test_the_remedy_is_legal_fits_and_keeps_the_degrees(model, cluster, layout, batch) -> None:
    asked = api.ask(model, cluster, batch=batch)
    before = asked.estimate(layout)
    assert not before.fits
    found = remedy(asked.question, before.layout)
    assert found is not None
    assert not broken(found, asked.model, asked.cluster, batch)
    assert asked.estimate(found).fits
    assert all(getattr(found, key) == getattr(before.layout, key) for key in ("dp", "tp", "pp", "cp", "ep", "vpp"))


def test_one_change_is_taken_where_one_is_enough() -> None:
    asked = api.ask("llama-3-8b", "8xh100", batch=32)
    short = asked.estimate("dp=8,micro=2,zero=2,recompute=selective")
    found = remedy(asked.question, short.layout)
    assert not short.fits
    assert found is not None
    changed = [key for key, value in found.to_dict().items() if value != short.layout.to_dict()[key]]
    assert len(changed) == 1


def test_nothing_is_named_where_nothing_fits() -> None:
    asked = api.ask("gpt3-175b", "2xrtx-3090", batch=2)
    assert remedy(asked.question, Layout(dp=2, overlap="none")) is None
