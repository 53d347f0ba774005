"""On a real SLURM, reached through a real SSH server: what users have, on one machine."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from emulation import TINY_TRAINING
from slurm_cluster import Cluster, slurm_cluster, why_not

TRANSPORT = "core.ssh_async"
LITTLE = {"train": TINY_TRAINING, "relax": {"max_force_ev_per_angstrom": 0.5, "starts": 1}}
SPACE = {"preset": None, "ab_elements": ["Ag", "In", "Na"], "c_elements": ["Cs"], "d_elements": ["Cl"]}
RULES = {"window_ev": [0.0, 99.0], "exclude_known": False, "in_domain": False, "n_candidates": 2}
RELAX = {"relaxation": {}, "symmetric": True, "density_restart": True}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := why_not():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm_cluster(Path(folder)) as started:
        yield started


@pytest.fixture
def computer(
    cluster: Cluster, aiida_profile_clean: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The cluster as a computer of AiiDA, which ~/.ssh/config says how to reach, as `setup computer` has it."""
    from aiida.orm import Computer

    settings = tmp_path / "home" / ".ssh" / "config"
    settings.parent.mkdir(parents=True)
    settings.write_text(cluster.ssh_settings("lab"))
    settings.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    work = str(tmp_path / "scratch")
    lab = Computer(label="lab", hostname="lab", transport_type=TRANSPORT, scheduler_type="core.slurm", workdir=work)
    lab.store()
    lab.set_minimum_job_poll_interval(1)
    lab.set_default_mpiprocs_per_machine(1)
    lab.configure(safe_interval=0, host="lab")
    return lab


@pytest.fixture
def code(computer: Any) -> Callable[..., Any]:
    from aiida.orm import InstalledCode

    def install(label: str, executable: str, plugin: str = "core.shell") -> Any:
        return InstalledCode(
            label=label,
            computer=computer,
            filepath_executable=executable,
            default_calc_job_plugin=plugin,
            with_mpi=False,
        ).store()

    return install


@pytest.mark.production
def test_the_funnel_trains_and_relaxes_on_the_cluster(
    code: Callable[..., Any], submit_and_await: Callable[..., Any]
) -> None:
    """A training and real relaxations by CHGNet, as jobs of SLURM."""
    from aiida.orm import CalcJobNode

    from aiida_perovskite.cli.common import read_dataset
    from aiida_perovskite.cli.diagnosis import computer_findings
    from aiida_perovskite.workflows.screening import ScreeningWorkChain

    pytest.importorskip("chgnet", reason="CHGNet is not installed here")
    python = code("learning", sys.executable)
    table, target = read_dataset("halide-gaps-gpaw", None, None)
    builder = ScreeningWorkChain.get_builder_from_protocol(
        {"learning": python, "relax": python, "gap": python},
        dataset=table.store(),
        target=target,
        protocol="gaps",
        overrides={**LITTLE, "screening": {"space": SPACE, "selection": RULES, "n_electronic": 0}},
        options={
            "all": {"queue_name": "debug", "max_wallclock_seconds": 900},
            "train": {"custom_scheduler_commands": "#SBATCH --gres=gpu:1", "append_text": "echo gpus $SLURM_JOB_GPUS"},
        },
    )
    node = submit_and_await(builder, timeout=600)
    assert node.is_finished_ok, node.exit_message
    results = node.outputs.results.to_frame()
    assert len(results) == 2
    assert results["lattice_angstrom"].between(9.0, 12.0).all(), results
    jobs = [child for child in node.called_descendants if isinstance(child, CalcJobNode)]
    assert len(jobs) == 3
    assert all(job.computer.label == "lab" and job.get_job_id().isdigit() for job in jobs)
    (training,) = [job for job in jobs if "train" in job.inputs.arguments.get_list()]
    assert "gpus 0" in training.get_scheduler_stdout()
    assert {finding.state for finding in computer_findings(python.computer)} == {"ok"}


def test_a_relaxation_that_slurm_kills_goes_on(
    code: Callable[..., Any], aims_inputs: Callable[..., Any], submit_and_await: Callable[..., Any]
) -> None:
    """Emulated FHI-aims needs more than the minute that it has; SLURM ends it, and the next job goes on from there."""
    from aiida_perovskite.workflows.aims.base import OUT_OF_WALLTIME, AimsBaseWorkChain

    aims = code("aims", str(Path(sys.executable).parent / "aims-emulator"), "perovskite.aims")
    options = {"max_wallclock_seconds": 60, "environment_variables": {"AIMS_EMULATOR_DELAY": "2.4"}}
    builder = AimsBaseWorkChain.get_builder()
    builder.aims = aims_inputs(aims, settings=RELAX, options=options)
    node = submit_and_await(builder, timeout=600)
    assert node.is_finished_ok, node.exit_message
    jobs = sorted(node.called, key=lambda job: job.pk)
    assert jobs[0].exit_status == OUT_OF_WALLTIME
    assert "TIME LIMIT" in jobs[0].get_scheduler_stderr()
    assert [job.exit_status for job in jobs[-1:]] == [0]
    first, last = (job.inputs.structure.get_ase() for job in (jobs[0], jobs[-1]))
    assert abs(first.cell.array - last.cell.array).max() > 1e-4, "began again from where it had started"
