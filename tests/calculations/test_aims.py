"""The inputs that the plugin writes for FHI-aims, against those made for Cs2AgBiBr6 by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invented_species import species_family, species_text

# Folder of the published inputs -> step, and lines that only ours has: densities of states, which SPEC 2.4 asks for.
CASES = {
    "1_relax_parametric": ("relax", {}),
    "1b_relax_unconstrained": ("relax", {"symmetry": "free"}),
    "2_gap_soc_bands": ("gap", {}),
    "3_dielectric": ("absorption", {}),
}


@pytest.mark.parametrize("folder", CASES)
def test_the_inputs_agree_in_meaning(folder: str, shared_folder: Path, aiida_profile: Any, tmp_path: Path) -> None:
    from aiida.orm import Dict, Str, StructureData

    from aiida_perovskite.calculations.aims_inputs import prepare_aims
    from aiida_perovskite.engines.aims import AimsRequest, read_geometry
    from aiida_perovskite.engines.aims.control import read_control
    from aiida_perovskite.engines.aims.symmetry import parametric_from_text
    from aiida_perovskite.workflows.protocols import load_protocol

    published = shared_folder / "aims-outputs" / "inputs_cs2agbibr6" / folder
    geometry = read_geometry(published / "geometry.in")
    step, overrides = CASES[folder]
    atoms = geometry.atoms
    prepared = prepare_aims(
        Str(step), StructureData(ase=atoms), Dict(load_protocol(f"aims_{step}", "thesis", overrides))
    )
    mesh, _ = prepared["kpoints"].get_kpoints_mesh()
    request = AimsRequest.from_dict(
        {**prepared["settings"].get_dict(), "keywords": prepared["parameters"].get_dict(), "k_grid": mesh}
    )
    files = request.files(atoms, {name: species_text(name) for name in set(atoms.get_chemical_symbols())})

    wanted, given = (read_control(text) for text in ((published / "control.in").read_text(), files["control.in"]))
    assert {name: as_numbers(str(value)) for name, value in given.keywords.items()} == {
        name: as_numbers(str(value)) for name, value in wanted.keywords.items()
    }
    compared = [line for line in given.outputs if "dos" not in line]
    assert [as_numbers(line) for line in compared] == [as_numbers(line) for line in wanted.outputs]

    written = tmp_path / "geometry.in"
    written.write_text(files["geometry.in"])
    found = read_geometry(written)
    np.testing.assert_allclose(found.atoms.cell.array, atoms.cell.array, atol=1e-9)
    np.testing.assert_allclose(found.atoms.positions, atoms.positions, atol=1e-9)
    assert bool(found.symmetry) == bool(geometry.symmetry)
    if geometry.symmetry:
        # The expressions may be written otherwise, and the atoms stand in other cells: the same points for any a and x.
        ours, theirs = (
            parametric_from_text("\n".join(block), {"a": 11.7, "x": 0.23})
            for block in (found.symmetry, geometry.symmetry)
        )
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-9)
        np.testing.assert_allclose(ours[1] - theirs[1], np.round(ours[1] - theirs[1]), atol=1e-9)


def as_numbers(text: str) -> list[Any]:
    """Return the words of a line, numbers as numbers."""
    words: list[Any] = []
    for word in text.split():
        try:
            words.append(round(float(word), 12))
        except ValueError:
            words.append(word)
    return words


def test_one_byte_of_a_species_file_changes_the_hash(aiida_profile: Any, aims_job: Any) -> None:
    from aiida_perovskite.data.species import SpeciesDefaultsData

    before = aims_job()
    changed = SpeciesDefaultsData.from_text(species_text("Br").replace("1.25", "1.26"), "made_up/light").store()
    after = aims_job(species={**before["species"], "Br": changed})
    assert hash_of(before) != hash_of(after)
    assert hash_of(before) == hash_of(aims_job())


def hash_of(inputs: dict[str, Any]) -> str:
    """Return the hash by which caching would find a job with these inputs."""
    from aiida.engine.processes.calcjobs.calcjob import CalcJob
    from aiida.engine.utils import instantiate_process
    from aiida.manage import get_manager

    from aiida_perovskite.calculations.aims import AimsCalculation

    process = instantiate_process(get_manager().get_runner(), AimsCalculation, **inputs)
    assert isinstance(process, CalcJob)
    digest = process.node.base.caching.compute_hash()
    assert digest is not None
    return digest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"parameters": {"k_grid": [4, 4, 4]}}, "k-points as an input"),
        ({"parameters": {"postprocess_anyway": True}}, "not converged"),
        ({"settings": {"relaxtion": {}}}, "unknown setting relaxtion"),
        ({"settings": {"initial_moments": [1.0]}}, "1 initial moments for 10 atoms"),
    ],
)
def test_bad_input_is_refused_before_anything_is_stored(change: dict[str, Any], sentence: str, aims_job: Any) -> None:
    from aiida.orm import Dict

    inputs = aims_job(**{name: Dict(value) for name, value in change.items()})
    with pytest.raises(ValueError, match=sentence):
        hash_of(inputs)


def test_a_missing_element_is_named(aims_job: Any) -> None:
    inputs = aims_job()
    del inputs["species"]["Cs"]
    with pytest.raises(ValueError, match="no species defaults for Cs"):
        hash_of(inputs)


def test_restart_files_are_copied(aims_job: Any, aiida_localhost: Any, tmp_path: Path) -> None:
    from aiida.common.folders import SandboxFolder
    from aiida.engine.utils import instantiate_process
    from aiida.manage import get_manager
    from aiida.orm import Dict, RemoteData

    from aiida_perovskite.calculations.aims import AimsCalculation

    parent = RemoteData(remote_path=str(tmp_path), computer=aiida_localhost).store()
    settings = Dict({"relaxation": {}, "symmetric": True, "restart_hessian": True, "density_restart": True})
    inputs = aims_job(settings=settings, parent_folder=parent)
    process = instantiate_process(get_manager().get_runner(), AimsCalculation, **inputs)
    with SandboxFolder() as folder:
        info = process.prepare_for_submission(folder)
        control, geometry = (folder.get_abs_path(name) for name in ("control.in", "geometry.in"))
        texts = Path(control).read_text(), Path(geometry).read_text()
    assert [Path(source).name for _, source, _ in info.remote_copy_list] == ["D_spin_*.csc", "hessian.aims"]
    assert "elsi_restart" in texts[0]
    assert "hessian_file" in texts[1]
    assert texts[1].count("symmetry_frac") == 10
    assert np.all([name in texts[0] for name in ("relax_geometry", "relax_unit_cell", "max_relaxation_steps")])


@pytest.fixture
def aims_job(aiida_profile: Any, aiida_code_installed: Any) -> Any:
    """Return a function that gives the inputs of a job for Cs2AgBiBr6."""
    from aiida.orm import Dict, KpointsData, StructureData

    from aiida_perovskite.chemistry import Composition, prototype_atoms

    code = aiida_code_installed(
        label="aims", default_calc_job_plugin="perovskite.aims", filepath_executable="/bin/true"
    )
    atoms = prototype_atoms(Composition.parse("Cs2AgBiBr6"))
    kpoints = KpointsData()
    kpoints.set_kpoints_mesh([4, 4, 4])

    def fill(**changes: Any) -> dict[str, Any]:
        structure = StructureData(ase=atoms)
        return {
            "code": code,
            "structure": structure,
            "parameters": Dict({"xc": "hse06 0.11", "hse_unit": "bohr-1"}),
            "kpoints": kpoints,
            "species": dict(species_family(["Cs", "Ag", "Bi", "Br"]).species_for(structure)),
            "settings": Dict({}),
            "metadata": {"options": {"resources": {"num_machines": 1}}},
            **changes,
        }

    return fill
