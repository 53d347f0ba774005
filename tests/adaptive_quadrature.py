"""The efficiency models by adaptive quadrature, segment by segment: slow, and as plain as the equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy import constants
from scipy.integrate import quad
from scipy.optimize import brentq

from aiida_perovskite.photovoltaics.spectrum import am15g

HC = constants.h * constants.c
EV = constants.e


def adaptive_slme(
    energy_ev: np.ndarray,
    alpha_per_cm: np.ndarray,
    gap_ev: float,
    direct_allowed_gap_ev: float,
    thickness_um: float,
    temperature_k: float = 298.15,
    cut: bool = False,
) -> float:
    """Return the SLME as a fraction; alpha is linear between the energies, the irradiance between the wavelengths."""
    kt = constants.k * temperature_k / EV
    start = max(float(energy_ev[0]), direct_allowed_gap_ev if cut else 0.0)
    rows = am15g().energy_ev
    filler = np.concatenate([np.arange(0.0, 0.31, 0.01), np.arange(rows[-1], rows[-1] + 40 * kt, 0.02)])
    points = np.unique(np.concatenate([[start], rows, energy_ev, filler]))
    points = points[(points >= start) & (points <= filler[-1])]
    solar = emitted = 0.0
    for low, high in pairwise(points.tolist()):
        alpha_low, alpha_high = np.interp([low, high], energy_ev, alpha_per_cm).tolist()
        if alpha_low == alpha_high == 0.0:
            continue
        slope = (alpha_high - alpha_low) / (high - low)

        def absorptance(energy: float, low: float = low, alpha: float = alpha_low, slope: float = slope) -> float:
            return -math.expm1(-2e-4 * (alpha + slope * (energy - low)) * thickness_um)

        def emission(energy: float, absorptance: Callable[[float], float] = absorptance) -> float:
            black_body = 2 * energy**2 * EV**3 / (constants.h**3 * constants.c**2) / math.expm1(energy / kt)
            return absorptance(energy) * black_body

        if rows[0] <= low < rows[-1]:
            flux = solar_flux(low, high)
            solar += integral(lambda e, a=absorptance, f=flux: a(e) * f(e), low, high)
        emitted += integral(emission, low, high)
    radiative_share = math.exp(-(direct_allowed_gap_ev - gap_ev) / kt)
    return largest_power(EV * solar, EV * math.pi * emitted / radiative_share, kt) / am15g().power_density


def integral(function: Callable[[float], float], low: float, high: float) -> float:
    return float(quad(function, low, high, epsabs=0.0, epsrel=1e-9, limit=200)[0])


def solar_flux(low: float, high: float) -> Callable[[float], float]:
    """Photons per m2, s and eV between two energies that no row of the table separates."""
    middle = HC / EV / (0.5 * (low + high)) * 1e9
    wavelength, irradiance = am15g().wavelength_nm, am15g().irradiance
    row = int(np.searchsorted(wavelength, middle)) - 1
    (x0, x1), (y0, y1) = wavelength[row : row + 2].tolist(), irradiance[row : row + 2].tolist()

    def flux(energy: float) -> float:
        nm = HC / EV / energy * 1e9
        return (y0 + (y1 - y0) * (nm - x0) / (x1 - x0)) * nm / (energy**2 * EV)

    return flux


def largest_power(current: float, dark: float, kt: float) -> float:
    """Maximise V J(V) by the sign of its derivative."""
    open_circuit = kt * math.log1p(current / dark)

    def slope(volts: float) -> float:
        return current - dark * math.expm1(volts / kt) - volts * dark / kt * math.exp(volts / kt)

    best = brentq(slope, 0.0, open_circuit, xtol=1e-15, rtol=1e-14)
    return best * (current - dark * math.expm1(best / kt))
