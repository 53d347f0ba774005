"""Energy, forces and stress of the toy model: a sum over pairs.

Ions of scaled formal charges interact by the damped, shifted Coulomb force (Fennell and Gezelter, J. Chem. Phys. 124,
234104 (2006)), which needs no Ewald sum, and repel each other by Born and Mayer's exponential; atoms without charge
attract each other by a Morse potential. The strength of the repulsion makes the sum of the ionic radii the distance at
which a crystal of the rock-salt structure would be at rest. All functions are smooth, and their derivatives are exact.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.control import Control
from aiida_perovskite.engines.aims.emulator.elements import Element, element, ionic_charges, radius
from aiida_perovskite.engines.aims.emulator.errors import AbortRun
from aiida_perovskite.engines.aims.emulator.geometry import Geometry

Floats = NDArray[np.float64]

_COULOMB = 14.399645  # e^2 / (4 pi eps0), eV Angstrom
_MADELUNG = 1.7476  # rock salt
_CUTOFF = 11.0  # Angstrom: beyond, the damped Coulomb force is below 1 % of the bare one
_DAMPING = 0.2  # 1/Angstrom, the usual choice for this cutoff
_HARDNESS = 0.345  # Angstrom, the exponential's length in alkali halides
_CHARGE_SCALE = 0.7  # real halides are less ionic than their formal charges
_BOND_SCALE = 0.97  # brings Cs2AgBiBr6 within 3 % of its measured lattice constant
_IONIC = 2.2  # difference of electronegativities from which on the ionic radii hold
_COVALENCY = 0.25  # Angstrom by which a bond is shorter per unit of electronegativity below that
_CONTACT = 0.10  # eV, repulsion of two ions of one sign that touch
_MORSE_DEPTH = 0.30  # eV a pair
_MORSE_WIDTH = 1.6  # 1/Angstrom
_HARTREE = 27.2113845
_SMALLEST_DISTANCE = 0.3  # Angstrom


@dataclass(frozen=True)
class Model:
    """Pair parameters of the atoms of one run; species, functional and composition are fixed in it."""

    kinds: tuple[Element, ...]
    charges: Floats
    hybrid: bool

    @classmethod
    def of(cls, geometry: Geometry, control: Control) -> Model:
        """Return the model for a structure.

        Raises
        ------
        AbortRun
            If an atom has no species block.
        """
        for name in geometry.species:
            if name not in control.species:
                raise AbortRun(f"Species {name} of geometry.in is not defined in control.in.")
        by_name = {name: element(control.species[name].nucleus) for name in geometry.species}
        charges = ionic_charges({name: (by_name[name], n) for name, n in Counter(geometry.species).items()})
        kinds = tuple(by_name[name] for name in geometry.species)
        return cls(kinds, np.array([charges[name] for name in geometry.species]), control.hybrid)

    @property
    def electrons(self) -> int:
        """Number of electrons."""
        return sum(kind.number for kind in self.kinds)

    @cached_property
    def constant_ev(self) -> float:
        """Sum of the atoms' energies (Thomas and Fermi's -0.7687 Z^(7/3) Hartree), which says what is in the cell."""
        per_electron = 0.02 if self.hybrid else 0.0  # so that two functionals never give one energy
        return sum(-0.7687 * _HARTREE * kind.number ** (7 / 3) - per_electron * kind.number for kind in self.kinds)

    @cached_property
    def _pairs(self) -> tuple[Floats, Floats, Floats]:
        """Products of charges, strengths (repulsion or Morse depth) and contact distances of each pair."""
        radii = np.array([radius(kind, charge) for kind, charge in zip(self.kinds, self.charges, strict=True)])
        contact = radii[:, None] + radii[None, :]
        polarity = np.array([kind.electronegativity for kind in self.kinds])
        shorter = _COVALENCY * np.clip(_IONIC - np.abs(polarity[:, None] - polarity[None, :]), 0.0, None)
        opposite = self.charges[:, None] * self.charges[None, :] < 0.0
        contact = np.where(opposite, _BOND_SCALE * contact - shorter, contact)
        scale = _CHARGE_SCALE * (1.02 if self.hybrid else 1.0)  # a hybrid's crystal is a little smaller
        products = scale**2 * self.charges[:, None] * self.charges[None, :]
        bond = -products * _COULOMB * _MADELUNG * _HARDNESS / (6.0 * contact**2)
        strength = np.where(products < 0.0, bond, np.where(products > 0.0, _CONTACT, _MORSE_DEPTH))
        return products, strength, contact

    def evaluate(self, lattice: Floats | None, positions: Floats) -> tuple[float, Floats, Floats]:
        """Return energy (eV), forces (eV/Angstrom, ``(atoms, 3)``) and virial (eV, dE/dstrain, ``(3, 3)``).

        Raises
        ------
        AbortRun
            If two atoms stand on one place.
        """
        if lattice is not None:
            fractional = positions @ np.linalg.inv(lattice)
            positions = (fractional - np.floor(fractional)) @ lattice
        vectors = positions[None, None, :, :] - positions[None, :, None, :] + _images(lattice)[:, None, None, :]
        squares = np.einsum("nijx,nijx->nij", vectors, vectors)
        atoms = np.arange(len(positions))
        zero = len(squares) // 2  # the middle image is the cell itself
        squares[zero, atoms, atoms] = np.inf
        image, first, second = np.nonzero(squares < _CUTOFF**2)
        distances = np.sqrt(squares[image, first, second])
        if len(distances) and distances.min() < _SMALLEST_DISTANCE:
            raise AbortRun("Two atoms of geometry.in are on top of each other.")
        energies, slopes = self._pair_terms(distances, first, second)
        directions = vectors[image, first, second] / distances[:, None]
        pulls = slopes[:, None] * directions
        forces = np.zeros_like(positions)
        # Each pair is met from both ends, so half of both sums falls to each end.
        np.add.at(forces, first, pulls)
        virial = 0.5 * np.einsum("px,py->xy", vectors[image, first, second], pulls)
        own = math.erfc(_DAMPING * _CUTOFF) / (2.0 * _CUTOFF) + _DAMPING / math.sqrt(math.pi)
        self_energy = -_COULOMB * own * float(np.trace(self._pairs[0]))
        return self.constant_ev + self_energy + 0.5 * float(energies.sum()), forces, virial

    def _pair_terms(self, r: Floats, first: NDArray[np.intp], second: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return energy and its slope for pairs at the distances ``r``."""
        products, strength, contact = (array[first, second] for array in self._pairs)
        # The Coulomb part, shifted so that energy and force vanish at the cutoff.
        gauss = 2.0 * _DAMPING / math.sqrt(math.pi)
        bare = _erfc(_DAMPING * r) / r
        force = bare / r + gauss * np.exp(-((_DAMPING * r) ** 2)) / r
        end = math.erfc(_DAMPING * _CUTOFF) / _CUTOFF
        end_force = end / _CUTOFF + gauss * math.exp(-((_DAMPING * _CUTOFF) ** 2)) / _CUTOFF
        coulomb = _COULOMB * products * (bare - end + end_force * (r - _CUTOFF))
        coulomb_slope = _COULOMB * products * (end_force - force)
        # No charge product is zero unless both atoms are neutral.
        ionic = products != 0.0
        wall = np.where(ionic, strength * np.exp(-(r - contact) / _HARDNESS), 0.0)
        away = np.exp(-_MORSE_WIDTH * (r - contact))
        morse = np.where(ionic, 0.0, strength * (away**2 - 2.0 * away))
        morse_slope = np.where(ionic, 0.0, -2.0 * _MORSE_WIDTH * strength * (away**2 - away))
        return coulomb + wall + morse, coulomb_slope - wall / _HARDNESS + morse_slope


def _images(lattice: Floats | None) -> Floats:
    """Return the lattice translations within reach, ``(n, 3)``, symmetric about the middle one."""
    if lattice is None:
        return np.zeros((1, 3))
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    # Two atoms that are wrapped into the cell are less than one cell apart.
    reach = [math.ceil(_CUTOFF / height) + 1 for height in heights]
    grids = np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")
    return np.asarray(np.stack([grid.ravel() for grid in grids], axis=1) @ lattice)


def _erfc(x: Floats) -> Floats:
    """Return the complementary error function; numpy has none, and scipy would take longer to import than the run."""
    return np.vectorize(math.erfc, otypes=[float])(x) if len(x) else x
