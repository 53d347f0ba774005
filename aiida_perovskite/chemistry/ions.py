"""Ions of a double perovskite: which charges balance, how many electrons are unpaired, how large the ions are.

Charges. SMACT ships several tables of oxidation states. Its plain lists say only that a state was ever reported (Al+1
and Sr+4 among them), and its list of the single most common state knows no In+, Ge2+ or Au3+. So two of its tables with
numbers are used, and a state counts if it makes up at least `RELEVANT_SHARE` of

- the element's reports in the ICSD (2024, SMACT's ``oxidation_states_icsd24_counts.json``), or
- the element's compounds with the very anion on D (Davies et al., doi 10.1039/C8FD00032H, SMACT's
  ``oxidation_state_probability_table.json``). This one lets in what oxides outnumber elsewhere: V2+, Nb3+, Ta3+.

Cations are positive, the anion is negative, and no ion has an odd electron in an s or p shell: Ga2+, In2+, Sb4+ are
averages over two real ions, Hg+ is half of a pair. Among the assignments that balance, closed-shell ones come
first (only Tl with Au depends on that: Au+ Tl3+, not Au3+ Tl+), then the larger product of the ICSD shares. So In
with Tl is In3+ Tl+, with In+ Tl3+ second.

Radii. Shannon's table (Acta Cryst. A32, 751 (1976), from pymatgen), high-spin where it has both spins; for ions that it
does not list its machine-learned extension (Baloch et al., arXiv 2101.00269, from SMACT).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from aiida_perovskite.chemistry.composition import Composition

__all__ = [
    "RELEVANT_SHARE",
    "TOXIC_ELEMENTS",
    "Charges",
    "charge_assignments",
    "is_charge_balanced",
    "is_open_shell",
    "likely_charges",
    "shannon_radius",
    "starting_radius",
    "unpaired_electrons",
]

TOXIC_ELEMENTS: frozenset[str] = frozenset({"As", "Be", "Cd", "Hg", "Pb", "Tl"})
"""Elements that a screening drops by default."""

RELEVANT_SHARE = 0.05
"""Smallest share of reports that makes an oxidation state count: the largest round number that keeps In+ and Ge2+."""

# In+ (the usual estimate) is beyond both tables; Sn2+ is the value of Bartel et al., Sci. Adv. 5, eaav0693 (2019),
# where the extension (1.00) lies far below the bond lengths of the tin halides.
_RADII_IN_NO_TABLE = {("In", 1): 1.40, ("Sn", 2): 1.15}

_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "X": 10, "XI": 11}
_ROMAN |= {"XII": 12, "XIII": 13, "XIV": 14}


class Charges(NamedTuple):
    """Oxidation states of the ions on A, B, C and D (all 0: not known)."""

    a: int
    b: int
    c: int
    d: int


def charge_assignments(
    composition: Composition, oxidation_states: Mapping[str, Sequence[int]] | None = None
) -> list[Charges]:
    """List the oxidation states that make a composition neutral: q(A) + q(B) + 2 q(C) + 6 q(D) = 0.

    Parameters
    ----------
    composition
        The compound.
    oxidation_states
        Element -> its oxidation states, most common first; takes the place of SMACT's tables for these elements.

    Returns
    -------
    list of Charges
        Closed-shell assignments first, then the most common first (see the head of this module); empty if none.
    """
    a, b, c, d = (_states(symbol, composition.d, oxidation_states or {}) for symbol in composition.elements)
    anions = {charge: share for charge, share in d.items() if charge < 0}
    cations = [{charge: share for charge, share in site.items() if charge > 0} for site in (a, b, c)]
    found = [
        Charges(*charges)
        for charges in product(*cations, anions)
        if charges[0] + charges[1] + 2 * charges[2] + 6 * charges[3] == 0
    ]

    def order(charges: Charges) -> tuple[bool, float]:
        shares = (a[charges.a], b[charges.b], c[charges.c], d[charges.d])
        return is_open_shell(composition, charges), -math.prod(shares)

    return sorted(found, key=order)


def is_charge_balanced(composition: Composition, oxidation_states: Mapping[str, Sequence[int]] | None = None) -> bool:
    """Tell whether some choice of known oxidation states makes the composition neutral."""
    return bool(charge_assignments(composition, oxidation_states))


def likely_charges(composition: Composition) -> Charges:
    """Give the first neutral assignment, or else each element's most common state, which is not neutral.

    An element without a state of the sign its site asks for gets 0.
    """
    assignments = charge_assignments(composition)
    if assignments:
        return assignments[0]
    signed = zip(composition.elements, (1, 1, 1, -1), strict=True)
    return Charges(*(_commonest(symbol, composition.d, sign) for symbol, sign in signed))


def _commonest(symbol: str, anion: str, sign: int) -> int:
    shares = {charge: share for charge, share in tabulated_states(symbol, anion).items() if charge * sign > 0}
    return max(shares, key=shares.__getitem__, default=0)


def is_open_shell(composition: Composition, charges: Charges) -> bool:
    """Tell whether an ion has unpaired electrons."""
    ions = zip(composition.elements, charges, strict=True)
    return any(unpaired_electrons(symbol, charge) for symbol, charge in ions)


def _states(symbol: str, anion: str, override: Mapping[str, Sequence[int]]) -> dict[int, float]:
    """Map the states of an element to weights by which assignments are ordered."""
    if symbol in override:
        return {charge: 1.0 / rank for rank, charge in enumerate(dict.fromkeys(override[symbol]), start=1)}
    return tabulated_states(symbol, anion)


@cache
def tabulated_states(symbol: str, anion: str) -> dict[int, float]:
    """Map the relevant states of an element beside an anion to their shares of its reports in the ICSD."""
    in_icsd = _icsd_shares().get(symbol, {})
    beside_anion = _shares_beside_anions().get((symbol, anion), {})
    return {
        charge: in_icsd.get(charge, 0.0)
        for charge in sorted(in_icsd.keys() | beside_anion.keys())
        if max(in_icsd.get(charge, 0.0), beside_anion.get(charge, 0.0)) >= RELEVANT_SHARE
        and _is_real_ion(symbol, charge)
    }


@cache
def _icsd_shares() -> dict[str, dict[int, float]]:
    """Element -> oxidation state -> share of the element's reports (0 left out)."""
    counts: dict[str, dict[int, int]] = {}
    for row in _read_smact_json("oxidation_states_icsd24_counts.json"):
        if row["oxidation_state"] != 0 and row["results_count"] > 0:
            counts.setdefault(row["element"], {})[row["oxidation_state"]] = row["results_count"]
    return {
        symbol: {charge: count / sum(states.values()) for charge, count in states.items()}
        for symbol, states in counts.items()
    }


