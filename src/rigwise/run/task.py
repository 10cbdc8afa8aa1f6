"""Task: what a person hands over to be trained, and how it is found. Knows no torch until a task's file asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rigwise.errors import NotFoundError, UsageError, not_found
from rigwise.models.python_file import blame, function_of
from rigwise.run.chosen import Value, fitted

if TYPE_CHECKING:
    import torch

PACKAGED_FUNCTION = "task"
DEFAULT_BATCH = 64
_TASKS = Path(__file__).parent / "tasks"


@dataclass(frozen=True, slots=True)
class Task:
    """What to train.

    model: a torch module. loss: a callable of (output, target) that gives the mean over the samples as a scalar tensor.
    data: a Dataset of (input, target), or an iterable of whole global batches (input, target). optimizer: a callable
    from the parameters to a torch optimizer. batch: the global batch in samples unless the caller says otherwise.
    tokens: tokens in a sample (a sequence's length); 0 where a sample is not made of tokens.

    input and target are tensors, or a tuple or dict of tensors, with the samples along the first dim; a tuple is passed
    to the model as arguments, a dict as keywords.
    """

    model: torch.nn.Module
    loss: Callable[[Any, Any], torch.Tensor]
    data: Any
    optimizer: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]
    _: KW_ONLY
    batch: int = DEFAULT_BATCH
    tokens: int = 0


def packaged() -> Mapping[str, Path]:
    """The tasks that come with rigwise: name -> file; the function in it is `task`.

    >>> sorted(packaged())
    ['characters', 'digits', 'experts', 'mlp']
    """
    files = sorted(path for path in _TASKS.glob("*.py") if path.stem != "__init__")
    return MappingProxyType({path.stem: path for path in files})


def locate(spec: str) -> tuple[Path, str]:
    """Where a task is: its file and the function in it, for a packaged name or `file.py:function`.

    Only looks whether the file is there, so that a launcher can refuse without importing torch.
    """
    if spec in packaged():
        return packaged()[spec], PACKAGED_FUNCTION
    file, colon, function = spec.rpartition(":")
    if not colon:
        if spec.endswith(".py"):
            raise UsageError(f"task {spec!r} names no function", rule="a task is file.py:function or a packaged name")
        raise not_found("task", spec, packaged(), hint=f"{', '.join(packaged())}, or file.py:function")
    path = Path(file).expanduser()
    if not path.is_file():
        raise NotFoundError(f"no task file {file!r}", rule="a task is file.py:function or a packaged name")
    if not function.isidentifier():
        raise UsageError(f"{function!r} in task {spec!r} is no name of a function", rule="a task is file.py:function")
    return path.resolve(), function


def load_task(spec: str, settings: Mapping[str, Value] = MappingProxyType({})) -> Task:
    """Run the task's file and its function; whatever goes wrong in it is a UsageError with file, line and message.

    settings: keyword arguments of the function, checked against its signature first.
    """
    path, function = locate(spec)
    make = function_of(path, function)
    given = fitted(make, settings, f"{path.name}:{function}")
    try:
        task = make(**given)
    except Exception as error:
        raise blame(error, path, f"the task function {function}") from error
    return _checked(task, path, function)


def _checked(task: object, path: Path, function: str) -> Task:
    where = f"{path.name}:{function}"
    if not isinstance(task, Task):
        raise UsageError(
            f"{where} returned {type(task).__name__}",
            rule="a task function returns rigwise.Task",
            nearest="rigwise.Task(model, loss, data, optimizer)",
        )
    if not isinstance(task.batch, int) or isinstance(task.batch, bool) or task.batch < 1:
        raise UsageError(f"{where} has batch={task.batch!r}", rule="batch is a whole number of at least 1")
    if not hasattr(task.model, "named_parameters"):
        raise UsageError(f"{where} has a {type(task.model).__name__} for model", rule="model is a torch.nn.Module")
    for field in ("loss", "optimizer"):
        if not callable(getattr(task, field)):
            raise UsageError(
                f"{where} has a {type(getattr(task, field)).__name__} for {field}", rule="it is a callable"
            )
    if not (hasattr(task.data, "__getitem__") or hasattr(task.data, "__iter__")):
        raise UsageError(
            f"{where} has a {type(task.data).__name__} for data",
            rule="data is a Dataset of (input, target) or an iterable of batches",
        )
    return task
