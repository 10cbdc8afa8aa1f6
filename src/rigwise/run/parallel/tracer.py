"""torch's tracer, read when this module is: half a second and 24 MiB, which layouts that trace nothing do without."""

from __future__ import annotations

import torch.export

export = torch.export.export
