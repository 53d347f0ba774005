"""Reference levels of ions: the outermost occupied one (HOMO) and the first empty one (LUMO).

They are the prior of the level network: a network that may choose its levels freely is drawn, weakly, to these.

Energies. Orbitals of the neutral atom in the local density approximation, scalar-relativistic for every element, from
the all-electron atomic solver of GPAW; the energies without relativity stand beside them. ``tools/atomic_levels.py``
regenerates both shipped tables: ``atomic_orbitals.csv`` (every orbital of every atom) and ``atomic_levels.csv`` (what
follows from them for one oxidation state of each element). Spin-orbit coupling is left out, as in the PBE gaps that the
network is trained on.

Ions. A cation loses its electrons from the valence shells in the order np, ns, (n-1)d, (n-2)f, where n is the period;
s electrons that are left to it move into an open d shell, as in every ion of a transition metal. Its HOMO is the
highest orbital, in energy, that still holds electrons. Its LUMO is the HOMO itself where that is partly filled (open
d and f shells); otherwise the valence shell that a returning electron enters first, (n-2)f, (n-1)d, ns, np, among the
orbitals that the atom occupies. (By the energies of the neutral atom Zr4+ and Ta5+ would take an electron into s; in
the ion d lies lower, and so does the conduction band.) Where the neutral atom has the two in the wrong order (Yb2+),
the LUMO is lifted to the HOMO. An anion gains electrons in ns and np; once they are full, its LUMO is the next s
level, which is not bound and counts as 0.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_perovskite.chemistry.composition import ELEMENTS
from aiida_perovskite.limits import read_text

__all__ = [
    "AtomicLevel",
    "AtomicOrbital",
    "LevelTableError",
    "ion_level",
    "load_atomic_levels",
    "load_atomic_orbitals",
    "prior_levels",
    "read_levels",
    "reference_levels",
]

Floats = NDArray[np.float64]

UNBOUND_LEVEL_EV = 0.0
"""Energy of the first empty level of an anion: the vacuum, to which all levels refer."""

MAX_LEVELS = 2**20
"""Bytes of a table of levels, which has a row per element."""

UNBOUND_SOURCE = "0 by convention: the next s level of an anion is not bound"

_LAST_OF_PERIOD = (2, 10, 18, 36, 54, 86, 118)
_CAPACITY = {"s": 2, "p": 6, "d": 10, "f": 14}


class LevelTableError(ValueError):
    """A table of levels that cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class AtomicOrbital:
    """An orbital that the neutral atom occupies.

    Attributes
    ----------
    symbol, orbital, electrons
        Element, shell (``6s``) and its electrons in the ground configuration.
    energy_ev, nonrelativistic_ev
        Energy with and without scalar-relativistic corrections, against the vacuum.
    source
        Method and program, or the fallback and why it was taken.
    """

    symbol: str
    orbital: str
    electrons: int
    energy_ev: float
    nonrelativistic_ev: float
    source: str


@dataclass(frozen=True, slots=True)
class AtomicLevel:
    """The two levels of an ion.

    Attributes
    ----------
    symbol, oxidation_state
        The ion.
    homo_ev, lumo_ev
        Energy of the outermost occupied and of the first empty level, against the vacuum; equal in an open shell.
    homo_orbital, lumo_orbital
        Shells of the neutral atom from which they are taken.
    homo_source, lumo_source
        Where the energies are from.
    state_source
        Why this oxidation state: in how many compounds the element has it, or which table names it.
    """

    symbol: str
    oxidation_state: int
    homo_ev: float
    lumo_ev: float
    homo_orbital: str
    lumo_orbital: str
    homo_source: str
    lumo_source: str
    state_source: str = ""


def load_atomic_orbitals() -> Mapping[str, tuple[AtomicOrbital, ...]]:
    """Read the shipped table of orbitals: element -> its occupied orbitals, the lowest first."""
    return _shipped_orbitals()


