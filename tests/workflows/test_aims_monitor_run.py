"""The monitor on a real job: the run is asked to stop before its walltime, and goes on in the next job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RELAX = {"relaxation": {}, "symmetric": True, "density_restart": True}


def test_a_run_stops_before_its_walltime_and_goes_on(
    aiida_profile_clean: Any, aims_code: Any, aims_inputs: Callable[..., Any]
) -> None:
    from aiida.engine import run_get_node
    from aiida.orm import Dict

    from aiida_perovskite.calculations.aims_monitor import ASKED
    from aiida_perovskite.workflows.aims.base import AimsBaseWorkChain

    # Half of so short a walltime is left to the run; a step takes five seconds.
    options = {"max_wallclock_seconds": 16, "environment_variables": {"AIMS_EMULATOR_DELAY": "0.5"}}
    inputs = aims_inputs(aims_code, settings=RELAX, options=options)
    inputs["monitors"] = {"stop": Dict({"entry_point": "perovskite.aims.stop_gracefully", "minimum_poll_interval": 1})}
    _, node = run_get_node(AimsBaseWorkChain, aims=inputs)
    assert node.is_finished_ok, node.exit_message
    jobs = sorted(node.called, key=lambda job: job.pk)
    assert "walltime" in jobs[0].base.extras.get(ASKED)
    assert len(jobs) > 1
    first, last = (job.inputs.structure.get_ase() for job in (jobs[0], jobs[-1]))
    assert abs(first.cell.array - last.cell.array).max() > 1e-4, "began again from where it had started"
