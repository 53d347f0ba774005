"""Geometric stability factors of ABC2D6, and the table that describes whole spaces by them.

Radii are Shannon's: coordination 6 for A, B and D, 12 for C; the octahedral radius is the mean of A and B.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_perovskite.chemistry.composition import Composition
from aiida_perovskite.chemistry.ions import Charges, charge_assignments, is_open_shell, shannon_radius

__all__ = [
    "bartel_factor",
    "describe",
    "goldschmidt_factor",
    "octahedral_factor",
]

Floats = NDArray[np.float64]


def octahedral_factor(radius_ab: ArrayLike, radius_d: ArrayLike) -> Floats:
    """Compute mu = r_AB / r_D; octahedra are stable for 0.44 < mu < 0.90.

    Parameters
    ----------
    radius_ab
        Mean radius of A and B in Angstrom.
    radius_d
        Radius of the anion in Angstrom, of any shape that broadcasts with the other.

    Returns
    -------
    numpy.ndarray
        mu, dimensionless (a scalar for scalars); nan unless both radii are positive.
    """
    r_ab, r_d = _positive(radius_ab), _positive(radius_d)
    return r_ab / r_d


def goldschmidt_factor(radius_c: ArrayLike, radius_ab: ArrayLike, radius_d: ArrayLike) -> Floats:
    """Compute t = (r_C + r_D) / (sqrt(2) (r_AB + r_D)); perovskites form for 0.8 <= t <= 1.

    V. M. Goldschmidt, Naturwissenschaften 14, 477 (1926), with the mean of A and B on the octahedra.

    Parameters
    ----------
    radius_c, radius_ab, radius_d
        Radii of C, of A and B (mean) and of D in Angstrom, of shapes that broadcast.

    Returns
    -------
    numpy.ndarray
        t, dimensionless (a scalar for scalars); nan unless all radii are positive.
    """
    r_c, r_ab, r_d = _positive(radius_c), _positive(radius_ab), _positive(radius_d)
    return (r_c + r_d) / (math.sqrt(2.0) * (r_ab + r_d))


def bartel_factor(radius_c: ArrayLike, radius_ab: ArrayLike, radius_d: ArrayLike, oxidation_c: ArrayLike) -> Floats:
    """Compute tau = r_D/r_AB - n_C (n_C - (r_C/r_AB) / ln(r_C/r_AB)); perovskites are expected for tau < 4.18.

    C. J. Bartel et al., Sci. Adv. 5, eaav0693 (2019). It has no meaning for r_C <= r_AB, where the logarithm changes
    its sign: such a compound is no perovskite.

    Parameters
    ----------
    radius_c, radius_ab, radius_d
        Radii of C, of A and B (mean) and of D in Angstrom, of shapes that broadcast.
    oxidation_c
        Oxidation state of C.

    Returns
    -------
    numpy.ndarray
        tau, dimensionless (a scalar for scalars); nan where undefined.
    """
    r_c, r_ab, r_d = _positive(radius_c), _positive(radius_ab), _positive(radius_d)
    n_c = np.asarray(oxidation_c, dtype=np.float64)
    ratio = r_c / r_ab
    ratio = np.where(ratio > 1.0, ratio, np.nan)[()]
    return r_d / r_ab - n_c * (n_c - ratio / np.log(ratio))


def _positive(radius: ArrayLike) -> Floats:
    """Turn what is no length of an ion into nan, so that it cannot pass for one."""
    values = np.asarray(radius, dtype=np.float64)
    positive: Floats = np.where(values > 0.0, values, np.nan)[()]
    return positive


def describe(compositions: Iterable[Composition]) -> dict[str, NDArray[Any]]:
    """Describe compositions by charges and geometric factors, one column each, one row per composition.

    Where several assignments of charges are neutral, the first of `charge_assignments` is described. Where none is, the
    charges are 0, the factors nan and ``open_shell`` is false.

    Parameters
    ----------
    compositions
        N compounds.

    Returns
    -------
    dict of numpy.ndarray
        Arrays of shape (N,): ``formula``, ``a``, ``b``, ``c``, ``d`` (text, dtype object), ``charge_a`` to ``charge_d``
        (int64), ``charge_balanced``, ``open_shell`` (bool), ``octahedral_factor``, ``goldschmidt_factor``,
        ``bartel_factor`` (float64; nan where a radius is not known or the factor is undefined).
    """
    rows = list(compositions)
    balanced = np.zeros(len(rows), dtype=bool)
    open_shell = np.zeros(len(rows), dtype=bool)
    charges = np.zeros((len(rows), 4), dtype=np.int64)
    radii = np.full((len(rows), 4), np.nan)
    for index, composition in enumerate(rows):
        assignments = charge_assignments(composition)
        if assignments:
            charges[index], balanced[index] = assignments[0], True
            open_shell[index] = is_open_shell(composition, assignments[0])
            radii[index] = _radii(composition, assignments[0])
    r_a, r_b, r_c, r_d = radii.T
    r_ab = (r_a + r_b) / 2
    columns: dict[str, NDArray[Any]] = {"formula": np.array([row.formula for row in rows], dtype=object)}
    for site, name in enumerate("abcd"):
        columns[name] = np.array([row.elements[site] for row in rows], dtype=object)
    columns |= {f"charge_{name}": charges[:, site].copy() for site, name in enumerate("abcd")}
    return columns | {
        "charge_balanced": balanced,
        "open_shell": open_shell,
        "octahedral_factor": octahedral_factor(r_ab, r_d),
        "goldschmidt_factor": goldschmidt_factor(r_c, r_ab, r_d),
        "bartel_factor": bartel_factor(r_c, r_ab, r_d, charges[:, 2]),
    }


def _radii(composition: Composition, charges: Charges) -> list[float]:
    coordinations = (6, 6, 12, 6)
    return [shannon_radius(*ion) for ion in zip(composition.elements, charges, coordinations, strict=True)]
