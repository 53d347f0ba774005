"""What chemistry says of samples, beside the truth: charge neutrality, and how different they are from each other.

The element mover's distance (ElMD) of two compositions is the work of turning one into the other along the modified
Pettifor scale (C. J. Hargreaves et al., Chem. Mater. 32, 10610 (2020)). On a line that is the area between two
cumulative distributions, and its mean over all pairs of N samples follows from histograms, in a time that grows like N.
The package ElMD computes one pair at a time and is under the GPL, which this package is not; so it is not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .space import ELEMENTS, N_CODES, N_ELEMENTS, SITES, encode

__all__ = ["charge_neutral", "elmd", "mean_elmd"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Places on the modified Pettifor scale of 103 elements, H. Glawe et al., New J. Phys. 18, 093011 (2016), figure 3.
_PLACES = {
    **{"He": 0, "Ne": 1, "Ar": 2, "Kr": 3, "Xe": 4},
    **{"Cs": 7, "Rb": 8, "K": 9, "Na": 10, "Li": 11, "Ba": 13, "Sr": 14, "Ca": 15, "Mg": 72, "Be": 76},
    **{"Al": 77, "Ga": 78, "In": 79, "Tl": 80, "Pb": 81, "Sn": 82, "Ge": 83, "Si": 84, "B": 85, "C": 86},
    **{"N": 87, "P": 88, "As": 89, "Sb": 90, "Bi": 91, "Te": 93, "Se": 94, "S": 95, "O": 96},
    **{"I": 98, "Br": 99, "Cl": 100, "F": 101, "H": 102},
}
_SCALE: Ints = np.array([_PLACES[symbol] for symbol in ELEMENTS], dtype=np.int64)
_RANK: Ints = np.argsort(np.argsort(_SCALE))
_STEPS: Ints = np.sort(_SCALE)[1:] - np.sort(_SCALE)[:-1]
_ATOMS: NDArray[np.int8] = np.array([1, 1, 2, 6], dtype=np.int8)  # of each site in a formula unit
_N_ATOMS = int(_ATOMS.sum())
_BLOCK = 200_000  # compositions at a time: some 20 MB of intermediates


@cache
def charge_neutral() -> NDArray[np.bool_]:
    """Say of each code, shape (39^4,), whether known oxidation states make it neutral.

    The rule is that of `aiida_perovskite.chemistry.is_charge_balanced` (positive ions on A, B and C, a negative one on
    D; states from SMACT's tables): one definition for screening and for inverse design.
    """
    from aiida_perovskite.chemistry.ions import tabulated_states

    neutral = np.zeros((N_ELEMENTS,) * len(SITES), dtype=bool)
    for d, anion in enumerate(ELEMENTS):
        negative = [state for state in tabulated_states(anion, anion) if state < 0]
        positive = [[state for state in tabulated_states(symbol, anion) if state > 0] for symbol in ELEMENTS]
        # Sets of charges as bits: A and B together, and what they must be beside C and D.
        pairs = np.array([[_bits(p + q for p in a for q in b) for b in positive] for a in positive], dtype=np.uint64)
        wanted = np.array([_bits(-6 * q - 2 * p for q in negative for p in c) for c in positive], dtype=np.uint64)
        neutral[:, :, :, d] = (pairs[:, :, None] & wanted) != 0
    element = np.arange(N_ELEMENTS)
    for first, second in combinations(range(len(SITES)), 2):
        np.moveaxis(neutral, (first, second), (0, 1))[element, element] = False
    return neutral.reshape(N_CODES)


def _bits(charges: Iterable[int]) -> int:
    return sum({1 << charge for charge in charges if 0 <= charge < 64})


def elmd(first: ArrayLike, second: ArrayLike) -> Floats:
    """Return the element mover's distances of codes (N,) and codes (N,): steps on the scale, per atom."""
    difference = np.abs(_cumulated_atoms(np.atleast_1d(first)) - _cumulated_atoms(np.atleast_1d(second)))
    distances: Floats = difference @ _STEPS / _N_ATOMS
    return distances


def mean_elmd(codes: ArrayLike, counts: ArrayLike | None = None) -> float:
    """Return the mean element mover's distance over all pairs of samples; nan for fewer than two.

    Parameters
    ----------
    codes
        Compositions, shape (N,).
    counts
        How often each was drawn, shape (N,); once if None.
    """
    codes = np.asarray(codes, dtype=np.int64)
    weights = np.ones(len(codes)) if counts is None else np.asarray(counts, dtype=np.float64)
    total = weights.sum()
    if total < 2:
        return float("nan")
    # histogram[i, k]: weight of the compositions with k of their ten atoms on the first i + 1 places.
    histogram = np.zeros((len(_STEPS), _N_ATOMS + 1))
    for start in range(0, len(codes), _BLOCK):
        block = slice(start, start + _BLOCK)
        for i, column in enumerate(_cumulated_atoms(codes[block]).T):
            histogram[i] += np.bincount(column, weights[block], minlength=_N_ATOMS + 1)
    share = histogram.cumsum(axis=1) / total
    # The mean of |k - k'| over all pairs is the sum of 2 F (1 - F) over k; a sample makes no pair with itself.
    difference = 2 * (share * (1 - share)).sum(axis=1) * total / (total - 1)
    return float(difference @ _STEPS / _N_ATOMS)


def _cumulated_atoms(codes: ArrayLike) -> NDArray[np.int8]:
    """Return the atoms of a formula unit up to each place of the scale but the last, shape (N, 38)."""
    ranks = _RANK[encode(codes)]
    atoms = np.zeros((len(ranks), N_ELEMENTS), dtype=np.int8)
    np.put_along_axis(atoms, ranks, np.broadcast_to(_ATOMS, ranks.shape), axis=1)
    return atoms.cumsum(axis=1, dtype=np.int8)[:, :-1]
