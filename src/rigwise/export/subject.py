"""What is exported: a layout of a model on a cluster, and the text that a framework reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rigwise.errors import InfeasibleError
from rigwise.hardware.cluster import Cluster
from rigwise.layouts.layout import Layout
from rigwise.models.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One layout and what it is for. batch: samples a step, all devices together. optimizer: a name of ours."""

    model: Model
    cluster: Cluster
    layout: Layout
    batch: int
    optimizer: str = "adamw"

    @property
    def accumulation(self) -> int:
        """Micro-batches of a step.

        A legal layout takes full micro-batches only, so that nothing is left over.
        """
        return self.batch // (self.layout.dp * self.layout.micro)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A text and what it leaves out. name: the file it is usually kept in. notes: what the tool has no word for."""

    tool: str
    name: str
    text: str
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an export."""
        return {"tool": self.tool, "name": self.name, "text": self.text, "notes": list(self.notes)}


def no_hybrid(on: Layout, tool: str) -> None:
    """Refuse hybrid sharding for a tool whose text here has no words for it."""
    if on.shard:
        raise InfeasibleError(
            f"{tool} is not told of copies beside shards (shard={on.shard})",
            rule="torchtitan's configuration has a degree for each",
            nearest=str(on.but(shard=0)),
        )


def yaml(values: Mapping[str, Any], depth: int = 0) -> str:
    """Nested mappings and lists as YAML; every scalar as JSON writes it, which YAML reads alike.

    >>> print(yaml({"nodes": 2, "resources": {"name": "H100:8", "spot": False}, "ports": [1, {"of": 2}]}), end="")
    nodes: 2
    resources:
      name: "H100:8"
      spot: false
    ports:
      - 1
      - of: 2
    """
    lines = []
    for key, value in values.items():
        lines += _entry(f"{'  ' * depth}{key}:", value, depth + 1)
    return "".join(lines)


def _entry(head: str, value: Any, depth: int) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [f"{head}\n", yaml(value, depth)]
    if isinstance(value, list) and value:
        return [f"{head}\n", *(_item(item, depth) for item in value)]
    if isinstance(value, str) and "\n" in value:
        return [f"{head} |\n", *(f"{'  ' * depth}{line}\n" for line in value.strip("\n").split("\n"))]
    return [f"{head} {json.dumps(value)}\n"]


def _item(item: Any, depth: int) -> str:
    if not isinstance(item, Mapping):
        return f"{'  ' * depth}- {json.dumps(item)}\n"
    return f"{'  ' * depth}- {yaml(item, depth + 1).lstrip(' ')}"
