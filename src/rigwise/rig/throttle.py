"""What heat and power limits take of a GPU's speed: cards side by side, by how they are cooled, and their limit.

    slow = 1 - (1 - air) (1 - held)
    air    0 with room between cards, in a server's wind, on risers, with water; where two or more cards with open fans
           have none, the middle of article 3's 10 to 25 %; where three or more blowers have none, of 10 to 15 %
    held   6 % at 71.5 % of a card's watts (data/power.toml), in proportion above; air falls in the same proportion

It slows what a GPU computes; its memory keeps its clock. Source: T. Dettmers, "A Full Hardware Guide to Deep Learning".
Left out: the room's temperature, dust, fan curves; what a card alone loses is in the measured efficiencies already.
"""

from __future__ import annotations

from math import ceil

from rigwise.rig import power
from rigwise.rig.build import Build
from rigwise.rig.constants import cooling
from rigwise.rig.lanes import Seating, seat
from rigwise.rig.parts import Case


def slowdown(build: Build, seating: Seating | None = None) -> float:
    """Share of their speed that the GPUs of a build lose; of a build that is not whole only what is sure."""
    low, high = air_loss(build, seating)
    share = _held(build)
    shares = power.constants()["supply"]
    least = 1.0 - float(shares["limit"])
    held = float(shares["limit_loss"]) * share / least
    air = (low + high) / 2 * max(0.0, 1.0 - share / least)
    return 1.0 - (1.0 - air) * (1.0 - held)


def air_loss(build: Build, seating: Seating | None = None) -> tuple[float, float]:
    """Lowest and highest share of speed that cards lose for want of air, at full power."""
    if not tight(build, seating):
        return 0.0, 0.0
    kinds = [card.cooling or "open" for card in build.gpus]
    table = cooling()["loss"]
    if kinds.count("open") >= 2:
        low, high = table["adjacent"]
    elif len(kinds) >= 3 and "blower" in kinds:
        low, high = table["blower"]
    else:
        low, high = 0.0, 0.0
    return float(low), float(high)


def tight(build: Build, seating: Seating | None = None) -> bool:
    """Whether cards stand side by side without room for air; False where board or case are not there."""
    case = build.case
    if len(build.gpus) < 2 or case is None or case.style in ("frame", "server") or build.risers:
        return False
    seating = seating or seat(build)
    if seating is None:
        return False
    gaps = [place.gap for place in seating.gpus if place.gap is not None]
    return any(gap < cooling()["rules"]["gap"] for gap in gaps) if seating.known else _crowded(build, case)


def _crowded(build: Build, case: Case) -> bool:
    """Whether cards on a board whose slots have no known positions can have no air, even evenly spread."""
    brackets = min(case.slots or 7, 7)
    need = sum(ceil(card.slots or 2) for card in build.gpus) + (len(build.gpus) - 1)
    return need > brackets


def _held(build: Build) -> float:
    """Share of their watts by which the GPUs are held back."""
    own = sum(card.watts for card in build.gpus)
    return 1.0 - build.gpu_watts / own if own else 0.0
