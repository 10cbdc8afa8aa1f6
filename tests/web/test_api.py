"""HTTP says what Python says: the same payloads, the same errors, and the command that gives the same."""

from __future__ import annotations

import json
import shlex

import pytest

from rigwise.web.verbs import VERBS, payload

ASKED = {
    "plan": {"model": "gpt2", "cluster": "4xrtx-3090", "batch": 64, "fix": ["tp=1"], "top": 3},
    "estimate": {"model": "gpt2", "cluster": "4xrtx-3090", "layout": "dp=4", "batch": 64},
    "export": {"model": "gpt2", "cluster": "4xrtx-3090", "layout": "dp=4", "to": "torchtitan", "batch": 64},
    "scale": {"model": "gpt2", "cluster": "4xrtx-3090", "devices": [1, 2, 4], "batch": 64},
    "split": {"shape": "128x1000x500", "ranks": 2, "rate": "40 Gbit/s"},
    "advise": {"model": "resnet50", "budget": 2000.0, "get": ["new", "used"], "why_not": "rtx-3090", "top": 2},
    "rig": {"gpus": "2xrtx-3090", "ram": "64 GiB"},
    "brain-estimate": {"sets": ["rate=100"], "include": ["learning"], "draws": 1000},
    "brain-compare": {"seed": 1},
    "brain-machines": {"devices": ["h100"], "shape": "events"},
    "brain-forecast": {"metric": "linpack", "limits": ["energy"]},
    "conv-features": {"image": "stripes:30:8", "kernels": ["sobel-x", "gauss:2"], "kind": "cross-correlation"},
    "conv-spectrum": {"radius": 16.0},
    "conv-layer": {"model": "resnet50", "layer": "1", "batch": 8},
    "conv-map": {"channels": 128, "which": "weight_gradient"},
    "brain-neuron": {"cell": "granule", "seconds": 1.0},
}


def told(verb: str, said: dict) -> dict:
    kind = VERBS[verb]
    return payload(kind, kind.request(**said), None, lambda done, total: None)


def without_clocks(value):
    """The answer without what the clock says of the search."""
    if isinstance(value, dict):
        return {key: without_clocks(item) for key, item in value.items() if key not in ("seconds", "same", "drawing")}
    return [without_clocks(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("verb", sorted(ASKED))
def test_the_command_that_is_shown_prints_the_same(verb, capsys) -> None:
    from rigwise.cli.main import main

    answer = told(verb, ASKED[verb])
    assert main([*shlex.split(answer["same"]["command"])[1:], "--json"]) in (0, 3)
    assert without_clocks(json.loads(capsys.readouterr().out)) == without_clocks(answer)


@pytest.mark.parametrize("verb", sorted(ASKED))
def test_the_python_that_is_shown_answers(verb) -> None:
    import ast

    from rigwise import api

    call = ast.parse(told(verb, ASKED[verb])["same"]["python"], mode="eval").body
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Attribute)
    places = [ast.literal_eval(word) for word in call.args]
    names = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    assert getattr(api, call.func.attr)(*places, **names).to_dict()


@pytest.mark.parametrize(
    ("verb", "said", "status", "code"),
    [
        ("plan", {"model": "gpt2", "cluster": "4xrtx-3090", "batch": 0}, 422, 2),
        ("plan", {"model": "gpt2", "cluster": "4xrtx-3090", "batch": True}, 422, 2),
        ("plan", {"model": "gpt2", "cluster": "4xrtx-3090", "surprise": 1}, 422, 2),
        ("plan", {"model": "gpt2", "cluster": "4xrtx-3090", "precision": "float7"}, 422, 2),
        ("plan", {"model": "gpt3-175b", "cluster": "1xrtx-3090"}, 409, 3),
        ("plan", {"model": "gpt3-175q", "cluster": "1xrtx-3090"}, 404, 4),
        ("estimate", {"model": "gpt2", "cluster": "4xrtx-3090", "layout": "dp=3"}, 422, 2),
        ("rig", {"gpus": "4xrtx-9999"}, 404, 4),
        ("conv-features", {"image": "/etc/passwd", "kernels": ["blur"]}, 422, 2),
        ("conv-features", {"picture": "no base64!", "kernels": ["blur"]}, 422, 2),
        ("conv-features", {"picture": "aGVsbG8=", "kernels": ["blur"]}, 422, 2),
        ("conv-features", {"kernels": ["blurr"]}, 404, 4),
        ("conv-spectrum", {"radius": 4000.0}, 422, 2),
        ("conv-pixel", {"kernel": "gauss:9"}, 422, 2),
        ("conv-pixel", {"dilation": 8, "padding": 0}, 422, 2),
        ("conv-layer", {"model": "gpt2", "layer": "1"}, 422, 2),
    ],
)
def test_an_error_is_a_problem_with_the_exit_code(server, verb, said, status, code) -> None:
    got, found = server.ask(verb, **said)
    assert (got, found["status"], found["exit_code"]) == (status, status, code)
    assert found["detail"]


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../secret.toml", "tiny.toml/../../secret.toml", "x.py:model", "~/x.toml", "./x.json", "a\0.toml"],
)
@pytest.mark.parametrize("field", ["model", "cluster"])
def test_no_path_outside_the_folder_is_read(server, field, name) -> None:
    status, found = server.ask("plan", **({"model": "gpt2", "cluster": "4xrtx-3090"} | {field: name}))
    assert status in (404, 422), found


