"""Whatever is sent, what comes is an answer or a problem, and never our fault: by the schema, and by wrong bodies.

RIGWISE_FUZZ says how many bodies; the robot sends ten thousand. RIGWISE_EXPLORE makes more of the schema.
"""

from __future__ import annotations

import json
import os
import random
from http.client import HTTPConnection

import pytest

from rigwise.web.verbs import VERBS

BODIES = int(os.environ.get("RIGWISE_FUZZ", "1500"))
EXAMPLES = 40 if os.environ.get("RIGWISE_EXPLORE") else 6  # of each path
PATIENCE = 600  # seconds for an answer: that it comes is tested, not how soon
QUICK = (
    "plan",
    "estimate",
    "timeline",
    "split",
    "advise",
    "rig",
    "rig-check",
    "brain-estimate",
    "conv-pixel",
    "conv-map",
    "jobs",
    "none",
)
WORDS = [
    "gpt2",
    "8xh100",
    "4xrtx-3090",
    "dp=8",
    "tp=2,pp=2",
    "",
    "\0",
    "💥" * 9,
    "../x",
    "9" * 40,
    "-1",
    "1e999",
    "NaN",
]
SAID = {"content-type": "application/json", "x-rigwise-token": "test-token"}
SEEDS = {
    "plan": {"model": "mnist-mlp", "cluster": "1xrtx-3090", "batch": 8},
    "estimate": {"model": "mnist-mlp", "cluster": "2xrtx-3090", "layout": "dp=2", "batch": 8},
    "timeline": {"model": "mnist-mlp", "cluster": "2xrtx-3090", "layout": "dp=2", "batch": 8},
    "split": {"shape": "8x8x8", "ranks": 2},
    "advise": {"model": "mnist-mlp", "most": 1, "top": 1},
    "rig": {"gpus": "1xrtx-3090"},
    "rig-check": {"parts_list": "kind,name,count\ngpu,GeForce RTX 3090,2\n"},
    "brain-estimate": {"draws": 10},
    "conv-pixel": {"kernel": "blur", "stride": 2},
    "conv-map": {"device": "h100", "channels": 16},
    "jobs": {"verb": "split", "request": {"shape": 3}},
    "none": {},
}


def strange(chance: random.Random, depth: int = 0) -> object:
    """A value of any kind."""
    kind = chance.randrange(9 if depth < 3 else 6)
    simple = [None, chance.random() < 0.5, chance.randrange(-(10**20), 10**20), chance.uniform(-1e308, 1e308)]
    if kind < 4:
        return simple[kind]
    if kind < 6:
        return chance.choice(WORDS)
    if kind == 6:
        return [strange(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(WORDS): strange(chance, depth + 1) for _ in range(chance.randrange(4))}


def body(chance: random.Random, verb: str) -> bytes:
    """A body that is wrong somewhere, or mostly: a field of another kind, one too many, a cut, or plain noise."""
    said = dict(SEEDS[verb])
    way = chance.randrange(6)
    if way == 0:
        return chance.randbytes(chance.randrange(200))
    fields = list(VERBS[verb].request.model_fields) if verb in VERBS else list(said)
    for _ in range(chance.randrange(1, 4)):
        said[chance.choice([*fields, "surprise"])] = strange(chance)
    raw = json.dumps(strange(chance) if way == 1 else said).encode()
    return raw[: chance.randrange(len(raw) + 1)] if way == 2 else raw


@pytest.mark.timeout(600)
def test_bad_bodies_are_never_our_fault(server) -> None:
    chance, bad, seen = random.Random(1), [], set()
    link = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)  # one, for most of the time would go to opening
    for number in range(BODIES):
        verb = QUICK[number % len(QUICK)]
        raw = body(chance, verb)
        link.request("POST", f"/api/{verb}", raw, SAID)
        answer = link.getresponse()
        status, told = answer.status, answer.read()
        seen.add(status)
        if status >= 500 and status != 503:
            bad.append((verb, status, raw[:300], told[:300]))
        if status >= 400:
            assert answer.getheader("content-type") == "application/problem+json", (verb, raw)
    link.close()
    assert not bad, bad[:5]
    assert 422 in seen


def test_openapi_and_what_is_sent_by_it_agree(app) -> None:
    """Schemathesis makes requests from the schema; an answer that it does not describe, or a 500, is a failure."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from schemathesis.specs.openapi.checks import positive_data_acceptance  # a name that fits may still be unknown

    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"host": "127.0.0.1"})
    said = {"x-rigwise-token": "test-token", "host": "127.0.0.1"}
    for operation in schema.get_all_operations():
        cases = operation.ok().as_strategy()

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(data=st.data())
        def check(data) -> None:
            case = data.draw(cases)  # noqa: B023 - it is called before the next operation
            case.call_and_validate(headers=said, excluded_checks=[positive_data_acceptance], timeout=PATIENCE)

        check()
