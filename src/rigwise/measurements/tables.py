"""Tables of published measurements: one row, one figure, with the settings under which it was measured.

The columns are fixed and checked strictly; the cells are read leniently. A cell that cannot be read does not stop the
table: the row carries what is wrong with it, and whoever uses the row refuses it with that reason.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigwise import units
from rigwise.errors import UsageError, not_found
from rigwise.measurements.record import Measurement, Metric

_TEXTS = (
    "id",
    "family",
    "model",
    "precision",
    "device",
    "intra_link",
    "inter_link",
    "zero_stage_or_fsdp",
    "recompute",
    "flash_attention",
    "metric",
    "source",
    "verified",
    "notes",
)
_COUNTS = (
    "layers",
    "hidden",
    "heads",
    "kv_heads",
    "ffn",
    "vocab",
    "seq_len",
    "n_devices",
    "devices_per_node",
    "dp",
    "tp",
    "pp",
    "vpp",
    "cp",
    "ep",
    "micro_batch",
    "global_batch",
)
_AMOUNTS = ("params", "value")
COLUMNS = frozenset((*_TEXTS, *_COUNTS, *_AMOUNTS))

_METRICS: dict[str, tuple[Metric, float]] = {
    "step_s": ("step_s", 1.0),
    "ms": ("pass_s", units.MILLI),
    "images_per_s": ("images_per_s", 1.0),
    "tokens_per_s_per_gpu": ("tokens_per_s_per_device", 1.0),
    "tflops_per_gpu": ("flops_per_s_per_device", units.TERA),
    "mfu": ("mfu", 1.0),
    "bus_gb_s": ("bus_bytes_per_s", units.GIGA),
    "peak_mem_gib": ("peak_memory", units.GIBI),
    "hours": ("run_s", units.HOUR),
}
METRICS = tuple(_METRICS)
RATES = frozenset({"images_per_s", "tokens_per_s_per_gpu", "tflops_per_gpu", "mfu", "bus_gb_s"})


def unit(metric: str) -> float:
    """The base-unit value of one unit of a table's metric.

    >>> unit("ms"), unit("hours")
    (0.001, 3600.0)
    """
    return _METRICS[metric][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One published figure. Texts are as printed ("" where the table says nothing), counts are whole numbers or None.

    value is in the unit of `metric`; micro_batch and global_batch are in samples. problems names the cells that could
    not be read, each with the row's id and the column.
    """

    id: str
    family: str
    model: str
    precision: str = ""
    device: str = ""
    intra_link: str = ""
    inter_link: str = ""
    zero_stage_or_fsdp: str = ""
    recompute: str = ""
    flash_attention: str = ""
    metric: str
    source: str = ""
    verified: str = "yes"
    notes: str = ""
    params: float | None = None
    value: float | None = None
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    ffn: int | None = None
    vocab: int | None = None
    seq_len: int | None = None
    n_devices: int | None = None
    devices_per_node: int | None = None
    dp: int | None = None
    tp: int | None = None
    pp: int | None = None
    vpp: int | None = None
    cp: int | None = None
    ep: int | None = None
    micro_batch: int | None = None
    global_batch: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """Where the row comes from: its id up to the last dash."""
        return self.id.rpartition("-")[0] or self.id

    @property
    def derived_from(self) -> str:
        """The id of the row whose run this figure only restates, or ""."""
        return next((n.partition("=")[2] for n in self.remarks if n.startswith("derived-from=")), "")

    @property
    def suspect(self) -> bool:
        """Printed so, but contradicted by its neighbours."""
        return "SUSPECT" in self.notes

    @property
    def remembered(self) -> bool:
        """No stored copy of the source was found."""
        return self.verified.strip().lower() != "yes"

    @property
    def headline(self) -> bool:
        """Whether the figure counts: a run's own measurement, verified, and not contradicted."""
        return not (self.derived_from or self.suspect or self.remembered)

    @property
    def remarks(self) -> list[str]:
        """The notes, one by one."""
        return [note.strip() for note in self.notes.split(";")]

    @property
    def text(self) -> str:
        """All words that tell of the software: the source, the notes, the model's label, how state is sharded."""
        return " | ".join((self.source, self.notes, self.model, self.zero_stage_or_fsdp, self.precision))

    def measurement(self) -> Measurement:
        """The figure in its base unit, as the record that the other rooms share.

        Raises UsageError where the row has cells that cannot be read.
        """
        if self.problems or self.value is None:
            raise UsageError("; ".join(self.problems) or f"row {self.id}, column value: no figure")
        metric, scale = _METRICS[self.metric]
        settings = {key: getattr(self, key) for key in (*_TEXTS, *_COUNTS) if key not in ("id", "metric", "notes")}
        return Measurement(
            id=self.id,
            metric="kernel_s" if self.family == "conv-layer" else metric,
            value=self.value * scale,
            settings={key: value for key, value in settings.items() if value not in (None, "")},
            source=self.source,
            trusted=not (self.suspect or self.remembered),
            derived=self.derived_from,
            notes=self.notes,
        )


