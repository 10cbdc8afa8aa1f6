"""A checkpoint of one layout is gone on from in another: weights and optimizer exactly, in both directions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "resharding.py"
WORLD = 4


def test_four_replicas_become_two_stages_of_two_halves_and_back(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(WORLD), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr
    path = tmp_path / "dp" / "checkpoints" / "step-00000003"
    written = [len((path / f"__{rank}_0.distcp").read_bytes()) for rank in range(WORLD)]
    assert max(written) < 0.5 * sum(written)  # what all ranks hold is written by all, each a part
    assert set(json.loads((path / "record.json").read_text())["files"]) == {
        ".metadata",
        *(f"__{rank}_0.distcp" for rank in range(WORLD)),
    }
