"""Runs made outside AiiDA are taken in with everything they were asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from invented_species import species_text

CONTROL = """xc hse06 0.11
hse_unit bohr-1
relativistic atomic_zora scalar
spin collinear
default_initial_moment 0.0
k_grid 2 2 2
include_spin_orbit non_self_consistent
exx_band_structure_version 1
output band 0.0 0.0 0.0 0.5 0.0 0.5 5 G X
"""
GEOMETRY = """lattice_vector 4.3 0.0 0.0
lattice_vector 0.0 4.3 0.0
lattice_vector 0.0 0.0 4.3
atom_frac 0.0 0.0 0.0 Cs
atom_frac 0.5 0.5 0.5 Br
"""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of the emulator that AiiDA knows nothing of."""
    from aiida_perovskite.engines.aims.emulator.main import emulate

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "control.in").write_text(CONTROL + species_text("Cs") + species_text("Br"))
    (folder / "geometry.in").write_text(GEOMETRY)
    with (folder / "aims.out").open("w") as stream:
        assert emulate(folder, stream, {}) == 0
    return folder


def test_a_run_is_taken_in(run_folder: Path, aiida_code_installed: Any, aiida_localhost: Any) -> None:
    from aiida.engine import run_get_node
    from aiida.orm import RemoteData

    from aiida_perovskite.calculations.aims import AimsCalculation

    code = aiida_code_installed(
        label="aims", default_calc_job_plugin="perovskite.aims", filepath_executable=sys.executable
    )
    remote = RemoteData(remote_path=str(run_folder), computer=aiida_localhost)
    inputs = AimsCalculation.get_importer().parse_remote_data(remote, level="elsewhere/light")
    outputs, node = run_get_node(AimsCalculation, code=code, remote_folder=remote, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert outputs["output_parameters"]["finished"]
    assert outputs["output_bands"].get_bands().shape[-2] == 5
    assert {species.level for species in node.inputs.species.values()} == {"elsewhere/light"}
    assert node.inputs.settings["spin_orbit"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("output cube total_density", "not understood"),
        ("k_offset 0.5 0.5 0.5", "shifted"),
        ("xc pbe", "more than once"),
    ],
)
def test_what_cannot_be_expressed_is_named(line: str, sentence: str, run_folder: Path) -> None:
    from aiida_perovskite.engines.aims import read_geometry, read_request

    control = f"{line}\n{(run_folder / 'control.in').read_text()}"
    with pytest.raises(ValueError, match=sentence):
        read_request(control, read_geometry(run_folder / "geometry.in"))
