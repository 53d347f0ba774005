"""Formulas of any phase: one spelling for each, and the charges of its ions."""

from __future__ import annotations

from functools import cache
from itertools import product
from math import gcd, prod
from typing import TYPE_CHECKING

from aiida_perovskite.chemistry.composition import ELEMENTS, Composition
from aiida_perovskite.chemistry.ions import likely_charges, tabulated_states

if TYPE_CHECKING:
    import pymatgen.core

MAX_LENGTH = 200  # characters of a formula; pymatgen's time for nested brackets grows with the square of their number
MAX_COUNT = 100_000  # atoms of an element in a formula; the largest cells that are published have some thousand

__all__ = ["atom_counts", "binary_decomposition", "ionic_charges", "reduced_formula"]


@cache
def reduced_formula(formula: str) -> str:
    """Spell a formula as pymatgen reduces it (``AgBiCs2Br6`` -> ``Cs2AgBiBr6``), so that spellings can be compared.

    Brackets are multiplied out (``Sb(AuCl2)3`` -> ``SbAu3Cl6``): AiiDA allows none in the labels of links.

    Raises
    ------
    ValueError
        If the text is no formula of whole numbers of known elements.
    """
    composition = _read(formula)
    reduced = str(composition.reduced_formula)
    if "(" not in reduced:
        return reduced
    counts = sorted(composition.reduced_composition.items(), key=lambda item: item[0].X)
    return "".join(f"{element}{int(count) if count != 1 else ''}" for element, count in counts)


def atom_counts(formula: str, *, reduce: bool = True) -> dict[str, int]:
    """Count the atoms of a formula by element: of the reduced one, or of the formula as it is written.

    Raises
    ------
    ValueError
        As `reduced_formula` does.
    """
    composition = _read(reduced_formula(formula) if reduce else formula)
    return {str(element): int(count) for element, count in composition.items()}


def _read(formula: str) -> pymatgen.core.Composition:
    from pymatgen.core import Composition as AnyComposition

    if len(formula) > MAX_LENGTH:
        raise ValueError(f"{formula[:20]!r}... of {len(formula)} characters is no formula; write one such as Cs3Bi2Br9")
    try:
        composition = AnyComposition(formula)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"{formula!r} is no formula; write one such as Cs3Bi2Br9") from error
    if not composition or max(composition.values()) > MAX_COUNT:
        raise ValueError(f"{formula!r} is no formula of 1 to {MAX_COUNT} atoms; write one such as Cs3Bi2Br9")
    if not set(map(str, composition)) <= ELEMENTS or any(count != int(count) for count in composition.values()):
        raise ValueError(f"{formula!r} is no formula of whole numbers of known elements; write one such as Cs3Bi2Br9")
    return composition


def binary_decomposition(composition: Composition) -> dict[str, float]:
    """Split a double perovskite into the binaries of A, B and C with its anion, by the likely charges.

    Returns
    -------
    dict
        Reduced formula -> moles per formula unit, in the order C, A, B; empty if no likely charges balance.

    Examples
    --------
    >>> binary_decomposition(Composition.parse("Cs2AgBiBr6"))
    {'CsBr': 2.0, 'AgBr': 1.0, 'BiBr3': 1.0}
    """
    charges = likely_charges(composition)
    if charges.a + charges.b + 2 * charges.c + 6 * charges.d != 0 or 0 in charges:
        return {}
    cations = (
        (composition.c, charges.c, 2),
        (composition.a, charges.a, 1),
        (composition.b, charges.b, 1),
    )
    products = {}
    for element, charge, count in cations:
        common = gcd(charge, -charges.d)
        per_formula = -charges.d // common
        products[reduced_formula(f"{element}{per_formula}{composition.d}{charge // common}")] = count / per_formula
    return products


@cache
def ionic_charges(formula: str, anion: str) -> dict[str, int]:
    """Guess the charge of each ion of a phase: the most common states that make it neutral.

    Where no known states do (subhalides, mixed valence), the cations share what the anions take, rounded to whole
    charges.

    Returns
    -------
    dict
        Element -> charge; the anion has -1 if it is a halide, else its most common negative state.
    """
    counts = atom_counts(formula)
    negative = {charge: share for charge, share in tabulated_states(anion, anion).items() if charge < 0}
    taken = max(negative, key=negative.__getitem__, default=-1)
    cations = [element for element in counts if element != anion]
    known = [
        {charge: share for charge, share in tabulated_states(element, anion).items() if charge > 0}
        for element in cations
    ]
    best: tuple[float, tuple[int, ...]] | None = None
    for states in product(*known):
        charge = sum(counts[element] * state for element, state in zip(cations, states, strict=True))
        if charge + counts[anion] * taken == 0:
            share = prod(table[state] for table, state in zip(known, states, strict=True))
            best = max(best, (share, states)) if best else (share, states)
    if best is None:
        shared = max(1, round(-taken * counts[anion] / sum(counts[element] for element in cations)))
        best = 0.0, (shared,) * len(cations)
    return {anion: taken, **dict(zip(cations, best[1], strict=True))}
