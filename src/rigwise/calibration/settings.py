"""How it was trained: a row's columns become layouts, a batch, an optimizer, and what a whole run amounts to.

Where a column is empty the usual value stands in and is said to be assumed. Where the recomputation, the micro-batch or
the layout is not told, several layouts are given, of which the fastest that fits is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rigwise import units
from rigwise.calibration.patterns import find
from rigwise.calibration.subjects import Subject
from rigwise.cost.efficiencies import efficiencies
from rigwise.errors import UsageError
from rigwise.hardware.device import Device
from rigwise.layouts.layout import Layout
from rigwise.layouts.precision import states
from rigwise.measurements import words
from rigwise.measurements.tables import Row
from rigwise.models.optimizers import optimizer as find_optimizer

_RUN_DEVICES = 512  # of a run whose number of devices is not told; its device-hours hardly depend on it
_RUN_TOKENS = 4.0 * units.MEGA  # tokens of a global batch that is not told: Llama's, arXiv 2307.09288
_FILL = 4  # micro-batches a stage where the batch is not told, so that a pipeline is filled
_NEAR = 0.05  # a printed global batch may differ by this share from a multiple of dp x micro
_NEEDS_BATCH = ("step_s", "ms", "peak_mem_gib")  # figures that grow with the batch; rates hardly depend on it
_SHORT = ("float16", "bfloat16", "float8", "float4")
_CARD = 32 * units.GIBI  # the memory at which data/batches.toml holds
_MICROS = (1, 2, 4, 8)
_WITH_SEQUENCES = ("modern", "fsdp")  # from 2023 on software that splits tensors splits the sequence with them


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a row says of a training step besides model and machine; see cases.StepCase."""

    devices: int
    layouts: tuple[Layout, ...]
    batch: int
    optimizer: str
    samples: float | None = None
    device_hours: bool = False
    memory_devices: int = 1
    assumed: tuple[str, ...] = ()


def settings_of(row: Row, subject: Subject, device: Device, *, precision: str, stack: str, label: str) -> Settings:
    """The settings of a row; label: its words and its parent's, which tell whether recomputation was counted.

    Raises UsageError where its degrees do not make up its devices, where a time is of an unknown batch, or where a
    word is unknown.
    """
    reading = _Reading(row=row, subject=subject, device=device, precision=precision, stack=stack, label=label)
    degrees = reading.degrees()
    micro, batch = reading.batch(degrees["dp"])
    layouts = reading.layouts(degrees, micro, batch)
    samples, device_hours = reading.whole_run()
    return Settings(
        devices=degrees["dp"] * degrees["tp"] * degrees["pp"] * degrees["cp"],
        layouts=layouts,
        batch=batch,
        optimizer=reading.optimizer(),
        samples=samples,
        device_hours=device_hours,
        memory_devices=(row.n_devices or 1) if "summed over GPUs" in row.notes else 1,
        assumed=tuple(reading.unsaid),
    )


