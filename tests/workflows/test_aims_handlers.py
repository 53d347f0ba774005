"""Each handler of FHI-aims on the daemon: a run that fails so and is mended, and one that cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

RELAX = {"relaxation": {"max_steps": 100}, "symmetric": True, "density_restart": True}
STATIC = {"density_restart": True}
BANDS = {
    "spin_orbit": True,
    "bands": [{"start": [0.5, 0, 0.5], "end": [0.5, 0.5, 0.5], "n_points": 11, "names": ["X", "L"]}],
}
PATIENCE_S = 900.0


@dataclass(frozen=True)
class Case:
    """What is asked for, how it is made to fail, and what is to come of it."""

    fail: str
    settings: dict[str, Any]
    statuses: list[int]  # of the jobs, in order
    last: dict[str, list[str]] = field(default_factory=dict)  # file of the last job -> what stands in it
    options: dict[str, Any] = field(default_factory=dict)


MENDED = {
    "scf": Case(
        "scf@1:until=charge_mix_param<=0.05",
        STATIC,
        [410, 0],
        {"control.in": ["charge_mix_param           0.05", "sc_iter_limit              200", "elsi_restart"]},
    ),
    "scf, twice": Case(
        "scf@1:until=occupation_type",
        STATIC,
        [410, 410, 0],
        {"control.in": ["charge_mix_param           0.02", "occupation_type            gaussian"]},
    ),
    "step limit": Case(
        "geometry@2:once", RELAX, [502, 0], {"geometry.in": ["hessian_file", "symmetry_n_params", "symmetry_frac"]}
    ),
    "optimiser": Case("optimizer@2:once", RELAX, [503, 0], {"geometry.in": ["symmetry_n_params"]}),
    "cut short": Case("walltime@2:once", RELAX, [0, 0], {"geometry.in": ["hessian_file", "symmetry_n_params"]}),
    "cut short in the density": Case("walltime@1:once", STATIC, [440, 0], {"control.in": ["elsi_restart"]}),
    "killed": Case("killed@2:once", RELAX, [430, 0], {"geometry.in": ["hessian_file", "symmetry_n_params"]}),
    "memory": Case(
        "oom@1:once",
        STATIC,
        [420, 0],
        options={"resources": {"num_machines": 1, "num_mpiprocs_per_machine": 4}},
    ),
    "stack": Case("stacksize@0:once", STATIC, [340, 0], {"_aiidasubmit.sh": ["ulimit -s unlimited"]}),
    "coarse grid": Case("coarse_grid", BANDS, [450, 0], {"control.in": ["k_grid                     6 6 6"]}),
}
LOST = {
    "scf": Case("scf@1:until=never", STATIC, [410, 410, 410]),
    "step limit": Case("geometry@2", RELAX, [502, 502, 502]),
    "optimiser": Case("optimizer@2:until=never", RELAX, [503, 503, 503]),
    "cut short": Case("walltime@1", STATIC, [440, 440, 440]),
    "killed": Case("killed@1", STATIC, [430, 430, 430]),
    "memory": Case("oom@1", STATIC, [420]),
    "stack": Case("stacksize@0", STATIC, [340, 340]),
    "coarse grid": Case("coarse_grid:until=never", BANDS, [450, 450]),
    "input": Case("input@0", STATIC, [320]),
}


def test_every_handler(
    aiida_profile_clean: Any,
    started_daemon_client: Any,
    aims_code: Any,
    aims_inputs: Callable[..., Any],
    tmp_path: Path,
) -> None:
    from aiida.engine import submit
    from aiida.orm import load_node

    from aiida_perovskite.workflows.aims.base import AimsBaseWorkChain

    cases = {f"mended: {name}": case for name, case in MENDED.items()} | {
        f"lost: {name}": case for name, case in LOST.items()
    }
    nodes = {}
    for number, (name, case) in enumerate(cases.items()):
        inputs = aims_inputs(
            aims_code,
            settings=case.settings,
            options={
                **case.options,
                "environment_variables": {
                    "AIMS_EMULATOR_FAIL": case.fail,
                    "AIMS_EMULATOR_STATE": str(tmp_path / f"state_{number}"),
                },
            },
        )
        nodes[name] = submit(AimsBaseWorkChain, aims=inputs).pk
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and n_running(list(nodes.values())):
        time.sleep(2.0)

    wrong = [
        f"{name}: {problem}"
        for name, case in cases.items()
        for problem in problems(load_node(nodes[name]), case, mended=name.startswith("mended"))
    ]
    assert not wrong, "\n".join(wrong)


def n_running(identifiers: list[int]) -> int:
    """Return how many processes have not ended; all of them while SQLite is busy with what the daemon writes."""
    from aiida.orm import ProcessNode, QueryBuilder
    from sqlalchemy.exc import OperationalError

    alive = {"id": {"in": identifiers}, "attributes.process_state": {"in": ["created", "running", "waiting"]}}
    try:
        return QueryBuilder().append(ProcessNode, filters=alive).count()
    except OperationalError:
        return len(identifiers)


def problems(node: Any, case: Case, *, mended: bool) -> list[str]:
    """Return what a run did otherwise than it should."""
    if not node.is_terminated:
        return [f"process {node.pk} has not ended"]
    jobs = sorted(node.called, key=lambda job: job.pk)
    found = []
    statuses = [job.exit_status for job in jobs]
    # A relaxation that is cut short may be seen as that, or as an output that ends in the middle.
    allowed = [{status} if status else {0, 440, 501} for status in case.statuses[:-1]] + [{case.statuses[-1]}]
    if len(statuses) != len(allowed) or any(s not in a for s, a in zip(statuses, allowed, strict=False)):
        found.append(f"the jobs ended with {statuses}, not {case.statuses}: {[job.exit_message for job in jobs]}")
    if mended and not node.is_finished_ok:
        found.append(f"ended with {node.exit_status}: {node.exit_message}")
    if not mended and (node.exit_status != case.statuses[-1] or node.exit_message != jobs[-1].exit_message):
        found.append(f"ended with {node.exit_status} ({node.exit_message}), not with that of its last job")
    for name, texts in case.last.items():
        content = jobs[-1].base.repository.get_object_content(name)
        found += [f"{name} of the last job lacks {text!r}" for text in texts if text not in content]
    if "resources" in case.options and mended:
        before, after = (job.get_option("resources")["num_mpiprocs_per_machine"] for job in (jobs[0], jobs[-1]))
        if (before, after) != (4, 2):
            found.append(f"ran on {before}, then on {after} tasks")
    if mended and "relaxation" in case.settings:
        first, last = (job.inputs.structure.get_ase() for job in (jobs[0], jobs[-1]))
        if abs(first.cell.array - last.cell.array).max() < 1e-6 and abs(first.positions - last.positions).max() < 1e-6:
            found.append("the relaxation began again from where it had started")
    return found


@pytest.mark.parametrize("fail", ["walltime@2", "geometry@2"])
def test_a_continued_relaxation_ends_where_an_undisturbed_one_does(
    fail: str, aiida_profile_clean: Any, aims_code: Any, aims_inputs: Callable[..., Any], tmp_path: Path
) -> None:
    from aiida.engine import run_get_node

    from aiida_perovskite.workflows.aims.base import AimsBaseWorkChain

    energies = []
    for asked in ("", f"{fail}:once"):
        environment = {"AIMS_EMULATOR_FAIL": asked, "AIMS_EMULATOR_STATE": str(tmp_path / "state")}
        inputs = aims_inputs(aims_code, settings=RELAX, options={"environment_variables": environment})
        outputs, node = run_get_node(AimsBaseWorkChain, aims=inputs)
        assert node.is_finished_ok, node.exit_message
        energies.append(outputs["output_parameters"]["total_energy_ev"])
    assert energies[0] == pytest.approx(energies[1], abs=1e-4)