def read_table(path: str | Path) -> list[Row]:
    """All rows of a CSV file in the columns of a table of measurements.

    Raises NotFoundError where the file is missing, and UsageError where it is no CSV table of these columns: the
    header must name each column once, in any order, and no other.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder", rule="a table is a CSV file")
    if not path.is_file():
        here = path.parent if path.parent.is_dir() else Path()
        raise not_found("table", str(path), [str(p) for p in here.glob("*.csv")], hint="a CSV file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, None)
            if header is None:
                raise UsageError(f"{path} is empty", rule="a CSV table with a header line")
            _check_header(path, header)
            return list(_rows(header, lines))
    except (UnicodeDecodeError, csv.Error) as broken:
        raise UsageError(f"{path} is not a CSV table: {broken}", rule="UTF-8 text, cells parted by commas") from None
    except OSError as refused:
        raise UsageError(f"cannot read {path}: {refused.strerror}") from None


def _check_header(path: Path, header: list[str]) -> None:
    missing, unknown = sorted(COLUMNS - set(header)), sorted(set(header) - COLUMNS)
    twice = sorted({name for name in header if header.count(name) > 1})
    wrong = [
        f"{what} {', '.join(map(repr, names))}"
        for what, names in (("missing", missing), ("unknown", unknown), ("twice", twice))
        if names
    ]
    if wrong:
        raise UsageError(
            f"the columns of {path} are not those of a table of measurements: {'; '.join(wrong)}",
            rule=f"each of the {len(COLUMNS)} columns once: {', '.join(sorted(COLUMNS))}",
        )


def _rows(header: list[str], lines: Iterator[list[str]]) -> Iterator[Row]:
    seen: set[str] = set()
    for number, cells in enumerate(lines, start=1):
        if cells:
            row = _row(header, cells, number, seen)
            seen.add(row.id)
            yield row


def _row(header: list[str], cells: list[str], number: int, seen: set[str]) -> Row:
    raw = dict(zip(header, (cell.strip() for cell in cells), strict=False))
    name = raw.get("id") or f"line-{number}"
    problems = _shape_problems(name, header, cells, seen)
    facts: dict[str, Any] = {column: raw.get(column, "") for column in _TEXTS}
    for column in (*_COUNTS, *_AMOUNTS):
        facts[column], problem = _number(raw.get(column, ""), whole=column in _COUNTS)
        if problem:
            problems.append(f"row {name}, column {column}: {problem}")
    if facts["metric"] not in _METRICS:
        problems.append(f"row {name}, column metric: {facts['metric']!r} is none of {', '.join(_METRICS)}")
    if facts["value"] is None and not any("column value" in p for p in problems):
        problems.append(f"row {name}, column value: empty")
    return Row(**{**facts, "id": name}, problems=tuple(problems))


def _shape_problems(name: str, header: list[str], cells: list[str], seen: set[str]) -> list[str]:
    problems = []
    if len(cells) != len(header):
        problems.append(f"row {name}: {len(cells)} cells under {len(header)} columns")
    if name in seen:
        problems.append(f"row {name}, column id: stands twice in the table")
    return problems


def _number(cell: str, *, whole: bool) -> tuple[float | int | None, str]:
    """A positive number, or what is wrong with the cell; an empty cell is no number and no fault."""
    if not cell:
        return None, ""
    try:
        value = float(cell)
    except ValueError:
        return None, f"{cell!r} is not a number"
    if not math.isfinite(value) or value <= 0:
        return None, f"{cell!r} is not a positive number"
    if whole:
        return (int(value), "") if value == int(value) else (None, f"{cell!r} is not a whole number")
    return value, ""
