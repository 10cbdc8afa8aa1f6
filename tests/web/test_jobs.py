"""Long answers: progress and end as events, an answer that stays, and a cancel that ends the process."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection

import pytest


def events(server, job: str):
    """(event, data) of a job, until its end."""
    link = HTTPConnection("127.0.0.1", server.port, timeout=60)
    link.request("GET", f"/api/jobs/{job}/events")
    answer = link.getresponse()
    assert answer.getheader("content-type").startswith("text/event-stream")
    assert answer.getheader("content-encoding") is None
    name = ""
    for raw in answer:
        line = raw.decode().strip()
        if line.startswith("event:"):
            name = line[7:]
        elif line.startswith("data:"):
            yield name, json.loads(line[6:])
    answer.close()
    link.close()


def start(server, verb: str, **request) -> dict:
    status, _, body = server.send("POST", "/api/jobs", {"verb": verb, "request": request})
    assert status == 201, body
    return json.loads(body)


def test_a_job_answers_what_the_verb_answers(server) -> None:
    job = start(server, "split", shape="128x1000x500")
    told = list(events(server, job["id"]))
    assert [name for name, _ in told][-1] == "end"
    assert told[-1][1]["state"] == "done"
    found = json.loads(server.send("GET", f"/api/jobs/{job['id']}")[2])
    assert found["answer"] == server.ask("split", shape="128x1000x500")[1]


def test_a_problem_of_a_job_is_the_problem_of_the_verb(server) -> None:
    job = start(server, "plan", model="gpt3-175b", cluster="1xrtx-3090")
    *_, (name, told) = events(server, job["id"])
    assert (name, told["state"], told["problem"]["exit_code"]) == ("end", "failed", 3)


def test_a_cancelled_job_ends_at_once(server) -> None:
    job = start(server, "validation")
    listening = events(server, job["id"])
    assert next(listening)[0] == "progress"
    assert json.loads(server.send("DELETE", f"/api/jobs/{job['id']}")[2])["state"] == "cancelled"
    assert next(data for name, data in listening if name == "end")["state"] == "cancelled"
    assert list(listening) == []


def test_a_request_is_checked_before_a_job_begins(server) -> None:
    assert server.send("POST", "/api/jobs", {"verb": "plan", "request": {"model": "gpt2"}})[0] == 422
    assert server.send("POST", "/api/jobs", {"verb": "nothing"})[0] == 404
    assert server.send("GET", "/api/jobs/unknown")[0] == 404


def test_so_many_jobs_run_and_no_more(server) -> None:
    from rigwise.web.jobs import MOST_RUNNING

    many = [start(server, "brain-estimate", seed=100 + i, draws=1_000_000)["id"] for i in range(MOST_RUNNING)]
    status, _, body = server.send("POST", "/api/jobs", {"verb": "brain-estimate", "request": {"seed": 999}})
    assert status == 503, body
    for job in many:
        server.send("DELETE", f"/api/jobs/{job}")
    end = time.monotonic() + 20
    while server.send("POST", "/api/jobs", {"verb": "split", "request": {"shape": "4x4x4"}})[0] == 503:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_who_asks_the_same_listens_to_the_same_job(server) -> None:
    first = start(server, "brain-compare", seed=7)
    assert start(server, "brain-compare", seed=7)["id"] == first["id"]
    assert start(server, "brain-compare", seed=8)["id"] != first["id"]


def test_a_run_tells_every_step_and_is_set_beside_its_prediction(server, monkeypatch, tmp_path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install rigwise[run]")
    monkeypatch.chdir(tmp_path)  # the runs of a server lie below its folder
    job = start(server, "run", task="mlp", steps=12, device="cpu")
    status, _, body = server.send("POST", "/api/jobs", {"verb": "run", "request": {"task": "digits"}})
    assert status == 503, body
    news = list(events(server, job["id"]))
    assert news[-1][1]["state"] == "done", news[-1]
    steps = [row for _, told in news for row in told["steps"]]
    assert [row["step"] for row in steps] == list(range(1, 13))
    answer = json.loads(server.send("GET", f"/api/jobs/{job['id']}")[2])["answer"]
    assert answer["losses"] == [row["loss"] for row in steps]
    assert "whole step" in [row["part"] for row in answer["comparison"]]
    past = server.ask("runs")[1]
    assert {task["name"] for task in past["tasks"]} >= {"digits", "mlp"}
    assert [(row["task"], row["steps"]) for row in past["runs"]] == [("mlp", 12)]
    again = start(server, "run", task="mlp", steps=12, device="cpu")
    server.send("DELETE", f"/api/jobs/{again['id']}")
    assert again["id"] != job["id"], "a run is no answer to keep"


def test_the_machine_is_measured_as_a_job_that_says_what_it_is_at_and_can_be_cancelled(
    server, monkeypatch, tmp_path
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install rigwise[run]")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # where a history would be written
    job = start(server, "measure", seconds=2)
    busy = server.send("POST", "/api/jobs", {"verb": "run", "request": {"task": "digits"}})
    assert busy[0] == 503, "a run would be measured too"
    news = events(server, job["id"])
    told = next(told for name, told in news if told["stage"] or name == "end")
    assert told["state"] == "running", told["problem"]
    assert 0 <= told["progress"][0] < told["progress"][1]
    assert server.send("DELETE", f"/api/jobs/{job['id']}")[0] == 200
    assert [told["state"] for name, told in news if name == "end"] == ["cancelled"]


def test_progress_of_measuring_grows_over_all_its_parts() -> None:
    from rigwise.web.measuring import Heard

    told: list[tuple[int, int, str]] = []
    heard = Heard(2, lambda done, of, stage: told.append((done, of, stage)))
    for what, share in (("loop", 0.0), ("memory", 0.0), ("memory", 0.5), ("memory", 1.0)):
        heard(what, share)
    assert told == [(0, 200, "loop"), (100, 200, "memory"), (150, 200, "memory"), (200, 200, "memory")]


def test_task_files_come_from_the_command_line_only(server, tmp_path) -> None:
    (tmp_path / "mine.py").write_text("raise SystemExit(9)\n")
    job = start(server, "run", task=f"{tmp_path}/mine.py:task")
    *_, (_, told) = events(server, job["id"])
    assert (told["state"], told["problem"]["exit_code"]) == ("failed", 2)
    assert "command line" in told["problem"]["rule"]
