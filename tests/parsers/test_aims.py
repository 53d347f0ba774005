"""Files of FHI-aims -> nodes and exit codes, on real runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Folder -> file of the standard output, settings of the job as it was, exit status, outputs.
SOC_BANDS = {
    "spin_orbit": True,
    "spin": "collinear",
    "bands": [{"start": [0, 0, 0], "end": [0.5, 0, 0.5], "n_points": 2, "names": ["G", "X"]}],
}
BANDS = {**SOC_BANDS, "spin_orbit": False}
RELAX = {"relaxation": {}}
DIELECTRIC = {"dielectric": {"omega_max_ev": 15.0, "n_omega": 200, "broadening_ev": 0.1}}
CASES: dict[str, tuple[str, dict[str, Any], int, set[str]]] = {
    "ge_soc_bands": ("calculation.out", SOC_BANDS, 0, {"output_bands", "output_bands_scalar"}),
    "bands_si": ("aims.out", BANDS, 0, {"output_bands"}),
    "dielectric_k12": ("aims.out", DIELECTRIC, 0, {"output_absorption"}),
    "static_si": ("aims.out", {}, 0, set()),
    "relax_si": ("aims.out", RELAX, 0, {"output_structure", "output_trajectory"}),
    "relax_no_nice_day": ("output", RELAX, 0, {"output_structure", "output_trajectory"}),
    "scf_not_converged": ("output", {}, 410, set()),
    "hse06_soc_dielectric_killed": ("aims.out", SOC_BANDS, 430, set()),
}


@pytest.mark.parametrize("folder", CASES)
def test_real_runs(folder: str, shared_folder: Path, parse: Callable[..., Any]) -> None:
    name, settings, status, expected = CASES[folder]
    outputs, code = parse(shared_folder / "aims-outputs" / folder, name, settings)
    assert code.status == status, code.message
    assert set(outputs) == {"output_parameters", *expected}
    assert outputs["output_parameters"]["finished"] is (status == 0)
    if status:
        assert "{message}" not in code.message
        assert outputs["output_parameters"]["evidence"] in code.message


def test_spin_orbit_bands_are_on_one_axis(shared_folder: Path, parse: Callable[..., Any]) -> None:
    outputs, _ = parse(shared_folder / "aims-outputs" / "ge_soc_bands", "calculation.out", SOC_BANDS)
    record = outputs["output_parameters"]
    assert record["gap_ev"] == pytest.approx(0.21146, abs=1e-5)
    assert record["soc_gap_ev"] == pytest.approx(0.12628, abs=1e-5)
    with_soc = outputs["output_bands"].get_bands()
    scalar = outputs["output_bands_scalar"].get_bands()
    assert with_soc.shape[-1] == 2 * scalar.shape[-1]
    # Deep levels of s character do not feel the coupling: the lowest one is where it was.
    assert with_soc[:, 0].min() == pytest.approx(scalar[0, :, 0].min(), abs=0.05)


def test_a_relaxation_hands_out_its_steps(shared_folder: Path, parse: Callable[..., Any]) -> None:
    outputs, _ = parse(shared_folder / "aims-outputs" / "relax_si", "aims.out", RELAX)
    trajectory = outputs["output_trajectory"]
    energies = trajectory.get_array("energies")
    assert len(energies) == outputs["output_parameters"]["n_steps"]
    assert energies[-1] < energies[0]
    last = outputs["output_structure"].get_ase()
    assert np.abs(last.cell.array - trajectory.get_cells()[0]).max() > 1e-3


def test_the_word_of_the_scheduler_is_kept(shared_folder: Path, parse: Callable[..., Any]) -> None:
    folder = shared_folder / "aims-outputs" / "truncated_mid_relaxation"
    outputs, code = parse(folder, "aims.out", RELAX)
    assert code.status in (440, 501)
    outputs, code = parse(folder, "aims.out", RELAX, scheduler=120)
    assert code is None, "an exit code of ours would mask that the walltime was over"
    assert "output_parameters" in outputs


def test_a_missing_band_file_is_named(shared_folder: Path, parse: Callable[..., Any], tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(shared_folder / "aims-outputs" / "ge_soc_bands", folder, copy_function=shutil.copyfile)
    (folder / "band1003.out").unlink()
    outputs, code = parse(folder, "calculation.out", SOC_BANDS)
    assert code.status == 330
    assert "band" in code.message
    assert outputs["output_parameters"]["finished"]


def test_no_output_at_all(parse: Callable[..., Any], tmp_path: Path) -> None:
    outputs, code = parse(tmp_path, "aims.out", {})
    assert code.status == 310
    assert not outputs


@pytest.fixture
def parse(aiida_profile: Any, aiida_localhost: Any, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that parses a folder as the job that wrote it would be."""
    from aiida.common import LinkType
    from aiida.orm import CalcJobNode, Dict, FolderData, KpointsData, StructureData

    from aiida_perovskite.engines.aims import read_geometry, read_output
    from aiida_perovskite.parsers.aims import AimsParser, atoms_of

    def run(folder: Path, name: str, settings: dict[str, Any], scheduler: int | None = None) -> Any:
        structure = folder / "geometry.in"
        if structure.is_file():
            atoms = read_geometry(structure).atoms
        else:
            atoms = atoms_of(read_output(folder / name)) if (folder / name).is_file() else None
        kpoints = KpointsData()
        kpoints.set_kpoints_mesh([4, 4, 4])
        node = CalcJobNode(computer=aiida_localhost, process_type="aiida.calculations:perovskite.aims")
        node.set_option("output_filename", "aims.out")
        node.set_option("resources", {"num_machines": 1})
        inputs = {"parameters": Dict({}), "kpoints": kpoints, "settings": Dict(settings)}
        if atoms is not None:
            atoms.set_initial_magnetic_moments(None)
            inputs["structure"] = StructureData(ase=atoms)
        for label, value in inputs.items():
            node.base.links.add_incoming(value.store(), LinkType.INPUT_CALC, label)
        node.store()
        retrieved = FolderData()
        for path in sorted(folder.iterdir()):
            if path.is_file():
                retrieved.base.repository.put_object_from_file(
                    str(path), "aims.out" if path.name == name else path.name
                )
        retrieved.base.links.add_incoming(node, LinkType.CREATE, "retrieved")
        retrieved.store()
        if scheduler is not None:
            node.set_exit_status(scheduler)
        parser = AimsParser(node)
        code = parser.parse()
        if code is None and scheduler is None:
            from aiida.engine import ExitCode

            code = ExitCode(0)
        return dict(parser.outputs), code

    return run
