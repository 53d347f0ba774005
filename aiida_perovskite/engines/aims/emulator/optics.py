"""Dielectric function and absorption of the toy model: independent particles between its bands on the k-point grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.electrons import Electrons, Family, Grid

Floats = NDArray[np.float64]

COMPONENTS = ("x_x", "y_y", "z_z", "x_y", "x_z", "y_z")
_HBAR_C = 1.973269804e-5  # eV cm
_STRENGTH = 12.0  # eV^3: sum over transitions; gives a dielectric constant of about four at a gap of two eV
_FINE = 8.0  # bins of transitions in one width: linear sharing between neighbours then moves no line visibly


@dataclass(frozen=True)
class Optics:
    """Spectra on a grid of energies.

    Attributes
    ----------
    omega_ev
        From a tenth of the broadening; the last energy that was asked for is left out, as FHI-aims does.
    real, imaginary
        Dielectric function by component; the real part of a diagonal one holds the vacuum's 1.
    absorption_per_cm
        By diagonal component.
    """

    omega_ev: Floats
    real: dict[str, Floats]
    imaginary: dict[str, Floats]
    absorption_per_cm: dict[str, Floats]


def spectra(
    electrons: Electrons, grid: Grid, family: Family, last_ev: float, points: int, broadening: tuple[str, float]
) -> Optics:
    """Return dielectric function and absorption.

    Parameters
    ----------
    electrons, grid, family
        The bands and where they are taken.
    last_ev, points
        End (left out) and length of the energy grid.
    broadening
        ``gaussian`` or ``lorentzian`` and the width in eV.
    """
    kind, width = broadening
    first = width / 10.0
    omega = np.asarray(first + (last_ev - first) / points * np.arange(points), dtype=np.float64)
    energies, weights = _transitions(electrons, grid, family)
    lines = _broadened(energies, weights / energies**2, omega, kind, width)
    isotropic = _STRENGTH * lines
    polarizability = _kramers_kronig(omega, isotropic)
    tensor = electrons.anisotropy
    real, imaginary, absorption = {}, {}, {}
    for name in COMPONENTS:
        row, column = ("xyz".index(letter) for letter in name.split("_"))
        real[name] = float(row == column) + tensor[row, column] * polarizability
        imaginary[name] = tensor[row, column] * isotropic
        if row == column:
            kappa = np.sqrt(np.maximum(np.hypot(real[name], imaginary[name]) - real[name], 0.0) / 2.0)
            absorption[name] = 2.0 * omega * kappa / _HBAR_C
    return Optics(omega, real, imaginary, absorption)


def _transitions(electrons: Electrons, grid: Grid, family: Family) -> tuple[Floats, Floats]:
    """Return energies (eV) and weights of the vertical transitions."""
    mu = electrons.chemical_potential(grid, family)
    energies, weights = [], []
    for channel in electrons.bands(grid.points, family):
        # Atoms' flat levels would add spikes.
        channel = channel[:, np.all(channel > electrons.deepest_valence_ev, axis=0)]
        gaps = channel[:, None, :] - channel[:, :, None]
        up = (channel[:, None, :] > mu) & (channel[:, :, None] <= mu) & (gaps > 0.0)
        energies.append(gaps[up])
        degeneracy = 1.0 if family == "scalar" and electrons.spins == 1 else 0.5
        degeneracy *= (
            0.5 if family == "spin_orbit" else 1.0
        )  # twice the bands on both ends, half of the pairs forbidden
        weights.append(np.broadcast_to(grid.weights[:, None, None] * degeneracy, up.shape)[up])
    return np.concatenate(energies), np.concatenate(weights)


def _broadened(energies: Floats, strengths: Floats, omega: Floats, kind: str, width: float) -> Floats:
    """Return the sum of broadened lines on the energies ``omega``."""
    if not len(energies):
        return np.zeros_like(omega)
    places = energies * _FINE / width
    lower = np.floor(places).astype(int)
    bins = np.bincount(lower, strengths * (lower + 1 - places))
    upper = np.bincount(lower + 1, strengths * (places - lower))
    bins = np.append(bins, 0.0) + upper
    used = np.flatnonzero(bins)
    away = omega[:, None] / width - used[None, :] / _FINE
    if kind == "gaussian":
        shape = np.exp(-0.5 * away**2) / (width * np.sqrt(2.0 * np.pi))
    else:
        shape = 1.0 / (np.pi * width * (1.0 + away**2))
    return np.asarray(shape @ bins[used])


def _kramers_kronig(omega: Floats, imaginary: Floats) -> Floats:
    """Return the real part, less one, by Maclaurin's formula: every other point, so that the pole is left out."""
    step = omega[1] - omega[0]
    result = np.empty_like(omega)
    for parity in (0, 1):
        there, here = omega[1 - parity :: 2], omega[parity::2]
        kernel = there[None, :] / (there[None, :] ** 2 - here[:, None] ** 2)
        result[parity::2] = 4.0 * step / np.pi * kernel @ imaginary[1 - parity :: 2]
    return result
