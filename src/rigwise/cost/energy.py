"""Energy: idle power all the time, the rest of the power limit while the device is busy.

E = N P [ idle T + (1 - idle) T_computing + (x - idle) T_exchanging ] + N T host

P is the power limit of a device, x the share of it that is drawn while ranks only exchange. Left out: cooling of the
room (give a PUE), losses of power supplies. Source: shares in data/efficiencies.toml.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.ledger import summed, tell, told

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerShares:
    """idle, exchanging: shares of the power limit; host_watts: a device's share of the machine around it."""

    idle: float
    exchanging: float
    host_watts: float


@told("energy")
def energy_joules(
    devices: float,
    watts: float,
    computing_s: ArrayLike,
    exchanging_s: ArrayLike,
    step_s: ArrayLike,
    shares: PowerShares,
) -> Floats:
    """Joules of one step on `devices` devices of `watts` each.

    computing_s, exchanging_s: seconds of the step in which a device computes, and in which it only exchanges.

    >>> energy_joules(8, 400.0, 1.0, 0.0, 1.0, PowerShares(idle=0.15, exchanging=0.5, host_watts=75.0)).item()
    3800.0
    """
    computing, exchanging, step = (np.asarray(x, dtype=np.float64) for x in (computing_s, exchanging_s, step_s))
    busy = np.minimum(computing, step)
    moving = np.minimum(exchanging, step - busy)
    tell(devices=devices, P=watts, idle=shares.idle, x=shares.exchanging, host=shares.host_watts)
    return summed(
        ("idle", devices * watts * shares.idle, step),
        ("computing", devices * watts * (1 - shares.idle), busy),
        ("exchanging", devices * watts * max(shares.exchanging - shares.idle, 0.0), moving),
        ("host", devices * shares.host_watts, step),
    )