@cache
def _shipped_orbitals() -> Mapping[str, tuple[AtomicOrbital, ...]]:
    found: dict[str, list[AtomicOrbital]] = {}
    for row in _shipped_rows("atomic_orbitals.csv"):
        energies = float(row["energy_ev"]), float(row["nonrelativistic_ev"])
        orbital = AtomicOrbital(row["symbol"], row["orbital"], int(row["electrons"]), *energies, row["source"])
        found.setdefault(orbital.symbol, []).append(orbital)
    return MappingProxyType({symbol: tuple(orbitals) for symbol, orbitals in found.items()})


def _shipped_rows(name: str) -> Iterable[dict[str, str]]:
    text = (resources.files("aiida_perovskite.chemistry") / name).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())


@cache
def load_atomic_levels() -> tuple[AtomicLevel, ...]:
    """Read the shipped table of levels: one ion per element, in the order of atomic numbers."""
    return tuple(
        AtomicLevel(
            symbol=row["symbol"],
            oxidation_state=int(row["oxidation_state"]),
            homo_ev=float(row["homo_ev"]),
            lumo_ev=float(row["lumo_ev"]),
            homo_orbital=row["homo_orbital"],
            lumo_orbital=row["lumo_orbital"],
            homo_source=row["homo_source"],
            lumo_source=row["lumo_source"],
            state_source=row["state_source"],
        )
        for row in _shipped_rows("atomic_levels.csv")
    )


def reference_levels() -> dict[str, tuple[float, float]]:
    """Map each element to HOMO and LUMO (eV) of its most common ion in double perovskites, from the shipped table."""
    return {level.symbol: (level.homo_ev, level.lumo_ev) for level in load_atomic_levels()}


def prior_levels(symbols: ArrayLike, levels: Mapping[str, tuple[float, float]] | None = None) -> tuple[Floats, Floats]:
    """Look up the levels of the elements on many sites.

    Parameters
    ----------
    symbols
        Symbols of elements in an array of any shape, such as (N, 4).
    levels
        Element -> (HOMO, LUMO) in eV; `reference_levels` if not given.

    Returns
    -------
    homo_ev, lumo_ev : numpy.ndarray
        Of the same shape; nan where the table does not know the element.
    """
    table = reference_levels() if levels is None else levels
    names, index = np.unique(np.asarray(symbols, dtype=str), return_inverse=True)
    values = np.array([table.get(str(name), (math.nan, math.nan)) for name in names], dtype=np.float64).reshape(-1, 2)
    shape = np.shape(symbols)
    return values[index.ravel(), 0].reshape(shape), values[index.ravel(), 1].reshape(shape)


def read_levels(path: Path | str) -> dict[str, tuple[float, float]]:
    """Read a user's own table of levels: CSV with the columns ``symbol``, ``homo_ev``, ``lumo_ev``; others are ignored.

    Returns
    -------
    dict
        Element -> (HOMO, LUMO) in eV.

    Raises
    ------
    LevelTableError
        If there is no such file, it is no text, a column is missing, a symbol is unknown or stands there twice, a value
        is no finite number, a HOMO lies above its LUMO, or there are no rows.
    """
    path = Path(path)
    try:
        text = read_text(path, MAX_LEVELS).removeprefix("\ufeff")
    except OSError as error:
        raise LevelTableError(f"{path} cannot be read ({error.strerror}); give a CSV file of levels") from None
    except UnicodeDecodeError:
        raise LevelTableError(f"{path.name} is no text; save the levels as CSV in UTF-8") from None
    except ValueError as error:
        raise LevelTableError(f"{path.name} is no table of levels: {error}") from None
    reader = csv.DictReader(text.splitlines())
    columns = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    missing = [name for name in ("symbol", "homo_ev", "lumo_ev") if name not in columns]
    if missing:
        raise LevelTableError(f"{path.name} has no column {', '.join(missing)}; its first line must name the columns")
    levels: dict[str, tuple[float, float]] = {}
    for row in reader:
        where = f"{path.name}, line {reader.line_num}"
        symbol = (row["symbol"] or "").strip()
        if symbol not in ELEMENTS:
            raise LevelTableError(f"{where}: {symbol[:20]!r} is not the symbol of an element")
        if symbol in levels:
            raise LevelTableError(f"{where}: {symbol} stands there a second time; keep one row per element")
        levels[symbol] = _checked(where, symbol, row["homo_ev"], row["lumo_ev"])
    if not levels:
        raise LevelTableError(f"{path.name} has no rows; give one per element")
    return levels


