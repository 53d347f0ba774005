"""The standard solar spectrum AM1.5G, integrated without quadrature error.

The table of ASTM G173-03 (global, tilted 37 degrees) is read from the data that pymatgen ships. Between its rows the
irradiance is taken as linear in the wavelength, and as zero outside 280-4000 nm. Photon fluxes are integrals of
polynomials then, so a step absorber may have its edge anywhere, not only at a row of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants

__all__ = ["HC_EV_NM", "SolarSpectrum", "am15g"]

Floats = NDArray[np.float64]

HC_EV_NM = constants.h * constants.c / constants.e * 1e9  # photon energy (eV) times wavelength (nm)
_HEADER_ROWS = 2


@dataclass(frozen=True)
class SolarSpectrum:
    """A spectrum that is linear in the wavelength between its rows and zero outside them.

    Attributes
    ----------
    wavelength_nm : numpy.ndarray, shape (n,)
        Ascending wavelengths in nm.
    irradiance : numpy.ndarray, shape (n,)
        Spectral irradiance in W m-2 nm-1.
    """

    wavelength_nm: Floats
    irradiance: Floats

    @cached_property
    def power_density(self) -> float:
        """Incoming power in W/m2."""
        return float(np.trapezoid(self.irradiance, self.wavelength_nm))

    @cached_property
    def energy_ev(self) -> Floats:
        """Photon energies of the rows in eV, ascending."""
        return np.asarray(HC_EV_NM / self.wavelength_nm[::-1])

    @cached_property
    def _cumulative_flux(self) -> Floats:
        """Photons per m2 and s with wavelengths up to each row."""
        left, right = self.wavelength_nm[:-1], self.wavelength_nm[1:]
        steps = _segment_flux(left, right, self.irradiance[:-1], self.irradiance[1:])
        return np.concatenate([[0.0], np.cumsum(steps)])

    def photon_flux_above(self, energy_ev: ArrayLike) -> Floats:
        """Count the photons with more than an energy; exact for the piecewise linear spectrum.

        Parameters
        ----------
        energy_ev
            Positive energies in eV, of any shape.

        Returns
        -------
        numpy.ndarray
            Photon flux in m-2 s-1, of the same shape; zero above the spectrum.
        """
        edge = np.clip(HC_EV_NM / np.asarray(energy_ev, float), self.wavelength_nm[0], self.wavelength_nm[-1])
        row = np.clip(np.searchsorted(self.wavelength_nm, edge) - 1, 0, len(self.wavelength_nm) - 2)
        at_edge = np.interp(edge, self.wavelength_nm, self.irradiance)
        partial = _segment_flux(self.wavelength_nm[row], edge, self.irradiance[row], at_edge)
        return np.asarray(self._cumulative_flux[row] + partial)

    def flux_density(self, energy_ev: Floats) -> Floats:
        """Return the photon flux per energy in m-2 s-1 eV-1 at positive energies in eV."""
        wavelength = HC_EV_NM / energy_ev
        irradiance = np.interp(wavelength, self.wavelength_nm, self.irradiance, left=0.0, right=0.0)
        return np.asarray(irradiance * wavelength / (energy_ev**2 * constants.e))


def _segment_flux(left: Floats, right: Floats, irradiance_left: Floats, irradiance_right: Floats) -> Floats:
    """Integrate irradiance / photon energy over segments; Simpson's rule is exact for their quadratic polynomials."""
    middle = (irradiance_left + irradiance_right) * (left + right)  # four times the product in the middle
    total = irradiance_left * left + middle + irradiance_right * right
    return np.asarray((right - left) / 6.0 * total / (HC_EV_NM * constants.e))


@cache
def am15g() -> SolarSpectrum:
    """Return the AM1.5G spectrum of ASTM G173-03, read once; 1000.4 W/m2 in all.

    The file comes with pymatgen and holds NREL's table, which is public (https://www.nrel.gov/disclaimer.html).

    Raises
    ------
    ValueError
        If the installed table is not the one expected.
    """
    with files("pymatgen.analysis.solar").joinpath("am1.5G.dat").open(encoding="utf-8") as table:
        wavelength, irradiance = np.loadtxt(table, skiprows=_HEADER_ROWS, usecols=(0, 1), unpack=True)
    # The arrays are shared by all callers.
    wavelength.setflags(write=False)
    irradiance.setflags(write=False)
    spectrum = SolarSpectrum(wavelength, irradiance)
    if not (np.all(np.diff(wavelength) > 0) and abs(spectrum.power_density - 1000.4) < 0.1):
        raise ValueError(
            f"pymatgen's AM1.5G table carries {spectrum.power_density:.1f} W/m2; 1000.4 W/m2 are expected."
        )
    return spectrum
