"""`make pictures`: each room in light and dark, wide and on a telephone, as PNG files to look at.

python tests/browser/pictures.py [FOLDER]
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from itertools import product
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

ROOMS = {
    "plan": "plan?scale=1",
    "plan-pipeline": "plan?model=gpt3-175b&cluster=512xa100-sxm-80gb&batch=1536&whynot=dp=512",
    "gpu": "gpu?budget=3000",
    "machine": "machine",
    "run": "run?steps=100",
    "convolution": "convolution",
    "parallel": "parallel",
    "brain": "brain",
    "validation": "validation",
}
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
READY = {
    "plan": ["scale", "timeline"],
    "plan-pipeline": ["timeline"],
    "gpu": ["cards"],
    "machine": ["power"],
    "run": ["compared"],
    "convolution": ["pixel", "maps", "spectrum", "algorithms", "layer"],
    "parallel": ["amounts"],
    "brain": ["ahead", "others", "neuron"],
    "validation": ["points"],
}
"""The views of a room that come last."""
PRESSED = {"run": "Start"}
PATIENCE_MS = 900_000  # the back-test of all rows, on a machine that has other work


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    runs = TemporaryDirectory(prefix="rigwise-pictures-")
    command = [sys.executable, "-m", "rigwise", "serve", "--port", "0", "--quiet"]
    server = Popen(command, stdout=PIPE, text=True, cwd=runs.name)
    assert server.stdout
    address = server.stdout.readline().strip()
    place = os.environ.get("RIGWISE_CHROMIUM") or shutil.which("chromium")
    try:
        with sync_playwright() as tools:
            browser = tools.chromium.launch(executable_path=place, args=FLAGS)
            for scheme, width in product(("light", "dark"), (1280, 390)):
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page = context.new_page()
                page.set_default_timeout(PATIENCE_MS)
                page.on("console", lambda said: said.type in ("error", "warning") and print("console:", said.text))
                page.goto(address)
                for name, path in ROOMS.items():
                    if len(sys.argv) > 2 and name not in sys.argv[2:]:
                        continue
                    page.goto("about:blank")  # so that what is awaited is this room's own
                    page.goto(address.split("#")[0] + "#/" + path)
                    if name in PRESSED:
                        page.get_by_role("button", name=PRESSED[name]).click()
                    for view in READY[name]:
                        page.wait_for_selector(f"[data-view={view}] :is(canvas, svg, img)")
                    page.wait_for_load_state("networkidle")
                    time.sleep(0.4)
                    over = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
                    file = folder / f"{name}-{scheme}-{width}.png"
                    page.screenshot(path=file, full_page=True)
                    print(file, f"too wide by {over}" if over > 0 else "")
                context.close()
            browser.close()
    finally:
        server.terminate()
        server.wait()
        runs.cleanup()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/pictures"))
