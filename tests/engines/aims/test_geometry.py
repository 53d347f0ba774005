from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from aiida_perovskite.chemistry.composition import Composition
from aiida_perovskite.chemistry.prototype import prototype_atoms
from aiida_perovskite.engines.aims.geometry import geometry_text
from aiida_perovskite.engines.aims.parametric import read_parametric
from aiida_perovskite.engines.aims.symmetry import parametric_block


@pytest.fixture
def atoms() -> Atoms:
    return prototype_atoms(Composition.parse("Cs2AgBiBr6"), lattice_angstrom=11.25, x_halide=0.249)


def read(text: str) -> Any:
    from pyfhiaims.geometry.geometry import AimsGeometry

    return AimsGeometry.from_strings(text.splitlines())


@pytest.mark.parametrize("name", ["1_relax_parametric", "1b_relax_unconstrained", "2_gap_soc_bands", "3_dielectric"])
def test_says_what_the_reference_inputs_say(shared_folder: Path, atoms: Atoms, name: str) -> None:
    reference = (shared_folder / "aims-outputs/inputs_cs2agbibr6" / name / "geometry.in").read_text()
    symmetric = "symmetry_n_params" in reference
    text = geometry_text(atoms, symmetry=parametric_block(atoms) if symmetric else None)
    theirs, ours = read(reference), read(text)
    assert list(ours.symbols) == list(theirs.symbols)
    np.testing.assert_allclose(ours.lattice_vectors, theirs.lattice_vectors, atol=1e-12)
    # Up to a lattice vector: the prototype is wrapped into the cell, the reference is not.
    apart = np.array(ours.fractional_positions) - np.array(theirs.fractional_positions)
    np.testing.assert_allclose(apart, np.round(apart), atol=1e-10)
    assert symmetric == ("symmetry" in text)
    if symmetric:
        values = {"a": 11.0, "x": 0.26}
        cell, fractions = read_parametric(reference).evaluate(values)
        our_cell, our_fractions = read_parametric(text).evaluate(values)
        np.testing.assert_allclose(our_cell, cell, atol=1e-12)
        np.testing.assert_allclose(our_fractions - fractions, np.round(apart), atol=1e-12)


def test_written_exactly_and_not_wrapped(atoms: Atoms) -> None:
    atoms.rattle(0.05, seed=1)
    atoms.set_cell(atoms.cell.array + 0.1 * np.random.default_rng(1).standard_normal((3, 3)))
    atoms.positions[4] -= 2 * atoms.cell[1]
    ours = read(geometry_text(atoms))
    np.testing.assert_allclose(ours.lattice_vectors, atoms.cell.array, atol=1e-12, rtol=0)
    np.testing.assert_allclose(ours.fractional_positions, atoms.get_scaled_positions(wrap=False), atol=1e-12, rtol=0)
    assert geometry_text(atoms.copy()) == geometry_text(atoms)


def test_moments_stand_behind_their_atoms_and_zeros_are_left_out(atoms: Atoms) -> None:
    moments = [0.0, 0.0, 1.0, -2.5, *[0.0] * 6]
    lines = geometry_text(atoms, moments).splitlines()
    found = {
        lines[i - 1].split()[-1]: float(line.split()[1]) for i, line in enumerate(lines) if "initial_moment" in line
    }
    assert found == {"Ag": 1.0, "Bi": -2.5}
    assert "initial_moment" not in geometry_text(atoms)


def test_no_comment_that_changes_from_day_to_day(atoms: Atoms) -> None:
    assert "#" not in geometry_text(atoms, symmetry=parametric_block(atoms))


def test_constraints_of_another_structure_are_refused(atoms: Atoms) -> None:
    block = parametric_block(atoms)
    moved = atoms.copy()
    moved.positions[4, 0] += 0.01
    with pytest.raises(ValueError, match="does not obey"):
        geometry_text(moved, symmetry=block)
    moved = atoms.copy()
    moved.positions[4] += moved.cell[0]  # the same crystal, but the block speaks of the fractions as written
    with pytest.raises(ValueError, match="does not obey"):
        geometry_text(moved, symmetry=block)
    with pytest.raises(ValueError, match="those of 10 atoms"):
        geometry_text(atoms[:9], symmetry=block)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda atoms: atoms.set_pbc([True, True, False]), "periodic"),
        (lambda atoms: atoms.positions.__setitem__((0, 0), np.nan), "not finite"),
        (lambda atoms: atoms.set_cell([[1, 0, 0], [2, 0, 0], [0, 0, 1]]), "no volume"),
    ],
)
def test_structures_that_cannot_be_written(atoms: Atoms, change: Any, words: str) -> None:
    change(atoms)
    with pytest.raises(ValueError, match=words):
        geometry_text(atoms)


def test_moments_of_other_atoms_are_refused(atoms: Atoms) -> None:
    with pytest.raises(ValueError, match="one initial moment for each of the 10 atoms"):
        geometry_text(atoms, [1.0])