def _checked(where: str, symbol: str, homo: str | None, lumo: str | None) -> tuple[float, float]:
    """Turn two texts into a HOMO and a LUMO that make sense."""
    energies = []
    for name, text in (("homo_ev", homo), ("lumo_ev", lumo)):
        try:
            energies.append(float(text or ""))
        except ValueError:
            energies.append(math.nan)
        if not math.isfinite(energies[-1]):
            raise LevelTableError(f"{where}: {name} of {symbol} is {(text or '')[:20]!r}, which is no finite number")
    if energies[0] > energies[1]:
        raise LevelTableError(
            f"{where}: the HOMO of {symbol} ({energies[0]:g} eV) lies above its LUMO ({energies[1]:g} eV); swap them?"
        )
    return energies[0], energies[1]


def ion_level(
    symbol: str, oxidation_state: int, orbitals: Mapping[str, tuple[AtomicOrbital, ...]] | None = None
) -> AtomicLevel:
    """Find the levels of an ion by the rules at the head of this module.

    Parameters
    ----------
    symbol, oxidation_state
        The ion; negative for anions.
    orbitals
        Element -> its occupied orbitals; the shipped table if not given.

    Raises
    ------
    LevelTableError
        If the element has no orbitals in the table, or no ion of this charge with an electron left.
    """
    atom = {orbital.orbital: orbital for orbital in (orbitals or _shipped_orbitals()).get(symbol, ())}
    if not atom:
        raise LevelTableError(
            f"the table of orbitals has no element {symbol[:20]!r}; compute it with tools/atomic_levels.py"
        )
    atomic_number = sum(orbital.electrons for orbital in atom.values())
    period = bisect_left(_LAST_OF_PERIOD, atomic_number) + 1
    electrons = _electrons_of_ion(symbol, oxidation_state, {name: atom[name].electrons for name in atom}, period)
    homo = max((name for name, count in electrons.items() if count), key=lambda name: atom[name].energy_ev)
    open_shells = [name for name in (homo, *_valence_shells(atom, period)) if electrons[name] < _CAPACITY[name[-1]]]
    if open_shells:
        lumo = atom[open_shells[0]]
        lumo_orbital, lumo_ev, lumo_source = lumo.orbital, lumo.energy_ev, lumo.source
        if lumo_ev < atom[homo].energy_ev:
            lumo_ev, lumo_source = atom[homo].energy_ev, f"{lumo_source}; lifted from {lumo_ev:.4f} eV to the HOMO"
    else:
        lumo_orbital, lumo_ev, lumo_source = f"{period + 1}s", UNBOUND_LEVEL_EV, UNBOUND_SOURCE
    energies = atom[homo].energy_ev, lumo_ev
    return AtomicLevel(symbol, oxidation_state, *energies, homo, lumo_orbital, atom[homo].source, lumo_source)


def _valence_shells(occupied: Mapping[str, object], period: int) -> list[str]:
    """Return those of (n-2)f, (n-1)d, ns, np that the atom occupies: the order in which an ion fills them."""
    return [shell for shell in (f"{period - 2}f", f"{period - 1}d", f"{period}s", f"{period}p") if shell in occupied]


def _electrons_of_ion(symbol: str, charge: int, electrons: dict[str, int], period: int) -> dict[str, int]:
    """Take electrons from the valence shells, the outermost first, or put them in, the innermost first."""
    shells = _valence_shells(electrons, period)
    left = charge
    for shell in reversed(shells) if charge > 0 else shells:
        room = electrons[shell] - _CAPACITY[shell[-1]]
        moved = min(left, electrons[shell]) if charge > 0 else max(left, room)
        electrons[shell] -= moved
        left -= moved
    s, d = f"{period}s", f"{period - 1}d"
    if charge > 0 and d in shells and s in shells:
        moved = min(electrons[s], _CAPACITY["d"] - electrons[d])
        electrons[s] -= moved
        electrons[d] += moved
    if charge == 0 or left or not any(electrons.values()):
        raise LevelTableError(
            f"{symbol} has no ion of charge {charge:+d}; give an oxidation state of its valence shell"
        )
    return electrons
