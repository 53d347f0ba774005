"""Bands of the toy model.

A gap, the k-points of its edges and spin-orbit coupling are set by the composition; the dispersion is that of s-like
bands of the Bravais lattice, sums of cosines over the nearest and the next lattice vectors, so that every band has the
lattice's symmetry, is periodic, and is parabolic about its edges. What is deep is a flat level of an atom.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.elements import Element
from aiida_perovskite.engines.aims.emulator.energy import Model

Floats = NDArray[np.float64]
Family = Literal["scalar", "spin_orbit"]

_COINAGE = frozenset({"Cu", "Ag", "Au"})
_LONE_PAIR = {"Bi": 3, "Sb": 3, "As": 3, "Pb": 2, "Sn": 2, "Ge": 2, "Tl": 1, "In": 1}  # charge that leaves an s2 pair
_VALENCE_WIDTH = 0.8  # eV; a hole mass of about 0.45 in a cell of 8 Angstrom
_CONDUCTION_WIDTH = 1.0
_VALENCE_OFFSETS = (0.0, 0.18, 0.45, 0.80, 1.20, 1.70)  # eV below the highest band
_CONDUCTION_OFFSETS = (0.0, 0.25, 0.60, 1.10, 1.70, 2.40)
_DEEPEST_VALENCE = 7.0  # eV below the valence band maximum: what is flat lies lower
_RYDBERG = 13.605693
_SPIN_ORBIT_OF_BISMUTH = 0.30  # eV by which it closes the gap at most
_BISMUTH = 83
_EXCHANGE = (0.20, 0.15)  # eV by which the minority spin's conduction and valence bands are farther off
_COARSE_GRID = 0.8  # part of the gap that a too sparse k-grid loses on a path
_FILLING = "1s 2s 2p 3s 3p 4s 3d 4p 5s 4d 5p 6s 4f 5d 6p 7s 5f 6d 7p"
_SHELLS = _FILLING.split()
_PLACES = {"s": 2, "p": 6, "d": 10, "f": 14}


@dataclass(frozen=True)
class Grid:
    """k-points (fractions of the reciprocal vectors) and their weights, which sum to one."""

    points: Floats
    weights: Floats

    @classmethod
    def of(cls, divisions: tuple[int, int, int], reduced: bool) -> Grid:
        """Return the grid about Gamma; ``reduced`` keeps one of ``k`` and ``-k``."""
        axes = [np.arange(n) / n for n in divisions]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        if not reduced:
            return cls(points, np.full(len(points), 1.0 / len(points)))
        steps = np.round(points * divisions).astype(int)
        partner = (-steps) % divisions
        strides = np.array([divisions[1] * divisions[2], divisions[2], 1])
        own, other = steps @ strides, partner @ strides
        kept = own <= other
        weights = np.where(own == other, 1.0, 2.0) / len(points)
        return cls(points[kept], weights[kept])


@dataclass(frozen=True)
class Edges:
    """Edges of a gap on a set of k-points (eV, relative to the internal zero), with places in that set."""

    vbm_ev: float
    cbm_ev: float
    vbm_k: int
    cbm_k: int
    vbm_spin: int
    cbm_spin: int
    direct_ev: float
    direct_k: int
    vbm_occupation: float
    cbm_occupation: float

    @property
    def gap_ev(self) -> float:
        """Fundamental gap."""
        return self.cbm_ev - self.vbm_ev


class Electrons:
    """Bands of one composition in one cell.

    Parameters
    ----------
    model
        Elements and charges.
    lattice
        Rows are the vectors (Angstrom); None for a molecule, whose levels are those at Gamma of a cube.
    collinear
        Two spin channels.
    moment
        Sum of the initial moments (Bohr magnetons).
    """

    def __init__(self, model: Model, lattice: Floats | None, collinear: bool, moment: float) -> None:
        self.model = model
        self.molecule = lattice is None
        self.lattice = np.eye(3) * 10.0 if lattice is None else lattice
        self.collinear = collinear
        self.moment = _possible_moment(model.electrons, moment) if collinear else 0
        self.coarse_grid = False

    @property
    def spins(self) -> int:
        """Number of spin channels."""
        return 2 if self.collinear else 1

    @cached_property
    def occupied(self) -> tuple[int, ...]:
        """Number of bands below the gap in each spin channel."""
        if self.collinear:
            return (self.model.electrons + self.moment) // 2, (self.model.electrons - self.moment) // 2
        return (self.model.electrons // 2,)

    @cached_property
    def states(self) -> int:
        """Number of scalar bands in each spin channel."""
        return max(self.occupied) + len(_CONDUCTION_OFFSETS)

    @cached_property
    def gap_ev(self) -> float:
        """Scalar-relativistic gap between the extrema of the bands."""
        kinds = {kind.symbol: kind for kind in self.model.kinds}
        if not np.any(self.model.charges):
            return 0.6 if set(kinds) <= {"Si", "Ge", "C", "Se", "Te"} else -0.5
        anions = [kind for kind, q in zip(self.model.kinds, self.model.charges, strict=True) if q < 0]
        cations = [kind for kind, q in zip(self.model.kinds, self.model.charges, strict=True) if q > 0]
        # The large cations (Cs, Rb, K) take no part at the edges where there are others.
        inner = [kind for kind in cations if kind.electronegativity > 0.85] or cations
        mean = float(np.mean([kind.electronegativity for kind in inner]))
        polarity = max(kind.electronegativity for kind in anions) - mean
        # 1.2 eV for Cs2AgBiBr6 and 2.9 for Cs2NaBiCl6, with a floor that no halide falls below.
        linear = 1.2 + 2.4 * (polarity - 0.985) + 0.2 * self._chance(0)
        semilocal = 0.35 + 0.3 * math.log1p(math.exp((linear - 0.35) / 0.3))
        return 1.2 * semilocal + 0.55 if self.model.hybrid else semilocal

    @cached_property
    def spin_orbit_ev(self) -> float:
        """What spin-orbit coupling takes off the gap."""
        heaviest = max(kind.number for kind in self.model.kinds)
        return min(_SPIN_ORBIT_OF_BISMUTH * (heaviest / _BISMUTH) ** 2, 0.3 * max(self.gap_ev, 0.0))

    @cached_property
    def edge_names(self) -> tuple[str, str]:
        """Where the band edges lie, ``G``, ``X`` or ``L`` in a face-centred cell: valence and conduction band."""
        symbols = {kind.symbol for kind in self.model.kinds}
        if symbols & _COINAGE:
            ions = zip(self.model.kinds, self.model.charges, strict=True)
            pair = any(_LONE_PAIR.get(kind.symbol) == charge for kind, charge in ions)
            return ("X", "L") if pair else ("G", "G")
        return "X" if self._chance(1) > 0.0 else "G", "L" if self._chance(2) > 0.0 else "G"

    def _chance(self, which: int) -> float:
        """Return a number in [-1, 1) that depends on the composition only."""
        counts = Counter(kind.symbol for kind in self.model.kinds)
        divisor = math.gcd(*counts.values())
        name = "".join(f"{symbol}{n // divisor}" for symbol, n in sorted(counts.items()))
        return zlib.crc32(f"{name}/{which}".encode()) / 2**31 - 1.0

    @cached_property
    def _vbm_ev(self) -> float:
        """Valence band maximum against the internal zero: it means nothing, as in FHI-aims."""
        return -5.6 + 0.5 * self._chance(3)

    @property
    def deepest_valence_ev(self) -> float:
        """What lies lower is a flat level of an atom."""
        return self._vbm_ev - _DEEPEST_VALENCE + 0.01

    @cached_property
    def _core_ev(self) -> Floats:
        """Flat levels of all atoms, ascending; one a pair of electrons."""
        levels = [level for kind in self.model.kinds for level in _atomic_levels(kind)]
        return np.minimum(np.sort(levels), self._vbm_ev - _DEEPEST_VALENCE)

    @cached_property
    def _shells(self) -> tuple[Floats, list[Floats]]:
        """Lattice translations in units of the vectors, ``(n, 3)``, and their weights in the two nearest shells."""
        reach = range(-2, 3)
        steps = np.array([(a, b, c) for a in reach for b in reach for c in reach if (a, b, c) != (0, 0, 0)])
        lengths = np.linalg.norm(steps @ self.lattice, axis=1)
        nearest = (abs(np.linalg.det(self.lattice)) * math.sqrt(2.0)) ** (1 / 3)  # of the face-centred cell
        shells = []
        for target in (nearest, nearest * math.sqrt(2.0)):
            # Smooth weights instead of sharp shells: a strained cell keeps nearly the same bands.
            exponents = -(((lengths - target) / (0.08 * nearest)) ** 2)
            weights = np.exp(exponents - exponents.max())
            shells.append(weights / weights.sum())
        return steps, shells

    @cached_property
    def anisotropy(self) -> Floats:
        """A tensor, ``(3, 3)``, that is one in a cubic cell and follows its strain."""
        steps, (weights, _) = self._shells
        directions = steps @ self.lattice
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        return np.asarray(3.0 * np.einsum("n,nx,ny->xy", weights, directions, directions))

    def _profile(self, k: Floats, name: str) -> Floats:
        """Return a function of k, one at its highest, at the named point."""
        steps, shells = self._shells
        waves = np.cos(2.0 * np.pi * k @ steps.T)
        near, far = waves @ shells[0], waves @ shells[1]
        if name == "G":
            return near
        return -far if name == "L" else -1.5 * near + 0.5 * far

    def bands(self, k: Floats, family: Family = "scalar", on_path: bool = False) -> Floats:
        """Return band energies (eV, internal zero).

        Parameters
        ----------
        k
            ``(points, 3)``, fractions of the reciprocal vectors.
        family
            Without spin-orbit coupling ``(spins, points, bands)``, with it ``(1, points, twice as many)``.
        on_path
            Bands along a path, which a too sparse k-grid spoils where that is asked for.
        """
        scalar = np.stack([self._channel(k, spin, family == "spin_orbit", on_path) for spin in range(self.spins)])
        if family == "scalar":
            return scalar
        both = np.concatenate([scalar[0], scalar[-1]], axis=1)
        return np.sort(both, axis=1)[None]

    def _channel(self, k: Floats, spin: int, coupled: bool, on_path: bool) -> Floats:
        valence = min(len(_VALENCE_OFFSETS), self.occupied[spin])
        gap = self.gap_ev
        # The coupling lifts the highest valence band a little and lowers the conduction band more.
        up, down = (0.3 * self.spin_orbit_ev, 0.7 * self.spin_orbit_ev) if coupled else (0.0, 0.0)
        lost = _COARSE_GRID * (gap - up - down) if on_path and self.coarse_grid else 0.0
        minority = self.moment != 0 and (spin == 1) == (self.moment > 0)
        empty_shift, full_shift = _EXCHANGE if minority else (0.0, 0.0)
        top, bottom = (self._profile(k, name) for name in self.edge_names)
        columns = []
        core = self._core_ev[: self.occupied[spin] - valence]
        columns.append(np.broadcast_to(core, (len(k), len(core))))
        for band in reversed(range(valence)):
            lift = up if band == 0 else 0.0
            energy = self._vbm_ev + lift - full_shift - _VALENCE_OFFSETS[band] - _VALENCE_WIDTH * (1.0 - top)
            columns.append(energy[:, None])
        for band in range(self.states - self.occupied[spin]):
            offset = _CONDUCTION_OFFSETS[min(band, 5)] + max(0, band - 5)
            sink = down + lost if band == 0 else 0.0
            energy = self._vbm_ev + gap - sink + empty_shift + offset + _CONDUCTION_WIDTH * (1.0 - bottom)
            columns.append(energy[:, None])
        return np.sort(np.concatenate(columns, axis=1), axis=1)

    def chemical_potential(self, grid: Grid, family: Family) -> float:
        """Return the chemical potential (eV): within the gap, a different part of it for each family."""
        energies = self.bands(grid.points, family)
        per_state = 2.0 if self.spins == 1 and family == "scalar" else 1.0
        levels = energies.transpose(0, 2, 1).reshape(-1)
        weights = np.tile(grid.weights, energies.shape[0] * energies.shape[2]) * per_state
        order = np.argsort(levels, kind="stable")
        filled = np.cumsum(weights[order])
        last = min(int(np.searchsorted(filled, self.model.electrons - 1e-9)), len(order) - 2)
        homo, lumo = levels[order[last]], levels[order[last + 1]]
        return float(homo + (0.4 if family == "scalar" else 0.45) * (lumo - homo))

    def occupations(self, energies: Floats, chemical_potential: float, family: Family) -> Floats:
        """Return occupations of states, Gaussian smearing of 0.01 eV."""
        most = 2.0 if self.spins == 1 and family == "scalar" else 1.0
        width = 0.01
        arguments = np.clip((energies - chemical_potential) / width, -30.0, 30.0)
        near = np.abs(arguments) < 6.0
        result = np.where(arguments < 0.0, most, 0.0)
        result[near] = [0.5 * most * math.erfc(value) for value in arguments[near]]
        return result

    def path_occupations(self, energies: Floats, chemical_potential: float, family: Family) -> Floats:
        """Return occupations along a path, where a too sparse k-grid does not change how many bands are full."""
        if not self.coarse_grid:
            return self.occupations(energies, chemical_potential, family)
        return self.occupations(energies, self._vbm_ev + 0.4 * self.gap_ev * (1.0 - _COARSE_GRID), family)

    def edges(
        self, grid: Grid, family: Family, on_path: bool = False, chemical_potential: float | None = None
    ) -> Edges:
        """Return the band edges on a set of k-points."""
        energies = self.bands(grid.points, family, on_path)
        mu = self.chemical_potential(grid, family) if chemical_potential is None else chemical_potential
        if on_path and self.coarse_grid:
            mu = self._vbm_ev + 0.4 * self.gap_ev * (1.0 - _COARSE_GRID)  # where the spoilt bands leave a gap
        occupations = self.occupations(energies, mu, family)
        full = np.where(energies <= mu, energies, -np.inf)
        empty = np.where(energies > mu, energies, np.inf)
        top, bottom = full.max(axis=2), empty.min(axis=2)
        vbm_spin, vbm_k = np.unravel_index(int(top.argmax()), top.shape)
        cbm_spin, cbm_k = np.unravel_index(int(bottom.argmin()), bottom.shape)
        direct = bottom.min(axis=0) - top.max(axis=0)
        return Edges(
            vbm_ev=float(top.max()),
            cbm_ev=float(bottom.min()),
            vbm_k=int(vbm_k),
            cbm_k=int(cbm_k),
            vbm_spin=int(vbm_spin),
            cbm_spin=int(cbm_spin),
            direct_ev=float(direct.min()),
            direct_k=int(direct.argmin()),
            vbm_occupation=float(occupations[energies == top.max()][0]),
            cbm_occupation=float(occupations[energies == bottom.min()][0]),
        )


def _possible_moment(electrons: int, moment: float) -> int:
    """Return the whole number of unpaired electrons that is nearest to a moment and goes with the number of all."""
    nearest = round((moment - electrons % 2) / 2.0) * 2 + electrons % 2
    return int(max(-electrons, min(electrons, nearest)))


def _atomic_levels(kind: Element) -> list[float]:
    """Return hydrogen-like levels of an atom (eV), one a pair of electrons, screened by the electrons further in."""
    left, inside = kind.number, 0
    levels = []
    for shell in _SHELLS:
        held = min(_PLACES[shell[1]], left)
        if held == 0:
            break
        charge = kind.number - inside - 0.35 * (held - 1)
        levels += [-_RYDBERG * (charge / int(shell[0])) ** 2] * ((held + 1) // 2)
        left, inside = left - held, inside + held
    return levels
