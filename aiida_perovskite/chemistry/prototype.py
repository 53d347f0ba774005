"""The Fm-3m prototype of ABC2D6, started from ionic radii."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiida_perovskite.chemistry.composition import Composition
from aiida_perovskite.chemistry.ions import Charges, likely_charges, starting_radius, unpaired_electrons

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

__all__ = ["prototype_atoms", "prototype_structure"]


def prototype_atoms(
    composition: Composition,
    *,
    charges: Charges | None = None,
    lattice_angstrom: float | None = None,
    x_halide: float | None = None,
) -> Atoms:
    """Build the primitive 10-atom cell of the rock-salt ordered double perovskite (space group Fm-3m, no. 225).

    A stands at (0, 0, 0), B at (1/2, 1/2, 1/2), C at +-(1/4, 1/4, 1/4) and D at (x, 0, 0) and its five images, in
    fractions of the cubic lattice constant a. Unless given, a = 2 (d_AD + d_BD) and x = d_AD / a, where d are sums of
    octahedral ionic radii (`starting_radius`).

    Parameters
    ----------
    composition
        The compound.
    charges
        Oxidation states; by default the most likely ones. They set radii and magnetic moments.
    lattice_angstrom
        Cubic lattice constant a in Angstrom.
    x_halide
        Distance between A and D as a fraction of a, between 0 and 1/2.

    Returns
    -------
    ase.Atoms
        Atoms in the order C, C, A, B, D x 6; cell a/2 [(0, 1, 1), (1, 0, 1), (1, 1, 0)]. Initial magnetic moments (in
        Bohr magnetons) are the unpaired electrons of the free ions; B's points down if A has one too.

    Raises
    ------
    ValueError
        If a radius that is needed is in no table, or a or x is out of range.
    """
    from ase import Atoms

    charges = likely_charges(composition) if charges is None else charges
    if lattice_angstrom is None or x_halide is None:
        from_radii = _lattice_from_radii(composition, charges)
        lattice_angstrom = from_radii[0] if lattice_angstrom is None else lattice_angstrom
        x_halide = from_radii[1] if x_halide is None else x_halide
    if not (lattice_angstrom > 0 and 0 < x_halide < 0.5):
        raise ValueError(
            f"no double perovskite has a = {lattice_angstrom:g} Angstrom, x = {x_halide:g}; give a > 0 and 0 < x < 1/2"
        )
    octahedron = x_halide * np.kron(np.eye(3), [[1.0], [-1.0]])
    sites = np.vstack([[[0.25] * 3, [0.75] * 3, [0.0] * 3, [0.5] * 3], octahedron])
    a, b, c, d = composition.elements
    atoms = Atoms(
        [c, c, a, b] + [d] * 6,
        positions=lattice_angstrom * sites,
        cell=lattice_angstrom / 2 * (1 - np.eye(3)),
        pbc=True,
        magmoms=_initial_moments(composition, charges),
    )
    atoms.wrap()  # type: ignore[no-untyped-call]  # ASE has no hints there
    return atoms


def prototype_structure(
    composition: Composition,
    *,
    charges: Charges | None = None,
    lattice_angstrom: float | None = None,
    x_halide: float | None = None,
) -> Structure:
    """Build the same cell as `prototype_atoms` as a pymatgen Structure, with the site property ``magmom``."""
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms = prototype_atoms(composition, charges=charges, lattice_angstrom=lattice_angstrom, x_halide=x_halide)
    structure: Structure = AseAtomsAdaptor.get_structure(atoms)
    return structure


def _lattice_from_radii(composition: Composition, charges: Charges) -> tuple[float, float]:
    """Give a in Angstrom and x from octahedral radii."""
    sites = zip(composition.elements, charges, strict=True)
    radii = {symbol: starting_radius(symbol, charge) for symbol, charge in sites if symbol != composition.c}
    unknown = [symbol for symbol, radius in radii.items() if np.isnan(radius)]
    if unknown:
        raise ValueError(
            f"no ionic radius is known for {' and '.join(unknown)} in {composition.formula} with the charges "
            f"{tuple(charges)}; give lattice_angstrom and x_halide, or other charges"
        )
    distance_a = radii[composition.a] + radii[composition.d]
    distance_b = radii[composition.b] + radii[composition.d]
    lattice = 2 * (distance_a + distance_b)
    return lattice, distance_a / lattice


def _initial_moments(composition: Composition, charges: Charges) -> list[float]:
    """Moments of the free ions in the order of atoms; antiparallel if both A and B have one."""
    a, b, c, d = (
        float(unpaired_electrons(symbol, charge)) if charge else 0.0
        for symbol, charge in zip(composition.elements, charges, strict=True)
    )
    return [c, c, a, -b if a else b, *[d] * 6]
