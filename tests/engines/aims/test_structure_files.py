from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiida_perovskite.engines.aims.output import read_output
from aiida_perovskite.engines.aims.structure_files import check_hessian, read_geometry
from aiida_perovskite.engines.results import EngineError


@pytest.fixture
def outputs(shared_folder: Path) -> Path:
    return shared_folder / "aims-outputs"


@pytest.mark.parametrize("name", ["relax_si", "relax_o2"])
def test_next_step_is_the_structure_that_the_output_prints_last(outputs: Path, name: str) -> None:
    file = read_geometry(outputs / name / "geometry.in.next_step")
    structure = read_output(outputs / name / "aims.out").structure
    assert structure is not None
    assert tuple(file.atoms.get_chemical_symbols()) == structure.symbols
    assert bool(file.atoms.pbc.all()) == (structure.cell is not None)
    # Both are printed with 8 decimals, one of them in fractions.
    np.testing.assert_allclose(file.atoms.positions, structure.positions, atol=1e-7)
    assert "hessian_file" in file.extra
    assert file.symmetry == ()


@pytest.mark.parametrize(("name", "n_atoms"), [("relax_si", 2), ("relax_o2", 2), ("truncated_mid_relaxation", 3)])
def test_real_hessians_fit_their_structures(outputs: Path, name: str, n_atoms: int) -> None:
    check_hessian(outputs / name / "hessian.aims", n_atoms)


@pytest.mark.parametrize("place", ["parametric_symmetry_ceo2", "inputs_cs2agbibr6/1_relax_parametric"])
def test_the_symmetry_block_is_kept_as_it_stands(outputs: Path, place: str) -> None:
    path = outputs / place / "geometry.in"
    lines = [line.strip() for line in path.read_text().splitlines() if line.startswith("symmetry_")]
    file = read_geometry(path)
    assert list(file.symmetry) == lines
    assert len(lines) == 2 + 3 + len(file.atoms)


def test_an_old_next_step_with_the_hessian_in_it(outputs: Path) -> None:
    file = read_geometry(outputs / "relax_no_nice_day" / "geometry.in.next_step")
    assert len(file.atoms) == 2
    assert sum(line.startswith("hessian_block") for line in file.extra) == 15


TEXT = """# a comment
lattice_vector 4.0 0.0 0.0
  constrain_relaxation z
lattice_vector 0.0 4.0 0.0
lattice_vector 0.0 0.0 4.0

atom_frac 0.5 0.5 0.5 Fe_up  # centre
  initial_moment 4.0
  constrain_relaxation .true.
atom 1.0 0.0 0.0 O
  initial_charge -2.0
symmetry_n_params 1 1 0
"""


def test_moments_charges_and_other_lines_belong_to_their_atoms() -> None:
    file = read_geometry(TEXT)
    assert file.atoms.get_chemical_symbols() == ["Fe", "O"]
    np.testing.assert_allclose(file.atoms.positions, [[2, 2, 2], [1, 0, 0]])
    assert file.atoms.get_initial_magnetic_moments().tolist() == [4.0, 0.0]
    assert file.atoms.get_initial_charges().tolist() == [0.0, -2.0]
    assert file.atom_lines == (("constrain_relaxation .true.",), ())
    assert file.lattice_lines == (("constrain_relaxation z",), (), ())
    assert file.extra == ("symmetry_n_params 1 1 0",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "0 atoms"),
        ("lattice_vector 1 0 0\natom 0 0 0 O\n", "1 lattice vectors"),
        ("atom 0 0 O\n", "none"),
        ("atom 0 0 0\n", "without species"),
        ("atom 0 0 nan O\n", "none"),
        ("atom 0 0\n", "cut"),
        ("atom_frac 0 0 0 O\n", "no lattice vectors"),
        ("atom 0 0 0 Zz\n", "element"),
        ("atom 0 0 0 O\ninitial_moment up\n", "none"),
    ],
)
def test_damaged_files_are_refused(text: str, message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        read_geometry(text)
    assert caught.value.code == "crashed"


def test_a_hessian_that_is_cut_or_of_another_structure_is_refused() -> None:
    whole = bytes(4 + 8 * 15**2)
    check_hessian(whole, 2)
    check_hessian(whole, 5)  # a cluster of five atoms has as many coordinates
    for content, n_atoms in ((whole[:-1], 2), (whole, 3), (b"", 2)):
        with pytest.raises(EngineError, match="restart without it"):
            check_hessian(content, n_atoms)
