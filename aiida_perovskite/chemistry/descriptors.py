"""What the periodic table says of an element, as numbers for a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["element_descriptors"]

_GROUPS, _PERIODS, _BLOCKS = range(1, 19), range(1, 8), "spdf"
_VALENCE_MAX = {"s": 2, "p": 6, "d": 10, "f": 14}  # electrons of a full shell


def element_descriptors(symbols: Sequence[str]) -> NDArray[np.float64]:
    """Return one row of descriptors per element.

    The columns are one-hots of group (18), period (7) and block (4); the filling of the s, p, d and f valence shells as
    a share of a full one (4); Pauling's electronegativity / 4, atomic radius / 3 Angstrom, the Mendeleev number / 100,
    the lowest and the highest common oxidation state / 7, the first ionisation energy / 25 eV and the electron affinity
    / 4 eV. What is not known is 0. Source: the tables that pymatgen ships.

    Parameters
    ----------
    symbols
        E element symbols.

    Returns
    -------
    numpy.ndarray
        Shape (E, 40), all entries of order 1.
    """
    from pymatgen.core import Element

    return np.array([_row(Element(symbol)) for symbol in symbols], dtype=np.float64).reshape(len(symbols), -1)


def _row(element: object) -> list[float]:
    group, period, block = (getattr(element, name) for name in ("group", "row", "block"))
    states = getattr(element, "common_oxidation_states", ()) or (0,)
    scales = {
        "X": 4.0,
        "atomic_radius": 3.0,
        "mendeleev_no": 100.0,
        "ionization_energy": 25.0,
        "electron_affinity": 4.0,
    }
    shells = dict.fromkeys(_VALENCE_MAX, 0.0)
    for number, shell, electrons in _electrons(element):
        if _is_valence(number, shell, period):
            shells[shell] = electrons / _VALENCE_MAX[shell]
    return [
        *(float(group == other) for other in _GROUPS),
        *(float(period == other) for other in _PERIODS),
        *(float(block == other) for other in _BLOCKS),
        *shells.values(),
        *(_number(element, name) / scale for name, scale in scales.items()),
        min(states) / 7,
        max(states) / 7,
    ]


def _electrons(element: object) -> Iterable[tuple[int, str, int]]:
    """Return the filled shells; none where the table has none, as for the heaviest elements."""
    try:
        shells: Iterable[tuple[int, str, int]] = element.full_electronic_structure  # type: ignore[attr-defined]
    except KeyError:
        return ()
    return shells


def _is_valence(number: int, shell: str, period: int) -> bool:
    return number == period - {"s": 0, "p": 0, "d": 1, "f": 2}[shell]


def _number(element: object, name: str) -> float:
    """Return a property as a number; 0 where the table has none."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every gap in its tables
        try:
            value = float(getattr(element, name))
        except (TypeError, ValueError, AttributeError, KeyError):
            return 0.0
    return value if np.isfinite(value) else 0.0
