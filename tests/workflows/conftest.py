"""What the tests of the WorkChains share: emulated engines and a model trained in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emulation import EMULATOR, TINY_TRAINING


@pytest.fixture
def emulator_code(aiida_code_installed: Callable[..., Any], aiida_localhost: Any, tmp_path: Path) -> Any:
    """A Code that answers like the engine scripts, in milliseconds."""
    aiida_localhost.set_minimum_job_poll_interval(0)
    executable = tmp_path / "emulated-python"
    executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{EMULATOR}" "$@"\n')
    executable.chmod(0o755)
    return aiida_code_installed(
        label="emulator", default_calc_job_plugin="core.shell", filepath_executable=str(executable)
    )


@pytest.fixture
def tiny_model(aiida_profile_clean: Any) -> Any:
    """A real model after two epochs on the shipped gaps: wrong, but everything works."""
    from aiida.orm import Dict, Str

    from aiida_perovskite.calculations.functions import train_band_gap_model
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.datasets import load_dataset
    from aiida_perovskite.workflows.protocols import load_protocol

    dataset = load_dataset("halide-gaps-gpaw")
    table = CompositionTableData.from_frame(dataset.frame, name=dataset.name)
    settings = Dict(load_protocol("train", overrides=TINY_TRAINING))
    return train_band_gap_model(table, Str(dataset.target), settings)["model"]


@pytest.fixture
def aims_code(aiida_code_installed: Callable[..., Any], aiida_localhost: Any) -> Any:
    """The emulator of FHI-aims, as a Code."""
    aiida_localhost.set_minimum_job_poll_interval(0)
    return aiida_code_installed(
        label="aims",
        default_calc_job_plugin="perovskite.aims",
        filepath_executable=str(Path(sys.executable).parent / "aims-emulator"),
        with_mpi=False,
    )


@pytest.fixture
def aims_inputs() -> Callable[..., dict[str, Any]]:
    """Return a function that gives the inputs of an FHI-aims job for a small double perovskite."""
    from aiida.orm import Dict, KpointsData, StructureData
    from invented_species import species_family

    from aiida_perovskite.chemistry import Composition, prototype_atoms

    def fill(code: Any, settings: dict[str, Any], options: dict[str, Any] | None = None) -> dict[str, Any]:
        atoms = prototype_atoms(Composition.parse("Cs2AgBiBr6"))
        atoms.set_initial_magnetic_moments(None)
        structure = StructureData(ase=atoms)
        kpoints = KpointsData()
        kpoints.set_kpoints_mesh([4, 4, 4])
        return {
            "code": code,
            "structure": structure,
            "parameters": Dict(
                {
                    "xc": "hse06 0.11",
                    "hse_unit": "bohr-1",
                    "relativistic": "atomic_zora scalar",
                    "exx_band_structure_version": 1,
                }
            ),
            "kpoints": kpoints,
            "species": species_family(["Cs", "Ag", "Bi", "Br"]).species_for(structure),
            "settings": Dict(settings),
            "metadata": {"options": {"resources": {"num_machines": 1}, **(options or {})}},
        }

    return fill
