"""What binds where nothing answers a need, and the nearest thing that would: found by asking again, not guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil, floor, log10
from typing import Any

from rigwise.advise.choice import Choice
from rigwise.advise.judge import judge
from rigwise.advise.needs import Need
from rigwise.advise.rank import drawn, refusal
from rigwise.errors import InfeasibleError
from rigwise.hardware.device import Device
from rigwise.models.adapt import adapt
from rigwise.units import show_bytes, show_seconds, time_unit

_LARGE = 4  # devices that a model is tried on: those with the most memory
_MORE = 64  # devices that are tried where fewer do not hold a model
_LIMITS: Mapping[str, Any] = {
    "budget": None,
    "deadline": None,
    "circuit": None,
    "one_machine": False,
    "quiet": False,
    "slots": None,
}
_LIFTED = {
    "one_machine": "without --one-machine",
    "quiet": "without --low-noise",
    "memory": "less --memory",
    "vendor": "another --vendor",
    "precision": "another --precision",
    "price": "a price of your own, --price DEVICE=USD, or more ways to --get it",
}


def nothing(
    need: Need, every: Sequence[Choice], refused: Mapping[str, str], devices: Sequence[Device]
) -> InfeasibleError:
    """The error where no candidate answers: what binds, the rule, and the nearest that works."""
    fitting = [choice for choice in every if choice.verdict.fits]
    if not every:
        return _none_to_be_had(refused)
    if not fitting:
        return _none_fits(need, every, devices)
    return _limits_bind(need, fitting)


def _none_to_be_had(refused: Mapping[str, str]) -> InfeasibleError:
    """Every device is left out: the reason that most of them have, of those that the need gave."""
    kinds = {"asks for": "memory", "its vendor is": "vendor", "it has no": "precision", "no price": "price"}
    found = Counter(kind for why in refused.values() for words, kind in kinds.items() if words in why)
    lifted = [_LIFTED[kind] for kind, _ in found.most_common(2)]
    rule = next((why for why in refused.values() if any(words in why for words in kinds)), "")
    return InfeasibleError("nothing is to be had for this need", rule=rule, nearest=", or ".join(lifted))


def _none_fits(need: Need, every: Sequence[Choice], devices: Sequence[Device]) -> InfeasibleError:
    near = min(every, key=lambda c: c.verdict.memory / c.candidate.device.memory)
    v, c = near.verdict, near.candidate
    ways = list(lifting(need, devices))
    return InfeasibleError(
        f"{need.model.name} fits on none of {len(every)} candidates: {c.count}x {c.device.name} comes nearest and "
        f"needs {show_bytes(v.memory)} of {show_bytes(c.device.memory)}",
        rule="weights, gradients, optimizer state and activations fit in the memory of every device",
        nearest=", or ".join(ways) or f"a smaller model: neither {_MORE} devices nor a lighter training holds this one",
    )


def lifting(need: Need, devices: Sequence[Device]) -> Iterator[str]:
    """Single changes of a need that make its model fit somewhere, as options; each was asked for."""
    if need.optimizer == "adamw" and _holds(replace(need, optimizer="adam8bit"), devices):
        yield "--optimizer adam8bit"
    if not need.one_machine and need.most < _MORE and _holds(replace(need, most=_MORE), devices):
        yield f"--most {_MORE}"
    if need.model.unit == "token" and "+" not in need.model.name:
        yield from (
            f"--adapt {k}" for k in ("lora", "qlora") if _holds(replace(need, model=adapt(need.model, k)), devices)
        )


def _holds(need: Need, devices: Sequence[Device]) -> bool:
    """Whether the model fits on some number of the devices with the most memory."""
    large = sorted(devices, key=lambda device: -device.memory)[:_LARGE]
    return any(verdict.fits for verdict in judge(need, large, "none").values())


def _limits_bind(need: Need, fitting: Sequence[Choice]) -> InfeasibleError:
    """The limits of which lifting one alone is enough, each with the least that it would have to be."""
    enough: dict[str, Choice] = {}
    for name, none in _LIMITS.items():
        kept = [c for c in fitting if not refusal(c, replace(need, **{name: none}))]
        if kept and getattr(need, name) not in (None, False):
            enough[name] = min(kept, key=lambda c: _amount(name, c))
    if enough:
        name, least = next(iter(enough.items()))
        nearest = ", or ".join(_option(need, key, choice) for key, choice in enough.items())
        return InfeasibleError(_says(need, name, least), rule=_rule(need, name), nearest=nearest)
    open_ = replace(need, **_LIMITS)
    least = min((c for c in fitting if not refusal(c, open_)), key=lambda c: c.spend)
    asked = [name for name in _LIMITS if getattr(need, name) not in (None, False)]
    broken = [name for name in asked if refusal(least, replace(open_, **{name: getattr(need, name)}))]
    return InfeasibleError(
        _says(need, "budget", least),
        rule="; ".join(_rule(need, name) for name in broken),
        nearest=" and ".join(_option(need, name, least) for name in broken),
    )


def _amount(name: str, choice: Choice) -> float:
    """What a choice asks of a limit."""
    if name == "deadline":
        return choice.time_s or 0.0
    if name == "circuit":
        return drawn(choice) or 0.0
    return choice.spend


def _says(need: Need, name: str, least: Choice) -> str:
    what = "the soonest" if name == "deadline" else "the cheapest"
    took = f", takes {show_seconds(least.time_s)}" if least.time_s is not None else ""
    watts = f", draws {drawn(least):,.0f} W" if name == "circuit" else ""
    cost = need.money(least.spend)
    return f"{what} that fits and keeps all other limits, {least.candidate.name}{took}{watts}, costs {cost}"


def _rule(need: Need, name: str) -> str:
    if name == "budget":
        return f"the budget is {need.money(need.budget or 0.0)}"
    if name == "deadline":
        return f"the deadline is {show_seconds(need.deadline or 0.0)}"
    return f"the circuit carries {need.circuit:,.0f} W for hours" if name == "circuit" else f"asked was for {name}"


def _option(need: Need, name: str, least: Choice) -> str:
    """The option that lets a choice through, rounded up to three digits."""
    if name == "budget":
        return f"--budget {_up(least.spend * need.per_usd):g}"
    if name == "deadline":
        unit, scale = time_unit(least.time_s or 0.0)
        return f'--deadline "{_up((least.time_s or 0.0) / scale):g} {unit}"'
    if name == "slots":
        return f"--slots {least.candidate.device.slots:g}"
    return f"--circuit {_up(drawn(least) or 0.0):g}" if name == "circuit" else _LIFTED[name]


def _up(value: float) -> float:
    """Three significant digits, never less than the value.

    >>> _up(6.0612), _up(36733.0)
    (6.07, 36800.0)
    """
    if value <= 0:
        return 1.0
    step = 10.0 ** (floor(log10(value)) - 2)
    return float(f"{ceil(value / step - 1e-9) * step:.6g}")
