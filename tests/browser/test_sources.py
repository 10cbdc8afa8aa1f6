"""The page's own checks: types with svelte-check, and the parts that need no browser with vitest."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from house import ROOT

WEB = ROOT / "web"
TOOLS = {
    "types": ["svelte-check/bin/svelte-check", "--tsconfig", "./tsconfig.json", "--fail-on-warnings"],
    "vitest": ["vitest/vitest.mjs", "run"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_sources_of_the_page_pass_their_own_checks(tool) -> None:
    node = shutil.which("node")
    place, *words = TOOLS[tool]
    if node is None or not (WEB / "node_modules" / place).is_file():
        pytest.skip("the page's tools are not installed: make page")
    done = subprocess.run([node, f"node_modules/{place}", *words], cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_page_is_built_from_these_sources() -> None:
    """What the browser tests look at is what the sources say."""
    from importlib.util import module_from_spec, spec_from_file_location

    from rigwise.web.built import missing

    if why := missing():
        pytest.skip(why)
    spec = spec_from_file_location("page_build", WEB / "build.py")
    assert spec
    assert spec.loader
    make = module_from_spec(spec)
    __import__("sys").modules[spec.name] = make
    spec.loader.exec_module(make)
    assert make.is_current(), "the page is older than its sources: make page"
    assert len(list((make.page_of() / "assets").glob("*.js"))) == 1, "one script, so that a report can hold it"
