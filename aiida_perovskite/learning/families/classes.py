"""Plain classes of elements, by which a family of compounds is described.

An ion's class follows from its element and its likeliest charge in the compound (`chemistry.likely_charges`): the d
electrons left, or the s pair kept. It is a label for a sentence, not a calculation of its electrons.
"""

from __future__ import annotations

from functools import cache

import pandas as pd

from aiida_perovskite.chemistry import Composition, likely_charges

from .descriptor import SITES

__all__ = ["ANION_KINDS", "HALIDE_KINDS", "anion_kind", "describe_elements", "ion_class", "shell_filling"]

HALIDE_KINDS = {"F": "fluorides", "Cl": "chlorides", "Br": "bromides", "I": "iodides", "At": "astatides"}
ANION_KINDS = HALIDE_KINDS | {
    "O": "oxides",
    "S": "sulfides",
    "Se": "selenides",
    "Te": "tellurides",
    "H": "hydrides",
    "N": "nitrides",
    "P": "phosphides",
    "C": "carbides",
}
"""Element on D -> what its compounds are called; those of any other element are compounds with a metal on D."""

_OTHER_KIND = "compounds with a metal on D"
_NON_METALS = frozenset(
    ("H", "He", "C", "N", "O", "F", "Ne", "P", "S", "Cl", "Ar", "Se", "Br", "Kr", "I", "Xe", "At", "Rn", "Ts", "Og")
)


def anion_kind(symbol: str) -> str:
    """Name the compounds of an element on D, e.g. 'oxides'."""
    return ANION_KINDS.get(symbol, _OTHER_KIND)


@cache
def shell_filling(symbol: str, charge: int) -> tuple[str, int]:
    """Give the valence block ('s', 'p', 'd' or 'f') of an ion and how many electrons that shell keeps.

    Electrons of d shells are counted after the s electrons are gone, those of f shells after s and d electrons; of
    p-block elements all valence electrons count. The number never leaves the range that the shell can hold.
    """
    from pymatgen.core.periodic_table import Element

    element = Element(symbol)
    if element.is_lanthanoid or element.is_actinoid:
        core, places, block = (54 if element.is_lanthanoid else 86), 14, "f"
        electrons = element.Z - core - charge
    elif 3 <= element.group <= 12:
        electrons, places, block = element.group - charge, 10, "d"
    elif element.group >= 13:
        electrons, places, block = element.group - 10 - charge, 8, "p"
    else:
        electrons, places, block = element.group - charge, 2, "s"
    return block, min(max(int(electrons), 0), places)


@cache
def ion_class(symbol: str, charge: int) -> str:
    """Name the class of an ion on A, B or C, in the plural."""
    from pymatgen.core.periodic_table import Element

    element = Element(symbol)
    block, electrons = shell_filling(symbol, charge)
    if symbol in _NON_METALS:
        return "non-metals"
    if element.is_lanthanoid:
        return "lanthanides"
    if element.is_actinoid:
        return "actinides"
    if block == "s":
        return "alkali metals" if element.group == 1 else "alkaline earths"
    if block == "p":
        return "p-block metals with a lone pair" if electrons >= 2 else "p-block metals"
    shell = "an empty" if electrons == 0 else "a full" if electrons == 10 else "an open"
    return f"d metals with {shell} d shell"


def describe_elements(levels: pd.DataFrame) -> pd.DataFrame:
    """Classify the elements of N compounds, given by their columns a to d with A before B.

    Returns
    -------
    pandas.DataFrame
        Same index; ``class_a`` to ``class_c`` (class of the ion), ``class_d`` (kind of compound by its anion), and
        ``open_d``, ``open_f`` (whether some ion on A, B or C has a partly filled d or f shell).
    """
    rows = []
    for a, b, c, d in levels[list(SITES)].itertuples(index=False):
        charges = likely_charges(Composition(a, b, c, d))
        ions = [(a, charges.a), (b, charges.b), (c, charges.c)]
        shells = [shell_filling(*ion) for ion in ions]
        rows.append(
            {f"class_{site}": ion_class(*ion) for site, ion in zip("abc", ions, strict=True)}
            | {
                "class_d": anion_kind(d),
                "open_d": any(block == "d" and 0 < electrons < 10 for block, electrons in shells),
                "open_f": any(block == "f" and 0 < electrons < 14 for block, electrons in shells),
            }
        )
    return pd.DataFrame(rows, index=levels.index)
