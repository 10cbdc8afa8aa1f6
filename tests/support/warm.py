"""Read last by the process that ranks are forked from (together.py): it did what every rank would have to do again.
Nothing here starts a thread, which a fork would not have.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

with suppress(ImportError):  # numba reads its tables, for a second, with the first function that it loads
    from rigwise.run.compress.kernels import decode_linear

    decode_linear(np.ones(1, np.float32), np.ones(8, np.uint8), np.ones(8, np.float32))
