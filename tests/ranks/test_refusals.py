"""What a layout cannot do with a model is said with the module's name and what to do, before a step is taken."""

from __future__ import annotations

import pytest

from rigwise.errors import UsageError
from training import train


@pytest.mark.parametrize(
    ("task", "layout", "words"),
    [
        (":recurrent", "tp=2", r"'1.cells' \(LSTM\) cannot be captured: a traced recurrent layer"),
        (":recurrent", "pp=2", r"'1.cells' \(LSTM\) cannot be captured: a traced recurrent layer"),
        (":deciding", "pp=2", r"'1' \(Deciding\) cannot be captured: what it does next depends on the values"),
        (":plain", "pp=4,micro=12", "pp 4, and Sequential has 2 layers"),
        (":plain", "cp=2", "no input of the model has tokens that an attention follows"),
        (":plain", "dp=2,blocks=absent:model", "block 'absent'"),
    ],
)
def test_what_cannot_be_split_is_said_with_its_name(task: str, layout: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        train(task, layout)
    assert caught.value.rule
    assert caught.value.nearest


def test_what_cannot_be_captured_trains_with_its_data_split() -> None:
    assert train(":recurrent", "dp=2", steps=2).steps == train(":deciding", "dp=2", steps=2).steps == 2
