"""Solid-state energies (SSE): band edges from one number per element or ion, and the gap that follows.

Pelatt et al. (J. Am. Chem. Soc. 133, 16852 (2011), doi 10.1021/ja204670s) read an energy for each element, on one scale
against the vacuum, from the band edges of binary compounds: for a cation that of the conduction band which it makes,
for an anion that of the valence band. Then

    Eg = min SSE(cations) - max SSE(anions).

The two meet at the hydrogen donor/acceptor level, -4.5 eV: above it a site counts as a cation, below as an anion,
wherever it stands, so anti-perovskites need no rule of their own. The rule is one of energies: a metal below -4.5 eV
(In, Sb and Pb in the table of 2011) counts as an anion even where it is none, and the gap is then too small.

SMACT ships three tables: that of 2011 (40 elements), its revision by oxidation state (Pelatt et al., J. Solid State
Chem. 231, 138 (2015), doi 10.1016/j.jssc.2015.07.037; 78 ions), and from the same paper what a straight line through
Pauling's electronegativities gives, for nearly all elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_perovskite.chemistry.atomic_levels import load_atomic_levels
from aiida_perovskite.chemistry.composition import ELEMENTS, Composition
from aiida_perovskite.chemistry.ions import charge_assignments

__all__ = [
    "CATION_THRESHOLD_EV",
    "SSE_TABLES",
    "SolidStateEnergies",
    "SseGaps",
    "gaps_of_sites",
    "solid_state_energies",
    "sse_gap",
]

CATION_THRESHOLD_EV = -4.5
"""Hydrogen donor/acceptor level against the vacuum: cations lie above, anions below (Pelatt et al. 2011)."""

UNKNOWN = -1
"""Index of a site whose element or ion is not in the table."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SolidStateEnergies:
    """A table of solid-state energies, as a vector that can be refitted.

    Parameters
    ----------
    symbols
        What each energy belongs to: an element (``Au``), or an ion, written as symbol and charge (``In+3``).
    energies_ev
        One energy per symbol in eV against the vacuum, shape (n,).
    sources
        The table that each energy is from.

    Raises
    ------
    ValueError
        If there are not as many energies as symbols, a symbol stands there twice, or an energy is no finite number.
    """

    symbols: tuple[str, ...]
    energies_ev: Floats
    sources: tuple[str, ...] = ()
    _index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        energies = np.array(self.energies_ev, dtype=np.float64)
        if energies.shape != (len(self.symbols),):
            raise ValueError(
                f"{len(self.symbols)} symbols need as many energies, not an array of shape {energies.shape}"
            )
        if len(set(self.symbols)) < len(self.symbols):
            raise ValueError("a symbol stands twice in the table of solid-state energies; keep one")
        if not np.isfinite(energies).all():
            raise ValueError("a solid-state energy is no finite number; leave the element out of the table instead")
        energies.setflags(write=False)
        object.__setattr__(self, "energies_ev", energies)
        object.__setattr__(self, "_index", {symbol: index for index, symbol in enumerate(self.symbols)})

    def element_indices(self, formulas: Iterable[str | Composition]) -> NDArray[np.int64]:
        """Give for each site of each compound the index of its energy.

        Where the table holds ions, the ion counts: the charges are the first of `charge_assignments`, or, where none
        balances, the oxidation states of `load_atomic_levels`. The element's own entry is used if its ion has none.

        Parameters
        ----------
        formulas
            N compounds.

        Returns
        -------
        numpy.ndarray
            Shape (N, 4), sites A, B, C, D of the canonical formula; -1 where the table knows nothing.
        """
        compounds = [item if isinstance(item, Composition) else Composition.parse(item) for item in formulas]
        by_ion = any(symbol not in ELEMENTS for symbol in self.symbols)
        rows = [self._indices(compound, by_ion) for compound in compounds]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def _indices(self, compound: Composition, by_ion: bool) -> list[int]:
        elements = [self._index.get(symbol, UNKNOWN) for symbol in compound.elements]
        if not by_ion:
            return elements
        balanced = charge_assignments(compound)
        charges = balanced[0] if balanced else [_common_states().get(symbol, 0) for symbol in compound.elements]
        ions = zip(compound.elements, charges, elements, strict=True)
        return [self._index.get(_label(symbol, charge), known) for symbol, charge, known in ions]

    def site_energies(self, formulas: Iterable[str | Composition]) -> Floats:
        """Give the energy of each site in eV, shape (N, 4); nan where the table knows nothing."""
        return np.append(self.energies_ev, np.nan)[self.element_indices(formulas)]


def _label(symbol: str, charge: int) -> str:
    return f"{symbol}{charge:+d}"


@cache
def _common_states() -> dict[str, int]:
    return {level.symbol: level.oxidation_state for level in load_atomic_levels()}


def _table_2011() -> dict[str, float]:
    from smact.data_loader import lookup_element_sse_data

    found = {symbol: lookup_element_sse_data(symbol) for symbol in sorted(ELEMENTS)}
    return {symbol: float(row["SolidStateEnergy"]) for symbol, row in found.items() if row}


def _table_2015() -> dict[str, float]:
    from smact.data_loader import lookup_element_sse2015_data

    found = {symbol: lookup_element_sse2015_data(symbol) or [] for symbol in sorted(ELEMENTS)}
    return {
        _label(symbol, row["OxidationState"]): float(row["SolidStateEnergy2015"])
        for symbol, rows in found.items()
        for row in rows
    }


