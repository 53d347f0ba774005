"""Who leaves the funnel, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiida_perovskite.chemistry import Composition, prototype_atoms

pytestmark = pytest.mark.usefixtures("aiida_profile")
SETTINGS = {"space_group_tolerance_angstrom": 0.1}


@pytest.mark.parametrize(
    ("gap", "gapless", "passed", "reason"),
    [
        (0.9, False, True, "gap of 0.90 eV lies in 0.9-1.6 eV"),
        (1.6, False, True, "lies in"),
        (1.601, False, False, "lies outside 0.9-1.6 eV"),
        (0.0, False, False, "gap of 0.00 eV lies outside"),
        (1.2, True, False, "PBE has no gap"),
    ],
)
def test_the_gap_decides(gap: float, gapless: bool, passed: bool, reason: str) -> None:
    from aiida.orm import Dict, List

    from aiida_perovskite.calculations.judgement import judge_gap

    verdict = judge_gap(Dict({"gap_hse06_soc_ev": gap, "pbe_gapless": gapless}), List([0.9, 1.6])).get_dict()
    assert (verdict["stage"], verdict["passed"]) == ("gap", passed)
    assert reason in verdict["reason"]


def test_a_self_consistent_hybrid_is_trusted_where_pbe_has_no_gap() -> None:
    from aiida.orm import Dict, List

    from aiida_perovskite.calculations.judgement import judge_gap

    found = {"gap_hse06_soc_ev": 1.2, "pbe_gapless": True, "hybrid_self_consistent": True}
    assert judge_gap(Dict(found), List([0.9, 1.6]))["passed"]


def test_the_enthalpy_decides_by_the_reaction_that_the_rules_name() -> None:
    from aiida.orm import Dict

    from aiida_perovskite.calculations.judgement import judge_stability

    stability = Dict(
        {
            "binary": {"mev_per_atom": -50.0, "limit": None},
            "hull": {"mev_per_atom": None, "limit": "the energy of Cs3Bi2Br9 is missing"},
        }
    )
    assert judge_stability(stability)["passed"], "the limit itself stays in"
    strict = judge_stability(stability, Dict({"reaction": "binary", "enthalpy_min_mev_per_atom": -49.0}))
    assert not strict["passed"]
    assert strict["reason"] == "decomposition enthalpy of -50 meV/atom (binary) lies below -49 meV/atom"
    unknown = judge_stability(stability, Dict({"reaction": "hull", "enthalpy_min_mev_per_atom": -50.0}))
    assert not unknown["passed"], "what is not known is no number"
    assert "Cs3Bi2Br9" in unknown["reason"]


def compare(change: Any) -> tuple[Any, Any, dict[str, Any]]:
    from aiida.orm import Dict, StructureData

    from aiida_perovskite.calculations.judgement import compare_structures

    atoms = prototype_atoms(Composition.parse("Cs2AgBiCl6"))
    atoms.set_initial_magnetic_moments(None)
    before = StructureData(ase=atoms)
    changed = atoms.copy()
    change(changed)
    found = compare_structures(before, StructureData(ase=changed), Dict({"settings": SETTINGS, "a_angstrom": 11.0}))
    return before, found["structure"], found["geometry"].get_dict()


def test_noise_is_no_distortion_and_the_exact_cell_is_kept() -> None:
    random = np.random.default_rng(0)
    before, kept, geometry = compare(
        lambda atoms: atoms.set_positions(atoms.positions + random.normal(scale=0.005, size=(10, 3)))
    )
    assert geometry["same_structure"]
    assert (geometry["space_group_before"], geometry["space_group"]) == ("Fm-3m", "Fm-3m")
    assert np.array_equal(kept.get_ase().positions, before.get_ase().positions)
    assert geometry["a_angstrom"] == 11.0, "the numbers of the relaxation stay"


def test_a_polar_shift_is_a_distortion_and_its_symmetry_is_made_exact() -> None:
    import spglib

    def shift(atoms: Any) -> None:
        atoms.positions[0] += [0, 0, 0.4]  # A off centre along z: tetragonal
        atoms.positions += np.random.default_rng(1).normal(scale=0.003, size=(10, 3))

    before, kept, geometry = compare(shift)
    assert not geometry["same_structure"]
    assert geometry["space_group"] != "Fm-3m"
    assert geometry["distance_change_angstrom"] > 0
    atoms = kept.get_ase()
    exact = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=1e-5)
    assert exact.international == geometry["space_group"], "the next engine finds the symmetry at its own tolerance"
    assert 0 < geometry["symmetrised_by_angstrom"] < 0.02, "only the noise of 0.003 Angstrom is taken away"
    assert atoms.get_chemical_symbols() == before.get_ase().get_chemical_symbols(), "moments are given atom by atom"


def test_gpaw_finds_the_symmetry_of_a_cell_in_any_orientation() -> None:
    pytest.importorskip("gpaw")
    from gpaw.new.symmetry import create_symmetries_object

    def stretch(atoms: Any) -> None:
        strain = np.diag([1.0, 1.0, 1.02]) + np.random.default_rng(2).normal(scale=2e-4, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.positions += np.random.default_rng(3).normal(scale=0.003, size=(10, 3))

    _, kept, geometry = compare(stretch)
    assert geometry["space_group"] == "I4/mmm"
    assert len(create_symmetries_object(kept.get_ase())) == 16, "all operations of 4/mmm, at GPAW's own tolerance"


def test_a_cubic_cell_of_another_size_is_another_structure() -> None:
    _, kept, geometry = compare(lambda atoms: atoms.set_cell(atoms.cell * 1.01, scale_atoms=True))
    assert geometry["volume_change"] == pytest.approx(1.01**3 - 1)
    assert not geometry["same_structure"]
    assert kept.get_cell_volume() == pytest.approx(
        prototype_atoms(Composition.parse("Cs2AgBiCl6")).get_volume() * 1.01**3
    )
