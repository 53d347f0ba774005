"""Relaxation: Newton steps with a trust radius in the coordinates that are free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.energy import Model
from aiida_perovskite.engines.aims.emulator.geometry import Geometry

Floats = NDArray[np.float64]

_TRUST_RADIUS = 0.2  # Angstrom, FHI-aims's default
_LARGEST_RADIUS = 0.8  # Angstrom
_MANY = 40  # free directions from which on one true Hessian must do: it costs two energies a direction
_SOFTEST = 0.2  # eV/Angstrom^2: no direction counts as softer, so that a step stays within reason
_STEP = 1e-3  # Angstrom, for the differences that make the Hessian
_FREE_OF_NOISE = 1e-10  # part of the largest eigenvalue below which a direction (of the free ones) is none


@dataclass(frozen=True)
class Forces:
    """Energy (eV) and forces (eV/Angstrom) of one geometry, as far as coordinates are free.

    Attributes
    ----------
    atoms
        ``(atoms, 3)``: with the lattice held.
    lattice
        ``(3, 3)`` on the lattice vectors, with the fractional coordinates held; zero where the cell is fixed.
    virial
        dE/dstrain, eV.
    """

    energy_ev: float
    atoms: Floats
    lattice: Floats
    virial: Floats

    @property
    def largest(self) -> float:
        """Largest force component that is left."""
        return float(max(np.abs(self.atoms).max(), np.abs(self.lattice).max()))


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes
    ----------
    move
        In the full coordinates, ``(9 + 3 atoms,)``.
    length
        Angstrom, before the trust radius cut it.
    expected_ev
        Change of energy by the harmonic model.
    eigenvalues
        Of the Hessian, eV/Angstrom^2.
    """

    move: Floats
    length: float
    expected_ev: float
    eigenvalues: Floats