def _table_pauling() -> dict[str, float]:
    from smact.data_loader import lookup_element_sse_pauling_data

    found = {symbol: lookup_element_sse_pauling_data(symbol) for symbol in sorted(ELEMENTS)}
    return {symbol: float(row["SolidStateEnergyPauling"]) for symbol, row in found.items() if row}


_READERS: dict[str, Callable[[], dict[str, float]]] = {
    "2015": _table_2015,
    "2011": _table_2011,
    "pauling": _table_pauling,
}
SSE_TABLES: tuple[str, ...] = tuple(_READERS)
"""Names of SMACT's tables: by oxidation state (2015), by element (2011), and from electronegativities."""


def solid_state_energies(
    tables: Sequence[str] = ("2015", "2011"), *, by_oxidation_state: bool = True
) -> SolidStateEnergies:
    """Join SMACT's tables of solid-state energies; of each element or ion the first table that has it counts.

    Parameters
    ----------
    tables
        Some of `SSE_TABLES`, the one that goes first at the head.
    by_oxidation_state
        Keep the ions of the table of 2015 apart. Otherwise each element has one energy: that of its most common ion in
        double perovskites (`load_atomic_levels`), or what the next table says if this ion has none.

    Raises
    ------
    ValueError
        If a table is not known.
    """
    unknown = [name for name in tables if name not in _READERS]
    if unknown or not tables:
        raise ValueError(f"there is no SSE table {', '.join(map(repr, unknown))}; choose from {', '.join(SSE_TABLES)}")
    joined: dict[str, tuple[float, str]] = {}
    for name in tables:
        energies = _READERS[name]()
        if name == "2015" and not by_oxidation_state:
            ions = {symbol: _label(symbol, state) for symbol, state in _common_states().items()}
            energies = {symbol: energies[ion] for symbol, ion in ions.items() if ion in energies}
        for symbol, energy in energies.items():
            joined.setdefault(symbol, (energy, name))
    symbols = tuple(sorted(joined))
    values = np.array([joined[symbol][0] for symbol in symbols], dtype=np.float64)
    return SolidStateEnergies(symbols, values, tuple(joined[symbol][1] for symbol in symbols))


class SseGaps(NamedTuple):
    """Gaps and band edges of N compounds in eV; nan, and the reason, where there is none.

    Attributes
    ----------
    gap_ev, vbm_ev, cbm_ev
        Shape (N,): the gap, the highest anion, the lowest cation.
    reason
        Shape (N,), text (dtype object): why there is no gap; empty where there is one.
    """

    gap_ev: Floats
    vbm_ev: Floats
    cbm_ev: Floats
    reason: NDArray[Any]


def sse_gap(
    formulas: Iterable[str | Composition],
    energies: SolidStateEnergies | None = None,
    *,
    threshold_ev: float = CATION_THRESHOLD_EV,
) -> SseGaps:
    """Compute the gaps of many compounds: min SSE(cations) - max SSE(anions).

    Parameters
    ----------
    formulas
        N compounds.
    energies
        The table; `solid_state_energies` if not given.
    threshold_ev
        Sites above it are cations, the others anions.

    Returns
    -------
    SseGaps
        nan where an element is not in the table, or all sites lie on one side of the threshold.
    """
    compounds = [item if isinstance(item, Composition) else Composition.parse(item) for item in formulas]
    site_energies = (energies or solid_state_energies()).site_energies(compounds)
    gaps = gaps_of_sites(site_energies, threshold_ev=threshold_ev)
    for index in np.flatnonzero(np.isnan(site_energies).any(axis=1)):
        sites = zip(compounds[index].elements, np.isnan(site_energies[index]), strict=True)
        gaps.reason[index] = f"no solid-state energy of {', '.join(symbol for symbol, missing in sites if missing)}"
    return gaps


def gaps_of_sites(
    site_energies_ev: ArrayLike,
    *,
    threshold_ev: float = CATION_THRESHOLD_EV,
    is_cation: ArrayLike | None = None,
) -> SseGaps:
    """Compute gaps from the energies of the sites.

    Parameters
    ----------
    site_energies_ev
        Shape (N, 4), or any number of sites; nan where not known.
    threshold_ev
        Sites above it are cations, the others anions.
    is_cation
        Which sites are cations, of the same shape, if not the energies but the charges are to decide. The gap is then
        negative where a cation lies below an anion.

    Raises
    ------
    ValueError
        If the arrays are not two-dimensional and of one shape.
    """
    energies = np.asarray(site_energies_ev, dtype=np.float64)
    cations = energies > threshold_ev if is_cation is None else np.asarray(is_cation, dtype=bool)
    if energies.ndim != 2 or cations.shape != energies.shape:
        raise ValueError(
            f"site energies of shape {energies.shape} and cations of {cations.shape}: both must be (N, sites)"
        )
    cbm = np.where(cations, energies, np.inf).min(axis=1, initial=np.inf)
    vbm = np.where(cations, -np.inf, energies).max(axis=1, initial=-np.inf)
    reason = np.full(len(energies), "", dtype=object)
    reason[np.isposinf(cbm)] = f"no cation: no site above {threshold_ev:g} eV" if is_cation is None else "no cation"
    reason[np.isneginf(vbm)] = f"no anion: all sites above {threshold_ev:g} eV" if is_cation is None else "no anion"
    unknown = np.isnan(energies).any(axis=1)
    reason[unknown] = "no solid-state energy of a site"
    none = reason != ""
    cbm, vbm = np.where(none, np.nan, cbm), np.where(none, np.nan, vbm)
    return SseGaps(cbm - vbm, vbm, cbm, reason)
