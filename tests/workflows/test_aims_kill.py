"""SIGKILL for the daemon's worker and for the engine in the middle of a relaxation."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

RELAX = {"relaxation": {}, "symmetric": True, "density_restart": True}
PATIENCE_S = 300.0


@pytest.mark.production
def test_a_killed_relaxation_continues(
    aiida_profile_clean: Any, started_daemon_client: Any, aims_code: Any, aims_inputs: Callable[..., Any]
) -> None:
    from aiida.engine import submit
    from aiida.orm import load_node

    from aiida_perovskite.workflows.aims.base import AimsBaseWorkChain

    slow = {"environment_variables": {"AIMS_EMULATOR_DELAY": "0.1"}}
    node = submit(AimsBaseWorkChain, aims=aims_inputs(aims_code, settings=RELAX, options=slow))
    folder = wait_for(lambda: next((Path(job.get_remote_workdir()) for job in node.called if started(job)), None))
    # Two steps are done, the third is under way.
    wait_for(lambda: (folder / "aims.out").read_text().count("Present geometry is not yet converged") >= 2 or None)
    for worker in parts(started_daemon_client, "worker"):
        worker.kill()
    for process in engines(folder):
        process.kill()
    wait_for(lambda: load_node(node.pk).is_terminated or None)

    ended = load_node(node.pk)
    assert ended.is_finished_ok, ended.exit_message
    jobs = sorted(ended.called, key=lambda job: job.pk)
    assert [job.exit_status for job in jobs][-1] == 0
    assert len(jobs) == 2, "the run that was killed is not the one that ended"
    first, second = (job.inputs.structure.get_ase() for job in jobs)
    assert abs(first.cell.array - second.cell.array).max() > 1e-4, "began again from where it had started"
    assert "hessian_file" in jobs[1].base.repository.get_object_content("geometry.in")


def started(job: Any) -> bool:
    """Tell whether a job has a folder in which it prints."""
    folder = job.get_remote_workdir()
    return folder is not None and (Path(folder) / "aims.out").is_file()


def engines(folder: Path) -> list[psutil.Process]:
    """Return the processes that run in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == folder and "emulator" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    assert found, "no engine runs any more"
    return found


def parts(client: Any, word: str) -> list[psutil.Process]:
    """Return the daemon's processes of one kind."""
    daemon = psutil.Process(client.get_daemon_pid())
    return [process for process in daemon.children() if word in process.cmdline()]


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what a condition gives once it gives something."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = condition()
        if found is not None:
            return found
        time.sleep(0.2)
    raise TimeoutError("waited in vain")
