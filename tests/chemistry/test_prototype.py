"""The starting structure: symmetry, geometry and moments."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_perovskite.chemistry import Charges, Composition, halide_space, prototype_atoms, prototype_structure

CS2AGBIBR6 = Composition.parse("Cs2AgBiBr6")


def test_the_cell_is_fm3m_with_bonds_of_ionic_radii() -> None:
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    atoms = prototype_atoms(CS2AGBIBR6)
    assert atoms.get_chemical_symbols() == ["Cs", "Cs", "Ag", "Bi"] + ["Br"] * 6
    assert atoms.get_volume() == pytest.approx(12.2**3 / 4)
    halides = list(range(4, 10))
    np.testing.assert_allclose(atoms.get_distances(2, halides, mic=True), 1.15 + 1.96)
    np.testing.assert_allclose(atoms.get_distances(3, halides, mic=True), 1.03 + 1.96)
    structure = prototype_structure(CS2AGBIBR6)
    analyzer = SpacegroupAnalyzer(structure, symprec=1e-4)
    assert analyzer.get_space_group_number() == 225
    conventional = analyzer.get_conventional_standard_structure()
    assert conventional.lattice.a == pytest.approx(12.2)
    assert len(conventional) == 40


def test_lattice_and_halide_position_can_be_given() -> None:
    atoms = prototype_atoms(CS2AGBIBR6, lattice_angstrom=11.0, x_halide=0.26)
    assert atoms.get_volume() == pytest.approx(11.0**3 / 4)
    np.testing.assert_allclose(atoms.get_distances(2, list(range(4, 10)), mic=True), 0.26 * 11.0)


@pytest.mark.parametrize(
    ("formula", "moments"),
    [("Cs2AgBiBr6", (0, 0)), ("Cs2AgFeCl6", (0, 5)), ("Cs2CrNaI6", (3, 0)), ("Cs2NiMnI6", (5, -2))],
)
def test_two_open_shell_ions_start_antiparallel(formula: str, moments: tuple[int, int]) -> None:
    atoms = prototype_atoms(Composition.parse(formula))
    assert atoms.get_initial_magnetic_moments().tolist() == [0, 0, *moments, 0, 0, 0, 0, 0, 0]


def test_every_compound_of_the_halide_space_gets_a_structure() -> None:
    for composition in halide_space()[::23]:
        atoms = prototype_atoms(composition)
        assert atoms.get_all_distances(mic=True)[np.triu_indices(10, 1)].min() > 1.0


def test_charges_decide_the_radii() -> None:
    composition = Composition.parse("Cs2InTlCl6")
    default = prototype_atoms(composition)
    other = prototype_atoms(composition, charges=Charges(1, 3, 1, -1))
    assert default.get_distances(2, [4], mic=True)[0] < other.get_distances(2, [4], mic=True)[0]


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match="0 < x < 1/2"):
        prototype_atoms(CS2AGBIBR6, x_halide=0.6)
    with pytest.raises(ValueError, match="no ionic radius is known for Kr"):
        prototype_atoms(Composition.parse("Cs2KrBiBr6"))


def test_importing_the_room_stays_cheap() -> None:
    import subprocess
    import sys

    heavy = "{'pymatgen', 'smact', 'ase', 'pandas'}"
    code = f"import aiida_perovskite.chemistry, sys; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
