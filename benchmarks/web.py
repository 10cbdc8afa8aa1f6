"""The page and its server: how long a step of a slider takes, what the first view weighs, fifty people at once.

    python benchmarks/web.py [slider] [view] [load]

slider: the page in a real Chromium; from the input event to the painted answer, step after step over values that were
never asked for, three times a second, on three models; what the page itself foresees is there as it is for a person.
view: bytes over the wire until the first answer is there. load: 50 people who each ask `plan`, look for a second or
two, and ask again with another batch or number of GPUs; the same without looking, which is what the cores can do; and
both again with questions of which no two are the same, so that nothing is answered from memory.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

MODELS = ("llama-3-8b", "gpt2", "gpt2-xl", "resnet50", "bert-large", "mistral-7b")
DEVICES = ("h100-sxm-80gb", "a100-sxm-80gb", "rtx-4090", "rtx-3090")
USERS, QUESTIONS = 50, 10  # of each user
BATCHES, COUNTS = (32, 64, 128, 256, 512), (4, 8, 16)
MORE_BATCHES, MORE_COUNTS = (32, 48, 64, 96, 128, 192, 256, 512), (2, 4, 8, 16, 24, 32)  # where no two are the same
READY_S = 8.0  # from the server's address to the first question of many people: its helpers are there then
SLIDERS = ("batch", "gpus", "seq")
STATES = ("plan", "plan?model=gpt2-xl&cluster=16xa100-sxm-80gb", "plan?model=mixtral-8x7b&cluster=32xh100-sxm-80gb")
STEPS, PAUSE_MS = 9, 300
CLOCK = """([id, steps, pause]) => new Promise((done) => {
  const input = document.getElementById(id), took = [];
  const answer = () =>
    document.querySelector('[data-answer]')?.dataset.answer + (document.querySelector('[role=alert]')?.innerText ?? '');
  const most = Number(input.max);
  const room = most - Number(input.value), way = room >= Number(input.value) ? 1 : -1;
  steps = Math.min(steps, way > 0 ? room : Number(input.value));
  const step = () => {
    const before = answer(), start = performance.now();
    input.value = String(Number(input.value) + way);
    input.dispatchEvent(new Event('input', { bubbles: true }));
    input.dispatchEvent(new Event('keyup', { bubbles: true }));
    const look = () => {
      if (answer() === before && performance.now() - start < 5000) return requestAnimationFrame(look);
      took.push(performance.now() - start);
      if (took.length < steps) setTimeout(step, pause);
      else done(took);
    };
    requestAnimationFrame(look);
  };
  input.dispatchEvent(new Event('focus'));
  setTimeout(step, pause);
})"""


@contextmanager
def served() -> Iterator[tuple[int, str]]:
    """Port and token of a server of its own process."""
    command = [sys.executable, "-m", "rigwise", "serve", "--port", "0", "--quiet"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address, token = server.stdout.readline().strip().split("/#token=")
        yield int(address.rsplit(":", 1)[1]), token
    finally:
        server.terminate()
        server.wait()


def browser_place() -> str | None:
    """Where a Chromium is."""
    return os.environ.get("RIGWISE_CHROMIUM") or shutil.which("chromium")


def share(values: list[float], part: float) -> float:
    """The value below which a part of them lies."""
    return sorted(values)[min(int(part * len(values)), len(values) - 1)]


def told(what: str, values: list[float]) -> None:
    """One line: median and 95th percentile, in milliseconds."""
    print(f"{what}: {len(values)}, p50 {share(values, 0.5):.0f} ms, p95 {share(values, 0.95):.0f} ms")


def browse(what: set[str]) -> None:
    """The figures that need a browser."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
    with served() as (port, token), sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=browser_place(), args=flags)
        page = browser.new_page()
        wire, got = page.context.new_cdp_session(page), []
        wire.send("Network.enable")
        wire.on("Network.loadingFinished", lambda event: got.append(event["encodedDataLength"]))
        page.goto(f"http://127.0.0.1:{port}/#token={token}")
        page.wait_for_selector("[data-answer]")
        page.wait_for_load_state("networkidle")
        if "view" in what:
            print(f"first view: {sum(got) / 1e3:.0f} kB over the wire, {len(got)} requests")
        if "slider" in what:
            for name, took in slid(page, f"http://127.0.0.1:{port}/").items():
                told(f"a step of {name}, to its painted answer", took)
        browser.close()


