"""What is gathered from FHI-aims' standard output line by line, and how its numbers are read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

KPoint = tuple[float, float, float]

# Python refuses to convert integers of some thousand digits, which damaged lines may hold.
MAX_DIGITS = 15
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:E[-+]?\d+)?)(?![\w.*])|\s*([-+]?\d*\.\d+)eV")


@dataclass
class GapBlock:
    """One "What follows are estimated values for band gap" block; energies in eV, k-points in fractions."""

    gap: float | None = None
    vbm: float | None = None
    cbm: float | None = None
    vbm_k: KPoint | None = None
    cbm_k: KPoint | None = None
    direct_gap: float | None = None
    direct_gap_k: KPoint | None = None
    indices: dict[str, int] = field(default_factory=dict)


@dataclass
class Geometry:
    """Atoms as printed: Angstrom, Cartesian."""

    symbols: list[str] = field(default_factory=list)
    cell: list[list[float]] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)


@dataclass
class Step:
    """One self-consistency cycle."""

    geometry: Geometry | None
    energy: float | None = None
    corrected: float | None = None
    free: float | None = None
    max_force: float | None = None
    forces: list[list[float]] = field(default_factory=list)
    n_scf: int = 0
    converged: bool | None = None


@dataclass
class Electrons:
    """What is printed once without and once with spin-orbit coupling."""

    gap: GapBlock | None = None
    chemical_potential: float | None = None
    path_vbm: float | None = None
    path_gap: float | None = None


def number_of(word: str) -> float | None:
    """Return a finite number, None for Fortran's ``*****`` and anything else that is not one."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def numbers_of(words: list[str]) -> list[float] | None:
    """Return three finite numbers, None if the words are not that."""
    values = [number_of(word) for word in words]
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) == 3 else None


def index_of(word: str) -> int:
    """Return a whole number, -1 for anything else."""
    return int(word) if word.isdecimal() and len(word) <= MAX_DIGITS else -1


def number_after(mark: str, line: str) -> float | None:
    """Return the number that follows at once: behind a ``*****`` the next number of the line is another one."""
    match = _NUMBER.match(line.partition(mark)[2])
    return None if match is None else number_of(match[1] or match[2])