@cache
def _shares_beside_anions() -> dict[tuple[str, str], dict[int, float]]:
    """(Element, anion's element) -> oxidation state -> share of the element's compounds with that anion."""
    shares: dict[tuple[str, str], dict[int, float]] = {}
    for anion, cation, share in _read_smact_json("oxidation_state_probability_table.json"):
        symbol = cation.rstrip("0123456789-")
        shares.setdefault((symbol, anion.rstrip("0123456789-")), {})[int(cation.removeprefix(symbol))] = share
    return shares


def _read_smact_json(name: str) -> list[Any]:
    from smact import data_directory

    rows: list[Any] = json.loads((Path(data_directory) / name).read_text(encoding="utf-8"))
    return rows


@cache
def unpaired_electrons(element: str, charge: int) -> int:
    """Count the unpaired electrons of an ion on an octahedral site; 0 is a closed shell.

    Ions of 3d metals are high-spin, those of 4d and 5d metals low-spin: their octahedral splitting exceeds the pairing
    energy. (So a square-planar ion such as Au3+ counts 2 here, where the site is cubic.) d shells are filled after s
    electrons are gone; f and p shells follow Hund's rule.

    Parameters
    ----------
    element
        Symbol.
    charge
        Oxidation state; negative for anions.

    Raises
    ------
    ValueError
        If the element has no such ion (more electrons taken or added than its valence shell allows).
    """
    block, period, electrons = _valence_shell(element, charge)
    if block == "d":
        if electrons > 10:
            return _hund(electrons - 10, 2)
        if period == 4:
            return _hund(electrons, 10)
        return _hund(electrons, 6) if electrons <= 3 else 6 - electrons if electrons <= 6 else _hund(electrons - 6, 4)
    if block == "f":
        return _hund(electrons, 14)
    return _hund(electrons, 2) if electrons <= 2 else _hund(electrons - 2, 6)


