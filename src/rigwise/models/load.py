"""From what a user writes to a Model: a zoo name, `org/name`, a path, or `file.py:function`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rigwise.errors import NotFoundError, UsageError, not_found
from rigwise.models import zoo
from rigwise.models.model import Model

_RULE = (
    "a model is a zoo name, org/name with a bundled or cached config.json, a path to config.json or its folder, "
    "a path to a TOML file, or file.py:function"
)


def load_model(
    spec: str,
    *,
    seq: int | None = None,
    batch: int | None = None,
    adapt: str = "full",
    rank: int | None = None,
    **overrides: Any,
) -> Model:
    """The model that spec names.

    seq: tokens of a sample. batch: samples that a traced module is given. adapt: "full", "lora", "qlora" or "frozen",
    with the rank of the low-rank branches. overrides: arguments of the model's builder. Raises NotFoundError for an
    unknown name or path, UsageError for a file or an argument that is wrong.

    >>> load_model("gpt3-175b", seq=1024).tokens
    1024
    """
    if not spec.strip():
        raise UsageError(f"no model in {spec!r}", rule=_RULE)
    model = _resolve(spec.strip(), seq, batch, overrides)
    if adapt == "full":
        if rank is not None:
            raise UsageError(f"rank {rank} without low-rank branches", rule='rank goes with "lora" or "qlora"')
        return model
    from rigwise.models.adapt import adapt as adapted

    return adapted(model, adapt) if rank is None else adapted(model, adapt, rank=rank)


def _resolve(spec: str, seq: int | None, batch: int | None, overrides: dict[str, Any]) -> Model:
    if ".py:" in spec:
        return _traced(spec, seq, batch, overrides)
    if zoo.find(spec) is not None:
        return zoo.load(spec, seq, **overrides)
    path = _path(spec)
    if _exists(path) or path.suffix in (".json", ".toml", ".py"):
        return _from_path(path, seq, overrides)
    if spec.count("/") == 1:
        from rigwise.models.huggingface import named

        return named(spec, seq, **overrides)
    raise not_found("model", spec, zoo.known(), hint=_RULE)


def _traced(spec: str, seq: int | None, batch: int | None, overrides: dict[str, Any]) -> Model:
    file, _, function = spec.rpartition(":")
    if overrides:
        raise UsageError(
            f"{', '.join(overrides)} cannot be set for the module of {spec}",
            rule="a torch module is traced as its function makes it",
        )
    path = _path(file)
    if not path.is_file():
        raise NotFoundError(f"no file {path}", rule="file.py:function names a Python file and a function in it")
    from rigwise.models.python_file import aside
    from rigwise.models.trace import trace_file

    with aside():
        return trace_file(path, function, seq=seq, batch=batch)


def _path(text: str) -> Path:
    """The path with ~ resolved; a user that the machine does not know is part of a plain name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def _exists(path: Path) -> bool:
    """Whether there is such a path; one too long for the file system is not."""
    try:
        return path.exists()
    except OSError:
        return False


def _from_path(path: Path, seq: int | None, overrides: dict[str, Any]) -> Model:
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise NotFoundError(f"no file {file}", rule=_RULE)
    if file.suffix == ".json":
        from rigwise.models.huggingface import from_config

        return from_config(file, seq, **overrides)
    if file.suffix == ".toml":
        from rigwise.models.ownfile import from_toml

        return from_toml(file, seq, **overrides)
    raise UsageError(f"{file} is neither .json nor .toml", rule=_RULE)
