"""Beside a peer: training estimates a second that llm-analysis makes for the same model, in a venv thrown away after.

llm-analysis (github.com/cli99/llm-analysis, Apache-2.0) needs versions that do not go together with ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = "llm-analysis==0.2.2"
SCRIPT = """
import json, logging, time
logging.disable(logging.CRITICAL)
from llm_analysis.analysis import ActivationRecomputation, LLMAnalysis
from llm_analysis.config import ModelConfig, ParallelismConfig, get_dtype_config_by_name, get_gpu_config_by_name
model = ModelConfig(name="gpt3", num_layers=96, n_head=96, hidden_dim=12288, vocab_size=51200, max_seq_len=2048)
gpu, dtype = get_gpu_config_by_name("a100-sxm-80gb"), get_dtype_config_by_name("w16a16e16")
split = ParallelismConfig(tp_size=8, pp_size=8, dp_size=8, sp_size=8)
def call():
    return LLMAnalysis(model, gpu, dtype, split).training(
        batch_size_per_gpu=1, gradient_accumulation_steps=192, global_batch_size=1536, seq_len=2048,
        total_num_tokens=300e9, activation_recomputation=ActivationRecomputation.SELECTIVE)
call()
start, calls = time.perf_counter(), 200
for _ in range(calls):
    call()
print(json.dumps(calls / (time.perf_counter() - start)))
"""


def calls_a_second() -> tuple[float | None, str]:
    """The peer's rate on one core, or None and why it could not be had."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True, capture_output=True)
            done = subprocess.run([python, "-c", SCRIPT], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            said = error.stderr if isinstance(error.stderr, str) else (error.stderr or b"").decode(errors="replace")
            return None, (said.strip().splitlines() or ["no message"])[-1]
        return float(json.loads(done.stdout.strip().splitlines()[-1])), ""
