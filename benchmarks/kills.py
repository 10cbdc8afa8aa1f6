"""A run that is killed again and again: what each kill costs, and whether the training is still the same.

    python benchmarks/kills.py [kills] [seed]

Fifty by default. Each strikes the launcher, the process that forks the ranks, or a rank, at a random instant, and the
run is started again; the last start goes on to the end, and its losses are compared with an undisturbed run's.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from campaign import EVERY, campaign, finish, newest

KILLS, MORE = 50, 20


def measure(kills: int = KILLS, seed: int = 1) -> str:
    """The campaign in a sentence. AssertionError where something that must hold did not."""
    with tempfile.TemporaryDirectory() as place:
        hurt, sound = Path(place, "hurt"), Path(place, "sound")
        done = campaign(kills, seed, hurt, lambda words: print(words, file=sys.stderr, flush=True))
        steps = newest(hurt) + MORE
        equal = finish(hurt, steps) == finish(sound, steps)
        lost = [kill.step - kill.kept for kill in done]
        hit = ", ".join(
            f"{name} {sum(kill.victim == name for kill in done)}" for name in ("launcher", "server", "rank")
        )
        return (
            f"{kills} kills ({hit}), a checkpoint every {EVERY} steps: {statistics.mean(lost):.1f} steps lost a kill, "
            f"{max(lost)} at most; losses of all {steps} steps {'equal bit for bit' if equal else 'DIFFER'}"
        )


if __name__ == "__main__":
    print(measure(*map(int, sys.argv[1:])))
