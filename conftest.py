"""Tests are foldered by what they need; what this machine lacks is skipped, with the reason in the summary."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent
HEAVY_AT_TOP = re.compile(r"^(?:import|from) (triton|numba|torch)\b", re.MULTILINE)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several ranks share the cores of one machine
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".hypothesis"))
# what a person's own history and profile say of this machine is no part of a test
_DATA = tempfile.TemporaryDirectory(prefix="rigwise-tests-", ignore_cleanup_errors=True)
os.environ["XDG_DATA_HOME"] = _DATA.name
# No test asserts a wall-clock time. The same examples each time: what passed for who changes the code passes for all.
# RIGWISE_EXPLORE=1 draws new ones, as `make test-slow` does.
settings.register_profile("rigwise", deadline=None, derandomize="RIGWISE_EXPLORE" not in os.environ)
settings.load_profile("rigwise")


@cache
def lacks(need: str) -> str:
    """Why tests that need `need` cannot run here; empty when they can."""
    if need in ("torch", "ranks", "gpu") and find_spec("torch") is None:
        return "torch is not installed: pip install rigwise[run]"
    if need in ("triton", "numba"):
        return "" if find_spec(need) else f"{need} is not installed"
    if need == "gpu":
        import torch

        return "" if torch.cuda.is_available() else "no CUDA device on this machine"
    if need == "hosts" and (os.geteuid() != 0 or None in (shutil.which("ip"), shutil.which("tc"))):
        return "network namespaces need root and the commands ip and tc"
    if need in ("web", "browser") and any(find_spec(name) is None for name in ("fastapi", "uvicorn")):
        return "FastAPI is not installed: pip install rigwise[web]"
    if need == "browser" and find_spec("playwright") is None:
        return "Playwright is not installed"
    return ""


def needed_by(path: Path) -> str:
    """What a test file needs: the name of its folder under tests/, or what a module imports that may be missing."""
    parts = path.relative_to(ROOT).parts if path.is_relative_to(ROOT) else ()
    if parts[:1] == ("tests",) and len(parts) > 2:
        return parts[1] if parts[1] in ("torch", "ranks", "hosts", "web", "browser", "gpu") else ""
    if parts[:3] == ("src", "rigwise", "web"):
        return "web"
    heavy = HEAVY_AT_TOP.findall(path.read_text(encoding="utf-8")) if parts[:1] == ("src",) else []
    return next((name for name in ("triton", "numba", "torch") if name in heavy), "")


class Absent(pytest.Module):
    """A test file that cannot even be imported here."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        pytest.skip(f"{self.path.relative_to(ROOT)}: {lacks(needed_by(self.path))}", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return Absent.from_parent(parent, path=module_path) if lacks(needed_by(module_path)) else None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Doctests import their module: leave out those that cannot be imported here."""
    is_source = collection_path.is_relative_to(ROOT / "src") and collection_path.suffix == ".py"
    return True if is_source and lacks(needed_by(collection_path)) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        need = needed_by(item.path)
        if need and item.path.is_relative_to(ROOT / "tests"):
            item.add_marker(need)