class Relaxation:
    """The walk of one structure to a minimum.

    Coordinates are the nine components of the lattice vectors and, with fractional coordinates ``s``, ``s @ lattice0``
    for the atoms, so that all are Angstrom and a change of the cell takes the atoms with it.
    """

    def __init__(self, model: Model, geometry: Geometry, cell: str) -> None:
        self.model = model
        self.geometry = geometry
        self.cell = cell if geometry.lattice is not None else "none"
        self.free = self._free_directions()
        self.trust_radius, self.largest_radius = _TRUST_RADIUS, _LARGEST_RADIUS
        self._last: tuple[Floats, Floats, Floats] | None = None  # Hessian, forces and step

    def _free_directions(self) -> Floats:
        """Return an orthonormal basis, ``(free, 9 + 3 atoms)``, of the moves that the constraints leave."""
        atoms = len(self.geometry.species)
        lattice = np.zeros((9, 9 + 3 * atoms))
        if self.cell == "full":
            lattice[:, :9] = np.eye(9)
        elif self.cell == "fixed_angles":
            assert self.geometry.lattice is not None
            for row, vector in enumerate(self.geometry.lattice):
                lattice[row, 3 * row : 3 * row + 3] = vector / np.linalg.norm(vector)
        for row, fixed in enumerate(self.geometry.fixed_vectors):
            lattice[:, 3 * row : 3 * row + 3] *= 0.0 if fixed else 1.0
        moves = np.eye(9 + 3 * atoms)[9:]
        fixed_atoms = np.repeat(np.array(self.geometry.fixed_atoms or [False] * atoms), 3)
        basis = np.concatenate([lattice, moves[~fixed_atoms]])
        symmetry = self.geometry.symmetry
        if symmetry is not None:
            assert self.geometry.lattice is not None
            along_atoms = np.einsum("aip,ix->axp", symmetry.fractional[:, :, 1:], self.geometry.lattice)
            along_lattice = symmetry.lattice[:, :, 1:] * (self.cell != "none")
            basis = np.concatenate([along_lattice.reshape(9, -1), along_atoms.reshape(3 * atoms, -1)]).T
        return _orthonormal(basis)

    def forces(self) -> Forces:
        """Return energy and forces, freed of what the constraints forbid and of a push of the whole crystal."""
        energy, atoms, lattice, virial = self._raw(self.geometry.lattice, self.geometry.positions)
        kept = self.free.T @ (self.free @ np.concatenate([lattice.ravel(), atoms.ravel()]))
        cleaned = kept[9:].reshape(-1, 3)
        if not any(self.geometry.fixed_atoms) and self.geometry.symmetry is None:
            cleaned = cleaned - cleaned.mean(axis=0)
        return Forces(energy, cleaned, kept[:9].reshape(3, 3), virial)

    def _raw(self, lattice: Floats | None, positions: Floats) -> tuple[float, Floats, Floats, Floats]:
        energy, atoms, virial = self.model.evaluate(lattice, positions)
        if lattice is None:
            return energy, atoms, np.zeros((3, 3)), np.zeros((3, 3))
        # A strain e turns lattice h into h (1 + e), hence dE/dh = h^-T dE/de at fixed fractional coordinates.
        return energy, atoms, -np.linalg.inv(lattice).T @ virial, virial

    def moved(self, step: Floats) -> Geometry:
        """Return the geometry after a step in the full coordinates, ``(9 + 3 atoms,)``."""
        geometry = self.geometry
        shift = step[9:].reshape(-1, 3)
        if geometry.lattice is None:
            return geometry.moved(None, geometry.positions + shift)
        lattice = geometry.lattice + step[:9].reshape(3, 3)
        fractional = geometry.fractional + shift @ np.linalg.inv(geometry.lattice)
        return geometry.moved(lattice, fractional @ lattice)

    def hessian(self) -> Floats:
        """Return the second derivatives (eV/Angstrom^2) along the free directions, ``(free, free)``."""
        columns = []
        for direction in self.free:
            ends = [self.moved(sign * _STEP * direction) for sign in (1.0, -1.0)]
            slopes = []
            for end in ends:
                _, atoms, lattice, _ = self._raw(end.lattice, end.positions)
                if end.lattice is not None and self.geometry.lattice is not None:
                    # Forces per change of the fractional coordinates, in units of the starting cell.
                    atoms = atoms @ end.lattice.T @ np.linalg.inv(self.geometry.lattice).T
                slopes.append(self.free @ np.concatenate([lattice.ravel(), atoms.ravel()]))
            columns.append((slopes[1] - slopes[0]) / (2.0 * _STEP))
        matrix = np.array(columns).reshape(len(self.free), len(self.free))
        return 0.5 * (matrix + matrix.T)

    def current_hessian(self, forces: Forces) -> Floats:
        """Return the Hessian of the next step: the true one, or in large cells one that BFGS keeps up to date."""
        if len(self.free) <= _MANY or self._last is None:
            hessian = self.hessian()
        else:
            old, pull, move = self._last
            change = pull - self._pull(forces)
            curvature, bent = float(move @ change), old @ move
            # A direction of negative curvature would spoil an update that has to stay positive.
            hessian = old
            if curvature > 1e-3 * float(move @ bent):
                hessian = old + np.outer(change, change) / curvature - np.outer(bent, bent) / float(move @ bent)
        values, vectors = np.linalg.eigh(hessian)
        firm = (vectors * np.maximum(np.abs(values), _SOFTEST)) @ vectors.T
        self._last = (firm, self._pull(forces), np.zeros(len(self.free)))
        return hessian

    def _pull(self, forces: Forces) -> Floats:
        """Return the forces along the free directions."""
        return np.asarray(self.free @ np.concatenate([forces.lattice.ravel(), forces.atoms.ravel()]))

    def step(self, forces: Forces, hessian: Floats) -> Step:
        """Return the next step."""
        pull = self._pull(forces)
        values, vectors = np.linalg.eigh(hessian)
        # The size of an eigenvalue counts, so that a step goes down where the energy is a saddle.
        along = (vectors.T @ pull) / np.maximum(np.abs(values), _SOFTEST)
        length = float(np.linalg.norm(along))
        along *= min(1.0, self.trust_radius / length) if length > 0.0 else 1.0
        expected = float(-along @ (vectors.T @ pull) + 0.5 * along @ (values * along))
        if self._last is not None:
            self._last = (self._last[0], pull, vectors @ along)
        return Step(self.free.T @ (vectors @ along), length, expected, values)

    def adapt(self, step: Step, gain_ev: float) -> None:
        """Widen the trust radius after a step that did as expected, narrow it after one that did not."""
        ratio = gain_ev / step.expected_ev if step.expected_ev else 1.0
        if ratio < 0.25:
            self.trust_radius *= 0.5
        elif ratio > 0.6 and step.length > self.trust_radius:
            self.trust_radius = min(2.0 * self.trust_radius, self.largest_radius)


def _orthonormal(rows: Floats) -> Floats:
    """Return an orthonormal basis of the space that the rows span."""
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(basis[sizes > _FREE_OF_NOISE * sizes.max()]) if sizes.size and sizes.max() > 0 else basis[:0]
