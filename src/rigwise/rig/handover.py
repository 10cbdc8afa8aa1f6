"""What `advise` found, handed over: the GPUs of one of its choices, the network and what it is trained with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigwise.errors import NotFoundError, UsageError

_RULE = "a JSON that `rigwise advise MODEL --output FILE` or `--json` wrote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A choice: gpus as `rig` reads them, the model's name, the batch in samples, dollars a kilowatt-hour, and whether
    it is to be new.
    """

    gpus: str
    model: str | None
    batch: int | None
    per_kwh: float | None
    new: bool


def read_answer(path: Path, choice: int = 1) -> Taken:
    """The choice of an answer of `advise`. Raises UsageError for what is none, NotFoundError for a choice that is not
    there.
    """
    data = _read(path)
    choices, need = data.get("choices"), data.get("need")
    if not isinstance(choices, list) or not isinstance(need, Mapping):
        raise UsageError(f"{path} is no answer of advise: it has no choices", rule=_RULE)
    if not 1 <= choice <= len(choices):
        raise NotFoundError(f"no choice {choice} in {path}", rule=f"it has {len(choices)}", nearest="--choice 1")
    row = choices[choice - 1]
    try:
        device, count, machines = str(row["device"]), int(row["count"]), int(row["machines"])
        condition = str(row["condition"])
    except (KeyError, TypeError, ValueError):
        raise UsageError(
            f"choice {choice} of {path} has no device, count, machines and condition", rule=_RULE
        ) from None
    if condition not in ("new", "used"):
        bought = [i for i, other in enumerate(choices, start=1) if other.get("condition") in ("new", "used")]
        raise UsageError(
            f"choice {choice}, {row.get('what', device)}, is rented ({condition})",
            rule="parts are bought for a machine that is bought",
            nearest=f"--choice {bought[0]}" if bought else "rigwise advise --get new used",
        )
    if machines < 1 or count < 1 or count % machines:
        raise UsageError(f"choice {choice} of {path}: {count} devices in {machines} machines", rule=_RULE)
    gpus = f"{machines}x{count // machines}x{device}" if machines > 1 else f"{count}x{device}"
    return Taken(
        gpus=gpus,
        model=_text(need.get("model")),
        batch=int(need["batch"]) if isinstance(need.get("batch"), int) else None,
        per_kwh=float(need["usd_per_kwh"]) if isinstance(need.get("usd_per_kwh"), int | float) else None,
        new=condition == "new",
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"no file {str(path)!r}", rule=_RULE) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as wrong:
        raise UsageError(f"cannot read {path}: {wrong}", rule=_RULE) from None
    if not isinstance(data, Mapping):
        raise UsageError(f"{path} is no answer of advise", rule=_RULE)
    return data


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
