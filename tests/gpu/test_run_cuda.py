"""The packaged tasks on CUDA and NCCL: as many ranks as there are GPUs, at most two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rigwise.errors import UsageError
from rigwise.run.start import run

RANKS = min(2, torch.cuda.device_count())


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("task", ["digits", "mlp", "characters"])
def test_a_gpu_trains_as_the_cpu_does(task: str) -> None:
    steps = 5
    reference = run(task, "dp=1", steps=steps, batch=16, device="cpu").losses
    result = run(task, f"dp={RANKS}", steps=steps, batch=16, device="cuda")
    assert np.allclose(result.losses, reference, rtol=1e-3)
    assert result.device == torch.cuda.get_device_name(0)
    assert result.versions["backend"] == ("nccl" if RANKS > 1 else "none")


def test_parts_are_taken_from_the_gpu_s_own_clock() -> None:
    result = run("characters", f"dp={RANKS},micro=4", steps=12, batch=16 * RANKS, device="auto")
    assert 0 < result.parts["compute"] < result.step_s
    assert (result.parts["communication"] > 0) == (RANKS > 1)
    assert result.peak_memory > 0
    assert result.base_memory == 0


def test_bfloat16_and_tf32_are_near_float32() -> None:
    exact = run("mlp", f"dp={RANKS}", steps=5, device="cuda").losses
    for precision in ("bfloat16", "tf32"):
        near = run("mlp", f"dp={RANKS},precision={precision}", steps=5, device="cuda").losses
        assert near != exact
        assert np.allclose(near, exact, rtol=2e-2)


def test_more_ranks_than_gpus_are_refused() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(UsageError, match=f"{count + 1} ranks on {count} GPU"):
        run("mlp", f"dp={count + 1}", steps=1, batch=count + 1, device="cuda")


def test_a_resumed_run_goes_on() -> None:
    whole = run("mlp", f"dp={RANKS}", steps=6, device="cuda").losses
    run("mlp", f"dp={RANKS}", steps=3, device="cuda", output="out")
    resumed = run("mlp", f"dp={RANKS}", steps=6, device="cuda", output="out", resume=True).losses
    assert np.allclose(resumed, whole, rtol=1e-4)