def slid(page: Page, address: str) -> dict[str, list[float]]:
    """Milliseconds of steps over values that nobody asked for before, by slider and in all."""
    took: dict[str, list[float]] = {name: [] for name in SLIDERS}
    names = [state.partition("model=")[2].partition("&")[0] or "llama-3-8b" for state in STATES]
    models: dict[str, list[float]] = {f"any slider of {name}": [] for name in names}
    for model, state in zip(models, STATES, strict=True):
        for name in SLIDERS:
            page.goto(f"{address}#/plan?model=gpt2&cluster=1xrtx-3090&batch=8")
            page.wait_for_selector("[data-answer*='gpt2 ']")
            page.goto(f"{address}#/{state}")
            page.wait_for_selector("[data-answer]:not([data-answer*='gpt2 '])")
            page.wait_for_load_state("networkidle")
            steps = page.evaluate(CLOCK, [name, STEPS, PAUSE_MS])
            took[name] += steps
            models[model] += steps
    return {**took, **models, "any of them": [ms for some in took.values() for ms in some]}


def load(looking: tuple[float, float], *, different: bool) -> None:
    """Fifty people; looking: seconds between an answer and the next question. different: no question is asked twice."""
    asked = unlike() if different else [asking(random.Random(n)) for n in range(USERS)]
    took: list[float] = []
    wrong: list[int] = []
    with served() as (port, token):
        time.sleep(READY_S)
        start = time.monotonic()
        people = [
            threading.Thread(target=_person, args=(n, port, token, asked[n], looking, took, wrong))
            for n in range(USERS)
        ]
        for person in people:
            person.start()
        for person in people:
            person.join()
        lasted = time.monotonic() - start
    kind = "no two questions the same" if different else "common questions"
    told(f"{USERS} people on plan, looking {looking[0]:g} to {looking[1]:g} s, {kind}", took)
    print(f"  {len(took) / lasted:.0f} answers/s, {len(wrong)} of them errors")


Question = tuple[str, str, int, int]  # model, device, how many, batch


def asking(chance: random.Random) -> list[Question]:
    """What somebody asks of one network and one GPU, batch and number by chance."""
    model, device = chance.choice(MODELS), chance.choice(DEVICES)
    later = [(model, device, chance.choice(COUNTS), chance.choice(BATCHES)) for _ in range(QUESTIONS - 1)]
    return [(model, device, 8, 64), *later]


def unlike() -> list[list[Question]]:
    """Questions of which no two are the same, dealt out."""
    pack = list(product(MODELS, DEVICES, MORE_COUNTS, MORE_BATCHES))
    random.Random(7).shuffle(pack)
    return [pack[n * QUESTIONS : (n + 1) * QUESTIONS] for n in range(USERS)]


def _person(
    number: int,
    port: int,
    token: str,
    asked: list[Question],
    looking: tuple[float, float],
    took: list[float],
    wrong: list[int],
) -> None:
    chance = random.Random(number)
    link = HTTPConnection("127.0.0.1", port, timeout=60)
    time.sleep(chance.uniform(0, looking[1]))
    for model, device, count, batch in asked:
        body = json.dumps({"model": model, "cluster": f"{count}x{device}", "batch": batch})
        start = time.perf_counter()
        link.request("POST", "/api/plan", body, {"x-rigwise-token": token, "content-type": "application/json"})
        answer = link.getresponse()
        answer.read()
        took.append((time.perf_counter() - start) * 1e3)
        if answer.status not in (200, 409):  # that a model does not fit is an answer
            wrong.append(answer.status)
        time.sleep(chance.uniform(*looking))
    link.close()


def main() -> None:
    """What was asked for, or all."""
    what = set(sys.argv[1:]) or {"slider", "view", "load"}
    if lacking := [name for name in ("fastapi", "uvicorn", "playwright") if find_spec(name) is None]:
        print(f"the page was not measured: {' and '.join(lacking)} is not installed", file=sys.stderr)
        return
    if what & {"slider", "view"} and not browser_place():
        print("the page was not measured in a browser: no Chromium here", file=sys.stderr)
        what &= {"load"}
    if what & {"slider", "view"}:
        browse(what)
    if "load" in what:
        for different in (False, True):
            load((1.0, 2.0), different=different)
            load((0.0, 0.0), different=different)


if __name__ == "__main__":
    main()