def test_a_model_of_the_folder_is_read(server) -> None:
    assert server.ask("estimate", model="tiny.toml", cluster="1xrtx-3090", layout="dp=1")[0] == 200


def test_a_measured_table_is_no_line_of_a_run(server) -> None:
    assert server.ask("plan", model="gpt2", cluster="4xrtx-3090", like=["runs.csv"])[0] == 422


def test_a_picture_that_is_sent_along_is_worked_on(server) -> None:
    import base64

    import numpy as np

    from rigwise.convolution.png import encode

    def sent(height: int, width: int) -> str:
        return base64.b64encode(encode(np.full((height, width, 3), 90, dtype=np.uint8))).decode()

    status, found = server.ask("conv-features", picture=sent(20, 30), kernels=["blur"])
    assert (status, found["image_size"], found["maps"][0]["mean"]) == (200, [3, 20, 30], pytest.approx(90))
    assert "PICTURE.png" in found["same"]["command"]
    assert found["drawing"]["maps"][0].startswith("data:image/png;base64,")
    assert server.ask("conv-features", picture=sent(1, 1025), kernels=["blur"])[0] == 422
    assert server.ask("conv-features", picture="A" * 220_001, kernels=["blur"])[0] == 422


@pytest.mark.parametrize("said", [{}, {"stride": 2, "padding": 2}, {"dilation": 2, "kind": "cross-correlation"}])
def test_a_pixel_is_the_sum_that_the_page_shows(said) -> None:
    """As web/src/rooms/convolution/grid.ts finds the inputs of an output."""
    found = told("conv-pixel", {"kernel": "1 2 3; 4 5 6; 7 8 9", **said})
    rows, laid = found["input"], found["laid"]
    assert laid == ([[9, 8, 7], [6, 5, 4], [3, 2, 1]] if "kind" not in said else [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    for y, row in enumerate(found["output"]):
        for x, value in enumerate(row):
            places = [(y * found["stride"] + r * found["dilation"] - found["padding"], r) for r in range(3)]
            across = [(x * found["stride"] + s * found["dilation"] - found["padding"], s) for s in range(3)]
            inside = [(i, r, j, s) for i, r in places for j, s in across if 0 <= i < 14 and 0 <= j < 14]
            assert value == pytest.approx(sum(rows[i][j] * laid[r][s] for i, r, j, s in inside), rel=1e-4)


def test_whole_numbers_may_be_written_as_json_schema_allows(server) -> None:
    assert server.ask("plan", model="gpt2", cluster="2xrtx-3090", batch=64.0)[0] == 200


def test_large_answers_are_compressed_and_say_the_schema(server) -> None:
    _, headers, _ = server.send("POST", "/api/plan", ASKED["plan"], accept_encoding="gzip")
    assert headers["content-encoding"] == "gzip"
    assert server.ask("plan", **ASKED["plan"])[1]["schema_version"] == 1


def test_where_no_page_was_built_the_root_says_so(server) -> None:
    status, _, body = server.send("GET", "/")
    assert status == 503
    assert b"make page" in body


def test_openapi_describes_every_verb_and_problem(server) -> None:
    schema = json.loads(server.send("GET", "/openapi.json")[2])
    assert {f"/api/{verb.name}" for verb in VERBS.values() if not verb.long} <= set(schema["paths"])
    assert "Problem" in schema["components"]["schemas"]
    assert schema["components"]["schemas"]["Plan"]["additionalProperties"] is False