@dataclass(kw_only=True)
class _Reading:
    """One row while it is read; unsaid collects what had to be assumed."""

    row: Row
    subject: Subject
    device: Device
    precision: str
    stack: str
    label: str
    unsaid: list[str] = field(default_factory=list)

    @cached_property
    def noted(self) -> Mapping[str, Any]:
        return words.read("batches", self.row.notes) or {}

    @cached_property
    def setting(self) -> Mapping[str, Any]:
        return find("settings", self.row.text) or {}

    @property
    def of_tokens(self) -> bool:
        return self.subject.model.unit == "token"

    @property
    def tokens(self) -> int:
        return max(self.subject.model.tokens, 1)

    def degrees(self) -> dict[str, int]:
        """dp, tp, pp, vpp, cp, ep; dp worked out from the devices where the column is empty."""
        row = self.row
        degrees = {key: int(getattr(row, key) or 1) for key in ("tp", "pp", "vpp", "cp", "ep")}
        if find("splits", row.text):  # dense layers divided over the data-parallel ranks themselves
            degrees["tp"] = 1
        inner = degrees["tp"] * degrees["pp"] * degrees["cp"]
        devices = self.setting.get("devices") or row.n_devices
        if devices is None or (self.of_tokens and row.dp is row.tp is row.pp is None):
            devices = devices or (inner * row.dp if row.dp else max(_RUN_DEVICES // inner, 1) * inner)
            self.unsaid.append("layout")
        dp = devices // inner if "devices" in self.setting else row.dp or devices // inner
        if dp < 1 or dp * inner != devices:
            raise UsageError(
                f"tp {degrees['tp']} x pp {degrees['pp']} x cp {degrees['cp']} x dp {dp} = {dp * inner} ranks, "
                f"{devices} devices",
                rule="the degrees do not make up the devices",
            )
        return {"dp": dp, **degrees}

    def batch(self, dp: int) -> tuple[int, int]:
        """Samples of a micro-batch on a rank, and of a step."""
        row = self.row
        whole = row.global_batch or self.noted.get("global_batch") or self.noted.get("images")
        micro = self._micro_of_columns()
        if not micro:
            if not whole and row.metric in _NEEDS_BATCH:
                raise UsageError(f"{row.metric} of an unknown batch", rule="the batch is not given")
            inside = (row.pp or 1) * (row.tp or 1)
            plain = not self.of_tokens or row.recompute.startswith("none")
            at_once = bool(whole) and plain and (inside == 1 or not self.of_tokens)
            micro = max(1, int(whole) // dp) if whole and at_once else self._usual_micro()
            if not (at_once and row.global_batch):
                self.unsaid.append("batch")
        whole = int(whole or self._usual_whole(micro * dp))
        if "layout" in self.unsaid:
            return micro, whole
        if micro * dp > whole * (1 + _NEAR):
            raise UsageError(
                f"global batch {whole} under micro-batch {micro} x dp {dp}",
                rule="the batch is smaller than micro x dp",
            )
        return micro, max(1, round(whole / (micro * dp))) * micro * dp

    def _micro_of_columns(self) -> int | None:
        micro, noted = self.row.micro_batch, self.noted
        if micro and "in_tokens" in noted:
            return max(1, round(micro / self.tokens))
        if not micro and "tokens_per_device" in noted:
            return max(1, round(float(noted["tokens_per_device"]) * units.KIBI / self.tokens))
        return micro

    def _usual_micro(self) -> int:
        facts = find("batches", self.row.text) or {}
        if "fixed" in facts:
            return int(facts["fixed"])
        if self.of_tokens and "sequences" not in facts:
            return 1
        size = facts.get("sequences", facts.get("images", 1)) * self.device.memory / _CARD
        size *= 1.0 if self.precision in _SHORT else 0.5
        return int(2.0 ** math.floor(math.log2(max(size, 1.0)) + 1e-6))

    def _usual_whole(self, at_once: int) -> int:
        """One micro-batch a rank, enough to fill a pipeline, or for a whole run the usual number of tokens."""
        stages = self.row.pp or 1
        if self.row.family != "run":
            once = 2 if self.row.metric == "peak_mem_gib" and self.of_tokens else 1  # gradients wait for a second one
            return at_once * (_FILL * stages if stages > 1 else once)
        million = self.noted.get("million_tokens") or self.noted.get("million")
        if not million:
            self.unsaid.append("global_batch")
        filled = _FILL * stages * at_once
        wanted = million * units.MEGA / self.tokens if million else max(_RUN_TOKENS / self.tokens, filled)
        return max(1, round(wanted / at_once)) * at_once

    def layouts(self, degrees: Mapping[str, int], micro: int, batch: int) -> tuple[Layout, ...]:
        """The row's layout, or the usual ones where it leaves something out: each is one that might have been run."""
        shared = {**degrees, "micro": micro, **self._choices(degrees)}
        recomputations = self._recomputations()
        made = [Layout(**shared, recompute=choice) for choice in recomputations]
        if "layout" in self.unsaid:
            made = [layout for start in made for layout in self._usual_layouts(start) if layout.dp * micro <= batch]
        elif len(recomputations) > 1 and degrees["pp"] == 1:
            made += [layout.but(zero=3) for layout in made if layout.zero != 3]
        if "batch" in self.unsaid and micro == 1 and self.of_tokens:
            made = [layout.but(micro=m) for layout in made for m in _MICROS if m == 1 or batch % (m * layout.dp) == 0]
        if not made:
            raise UsageError(
                f"no usual layout of {self.row.n_devices} devices takes a global batch of {batch}",
                rule="the layout is not given",
            )
        self._refuse_unheld(made)
        untold = not self.row.zero_stage_or_fsdp and "layout" not in self.unsaid
        return tuple(self._holdable(layout) for layout in made) if untold else tuple(made)

    def _refuse_unheld(self, made: Sequence[Layout]) -> None:
        """Refuse a single device that is told to hold more states than it has memory: nothing there can be sharded."""
        words_say = (words.read("states", self.row.text) or {}).get("states")
        held = states(words_say or efficiencies(self.device, self.stack).stack.states)
        model = self.subject.model
        stepped = held.master + find_optimizer(self.optimizer()).state_bytes * held.moments
        bytes_ = model.trainable_parameters * (held.weight + held.gradient + stepped)
        alone = all(layout.ranks == 1 and layout.offload == "none" for layout in made)
        if alone and self.precision in _SHORT and bytes_ > self.device.memory:
            raise UsageError(
                f"weights, gradients and optimizer take {bytes_ / units.GIBI:.1f} GiB of a {self.device.name}",
                rule="one device does not hold its states, and nothing is said of offload",
            )

    def _holdable(self, layout: Layout) -> Layout:
        """The layout with the least sharding under which a device holds its states, where the row tells of none.

        Without a pipeline that is full sharding, as programs that shard at all then do; experts are left alone, as
        expert parallelism spreads what counts of them.
        """
        model, ranks = self.subject.model, layout.dp * layout.cp
        held = states((words.read("states", self.row.text) or {}).get("states", "megatron"))
        stepped = held.master + find_optimizer(self.optimizer()).state_bytes * held.moments
        here = model.trainable_parameters / (layout.tp * layout.pp)
        frozen = held.weight * (model.parameters - model.trainable_parameters) / (layout.tp * layout.pp)
        kinds = (0, 3) if layout.pp == 1 else (0, 1, 2, 3)
        for zero in kinds if ranks > 1 and not layout.zero and not model.experts else ():
            shared = [ranks if zero >= stage else 1 for stage in (1, 2, 3)]
            needed = here * (stepped / shared[0] + held.gradient / shared[1] + held.weight / shared[2])
            if needed + frozen / shared[2] <= self.device.memory or zero == kinds[-1]:
                return layout.but(zero=zero)
        return layout

    def _choices(self, degrees: Mapping[str, int]) -> dict[str, Any]:
        """What the row's words say of its layout besides the degrees and the recomputation."""
        row, notes = self.row, self.row.notes.lower()
        sharding = words.read("sharding", row.zero_stage_or_fsdp)
        if sharding is None:
            raise UsageError(f"sharding {row.zero_stage_or_fsdp!r}", rule="the kind of sharding is not known")
        adapter = "zero_adapter" if self.subject.kind != "full" and "zero_adapter" in sharding else "zero"
        bridge = self.stack.startswith("megatron-bridge")
        said = "sequence parallel" in notes and "no sequence parallel" not in notes
        parallel = said or bridge or self.stack in _WITH_SEQUENCES
        return {
            "zero": int(self.setting.get("zero", sharding[adapter])),
            "shard": self._sharing(sharding, degrees),
            "sp": "on" if parallel and degrees["tp"] > 1 else "off",
            "overlap": "dp+tp" if bridge else "dp",
            "precision": self.precision,
            "offload": "activations" if "activation offloading" in notes else "none",
            "blocks": self._dense_blocks() if degrees["dp"] > 1 and find("splits", row.text) else (),
        }

    def _sharing(self, sharding: Mapping[str, Any], degrees: Mapping[str, int]) -> int:
        """Ranks that share one copy where those of a node do, else 0: all of them."""
        node = self.row.devices_per_node or 0
        inner = degrees["tp"] * degrees["pp"]
        several = sharding.get("within") == "node" and node < degrees["dp"] * degrees["cp"] * inner
        return node // inner if several and node // inner > 1 else 0

    def _dense_blocks(self) -> tuple[tuple[str, str], ...]:
        blocks = self.subject.model.blocks
        return tuple((b.name, "model") for b in blocks if any(o.kind == "linear" for o in b.operations))

    def _usual_layouts(self, start: Layout) -> list[Layout]:
        """Fully sharded; with tensor and pipeline parallelism; for a mixture of experts with expert parallelism too."""
        model, ranks = self.subject.model, start.ranks
        made = [start.but(zero=3)]
        for tp, pp in ((1, 8), (1, 16), (8, 8)) if model.experts else ((8, 1), (8, 8)):
            if ranks % (tp * pp) == 0 and (model.heads or 1) % tp == 0:
                dp = ranks // (tp * pp)
                ep = math.gcd(dp, model.experts) if model.experts else 1
                made.append(start.but(dp=dp, tp=tp, pp=pp, ep=ep, zero=1, sp="on" if tp > 1 else "off"))
        return made

    def _recomputations(self) -> list[str]:
        row = self.row
        if "recompute" in self.setting:
            return [str(self.setting["recompute"])]
        said = words.read("recompute", row.recompute)
        if said is None and row.recompute:
            raise UsageError(f"recomputation {row.recompute!r}", rule="the kind of recomputation is not known")
        if said is not None:
            return [str(said["recompute"])]
        if not self.of_tokens or row.family == "bert":
            return ["none"]
        counted = words.read("conventions", self.label) or {}
        self.unsaid.append("recompute")
        return ["full"] if counted.get("recomputed") else ["none", "selective", "full"]

    def optimizer(self) -> str:
        """The one that the words name, else the usual one."""
        said = words.read("optimizers", self.row.text)
        if said:
            return str(said["optimizer"])
        return "adamw" if self.of_tokens else "momentum"

    def whole_run(self) -> tuple[float | None, bool]:
        """Samples of a whole run, for rows of hours, and whether the hours of all devices are added up."""
        if self.row.metric != "hours":
            return None, False
        amount = words.read("amounts", self.row.notes)
        if amount:
            return float(amount["tokens"]) * float(amount["scale"]) / self.tokens, True
        images = "ImageNet" if self.subject.model.unit == "image" else ""
        data = find("datasets", f"{self.row.notes} | {images}")
        if data is None:
            raise UsageError("hours of a run of unknown length", rule="the notes do not say how much was trained on")
        epochs = words.read("epochs", self.row.notes) or {}
        return float(data["samples"]) * float(epochs.get("epochs", data["epochs"])), False
