"""What pip is told: versions, pins, scripts and the files that go along."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rigwise
from house import PACKAGE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = {
    canonicalize_name(pin): version
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for pin, version in [line.split("==")]
}


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)])
def test_every_dependency_is_bounded_and_pinned_inside_its_bounds(line: str) -> None:
    requirement = Requirement(line)
    pin = PINS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin)
    assert any(bound.operator == ">=" for bound in requirement.specifier)


def test_torch_is_pinned_for_every_machine_alike() -> None:
    assert PINS["torch"] == "2.13.0", "no local version such as +cpu: a machine with GPUs takes its own build"


def test_the_base_install_stays_light() -> None:
    base = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert base == {"numpy", "pydantic", "cyclopts", "rich", "psutil", "nvidia-ml-py", "platformdirs"}


def test_the_script_is_there() -> None:
    module, name = PROJECT["scripts"]["rigwise"].split(":")
    assert callable(getattr(import_module(module), name))


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == rigwise.__version__


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