def _hund(electrons: int, places: int) -> int:
    return min(electrons, places - electrons)


def _valence_shell(element: str, charge: int) -> tuple[str, int, int]:
    """Give block, period and the number of valence electrons of an ion: s, p, or d and s, or f, d and s together."""
    from pymatgen.core.periodic_table import Element

    neutral = Element(element)
    block, period = str(neutral.block), int(neutral.row)
    places = {"s": 2, "p": 8, "d": 12, "f": 14}[block]
    if block == "f":
        electrons = int(neutral.Z) - (54 if period == 6 else 86) - charge
    else:
        electrons = int(neutral.group) - (10 if block == "p" else 0) - charge
    if not 0 <= electrons <= places:
        raise ValueError(f"{element} has no ion of charge {charge:+d}; give an oxidation state of its valence shell")
    return block, period, electrons


def _is_real_ion(symbol: str, charge: int) -> bool:
    """Tell whether an ion is one that its element really forms: no odd electron in an s or p shell."""
    try:
        block, _, electrons = _valence_shell(symbol, charge)
    except ValueError:
        return False
    if block in "sp" or (block == "d" and electrons > 10):
        return unpaired_electrons(symbol, charge) == 0
    return True


@cache
def shannon_radius(element: str, charge: int, coordination: int) -> float:
    """Look up an ionic radius (effective ionic radius, high spin).

    Where the coordination number is not listed for the ion, the nearest one is taken (of two the larger), as Bartel et
    al. (Sci. Adv. 5, eaav0693 (2019)) do. Shannon's table goes first, its machine-learned extension is asked only about
    ions that Shannon does not list.

    Parameters
    ----------
    element
        Symbol.
    charge
        Oxidation state.
    coordination
        Number of neighbours.

    Returns
    -------
    float
        Radius in Angstrom; nan if the ion is in no table.
    """
    if (element, charge) in _RADII_IN_NO_TABLE:
        return _RADII_IN_NO_TABLE[element, charge]
    radii = _shannon_table(element).get(charge) or _extended_table().get((element, charge), {})
    if not radii:
        return math.nan
    return radii[min(radii, key=lambda number: (abs(number - coordination), -number))]


@cache
def _shannon_table(element: str) -> dict[int, dict[int, float]]:
    """Charge -> coordination number -> radius; plain geometries before square-planar or pyramidal, high spin first."""
    from pymatgen.core.periodic_table import Element

    table: dict[int, dict[int, float]] = {}
    for charge, entries in Element(element).data.get("Shannon radii", {}).items():
        radii = table.setdefault(int(charge), {})
        for label in sorted(entries, key=lambda label: label.endswith(("SQ", "PY"))):
            spins = entries[label]
            spin = next((spin for spin in ("", "High Spin") if spin in spins), "Low Spin")
            radii.setdefault(_ROMAN[label.removesuffix("SQ").removesuffix("PY")], float(spins[spin]["ionic_radius"]))
    return table


def starting_radius(element: str, charge: int) -> float:
    """Estimate an octahedral radius to start a geometry from: that of the nearest charge of the same sign in a table.

    Good enough where a relaxation follows; a stability factor needs `shannon_radius`, which says when it knows nothing.

    Returns
    -------
    float
        Radius in Angstrom; nan if the element has no ion of that sign in Shannon's table.
    """
    radius = shannon_radius(element, charge, 6)
    if math.isnan(radius):
        same_sign = [other for other in _shannon_table(element) if other * charge > 0]
        if same_sign:
            nearest = min(same_sign, key=lambda other: (abs(other - charge), abs(other)))
            radius = shannon_radius(element, nearest, 6)
    return radius


@cache
def _extended_table() -> dict[tuple[str, int], dict[int, float]]:
    """(Element, charge) -> coordination number -> radius, from the machine-learned extension."""
    from smact import data_directory

    table: dict[tuple[str, int], dict[int, float]] = {}
    with (Path(data_directory) / "shannon_radii_ML_extended.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number = row["coordination"]
            if number.isdecimal():
                ion = (row["ion"], int(row["charge"]))
                table.setdefault(ion, {})[int(number)] = float(row["ionic_radius"])
    return table
