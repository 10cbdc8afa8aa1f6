"""Server and page cannot drift apart: answers are what OpenAPI says, and the page's types are made of OpenAPI."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from house import ROOT
from rigwise.web.answers.measured import JobTold, MeasureAnswer, RunReport, ValidationAnswer
from rigwise.web.verbs import VERBS, dumped

ASKED = {
    "plan": {"model": "gpt2", "cluster": "4xrtx-3090", "batch": 64, "fix": ["tp=1"]},
    "estimate": {"model": "gpt2-xl", "cluster": "1xrtx-3090", "layout": "dp=1", "batch": 64},
    "timeline": {"model": "gpt2", "cluster": "4xrtx-3090", "layout": "dp=2,pp=2,micro=1", "batch": 64},
    "export": {"model": "gpt2", "cluster": "4xrtx-3090", "layout": "dp=4", "to": "deepspeed", "batch": 64},
    "scale": {"model": "gpt2", "cluster": "4xrtx-3090", "devices": [1, 4], "batch": 64},
    "split": {"shape": "128x1000x500", "ranks": 2, "rate": "40 Gbit/s"},
    "advise": {"model": "resnet50", "budget": 2000.0, "why_not": "rtx-3090", "top": 3},
    "chart": {"work": "training-transformer"},
    "rig": {"gpus": "2xrtx-3090"},
    "rig-check": {"parts_list": "kind,name,count\ngpu,GeForce RTX 3090,2\n"},
    "brain-estimate": {"draws": 1000},
    "brain-compare": {},
    "brain-machines": {},
    "brain-forecast": {"limits": ["energy"]},
    "brain-neuron": {"cell": "granule", "seconds": 1.0},
    "conv-features": {"image": "stripes:30:8", "kernels": ["sobel-x"]},
    "conv-spectrum": {},
    "conv-pixel": {},
    "conv-layers": {"model": "resnet50"},
    "conv-layer": {"model": "resnet50", "layer": "1"},
    "conv-map": {},
    "runs": {},
}
LATER = {"run", "measure", "validation"}  # jobs: tests/web/test_jobs.py and below


@pytest.mark.parametrize("name", sorted(ASKED))
def test_an_answer_is_what_openapi_says(name) -> None:
    verb = VERBS[name]
    told = json.loads(dumped(verb, verb.request(**ASKED[name]), None))
    read = verb.gives.model_validate(told, strict=False).model_dump(exclude_unset=True)
    assert set(verb.gives.model_fields) <= set(told) | {
        key for key, field in verb.gives.model_fields.items() if not field.is_required()
    }
    assert set(read) == set(told)


def test_every_verb_says_what_it_answers_and_is_asked_here() -> None:
    assert set(ASKED) | LATER == set(VERBS)
    assert VERBS["run"].gives is RunReport
    assert VERBS["measure"].gives is MeasureAnswer
    assert VERBS["validation"].gives is ValidationAnswer


def test_openapi_shows_the_class_of_every_answer(server) -> None:
    schema = json.loads(server.send("GET", "/openapi.json")[2])
    for name in ASKED:
        said = schema["paths"][f"/api/{name}"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert said == {"$ref": f"#/components/schemas/{VERBS[name].gives.__name__}"}
    assert {"RunReport", "ValidationAnswer", "Names"} <= set(schema["components"]["schemas"])
    JobTold.model_validate(json.loads(_job(server)))


def _job(server) -> bytes:
    said = {"verb": "split", "request": {"shape": "8x8x8"}}
    started = json.loads(server.send("POST", "/api/jobs", said)[2])
    return server.send("GET", f"/api/jobs/{started['id']}")[2]


def test_the_types_of_the_page_are_made_of_openapi() -> None:
    spec = spec_from_file_location("page_types", ROOT / "web" / "typescript.py")
    assert spec
    assert spec.loader
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.TARGET.read_text(encoding="utf-8") == made.text(), "say: python web/typescript.py"
