"""A run told in one line: "8xh100, llama-8b, 3.9 s, batch=128, tp=2".

Parts stand between commas in any order: one figure with its unit, up to two names (a cluster and a model), and settings
key=value. Spellings of units are words/figures.toml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rigwise import units
from rigwise.errors import UsageError, not_found
from rigwise.measurements import words

FIGURES = "3.9 s, 11000 tokens/s/gpu, 420 tokens/s, 812 images/s, 45 % mfu, 180 TFLOP/s"
RULE = f"a cluster, a model, one figure with its unit ({FIGURES}) and key=value settings, commas between"
_THOUSANDS = re.compile(r"(?:(?<=^)|(?<=,)|(?<=, ))\s*\d{1,3}(?:,\d{3})+(?!\d)")
_PREFIX = {"": 1.0, "k": units.KILO, "M": units.MEGA, "G": units.GIGA, "T": units.TERA, "P": units.PETA}
_SECONDS = {"sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured, in base units. metric: step_s (seconds), tokens_per_s or samples_per_s of all devices or
    ..._per_device, flops_per_s_per_device (useful ones, none of recomputation), mfu (0 to 1)."""

    metric: str
    value: float
    text: str

    def seconds(self, *, batch: float, tokens: float, devices: float, flops: float, peak: float | None) -> float:
        """Seconds of the step that the figure means, from its batch (samples), tokens a sample, devices, useful FLOP of
        all devices, and the devices' peak (FLOP/s each). Raises UsageError for a share of an unknown peak.

        >>> figure = Figure(metric="tokens_per_s", value=4096.0, text="4096 tokens/s")
        >>> figure.seconds(batch=8, tokens=1024, devices=2, flops=0, peak=None)
        2.0
        """
        if self.metric == "step_s":
            return self.value
        if self.metric == "mfu":
            if not peak:
                raise UsageError(f"{self.text} of an unknown peak", rule="a share of peak needs a peak of the device")
            return flops / (self.value * devices * peak)
        amount = {"tokens": batch * tokens, "samples": batch, "flops": flops}[self.metric.partition("_")[0]]
        return amount / self.value / (devices if self.metric.endswith("per_device") else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRun:
    """The parts of a told run. names: those that are neither figure nor setting. settings: by key, as written."""

    text: str
    figure: Figure
    names: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


def told_run(text: str, keys: frozenset[str]) -> ToldRun:
    """Read a run; keys: the settings that there are. Raises UsageError or NotFoundError for what cannot be read.

    >>> run = told_run("h100 8x, llama-8b, 11,000 tokens/s/gpu, tp=2", frozenset({"tp"}))
    >>> run.names, run.figure.metric, run.figure.value, dict(run.settings)
    (('h100 8x', 'llama-8b'), 'tokens_per_s_per_device', 11000.0, {'tp': '2'})
    """
    plain = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    figures: list[Figure] = []
    names: list[str] = []
    settings: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in plain.split(","))):
        if (figure := read_figure(part)) is not None:
            figures.append(figure)
        elif "=" in part:
            key, value = (side.strip() for side in part.split("=", 1))
            if key not in keys:
                raise not_found("setting", key, keys, hint=", ".join(sorted(keys)))
            if key in settings:
                raise UsageError(f"{key} stands twice in {text!r}")
            settings[key] = value
        else:
            names.append(part)
    _check(text, figures, names)
    return ToldRun(text=text, figure=figures[0], names=tuple(names), settings=settings)


def read_figure(text: str) -> Figure | None:
    """The figure that a part means, None where it is none. Raises UsageError for one that cannot be.

    >>> read_figure("180 TFLOP/s").value, read_figure("mfu 45 %").value, read_figure("llama-8b")
    (180000000000000.0, 0.45, None)
    """
    facts = words.read("figures", text.strip())
    if facts is None:
        return None
    number = float(facts["value"] if "value" in facts else facts["after"])
    if "time" in facts:
        value = number * (_SECONDS.get(facts["time"]) or units.parse(f"1 {facts['time']}", "s"))
    else:
        prefix = facts.get("prefix", "")
        value = number * facts.get("scale", 1.0) * _PREFIX[prefix if prefix in _PREFIX else prefix.swapcase()]
    if not value > 0 or (facts["metric"] == "mfu" and value >= 1):
        raise UsageError(f"{text!r} of a run", rule="a figure is above 0, and a share of peak below 100 %")
    return Figure(metric=facts["metric"], value=value, text=text.strip())


def _check(text: str, figures: list[Figure], names: list[str]) -> None:
    if len(figures) > 1:
        both = " and ".join(repr(figure.text) for figure in figures)
        raise UsageError(f"{both} in {text!r}", rule="one figure a run; say a second run for a second one")
    if not figures:
        numbers = [name for name in names if name[:1].isdigit() and " " in name]
        said = f"{numbers[0]!r} is no figure" if numbers else "no figure"
        raise UsageError(f"{said} in {text!r}", rule=RULE, nearest=FIGURES)
    if len(names) > 2:
        said = ", ".join(repr(name) for name in names)
        raise UsageError(f"{said} in {text!r}: {len(names)} names", rule="one cluster and one model at most")
