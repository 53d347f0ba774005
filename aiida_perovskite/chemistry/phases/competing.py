"""Which phases compete with a double perovskite for its elements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

from aiida_perovskite.chemistry.composition import Composition
from aiida_perovskite.chemistry.ions import likely_charges
from aiida_perovskite.chemistry.phases.formulas import atom_counts, binary_decomposition, reduced_formula
from aiida_perovskite.chemistry.phases.prototypes import PROTOTYPES
from aiida_perovskite.chemistry.phases.structures import fitting_types

__all__ = ["CompetingPhase", "competing_compositions"]


@dataclass(frozen=True, order=True)
class CompetingPhase:
    """A formula that competes with a compound.

    Attributes
    ----------
    formula
        As pymatgen reduces it.
    source
        ``binary`` (the binaries of the likely charges), ``known`` (the list of known phases) or ``structure types``.
    """

    formula: str
    source: str


def competing_compositions(composition: Composition, known: Iterable[str] | None = None) -> list[CompetingPhase]:
    """List the formulas that compete with a double perovskite: compounds of its anion with some of its cations.

    Parameters
    ----------
    composition
        The compound.
    known
        Formulas of phases that exist, in any spelling; those of other elements are ignored. Without it, every formula
        that is neutral with the compound's likely charges and has a structure type.

    Returns
    -------
    list of CompetingPhase
        The binaries of the likely charges first, then by number of elements and formula. The compound is not among
        them.

    Raises
    ------
    ValueError
        If a known formula cannot be read.
    """
    binaries = list(binary_decomposition(composition))
    others = _from_structure_types(composition) if known is None else _from_known(composition, known)
    others -= {*binaries, reduced_formula(composition.formula)}
    source = "structure types" if known is None else "known"
    ordered = sorted(others, key=lambda formula: (len(atom_counts(formula)), formula))
    return [
        *(CompetingPhase(formula, "binary") for formula in binaries),
        *(CompetingPhase(formula, source) for formula in ordered),
    ]


def _from_known(composition: Composition, known: Iterable[str]) -> set[str]:
    elements = set(composition.elements)
    formulas = {formula: set(atom_counts(formula)) for formula in map(reduced_formula, known)}
    return {
        formula
        for formula, present in formulas.items()
        if composition.d in present and len(present) > 1 and present <= elements
    }


def _from_structure_types(composition: Composition) -> set[str]:
    """Put every choice of one or two cations into the formulas of the structure types, and keep the neutral ones."""
    a, b, c, d = likely_charges(composition)
    charges = {composition.a: a, composition.b: b, composition.c: c}
    patterns = {tuple(sorted(prototype.counts.items())) for prototype in PROTOTYPES}
    found = set()
    for pattern in patterns:
        counts = dict(pattern)
        cations = [role for role in counts if role != "D"]
        for elements in permutations(charges, len(cations)):
            chosen = dict(zip(cations, elements, strict=True))
            total = sum(counts[role] * charges[element] for role, element in chosen.items())
            if total + counts["D"] * d == 0 and all(charges[element] > 0 for element in elements):
                parts = [f"{element}{counts[role]}" for role, element in chosen.items()]
                found.add(reduced_formula("".join([*parts, f"{composition.d}{counts['D']}"])))
    # Some have the formula of a type in which the small cation would stand on the large one's site.
    return {formula for formula in found if fitting_types(formula)}
