"""The store by which the agents of hosts meet, in a process of its own: `python -m rigwise.run.store HOST PORT`.

An agent that held it would take it along when it dies; this one is the launcher's, which starts dead agents anew. It
says `ready`, and leaves when its stdin ends.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Hold the store until nobody needs it."""
    import torch.distributed as dist
    from torch._C._distributed_c10d import TCPStore

    host, port = sys.argv[1:3]
    try:
        store = TCPStore(host, int(port), is_master=True, wait_for_workers=False)
    except (dist.DistError, RuntimeError) as error:
        _say(" ".join(str(error).split()))
        sys.exit(1)
    _say("ready")
    sys.stdin.read()
    del store
    os._exit(0)


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
