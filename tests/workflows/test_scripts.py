"""Jobs whose files are damaged before they are read are run again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emulation import EMULATOR, TINY_TRAINING

# Runs a program, and cuts off a file that it left, once: the marker says that it has been done.
DAMAGING = """#!/bin/sh
"{python}" {script} "$@"
status=$?
if [ ! -e "{marker}" ] && [ -e {file} ]; then touch "{marker}"; truncate --size=40 {file}; fi
exit $status
"""


@pytest.fixture
def damaging_code(aiida_code_installed: Callable[..., Any], aiida_localhost: Any, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that gives an interpreter which damages a file once."""
    aiida_localhost.set_minimum_job_poll_interval(0)

    def install(file: str, script: str = "") -> Any:
        executable = tmp_path / f"damaging-{file}"
        content = DAMAGING.format(python=sys.executable, script=script, file=file, marker=tmp_path / f"{file}.done")
        executable.write_text(content)
        executable.chmod(0o755)
        return aiida_code_installed(
            label=file, default_calc_job_plugin="core.shell", filepath_executable=str(executable)
        )

    return install


@pytest.mark.parametrize("file", ["results.json", "arrays.npz"])
def test_a_step_with_a_damaged_file_is_run_again(
    file: str, aiida_profile_clean: Any, damaging_code: Callable[..., Any]
) -> None:
    from aiida.engine import run_get_node
    from aiida.manage.caching import enable_caching
    from aiida.orm import StructureData

    from aiida_perovskite.chemistry import Composition, prototype_atoms
    from aiida_perovskite.workflows.gpaw.gap import GpawGapWorkChain

    atoms = prototype_atoms(Composition.parse("Cs2AgBiBr6"))
    atoms.set_initial_magnetic_moments(None)
    code = damaging_code(file, f'"{EMULATOR}"')
    builder = GpawGapWorkChain.get_builder_from_protocol(code, StructureData(ase=atoms))
    with enable_caching():  # which would give back the damaged job
        _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert [child.exit_status for child in node.called if child.exit_status] == [311]
    assert node.outputs.results["gap_hse06_soc_ev"] > 0


def test_a_failure_is_not_taken_from_the_cache(aiida_profile_clean: Any, damaging_code: Callable[..., Any]) -> None:
    """An engine that was not installed is found once it is, also where the failure was kept before this was so."""
    from aiida.engine import run_get_node
    from aiida.manage.caching import enable_caching
    from aiida.orm import CalcJobNode, StructureData

    from aiida_perovskite.chemistry import Composition, prototype_atoms
    from aiida_perovskite.workflows.gpaw.gap import GpawGapWorkChain

    atoms = prototype_atoms(Composition.parse("Cs2AgBiBr6"))
    atoms.set_initial_magnetic_moments(None)
    code = damaging_code("nothing", f'"{EMULATOR}"')
    program = Path(str(code.filepath_executable))
    content = program.read_text()
    missing = {"status": "error", "error": {"code": "engine_missing", "message": "no GPAW here"}}
    program.write_text(f"#!/bin/sh\necho '{json.dumps(missing)}' > results.json\n")
    builder = GpawGapWorkChain.get_builder_from_protocol(code, StructureData(ase=atoms))
    with enable_caching():
        _, first = run_get_node(builder)
        (job,) = [child for child in first.called if isinstance(child, CalcJobNode)]
        assert job.exit_status == 320
        assert not job.base.caching.is_valid_cache
        job.base.caching.is_valid_cache = True  # as profiles of earlier versions have it
        program.write_text(content)
        _, second = run_get_node(builder)
    assert second.is_finished_ok, second.exit_message


@pytest.mark.parametrize("file", ["model.safetensors", "metrics.json"])
def test_a_training_with_a_damaged_file_is_run_again(
    file: str, aiida_profile_clean: Any, damaging_code: Callable[..., Any], submit_and_await: Callable[..., Any]
) -> None:
    from aiida.orm import Dict, Str

    from aiida_perovskite.cli.common import read_dataset
    from aiida_perovskite.workflows.protocols import load_protocol
    from aiida_perovskite.workflows.train import TrainModelWorkChain

    table, target = read_dataset("halide-gaps-gpaw", None, None)
    builder = TrainModelWorkChain.get_builder()
    builder.dataset, builder.target, builder.code = table.store(), Str(target), damaging_code(file)
    builder.settings = Dict(load_protocol("train", overrides=TINY_TRAINING))
    node = submit_and_await(builder, timeout=300)
    assert node.is_finished_ok, node.exit_message
    assert [child.exit_status for child in node.called if child.exit_status] == [311]
