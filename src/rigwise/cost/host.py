"""The host: the thread that launches kernels sets the pace where kernels are short.

t = (g^q + h^q)^(1/q), g device seconds, h = kernels x seconds a kernel + collectives x seconds a collective; q about 4
on a GPU, whose queue lets the host run ahead, and 1 on a CPU, which computes in the launching thread.
Left out: the loader's own threads, garbage collection, other processes. Source: constants in data/efficiencies.toml.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.ledger import tell, told

Floats = NDArray[np.float64]


@told("host")
def with_host(device: ArrayLike, host: ArrayLike, power: float) -> Floats:
    """Seconds that a phase takes when the device needs `device` and the launching thread `host` seconds.

    >>> with_host(3e-3, 1e-3, 4.0).round(6).item(), with_host(3e-3, 3e-3, 1.0).item()
    (0.003009, 0.006)
    """
    g, h = np.asarray(device, dtype=np.float64), np.asarray(host, dtype=np.float64)
    tell(g=g, h=h, q=power)
    if power == 4.0:
        return np.asarray(np.sqrt(np.sqrt(g**4 + h**4)))
    return np.asarray((g**power + h**power) ** (1 / power))


@told("launch")
def launch_seconds(kernels: ArrayLike, collectives: ArrayLike, a_kernel: ArrayLike, a_collective: ArrayLike) -> Floats:
    """Seconds of the launching thread.

    >>> launch_seconds(25, 2, 25e-6, 50e-6).round(9).item()
    0.000725
    """
    tell(kernels=kernels, collectives=collectives, a_kernel=a_kernel, a_collective=a_collective)
    return np.asarray(
        np.asarray(kernels) * np.asarray(a_kernel) + np.asarray(collectives) * np.asarray(a_collective),
        dtype=np.float64,
    )
