"""One layout, its spelling, its JSON and its row in a table all say the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout, LayoutTable, said_keys
from strategies import layouts

CHOICES = st.lists(st.tuples(st.sampled_from(["dense4", "head", "layer/2"]), st.sampled_from(["data", "model"])))
LAYOUTS = layouts(
    st.integers(1, 64),
    fused=st.booleans(),
    blocks=CHOICES.map(lambda rows: tuple(sorted(dict(rows).items()))),
)


@given(LAYOUTS)
def test_a_spelling_a_dictionary_and_a_row_give_the_layout_back(layout: Layout) -> None:
    assert Layout.parse(str(layout)) == layout
    assert Layout.from_dict(layout.to_dict()) == layout
    assert LayoutTable.of([Layout(dp=3, blocks=layout.blocks), layout]).layout(1) == layout


@given(LAYOUTS)
def test_ranks_are_the_mesh_and_neither_experts_nor_pieces_add_to_them(layout: Layout) -> None:
    assert layout.ranks == layout.but(ep=1, vpp=1).ranks == LayoutTable.of([layout]).ranks.item()


@pytest.mark.parametrize(
    ("spelling", "layout"),
    [
        ("", Layout()),
        (" dp = 2 , tp=4 ", Layout(dp=2, tp=4)),
        ("precision=bf16,sp=true", Layout(precision="bfloat16", sp="on")),
        ("fused=false", Layout(fused=False)),
        ("dp=4,blocks=head:model", Layout(dp=4, blocks=(("head", "model"),))),
    ],
)
def test_what_people_write(spelling: str, layout: Layout) -> None:
    assert Layout.parse(spelling) == layout


def test_what_is_not_said_is_filled_in_and_what_is_said_stays() -> None:
    assert Layout.parse("dp=2,micro=4", micro=8, zero=1) == Layout(dp=2, micro=4, zero=1)
    assert said_keys(" dp=2, blocks=head:model ") == ["dp", "blocks"]


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("dp", "'dp' in layout"),
        ("xp=2", "'xp=2' in layout"),
        ("dp=2,dp=4", "dp stands twice"),
        ("tp=two", "tp='two'"),
        ("tp=0", "tp=0.*at least 1"),
        ("zero=4", "zero=4.*FSDP is 3"),
        ("fused=yes", "fused='yes'"),
        ("recompute=some", "recompute='some'.*none, selective, full"),
        ("blocks=head", "blocks='head'.*NAME:data, NAME:model, NAME:turns or NAME:slices"),
        ("blocks=head:model+tail:turns", "blocks split by model and turns.*one way"),
        ("blocks=head:halves", "'head' is split by 'halves'"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_rule(spelling: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Layout.parse(spelling)


@pytest.mark.parametrize("data", [{"dp": 2, "xp": 1}, {"dp": True}, {"micro": 1.5}])
def test_a_dictionary_is_checked_like_a_spelling(data: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Layout.from_dict(data)


def test_a_broadcasting_table_has_every_combination_and_is_cut_along_its_first_dim() -> None:
    three = LayoutTable.of([Layout(dp=dp) for dp in (1, 2, 3)])
    columns = {key: getattr(three, key).reshape(3, 1) for key in LayoutTable.__dataclass_fields__ if key != "blocks"}
    table = LayoutTable(**columns | {"zero": np.array([[0, 1]])})
    assert (table.shape, table.size) == ((3, 2), 6)
    assert table.layout(2, 1) == Layout(dp=3, zero=1)
    cut = table.rows(1, 3)
    assert (cut.shape, cut.layout(0, 1)) == ((2, 2), Layout(dp=2, zero=1))
    assert table.take(np.array([2, 0])).layout(0, 1) == Layout(dp=3, zero=1)


def test_one_table_has_one_choice_of_blocks() -> None:
    with pytest.raises(UsageError, match="per-block choice"):
        LayoutTable.of([Layout(dp=2), Layout(dp=2, blocks=(("head", "model"),))])


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("optimizer+weights", "weights+optimizer"),
        ("weights + optimizer + activations", "all"),
        ("optimizer", "optimizer"),
    ],
)
def test_what_is_offloaded_is_said_in_any_order(said: str, read: str) -> None:
    assert Layout.parse(f"offload={said}").offload == read


@pytest.mark.parametrize("said", ["weights+weights", "weights+none", "gradients", ""])
def test_what_cannot_be_offloaded_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="offload"):
        Layout.parse(f"offload={said}")
