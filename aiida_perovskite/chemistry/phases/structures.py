"""Starting structures of a phase: the structure types that its formula fits, scaled by ionic radii."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from aiida_perovskite.chemistry.ions import starting_radius
from aiida_perovskite.chemistry.phases.formulas import atom_counts, ionic_charges
from aiida_perovskite.chemistry.phases.prototypes import PROTOTYPES, Prototype
from aiida_perovskite.chemistry.space import HALIDES

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["build_structure", "fitting_types", "phase_structures"]

MOST_STRUCTURES = 6
"""Structure types that `phase_structures` gives at most."""

_AMBIGUOUS_RATIO = 1.25  # of two cations' radii: below it either may be the large one
_CUTOFF_ANGSTROM = 6.0  # reaches the halides next to each cation in the types as they are tabulated
_SHELL = 1.25  # halides nearer than this times the nearest count as neighbours
# Number of neighbours and the ratio of radii (middle of Pauling's range) that goes with it.
_RADIUS_RATIOS = ((2, 3, 4, 6, 8, 12), (0.1, 0.19, 0.32, 0.57, 0.87, 1.0))
_WORST_MISFIT = 0.45
# Octahedra of fluorides share corners, those of the other halides edges: for F these types come first.
_OF_FLUORIDES = {"rutile", "FeF3", "ReO3", "SnF4", "TlAlF4"}
# Ions whose bonds decide, not their size: the types of their halides (d10, planar d8 and d9, lone pairs).
_FAVOURED = {
    ("Cu", 1): ("zincblende", "CsCu2I3", "KFeS2"),
    ("Ag", 1): ("CsAgBr2", "KFeS2", "CsCu2I3"),
    ("Au", 1): ("AuCl",),
    ("Hg", 1): ("calomel",),
    ("In", 1): ("TlI",),
    ("Tl", 1): ("TlI", "CsCl"),
    ("Hg", 2): ("HgI2", "HgCl2"),
    ("Zn", 2): ("HgI2", "BeCl2"),
    ("Cu", 2): ("CuCl2", "rutile"),
    ("Pd", 2): ("CuCl2", "BeCl2"),
    ("Pt", 2): ("CuCl2", "BeCl2"),
    ("Ge", 2): ("cotunnite", "HgCl2", "CsGeCl3"),
    ("Sn", 2): ("cotunnite", "HgCl2", "NH4CdCl3", "CsGeCl3"),
    ("Pb", 2): ("cotunnite", "NH4CdCl3"),
    ("As", 3): ("SbCl3",),
    ("Sb", 3): ("SbCl3",),
    ("Bi", 3): ("BiI3", "YF3", "UCl3"),
    ("Au", 3): ("KBrF4",),
}


def phase_structures(
    formula: str, most: int = MOST_STRUCTURES, max_atoms: int | None = None
) -> list[tuple[str, Atoms]]:
    """Build the structure types that a halide's formula fits, to be relaxed and compared.

    Parameters
    ----------
    formula
        A halide with one or two cations, in any spelling.
    most
        How many to give at most.
    max_atoms
        Largest primitive cell that is given; None: any.

    Returns
    -------
    list of (str, ase.Atoms)
        Name of the type and its primitive cell: first the types that halides of the ion are known for, then by how
        well the coordination fits the ratio of radii; those that do not fit are left out. Empty if no type has this
        formula in so small a cell, or a radius is in no table. The cell is as large as the first cation and halide to
        touch need it: their distance is the sum of their octahedral radii.

    Raises
    ------
    ValueError
        If the text is no formula.
    """
    fits = fitting_types(formula)
    if not fits:
        return []
    halide = fits[0][1]["D"]
    charges = ionic_charges(formula, halide)
    radii = _radii(charges)
    ranked = []
    for order, (prototype, elements) in enumerate(fits):
        atoms, neighbours = build_structure(prototype, elements, radii)
        ion = (elements["M"], charges[elements["M"]])
        misfit = _misfit(prototype.name, neighbours, ion, radii[elements["M"]] / radii[halide])
        late = misfit > 0 and halide == "F" and prototype.name not in _OF_FLUORIDES
        ranked.append((late, misfit, order, elements, prototype.name, atoms))
    ranked.sort(key=lambda entry: entry[:3])
    best = min(entry[1] for entry in ranked)
    ranked = [entry for entry in ranked if entry[1] <= max(_WORST_MISFIT, best)]
    ranked = [entry for entry in ranked if max_atoms is None or len(entry[-1]) <= max_atoms]
    names = [name for *_, name, _ in ranked]
    return [
        (name if names.count(name) == 1 else f"{name} with {elements['C']} as the large cation", atoms)
        for *_, elements, name, atoms in ranked[:most]
    ]


def fitting_types(formula: str) -> list[tuple[Prototype, dict[str, str]]]:
    """List the structure types with the formula of a halide, each with role -> element.

    The list is empty if there is none, the phase is no halide of one or two cations, or a radius is in no table.

    Raises
    ------
    ValueError
        If the text is no formula.
    """
    counts = atom_counts(formula)
    halides = [element for element in counts if element in HALIDES]
    if len(halides) != 1 or not 2 <= len(counts) <= 3:
        return []
    radii = _radii(ionic_charges(formula, halides[0]))
    if any(math.isnan(radius) for radius in radii.values()):
        return []
    return [
        (prototype, elements)
        for prototype in PROTOTYPES
        for elements in _assignments(prototype, counts, halides[0], radii)
    ]


def _radii(charges: Mapping[str, int]) -> dict[str, float]:
    return {element: starting_radius(element, charge) for element, charge in charges.items()}


def _assignments(
    prototype: Prototype, counts: Mapping[str, int], halide: str, radii: Mapping[str, float]
) -> list[dict[str, str]]:
    """List role -> element for a structure type: none if the formula is another, two if either cation may be large."""
    found = []
    cations = [element for element in counts if element != halide]
    roles = ("C", "M") if len(cations) == 2 else ("M",)
    for chosen in permutations(cations):
        elements = {"D": halide, **dict(zip(roles, chosen, strict=True))}
        if {role: counts[element] for role, element in elements.items()} != dict(prototype.counts):
            continue
        if len(cations) == 2 and radii[elements["C"]] * _AMBIGUOUS_RATIO < radii[elements["M"]]:
            continue
        found.append(elements)
    if len(found) == 2 and max(radii[a] / radii[b] for a, b in permutations(cations)) >= _AMBIGUOUS_RATIO:
        found = [max(found, key=lambda elements: radii[elements["C"]])]
    return found


def _misfit(name: str, neighbours: int, ion: tuple[str, int], ratio: float) -> float:
    """Say how far a ratio of radii is from the one that goes with a number of neighbours, 0 for a perfect fit."""
    if name in _FAVOURED.get(ion, ()):
        return 0.0
    return round(abs(ratio - float(np.interp(neighbours, *_RADIUS_RATIOS))), 6)


def build_structure(prototype: Prototype, elements: Mapping[str, str], radii: Mapping[str, float]) -> tuple[Atoms, int]:
    """Build the primitive cell of a structure type.

    Parameters
    ----------
    prototype
        The type.
    elements
        Role -> symbol.
    radii
        Symbol -> ionic radius in Angstrom.

    Returns
    -------
    atoms
        Scaled so that the tightest cation-halide distance is the sum of the two radii.
    neighbours
        Number of halides around each ``M``.
    """
    from ase.neighborlist import neighbor_list
    from ase.spacegroup import crystal

    atoms = crystal(
        [elements[role] for role, _ in prototype.sites],
        [position for _, position in prototype.sites],
        spacegroup=prototype.space_group,
        setting=prototype.setting,
        cellpar=prototype.cell,
        primitive_cell=True,
    )
    # ASE has no hints for what is called below.
    first, second, distances = neighbor_list("ijd", atoms, _CUTOFF_ANGSTROM)  # type: ignore[no-untyped-call]
    symbols = np.array(atoms.get_chemical_symbols())  # type: ignore[no-untyped-call]
    bonds = (symbols[first] != elements["D"]) & (symbols[second] == elements["D"])
    sums = np.array([radii[symbol] for symbol in symbols[first]]) + radii[elements["D"]]
    scale = float((sums / distances)[bonds].max())
    of_m = bonds & (symbols[first] == elements["M"])
    nearest = distances[of_m].min()
    neighbours = int((distances[of_m] < _SHELL * nearest).sum()) // int((symbols == elements["M"]).sum())
    atoms.set_cell(atoms.cell * scale, scale_atoms=True)  # type: ignore[no-untyped-call]
    return atoms, neighbours
