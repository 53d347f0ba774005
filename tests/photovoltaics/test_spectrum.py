"""The solar spectrum and its photon fluxes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import constants
from scipy.integrate import quad

from aiida_perovskite.photovoltaics.spectrum import HC_EV_NM, am15g


def test_table_is_the_standard_one() -> None:
    """1000.4 W/m2, and rows as printed in ASTM G173-03."""
    spectrum = am15g()
    assert spectrum.power_density == pytest.approx(1000.37, abs=0.005)
    assert len(spectrum.wavelength_nm) == 2002
    assert spectrum.irradiance[spectrum.wavelength_nm == 400.0] == pytest.approx(1.1141, abs=1e-4)
    with pytest.raises(ValueError, match="read-only"):
        spectrum.irradiance[0] = 1.0


def test_flux_is_exact_for_edges_between_rows() -> None:
    """Against adaptive quadrature of the interpolated table, and against the trapezoidal rule on a finer one."""
    spectrum = am15g()
    low, high = 1.3401, 1.3405  # within one row of the table
    between = spectrum.photon_flux_above(low) - spectrum.photon_flux_above(high)
    assert between == pytest.approx(quad(spectrum.flux_density, low, high, epsrel=1e-12)[0], rel=1e-9)
    nm = np.linspace(280.0, HC_EV_NM / 1.34, 2_000_001)
    photons = np.interp(nm, spectrum.wavelength_nm, spectrum.irradiance) * nm / (HC_EV_NM * constants.e)
    assert spectrum.photon_flux_above(1.34) == pytest.approx(np.trapezoid(photons, nm), rel=1e-9)


def test_flux_beyond_the_table() -> None:
    """No photons above it, and no more below it."""
    assert am15g().photon_flux_above([4.5, 100.0]).tolist() == [0.0, 0.0]
    assert am15g().photon_flux_above(0.01) == am15g().photon_flux_above(0.3)
    assert am15g().flux_density(np.array([0.3, 5.0])).tolist() == [0.0, 0.0]
