"""Replicas of one process: a single interpreter that drives all devices, as torch.nn.DataParallel does.

    every step   the weights W go from the first device to the others, the gradients come back and are added there
    exchange     2 (W / BW + t_0) + n modules 2 t_kernel     n devices; each replica's modules are made anew
    launching    t_kernel n^0.4                              n threads that hold the interpreter by turns

Left out: the outputs, which are gathered and small; the first device's larger share of memory. Source: the form follows
torch/nn/parallel (replicate, parallel_apply, comm); the power is read off published steps of 1 to 4 devices.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.collective import Wires
from rigwise.cost.efficiencies import Efficiencies, Value
from rigwise.cost.ledger import changed
from rigwise.layouts.layout import LayoutTable

Floats = NDArray[np.float64]
_TURNS = 0.4  # power of the devices with which launches slow down: 0 would be threads apart, 1 one after the other
_MODULE_CALLS = 2  # calls of the framework that one module of one replica takes


def replicate_seconds(weights: ArrayLike, modules: ArrayLike, devices: ArrayLike, over: Wires, call_s: Value) -> Floats:
    """Seconds of a step in which replicas are made and their gradients are added; none for one device.

    weights: bytes. modules: how many have weights. call_s: seconds of the interpreter for one call.

    >>> slow = Wires(inside=10e9, inside_step=0.0, inside_base=0.0, network=0.0, network_step=0.0, network_base=0.0)
    >>> replicate_seconds(100e6, 100, [1, 2], slow, 50e-6).round(3).tolist()
    [0.0, 0.04]
    """
    n = np.asarray(devices, dtype=np.float64)
    moved = 2 * (np.asarray(weights, dtype=np.float64) / over.inside + over.inside_base)
    made = n * np.asarray(modules, dtype=np.float64) * _MODULE_CALLS * call_s
    return np.where(n > 1, moved + made, 0.0)


def one_interpreter(eff: Efficiencies, table: LayoutTable) -> Efficiencies:
    """Efficiencies whose launches wait for each other where one process drives all replicas; else the same."""
    if not eff.stack.one_process:
        return eff
    turns = np.asarray(table.dp, dtype=np.float64) ** _TURNS
    return replace(eff, stack=changed(eff.stack, host_kernel_s=eff.stack.host_kernel_s * turns))
