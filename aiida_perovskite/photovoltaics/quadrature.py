"""Integrals of an absorptance over the solar and the black-body spectrum, for many thicknesses at once.

The model is piecewise smooth: the irradiance is linear in the wavelength, and alpha linear in the energy, between their
points. Segments end at all those points, and where alpha passes a power of four, so that three Gauss-Legendre nodes can
follow what happens in a segment at any thickness. With the nodes fixed, all integrals over all thicknesses and
temperatures are one exponential per node and thickness, and matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from aiida_perovskite.photovoltaics.spectrum import am15g

__all__ = ["BLACK_BODY", "KELVIN_EV", "RadiativeIntegrals", "radiative_integrals"]

Floats = NDArray[np.float64]

KELVIN_EV = constants.k / constants.e
# Current density of a Lambertian emitter (solid angle pi) per E^2 dE in eV^3: A m-2 eV-3.
BLACK_BODY = 2 * np.pi * constants.e**4 / (constants.h**3 * constants.c**2)
_PER_CM_UM = 1e-4  # alpha in cm-1 times a thickness in um, as a pure number

_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(3)
# Three nodes integrate exp(-x) well over a segment in which x grows fourfold. The levels span what matters to films
# of a nanometre and to crystals of a centimetre.
_ALPHA_LEVELS = 4.0 ** np.arange(-4, 13)
_FILLER_BELOW = np.linspace(0.0, 0.31, 63)  # up to the solar table, in steps of 5 meV like its last rows
_TAIL_KT = 40.0  # exp(-40) is below the last digit
_CHUNK_BYTES = 2**20  # what stays in a core's cache


@dataclass(frozen=True)
class RadiativeIntegrals:
    """Currents of one spectrum below and above the cut, axis -1 being (below, above).

    Black-body currents are logarithms, since those of wide gaps are smaller, and those divided by a radiative fraction
    larger, than a float can hold.

    Attributes
    ----------
    solar : numpy.ndarray, shape (n_thickness, 2)
        Short-circuit current density in A/m2.
    log_emitted : numpy.ndarray, shape (n_thickness, n_temperature, 2)
        Logarithm of the radiative saturation current density through one face in A/m2.
    log_internal : numpy.ndarray, shape (n_temperature, 2)
        Logarithm of e pi int alpha phi_bb dE in A/m2 per um of thickness.
    """

    solar: Floats
    log_emitted: Floats
    log_internal: Floats


def radiative_integrals(
    energy_ev: Floats, alpha_per_cm: Floats, cut_ev: float, thickness_um: Floats, temperature_k: Floats, passes: int
) -> RadiativeIntegrals:
    """Integrate A = 1 - exp(-passes alpha L) over the solar and the black-body spectrum.

    Parameters
    ----------
    energy_ev, alpha_per_cm : numpy.ndarray, shape (n,)
        Ascending energies and the checked absorption coefficients there. Alpha is zero below the first energy and keeps
        its last value above the last.
    cut_ev
        Energy that separates the two parts of every integral.
    thickness_um, temperature_k : numpy.ndarray, one-dimensional
        All of the one are combined with all of the other.
    passes
        Ways of the light through the absorber.

    Returns
    -------
    RadiativeIntegrals
        The parts below and above the cut.
    """
    kt = KELVIN_EV * temperature_k
    nodes, weights = _nodes(_breakpoints(energy_ev, alpha_per_cm, cut_ev, float(kt.max())))
    alpha = np.interp(nodes, energy_ev, alpha_per_cm)
    split = int(np.searchsorted(nodes, cut_ev))
    parts = [
        _part(nodes[part], weights[part], alpha[part], thickness_um, kt, passes)
        for part in (slice(0, split), slice(split, None))
    ]
    solar, emitted, internal = (np.stack(quantity, axis=-1) for quantity in zip(*parts, strict=True))
    return RadiativeIntegrals(solar, emitted, internal)


def _breakpoints(energy: Floats, alpha: Floats, cut: float, kt: float) -> Floats:
    """Collect the energies between which everything is smooth, from the first absorption to beyond all emission."""
    first = int(np.argmax(alpha > 0))
    start = max(energy[max(first - 1, 0)], 0.0)
    solar = am15g().energy_ev
    bottom = max(start, solar[-1])
    tail = np.linspace(bottom, bottom + _TAIL_KT * kt, round(_TAIL_KT) + 1)
    low, high = alpha[:-1], alpha[1:]
    level, segment = np.nonzero((low < _ALPHA_LEVELS[:, None]) != (high < _ALPHA_LEVELS[:, None]))
    share = (_ALPHA_LEVELS[level] - low[segment]) / (high[segment] - low[segment])
    crossings = energy[segment] + share * (energy[segment + 1] - energy[segment])
    points = np.unique(np.concatenate([_FILLER_BELOW, solar, tail, energy, crossings, [start, cut]]))
    return np.asarray(points[(points >= start) & (points <= tail[-1])])


def _nodes(points: Floats) -> tuple[Floats, Floats]:
    """Return Gauss-Legendre nodes between breakpoints, ascending, and their weights."""
    half = 0.5 * np.diff(points)[:, None]
    middle = 0.5 * (points[:-1] + points[1:])[:, None]
    return (middle + half * _GAUSS_NODES).ravel(), (half * _GAUSS_WEIGHTS).ravel()


def _part(
    nodes: Floats, weights: Floats, alpha: Floats, thickness: Floats, kt: Floats, passes: int
) -> tuple[Floats, Floats, Floats]:
    """Integrate over the nodes given; see `RadiativeIntegrals` for what is returned."""
    absorbing = alpha > 0
    if not absorbing.any():
        zero = np.zeros(len(thickness))
        return zero, np.full((len(thickness), len(kt)), -np.inf), np.full(len(kt), -np.inf)
    first = int(np.argmax(absorbing))
    nodes, weights, alpha = nodes[first:], weights[first:], alpha[first:]
    # Relative to the first absorption, exponentials neither overflow nor vanish altogether.
    bose = np.exp((nodes[0] - nodes) / kt[:, None]) * (nodes / -np.expm1(-nodes / kt[:, None]))
    emission = weights * nodes * bose
    integrands = np.vstack([weights * am15g().flux_density(nodes), emission])
    currents = _absorbed(passes * _PER_CM_UM * alpha, integrands, thickness)
    scale = np.log(BLACK_BODY) - nodes[0] / kt
    return (
        constants.e * currents[:, 0],
        _log(currents[:, 1:]) + scale,
        _log(_PER_CM_UM * emission @ alpha) + scale,
    )


def _absorbed(depth_per_um: Floats, integrands: Floats, thickness: Floats) -> Floats:
    """Return sums of (1 - exp(-depth)) times each integrand, of shape (n_thickness, n_integrands)."""
    sums = np.empty((len(thickness), len(integrands)))
    size = max(1, _CHUNK_BYTES // (8 * len(depth_per_um)))
    buffer = np.empty((min(size, len(thickness)), len(depth_per_um)))
    for start in range(0, len(thickness), size):
        chunk = thickness[start : start + size]
        absorptance = buffer[: len(chunk)]
        np.multiply.outer(-chunk, depth_per_um, out=absorptance)
        # expm1: a tail too weak for 1 - exp may still dominate the emission, which grows with exp(-E/kT).
        np.expm1(absorptance, out=absorptance)
        np.matmul(absorptance, integrands.T, out=sums[start : start + size])
    return -sums


def _log(value: Floats) -> Floats:
    """Take the logarithm; a sum that underflows (alpha below 1e-300 per cm) stays finite."""
    return np.asarray(np.log(np.maximum(value, np.finfo(float).tiny)))
