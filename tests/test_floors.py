"""The import rules of the house: down only, thinking never imports doing, torch stays in its rooms, no circles."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from house import PACKAGE, Import, imports, module_of, room_of, sources

GROUND = {"errors", "units", "files"}
NOUNS = GROUND | {"models", "hardware", "measurements"}
SHARED = NOUNS | {"layouts", "convolution"}  # read by those who think and by those who do
THINKING = SHARED | {"cost", "calibration", "search", "advise", "brain", "rig", "export"}

# Room: the rooms it may import besides itself. A new room adds a line here, on purpose.
FLOORS = {
    "errors": set(),
    "units": {"errors"},
    "files": set(),
    "models": GROUND,
    "hardware": GROUND,
    "measurements": GROUND,
    "layouts": NOUNS,
    "convolution": NOUNS | {"layouts"},
    "cost": SHARED,
    "calibration": SHARED | {"cost"},
    "search": SHARED | {"cost"},
    "advise": SHARED | {"cost", "search"},
    "brain": SHARED | {"cost"},
    "rig": SHARED | {"cost", "search"},
    "export": SHARED,
    "run": SHARED,
    "measure": SHARED | {"run"},  # the same server forks its ranks
    "api": THINKING | {"run", "measure"},
    "report": THINKING | {"run", "api"},
    "web": THINKING | {"run", "api", "report", "face"},
    "cli": THINKING | {"run", "measure", "api", "report", "web", "face"},
    "__main__": {"cli"},
    "face": {"api", "errors", "layouts", "cost", "search", "run"},
}

# Package: the rooms or files that may import it. Standard library and numpy are free to all.
FOREIGN = {
    "numpy": {"*"},
    "torch": {"run", "measure", "models/trace.py", "convolution/torch_kernels"},
    "pydantic": {"models", "hardware", "measurements", "layouts", "cost", "calibration", "api", "run", "cli", "web"},
    "pydantic_core": {"models", "hardware", "measurements", "layouts", "cost", "calibration", "api", "run", "cli"},
    "rich": {"cli", "run", "report"},
    "cyclopts": {"cli"},
    "psutil": {"hardware/detect.py", "hardware/busy.py", "hardware/doctor.py", "run"},
    "pynvml": {"hardware/nvml.py", "run"},
    "platformdirs": {"models", "convolution", "measurements", "calibration", "advise", "api", "run", "cli"},
    "gpuhunt": {"advise/refresh.py"},
    "numba": {"run/compress/kernels.py"},
    "triton": {"run/compress/triton_kernels.py"},
    "resvg_py": {"report/png.py"},
    "scipy": {"calibration", "convolution"},
    "fastapi": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "anyio": {"web"},
    "PIL": {"run/readers/images.py"},
    "tensorboard": {"run/board.py"},
    "mpi4py": {"run/mpi"},
    "ray": {"run/sweep_ray.py"},
}
ONLY_LAZILY = {
    "models/trace.py": {"torch"},
    "calibration": {"scipy"},
    "convolution": {"scipy"},
    "advise/refresh.py": {"gpuhunt"},
    "report/png.py": {"resvg_py"},
    "run": {"PIL", "tensorboard"},
}


def inside() -> list[Import]:
    """Imports of rigwise by rigwise."""
    return [i for path in sources() for i in imports(path) if i.module.split(".")[0] == "rigwise"]


def outside() -> list[Import]:
    """Imports of what others wrote, the standard library apart."""
    rest = [i for path in sources() for i in imports(path) if i.module.split(".")[0] != "rigwise"]
    return [i for i in rest if i.module.split(".")[0] not in sys.stdlib_module_names]


def allowed(entry: Import, places: set[str]) -> bool:
    here = entry.path.relative_to(PACKAGE).as_posix()
    folder = entry.path.relative_to(PACKAGE).parent.as_posix()
    return "*" in places or here in places or folder in places or room_of(module_of(entry.path)) in places


def test_every_room_has_its_floor() -> None:
    assert {room_of(module_of(path)) for path in sources()} <= set(FLOORS), "a new room: add its line to FLOORS"


def test_the_table_itself_has_no_circle_and_no_room_that_thinks_knows_one_that_does() -> None:
    TopologicalSorter(FLOORS).prepare()
    assert not any(FLOORS[room] & {"run", "measure"} for room in THINKING)
    assert not (FLOORS["run"] | FLOORS["measure"]) & {"cost", "calibration", "search", "api"}


def test_imports_go_down_only() -> None:
    wrong = []
    for entry in inside():
        room, asked = room_of(module_of(entry.path)), room_of(entry.module)
        if asked != room and asked not in FLOORS.get(room, set()):
            wrong.append(f"{entry}: {room} may import {', '.join(sorted(FLOORS.get(room, set()))) or 'nothing'}")
    assert not wrong, "\n".join(wrong)


def test_no_two_files_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for entry in inside():
        here = module_of(entry.path)
        if here != entry.module:
            graph.setdefault(here, set()).add(entry.module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_what_others_wrote_is_imported_only_where_it_belongs() -> None:
    wrong = []
    for entry in outside():
        package = entry.module.split(".")[0]
        if not allowed(entry, FOREIGN.get(package, set())):
            wrong.append(f"{entry}: only {', '.join(sorted(FOREIGN.get(package, set()))) or 'nobody'} may")
    assert not wrong, "\n".join(wrong)


def test_heavy_packages_wait_until_they_are_needed() -> None:
    wrong = []
    for entry in outside():
        for place, packages in ONLY_LAZILY.items():
            if entry.module.split(".")[0] in packages and allowed(entry, {place}) and entry.eager:
                wrong.append(f"{entry} at its top: import it inside the function that needs it")
    assert not wrong, "\n".join(wrong)


def test_the_api_imports_the_rooms_inside_its_functions() -> None:
    heavy = {"run", "measure", "search", "cost", "calibration", "models", "hardware", "advise", "brain", "rig"}
    api = [entry for entry in inside() if room_of(module_of(entry.path)) == "api"]
    tops = [str(entry) for entry in api if entry.eager and room_of(entry.module) in heavy]
    assert not tops, "\n".join(tops)


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import rigwise.cost.memory", ["rigwise.cost.memory"]),
        ("from rigwise import units", ["rigwise.units"]),
        ("from rigwise import estimate", ["rigwise"]),
        ("from .layout import Layout", ["rigwise.layouts.layout"]),
        ("from .. import errors", ["rigwise.errors"]),
        ("if TYPE_CHECKING:\n    import torch", ["torch"]),
        ("def f():\n    import torch", ["torch"]),
        ("m = import_module('rigwise.run.task')", ["rigwise.run.task"]),
        ("m = importlib.import_module(name='rigwise.run.task')", ["rigwise.run.task"]),
    ],
)
def test_the_reader_of_imports_sees_each_way_to_import(text: str, modules: list[str], tmp_path, monkeypatch) -> None:
    package = tmp_path / "rigwise"
    (package / "layouts").mkdir(parents=True)
    for name in ("__init__.py", "units.py", "errors.py", "layouts/__init__.py", "layouts/layout.py"):
        (package / name).touch()
    (package / "layouts" / "probe.py").write_text(text)
    monkeypatch.setattr("house.PACKAGE", package)
    assert [entry.module for entry in imports(package / "layouts" / "probe.py")] == modules
