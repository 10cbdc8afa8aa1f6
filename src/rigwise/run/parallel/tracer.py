"""torch's tracer, read when this module is: a second and 60 MiB, which layouts that trace nothing do without.

Its first trace reads most of it, so one is made here: ranks that are forked afterwards share those pages.
"""

from __future__ import annotations

import torch
import torch.export
from torch import nn

export = torch.export.export

export(nn.Linear(1, 1), (torch.zeros(1, 1),), strict=False)
