"""Exciton binding energies against hydrogen and a textbook semiconductor."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_perovskite.photovoltaics.excitons import exciton_binding_energy, exciton_radius, reduced_mass


def test_hydrogen_is_a_limit() -> None:
    """An infinitely heavy hole in vacuum: 13.6057 eV and 0.529 Angstrom."""
    mu = reduced_mass(1.0, 1e12)
    assert exciton_binding_energy(mu, 1.0) == pytest.approx(13.605693, abs=1e-6)
    assert exciton_radius(mu, 1.0) == pytest.approx(0.529177, abs=1e-6)


def test_gallium_arsenide() -> None:
    """m_e = 0.067, m_hh = 0.51, eps = 12.9: 4.8 meV and 115 Angstrom; measured 4.2 meV."""
    mu = reduced_mass(0.067, -0.51)
    assert mu == pytest.approx(0.0592, abs=1e-4)
    assert exciton_binding_energy(mu, 12.9) == pytest.approx(4.84e-3, abs=1e-5)
    assert exciton_radius(mu, 12.9) == pytest.approx(115.3, abs=0.1)


def test_arrays_broadcast_and_nonsense_is_refused() -> None:
    """A mass of the wrong sign would give an energy of the wrong sign."""
    assert exciton_binding_energy(np.array([[0.1], [0.2]]), [5.0, 6.0, 7.0]).shape == (2, 3)
    with pytest.raises(ValueError, match=r"electron_mass must be positive and finite, but -0\.1"):
        reduced_mass(-0.1, 0.2)
    with pytest.raises(ValueError, match="hole_mass must be positive and finite, but 0"):
        reduced_mass(0.1, 0.0)
    with pytest.raises(ValueError, match=r"dielectric_constant must be at least 1, but 0\.5"):
        exciton_binding_energy(0.1, 0.5)
