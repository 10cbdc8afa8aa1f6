"""What ranks import late, read before they hold anything of a task: a process's memory before its model came is then
its libraries, in ranks that are forked and in those that a launcher started.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable

ALWAYS = (
    "torch",
    "torch.distributed",
    "torch.nn.parallel",
    "torch._dynamo",
    "torch.utils.data",
    "rigwise.run.worker",
)


def preload(names: Iterable[str]) -> None:
    """Read modules; what they warn of is not the reader's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            importlib.import_module(name)
