"""Scripts of launchers: what a shell, a Python or a YAML reader makes of them."""

from __future__ import annotations

import ast
import shlex
import shutil
import subprocess
from dataclasses import replace

import pytest

from rigwise.errors import NotFoundError, UsageError
from rigwise.export.launchers import LAUNCHERS, STARTS, Job, script

ODD = "my tasks/it's $HOME.py:task"
JOB = Job(
    name="train",
    command=("rigwise", "run", ODD, "--layout", "dp=16"),
    nodes=2,
    per_node=8,
    accelerator="H100",
    image="us/rig:1",
)


@pytest.mark.parametrize("launcher", ["torchrun", "mpi", "slurm"])
def test_a_shell_reads_the_script_and_the_command_as_it_was_given(launcher: str, tmp_path) -> None:
    path = tmp_path / "script.sh"
    path.write_text(script(JOB, launcher).text)
    assert subprocess.run(["bash", "-n", path], capture_output=True, check=True).stderr == b""
    assert ODD in shlex.split(path.read_text().replace("\\\n", " "), comments=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", path], check=True)


@pytest.mark.parametrize("launcher", ["torchrun", "mpi"])
def test_the_script_calls_its_launcher_with_every_rank(launcher: str, tmp_path) -> None:
    said = tmp_path / "said"
    for name in ("torchrun", "mpirun"):
        fake = tmp_path / name
        fake.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > {said}\n')
        fake.chmod(0o755)
    path = tmp_path / "script.sh"
    path.write_text(script(JOB, launcher).text)
    subprocess.run(["bash", path], env={"PATH": f"{tmp_path}:/usr/bin:/bin", "NODE_RANK": "1"}, check=True)
    words = said.read_text().splitlines()
    assert words[-5:] == list(JOB.command)
    assert ("16" in words) if launcher == "mpi" else {"--nnodes=2", "--nproc-per-node=8", "--node-rank=1"} <= set(words)


def test_slurm_is_asked_for_the_nodes_the_ranks_and_the_time() -> None:
    text = script(Job(name="train", command=("x",), nodes=3, per_node=4, hours=1.5), "slurm").text
    asked = dict(line[8:].split("=", 1) for line in text.splitlines() if line.startswith("#SBATCH --") and "=" in line)
    assert asked["--nodes"] == "3"
    assert asked["--ntasks-per-node"] == asked["--gpus-per-node"] == "4"
    assert asked["--time"] == "01:30:00"
    assert "--gpus" not in script(Job(name="train", command=("x",), nodes=1, per_node=1, device="cpu"), "slurm").text


def test_ray_reads_a_program_with_the_command_in_it() -> None:
    tree = ast.parse(script(JOB, "ray").text)
    values = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Tuple)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert values["COMMAND"] == list(JOB.command)
    assert values["NEEDS"] == {"GPU": 1}


@pytest.mark.parametrize("launcher", ["kubernetes", "jobset", "skypilot"])
def test_a_yaml_reader_finds_nodes_devices_and_the_command(launcher: str) -> None:
    yaml = pytest.importorskip("yaml")
    read = yaml.safe_load(script(JOB, launcher).text)
    if launcher == "skypilot":
        assert (read["num_nodes"], read["resources"]["accelerators"]) == (2, "H100:8")
        run = read["run"]
    elif launcher == "jobset":
        spec = read["spec"]["replicatedJobs"][0]["template"]["spec"]
        assert spec["parallelism"] == spec["completions"] == 2
        run = spec["template"]["spec"]["containers"][0]["args"][0]
    else:
        replicas = read["spec"]["pytorchReplicaSpecs"]
        assert sum(one["replicas"] for one in replicas.values()) == 2
        container = replicas["Worker"]["template"]["spec"]["containers"][0]
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
        run = container["args"][0]
    assert ODD in shlex.split(run.replace("\\\n", " "))
    assert subprocess.run(["bash", "-n", "-c", run], check=False).returncode == 0


@pytest.mark.parametrize("launcher", ["kubernetes", "jobset"])
def test_all_pods_work_in_the_volume_that_is_named(launcher: str) -> None:
    said = script(replace(JOB, volume="disk"), launcher)
    pods = said.text.count("containers:")
    for words in ('claimName: "disk"', 'workingDir: "/work"', 'mountPath: "/work"'):
        assert said.text.count(words) == pods
    assert not said.notes
    assert "volume" in script(JOB, launcher).notes[-1]


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"name": "My job"}, {"nodes": 0}, {"hours": 0.0}, {"port": 80}, {"name": "-a"}):
        with pytest.raises(UsageError):
            Job(**{"name": "a", "command": ("x",), "nodes": 1, "per_node": 1, **wrong})
    with pytest.raises(NotFoundError, match="slrum"):
        script(JOB, "slrum")
    assert set(STARTS) == set(LAUNCHERS)
