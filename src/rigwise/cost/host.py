"""The host: the thread that launches kernels sets the pace where kernels are short.

    t = (g^q + h^q)^(1/q),   h = kernels x a_kernel + collectives x log2(n) x a_collective

g: seconds of the device with what its ranks exchange; n: ranks that start a collective together. Their threads drift
apart, and the later ones set the pace: the wait grows with the number of rounds in which n threads meet. q is about 4
on a GPU, whose queue lets the host run ahead, and 1 where nothing runs ahead: on a CPU, which computes in the launching
thread, and where launches block.
Left out: the loader's own threads, garbage collection, other processes. Source: constants in data/efficiencies.toml.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.ledger import tell, told

Floats = NDArray[np.float64]


@told("host")
def with_host(device: ArrayLike, host: ArrayLike, power: ArrayLike) -> Floats:
    """Seconds that a phase takes when the device needs `device` and the launching thread `host` seconds.

    >>> with_host(3e-3, 1e-3, 4.0).round(6).item(), with_host(3e-3, 3e-3, 1.0).item()
    (0.003009, 0.006)
    """
    g, h = np.asarray(device, dtype=np.float64), np.asarray(host, dtype=np.float64)
    power = np.asarray(power, dtype=np.float64)
    tell(g=g, h=h, q=power)
    if np.all(power == 4.0):
        return np.asarray(np.sqrt(np.sqrt(g**4 + h**4)))
    return np.asarray((g**power + h**power) ** (1 / power))


@told("launch")
def launch_seconds(
    kernels: ArrayLike, collectives: ArrayLike, ranks: ArrayLike, a_kernel: ArrayLike, a_collective: ArrayLike
) -> Floats:
    """Seconds of the launching thread for kernels and for collectives that `ranks` ranks start together.

    >>> launch_seconds(25, 2, 4, 25e-6, 50e-6).round(9).item()
    0.000825
    """
    tell(kernels=kernels, collectives=collectives, n=ranks, a_kernel=a_kernel, a_collective=a_collective)
    met = np.asarray(collectives) * np.log2(np.maximum(ranks, 1.0))
    return np.asarray(np.asarray(kernels) * np.asarray(a_kernel) + met * np.asarray(a_collective), dtype=np.float64)
