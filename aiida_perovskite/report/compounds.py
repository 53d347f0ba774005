"""Names and plain geometry of compounds, as far as drawing and labelling need them."""

from __future__ import annotations

import itertools
import re

import numpy as np

from aiida_perovskite.report.contents import Structure

POINTS = {"Γ": (0, 0, 0), "X": (1, 0, 0), "L": (0.5, 0.5, 0.5), "W": (1, 0.5, 0), "K": (0.75, 0.75, 0)}


def sites(formula: str) -> tuple[str, str, str, str]:
    """Return the elements A, B, C, D of a canonical formula such as ``AgBiCs2Br6``."""
    a, b, c, d = re.findall(r"[A-Z][a-z]?", formula)
    return a, b, c, d


def pretty(formula: str) -> str:
    """Return the chemist's spelling, e.g. ``Cs2AgBiBr6``; text that is no such formula comes back as it is."""
    if not re.fullmatch(r"([A-Z][a-z]?){2}[A-Z][a-z]?2[A-Z][a-z]?6", formula):
        return formula
    a, b, c, d = sites(formula)
    return f"{c}2{a}{b}{d}6"


def point_name(kpoint: np.ndarray) -> str:
    """Return the name of a k-point given in fractions of the primitive face-centred cubic cell, for axis labels.

    A point without a name comes back as its three fractions.
    """
    to_cubic = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])  # to units of 2 pi / a
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    images = (np.asarray(kpoint) + shifts) @ to_cubic
    shortest = min(images, key=lambda q: (round(float(q @ q), 6), -round(float(np.abs(q).max()), 6)))
    parts = np.sort(np.abs(shortest))[::-1]
    found = (name for name, point in POINTS.items() if np.allclose(parts, point, atol=1e-3))
    return next(found, " ".join(f"{part:g}" for part in np.round(kpoint, 3) + 0.0))


def roles(crystal: Structure) -> tuple[str, str, str, str]:
    """Return the elements on A, B, C, D by how often each occurs in a primitive cell: once, once, twice, six times."""
    counts = {symbol: crystal.symbols.count(symbol) for symbol in dict.fromkeys(crystal.symbols)}
    a, b, c, d = sorted(counts, key=lambda symbol: counts[symbol])
    return a, b, c, d


def bond_length(crystal: Structure, cation: str) -> float:
    """Return the shortest distance from ``cation`` to the anion, Angstrom."""
    anion = roles(crystal)[3]
    is_anion = np.array([symbol == anion for symbol in crystal.symbols])
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ crystal.cell.values
    centre = crystal.positions.values[crystal.symbols.index(cation)]
    images = crystal.positions.values[is_anion][:, None] + shifts
    return float(np.linalg.norm(images - centre, axis=-1).min())
