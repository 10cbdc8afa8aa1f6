"""Choice: one thing to get, with what it does on the network, what it costs, why, and what to mind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from math import inf
from typing import Any

from rigwise.advise.assumptions import assumed
from rigwise.advise.candidates import Candidate
from rigwise.advise.judge import Verdict
from rigwise.advise.money import card_worth, electricity_usd, resale_usd
from rigwise.advise.needs import Need
from rigwise.layouts.layout import Layout
from rigwise.units import GIBI, HOUR, MINUTE, YEAR


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A candidate with its verdict. Money in US dollars over the years of the need.

    owning: card, host, electricity and resale by name, resale negative. total: what all of it costs over the years, or
    what the rent of the work does. spend: what leaves the purse: capital and electricity, less what is sold of what was
    there, or rent. reasons, warnings: in words. fit: what makes it fit (recompute, ...).
    """

    candidate: Candidate
    verdict: Verdict
    interval: tuple[float, float]
    basis: str
    owning: Mapping[str, float]
    total: float
    spend: float
    time_s: float | None
    samples: float
    fit: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def throughput(self) -> float:
        """Samples a second."""
        return self.verdict.samples_per_s

    @property
    def per_sample(self) -> float:
        """Dollars of a sample, all costs counted; inf where none is trained."""
        return self.total / self.samples if self.samples else inf

    @property
    def assured(self) -> float:
        """The share of its throughput that is counted on: the low end of its interval over the prediction."""
        return self.interval[0] / self.throughput

    def to_dict(self, need: Need, today: date) -> dict[str, Any]:
        """The choice for JSON; throughput and its interval in tokens a second of a language model."""
        c, v = self.candidate, self.verdict
        per, unit = scale(need)
        return {
            "what": c.device.full_name,
            "device": c.device.name,
            "count": c.count,
            "machines": v.cluster.nodes,
            "condition": c.condition,
            "price_usd": c.capital if c.bought else None,
            "usd_per_hour": self.hourly(need),
            "throughput": self.throughput * per,
            "unit": f"{unit}/s",
            "interval": [value * per for value in self.interval],
            "time_s": self.time_s,
            "fits": v.fits,
            "layout": v.layout.to_dict(),
            "spelling": str(v.layout),
            "makes_it_fit": list(self.fit),
            "memory_gib": v.memory / GIBI,
            "memory_limit_gib": c.device.memory / GIBI,
            "watts": v.watts,
            "cost_usd": {**self.owning, "total": self.total},
            "spend_usd": self.spend,
            "sold_usd": c.sold,
            "usd_per_million": None if self.per_sample == inf else self.per_sample / per * 1e6,
            "host": c.host.name if c.host else None,
            "price": c.card.to_dict(today),
            "basis": self.basis,
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
        }

    def hourly(self, need: Need) -> float:
        """Dollars of an hour of work: the rent, or what owning comes to over the hours of the years."""
        return self.candidate.hourly if not self.candidate.bought else self.total / need.hours


def scale(need: Need) -> tuple[float, str]:
    """Units of a sample, and their name: tokens of a sequence, else the sample itself."""
    token = need.model.unit == "token"
    return (float(need.model.tokens), "tokens") if token else (1.0, f"{need.model.unit}s")


def choose(candidate: Candidate, verdict: Verdict, need: Need) -> Choice:
    """A candidate with its money and its time worked out; reasons and warnings come later.

    Of a given amount of work the money is that until it is done and the machine sold, and what is rented is paid from
    before its first step; else the money is that of the years.
    """
    if not verdict.fits:
        return _unfit(candidate, verdict)
    low, high, basis, warnings = verdict.spread(need)
    speed = verdict.samples_per_s
    kept = speed * candidate.useful
    begin = 0.0 if candidate.bought else float(assumed("rent")["begin_minutes"]) * MINUTE
    time_s = None if need.work is None else begin + need.work / kept
    hours, years = (need.hours, need.years) if time_s is None else (time_s / HOUR, time_s / YEAR)
    if candidate.bought:
        owning = _owning(candidate, verdict, need, hours, years)
        total, spend = sum(owning.values()), candidate.capital + owning["electricity"]
    else:
        if time_s is None and need.budget is not None and candidate.hourly > 0:
            hours = min(hours, need.budget / candidate.hourly)
        owning = {"rent": candidate.hourly * hours}
        total = spend = owning["rent"]
    samples = need.work if need.work is not None else kept * hours * HOUR
    return Choice(
        candidate=candidate,
        verdict=verdict,
        interval=(speed / high, speed / low),
        basis=basis,
        owning=owning,
        total=total,
        spend=spend,
        time_s=time_s,
        samples=samples,
        fit=tuple(makes_fit(verdict.layout)),
        warnings=warnings,
    )


def _unfit(candidate: Candidate, verdict: Verdict) -> Choice:
    """A candidate that does not hold the model: nothing is trained on it, and nothing paid."""
    return Choice(
        candidate=candidate,
        verdict=verdict,
        interval=(0.0, 0.0),
        basis="it does not fit",
        owning={},
        total=0.0,
        spend=0.0,
        time_s=None,
        samples=0.0,
        fit=(),
    )


def _owning(candidate: Candidate, verdict: Verdict, need: Need, hours: float, years: float) -> dict[str, float]:
    """Dollars by part until the machine is sold; one that was there before is counted at what is added to it.

    What old cards fetch pays for new ones, but makes them no cheaper to own: it was there before.
    """
    return {
        "card": candidate.cards,
        "host": candidate.around,
        "electricity": electricity_usd(verdict.watts or 0.0, hours, need.per_kwh),
        "resale": -worth(candidate, years),
    }


def worth(candidate: Candidate, years: float) -> float:
    """Dollars that a bought candidate fetches after years; what was there before is not counted.

    Cards keep their share a year by their age, the machine around them another.
    """
    kept = assumed("resale")
    cards = card_worth(candidate.cards, candidate.age, years)
    return float(kept["selling"]) * (cards + resale_usd(candidate.around, kept["kept_by_hosts"], years))


def makes_fit(layout: Layout) -> list[str]:
    """What a layout does to fit, in the words of article 7's list."""
    says = ["16 bit"] if layout.precision in ("float16", "bfloat16") else []
    says += {"full": ["recomputation"], "selective": ["recomputation of attention"]}.get(layout.recompute, [])
    says += ["tensor (model) parallel"] if layout.tp > 1 else []
    says += ["pipeline parallel" + (", interleaved" if layout.vpp > 1 else "")] if layout.pp > 1 else []
    says += ["context parallel"] if layout.cp > 1 else []
    says += ["expert parallel"] if layout.ep > 1 else []
    says += ["sharded (ZeRO 3, FSDP)"] if layout.zero == 3 else []
    offload = {"optimizer": "optimizer state in the host's memory", "all": "states swapped to the host's memory"}
    says += [offload[layout.offload]] if layout.offload in offload else []
    return says
