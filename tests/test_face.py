"""The face: a frozen list of names, each real, and an import that pulls nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import rigwise

NAMES = [
    "Estimate",
    "Layout",
    "Plan",
    "RigwiseError",
    "Task",
    "__version__",
    "advise",
    "brain_compare",
    "brain_estimate",
    "brain_forecast",
    "brain_machines",
    "brain_neuron",
    "check_rig",
    "data",
    "estimate",
    "explain",
    "export",
    "launch",
    "load_cluster",
    "load_model",
    "parallelize",
    "plan",
    "rig",
    "rig_from",
    "run",
    "scale",
    "split",
    "validate",
]
HEAVY = ["numpy", "torch", "scipy", "pydantic", "cyclopts", "rich", "psutil", "pynvml", "fastapi", "matplotlib"]


def loaded_by(code: str) -> set[str]:
    """Top-level packages in a fresh interpreter after `code`."""
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_names_are_the_frozen_list() -> None:
    assert rigwise.__all__ == NAMES
    assert dir(rigwise) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(rigwise, name)
    assert value is not None
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'guess'"):
        rigwise.guess  # noqa: B018


def test_import_pulls_nothing_heavy() -> None:
    assert not loaded_by("import rigwise") & set(HEAVY)


def test_planning_needs_no_torch() -> None:
    loaded = loaded_by("import rigwise\nrigwise.plan('gpt3-175b', '64xa100-sxm-80gb', batch=64, seq=2048, top=1)")
    assert "numpy" in loaded
    assert not loaded & {"torch", "scipy", "cyclopts", "matplotlib"}


def test_a_verb_stays_a_verb_after_its_room_was_imported() -> None:
    script = "import rigwise, importlib; importlib.import_module('rigwise.run'); print(type(rigwise.run).__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "function"
