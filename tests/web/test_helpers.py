"""Helpers beside the server: the answer of the API, its errors as they are, and nothing lost when one dies."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from rigwise.errors import NotFoundError, UsageError
from rigwise.web.helpers import Helpers

SPLIT = json.dumps({"shape": "8x8x8", "ranks": 2})


@pytest.fixture
def one() -> Iterator[Helpers]:
    made = Helpers(1, "")
    made.start()
    yield made
    made.close()


def answered(helpers: Helpers, verb: str, request: str) -> bytes:
    """The answer, once a helper is ready."""
    while (found := helpers.answer(verb, request)) is None:
        time.sleep(0.05)
    return found


def test_an_answer_is_that_of_the_servers_own_process(one: Helpers, server) -> None:
    status, own = server.ask("split", **json.loads(SPLIT))
    assert status == 200
    assert json.loads(answered(one, "split", SPLIT)) == own


def test_an_error_is_raised_as_it_is_and_the_helper_goes_on(one: Helpers) -> None:
    answered(one, "split", SPLIT)
    with pytest.raises(UsageError):
        answered(one, "split", json.dumps({"shape": "8x8", "ranks": 2}))
    with pytest.raises(NotFoundError) as unknown:
        answered(one, "plan", json.dumps({"model": "gpt-22", "cluster": "8xh100"}))
    assert unknown.value.nearest
    assert answered(one, "split", SPLIT)


def test_where_one_died_the_server_answers_and_another_takes_its_place(one: Helpers) -> None:
    before = answered(one, "split", SPLIT)
    one._all[0].kill()
    one._all[0].wait()
    assert one.answer("split", SPLIT) is None
    assert answered(one, "split", SPLIT) == before
    assert len(one._all) == 2


def test_closed_helpers_have_ended() -> None:
    made = Helpers(1, "")
    made.start()
    answered(made, "split", SPLIT)
    made.close()
    assert [process.poll() is not None for process in made._all] == [True]
    assert made.answer("split", SPLIT) is None
