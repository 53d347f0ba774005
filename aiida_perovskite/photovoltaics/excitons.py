"""Mott-Wannier excitons: whether an electron and a hole part at room temperature."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants

__all__ = ["exciton_binding_energy", "exciton_radius", "reduced_mass"]

Floats = NDArray[np.float64]

RYDBERG_EV = constants.physical_constants["Rydberg constant times hc in eV"][0]
BOHR_ANGSTROM = constants.physical_constants["Bohr radius"][0] * 1e10


def reduced_mass(electron_mass: ArrayLike, hole_mass: ArrayLike) -> Floats:
    """Compute mu = m_e m_h / (m_e + m_h) of an electron and a hole.

    Parameters
    ----------
    electron_mass
        Effective mass of the conduction band in units of the free electron's, positive.
    hole_mass
        Effective mass of the valence band, of a shape that broadcasts; negative where it is the curvature of the band,
        as fits give it. Only the magnitude counts.

    Returns
    -------
    numpy.ndarray
        mu in units of the free electron's mass (a scalar for scalars).

    Raises
    ------
    ValueError
        If an electron mass is not positive, a hole mass is zero, or one is not finite.
    """
    electron = _positive("electron_mass", electron_mass)
    hole = _positive("the magnitude of hole_mass", np.abs(np.asarray(hole_mass, float)))
    return np.asarray(electron * hole / (electron + hole))[()]


def exciton_binding_energy(reduced_mass: ArrayLike, dielectric_constant: ArrayLike) -> Floats:
    """Compute E_b = Ry mu / eps^2, the lowest level of a hydrogen atom with a screened charge.

    Equation 1.3 of the thesis; G. H. Wannier, Phys. Rev. 52, 191 (1937). It holds where an exciton spans several unit
    cells; compare `exciton_radius`.

    Parameters
    ----------
    reduced_mass
        mu in units of the free electron's mass.
    dielectric_constant
        Relative permittivity, at least 1, of a shape that broadcasts. With that of the electrons alone (high-frequency
        limit) the energy is an upper bound, as the lattice screens too.

    Returns
    -------
    numpy.ndarray
        Binding energy in eV (a scalar for scalars), positive.

    Raises
    ------
    ValueError
        If a mass is not positive, or a permittivity is below 1.
    """
    return np.asarray(RYDBERG_EV * _positive("reduced_mass", reduced_mass) / _permittivity(dielectric_constant) ** 2)[
        ()
    ]


def exciton_radius(reduced_mass: ArrayLike, dielectric_constant: ArrayLike) -> Floats:
    """Compute the Bohr radius a_0 eps / mu of a Mott-Wannier exciton.

    Parameters
    ----------
    reduced_mass, dielectric_constant
        As in `exciton_binding_energy`.

    Returns
    -------
    numpy.ndarray
        Radius in Angstrom (a scalar for scalars).

    Raises
    ------
    ValueError
        As `exciton_binding_energy`.
    """
    return np.asarray(BOHR_ANGSTROM * _permittivity(dielectric_constant) / _positive("reduced_mass", reduced_mass))[()]


def _permittivity(value: ArrayLike) -> Floats:
    """Return relative permittivities of at least 1."""
    array = _positive("dielectric_constant", value)
    if (array < 1).any():
        raise ValueError(f"dielectric_constant must be at least 1, but {array.min():g} is given.")
    return array


def _positive(name: str, value: ArrayLike) -> Floats:
    """Return an array of positive, finite numbers."""
    array = np.asarray(value, float)
    bad = ~(np.isfinite(array) & (array > 0))
    if bad.any():
        raise ValueError(f"{name} must be positive and finite, but {array[bad][0]:g} is given.")
    return array
