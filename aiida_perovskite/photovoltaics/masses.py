"""Effective masses from bands along lines of k-points, and the inverse mass tensor from a stencil.

A band E(k) with its extremum at k0 is fitted as (k - k0)^2 = C (e + a2 e^2 + a3 e^3 + ...), e = E - E0, which is linear
in its unknowns for any k0. The mass is m = hbar^2 C / 2. The parabola is the first term; the two-band model of
E. O. Kane, J. Phys. Chem. Solids 1, 249 (1957), e (1 + a e) = hbar^2 k^2 / 2m, ends with the second, so that both
come out exactly, however far from parabolic the window is. The number of terms is the one that the data support.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike, NDArray
from scipy import constants

from aiida_perovskite.photovoltaics.bands import FCC_POINTS, BandEdges, reciprocal_vectors

__all__ = [
    "HBAR2_OVER_2M_EV_ANGSTROM2",
    "EdgeLine",
    "MassFit",
    "MassLine",
    "MassRow",
    "MassSettings",
    "directions_for",
    "edge_masses",
    "fit_mass",
    "inverse_mass_tensor",
    "mass_line",
    "masses_of_edge",
    "parabolic_mass",
    "principal_masses",
    "tensor_stencil",
]

Floats = NDArray[np.float64]
Carrier = Literal["hole", "electron"]

# hbar^2 / (2 m_e) in eV Angstrom^2: 3.80998...
HBAR2_OVER_2M_EV_ANGSTROM2: float = constants.hbar**2 / (2 * constants.m_e) / constants.e * 1e20

NOISE_EV = 1e-9  # what no band structure resolves: stops the search for terms in exact data
MAX_TERMS = 4
MIN_POINTS = 4  # three points lie on a parabola whatever they are
FREE_PENALTY = 10.0  # in the information criterion: the edge is a sample unless the data clearly deny it
BORDER = 0.1  # of the spacing: an extremum further than this beyond the points is not theirs

DIRECTIONS: dict[str, tuple[str, ...]] = {
    "G": ("G-X", "G-L"),
    "X": ("X-G", "X-W"),
    "L": ("L-G", "L-W"),
    "W": ("W-X", "W-L"),
}


@dataclass(frozen=True)
class MassSettings:
    """When a mass is given, and from which points.

    Attributes
    ----------
    window_ev
        Points up to this far from the edge are fitted; halved while the fit is poor and points are left.
    min_points
        Points that are fitted at least, those nearest to the edge.
    flat_mass
        In electron masses: a band that is heavier is too flat.
    flat_ev
        A band whose energies span less is too flat, in eV.
    min_r_squared
        Coefficient of determination of the parabola below which a fit is poor.
    """

    window_ev: float = 0.05
    min_points: int = 7
    flat_mass: float = 50.0
    flat_ev: float = 1e-4
    min_r_squared: float = 0.98


@dataclass(frozen=True)
class MassFit:
    """The effective mass of a band at its extremum.

    Attributes
    ----------
    mass
        In electron masses, negative at a maximum; nan where ``limit`` says why there is none.
    r_squared
        Coefficient of determination of a parabola about the extremum; nan where nothing was fitted.
    window_per_angstrom
        Distance of the farthest fitted point from the extremum in 1/Angstrom.
    n_points
        Number of fitted points.
    non_parabolicity
        a of ``e (1 + a e) = hbar^2 k^2 / 2 |m|`` in 1/eV, e counted away from the edge; 0 where not needed.
    limit
        ``too few points``, ``too flat``, ``poor fit``, ``edge on the border of the path``, ``no extremum at the edge``
        or None.
    """

    mass: float
    r_squared: float
    window_per_angstrom: float
    n_points: int
    non_parabolicity: float
    limit: str | None


@dataclass(frozen=True)
class MassRow:
    """The mass of one band (or of several that coincide) at one edge along one direction.

    Attributes
    ----------
    carrier
        ``hole`` or ``electron``.
    direction
        From the edge, as ``G-X``; empty where the edge has none.
    mass, r_squared, window_per_angstrom, limit
        As in :class:`MassFit`.
    multiplicity
        Number of bands that coincide along the line; 0 where no band was looked at.
    """

    carrier: Carrier
    direction: str
    mass: float
    r_squared: float
    window_per_angstrom: float
    multiplicity: int
    limit: str | None


class MassLine(NamedTuple):
    """K-points (n, 3) in fractions of the reciprocal vectors, and their distances (n,) from the edge in 1/Angstrom."""

    kpoints: Floats
    k_per_angstrom: Floats


@dataclass(frozen=True, eq=False)
class EdgeLine:
    """Energies along a line that starts at an edge.

    Attributes
    ----------
    carrier, direction
        Which edge, and where the line leads, as ``G-X``.
    k_per_angstrom
        (n_k,) distances from the edge in 1/Angstrom, the first is the edge.
    eigenvalues_ev
        (n_k, n_bands) in eV, of the spin channel of the edge.
    n_occupied
        Occupied bands of that channel.
    """

    carrier: Carrier
    direction: str
    k_per_angstrom: Floats
    eigenvalues_ev: Floats
    n_occupied: int


class _Candidate(NamedTuple):
    """One model fitted to the points of a window."""

    score: float
    mass: float
    k0: float
    non_parabolicity: float


def parabolic_mass(k_per_angstrom: ArrayLike, energy_ev: ArrayLike) -> float:
    """Return the effective mass of a band in electron masses, negative at a maximum, nan where it has none.

    See :func:`fit_mass`, which also says why there is none.

    Parameters
    ----------
    k_per_angstrom
        (n,) positions along a line in 1/Angstrom, in any order, from any origin.
    energy_ev
        (n,) energies of the band in eV.

    Raises
    ------
    ValueError
        As :func:`fit_mass`.
    """
    return fit_mass(k_per_angstrom, energy_ev).mass


def fit_mass(
    k_per_angstrom: ArrayLike,
    energy_ev: ArrayLike,
    *,
    extremum_per_angstrom: float | None = None,
    settings: MassSettings | None = None,
) -> MassFit:
    """Fit the effective mass of a band at its extremum inside a line or at an end of it.

    An extremum inside comes before one at an end; of two ends, the flatter one is it; of two inside, the one nearer to
    the middle of the line.

    Parameters
    ----------
    k_per_angstrom
        (n,) positions along the line in 1/Angstrom, in any order, from any origin.
    energy_ev
        (n,) energies of the band in eV.
    extremum_per_angstrom
        Where symmetry puts the extremum; otherwise it is fitted.
    settings
        Window and limits.

    Returns
    -------
    MassFit
        With the mass, or with the reason why there is none.

    Raises
    ------
    ValueError
        If the lists differ in length, a value is not finite, or a position occurs twice.
    """
    settings = settings or MassSettings()
    k, e = _checked_line(k_per_angstrom, energy_ev)
    if len(k) < MIN_POINTS:
        return _no_mass("too few points", len(k))
    if np.ptp(e) < settings.flat_ev:
        return _no_mass("too flat", len(k))
    fixed = extremum_per_angstrom is not None
    at = int(np.argmin(np.abs(k - extremum_per_angstrom))) if extremum_per_angstrom is not None else _extremum(k, e)
    window_ev = settings.window_ev
    while True:
        part = _window(k, e, at, window_ev, settings.min_points)
        fit = _fit_window(k[part], e[part], at - part.start, fixed, settings)
        if fit.limit != "poor fit" or fit.n_points <= settings.min_points:
            return fit
        window_ev /= 2


def _checked_line(k_per_angstrom: ArrayLike, energy_ev: ArrayLike) -> tuple[Floats, Floats]:
    """Return positions, ascending, and energies, or raise ValueError."""
    k, e = np.asarray(k_per_angstrom, dtype=float), np.asarray(energy_ev, dtype=float)
    if k.ndim != 1 or k.shape != e.shape:
        raise ValueError(f"positions {k.shape} and energies {e.shape} must be two lists of one length")
    if not (np.isfinite(k).all() and np.isfinite(e).all()):
        raise ValueError("a position or an energy of the band is not finite")
    order = np.argsort(k)
    if (np.diff(k[order]) == 0).any():
        raise ValueError("the band gives two energies at one k-point")
    return k[order], e[order]


def _no_mass(limit: str, n_points: int, r_squared: float = math.nan, window: float = 0.0) -> MassFit:
    """Return the result of a fit that gives no mass."""
    return MassFit(math.nan, r_squared, window, n_points, 0.0, limit)


def _extremum(k: Floats, e: Floats) -> int:
    """Return the index of the sample nearest to the extremum whose mass is asked for."""
    candidates = [int(np.argmin(e)), int(np.argmax(e))]
    inside = [i for i in candidates if 0 < i < len(k) - 1]
    if inside:
        middle = (k[0] + k[-1]) / 2
        return min(inside, key=lambda i: abs(k[i] - middle))
    slopes = np.abs(np.diff(e) / np.diff(k))
    return 0 if slopes[0] <= slopes[-1] else len(k) - 1


def _window(k: Floats, e: Floats, at: int, window_ev: float, min_points: int) -> slice:
    """Return the points around one that lie within an energy window, and not fewer than a minimum if there are."""
    near = np.abs(e - e[at]) <= window_ev
    start, stop = at, at + 1
    while start > 0 and near[start - 1]:
        start -= 1
    while stop < len(k) and near[stop]:
        stop += 1
    while stop - start < min(min_points, len(k)):
        left = k[at] - k[start - 1] if start > 0 else math.inf
        right = k[stop] - k[at] if stop < len(k) else math.inf
        start, stop = (start - 1, stop) if left < right else (start, stop + 1)
    return slice(start, stop)


def _fit_window(k: Floats, e: Floats, at: int, fixed: bool, settings: MassSettings) -> MassFit:
    """Fit the points of one window whose extremum is at or near the sample ``at``."""
    n = len(k)
    if np.ptp(e) < settings.flat_ev:
        return _no_mass("too flat", n)
    candidates = [
        candidate
        for free in ((False,) if fixed else (False, True))
        for terms in range(1, MAX_TERMS + 1)
        if (candidate := _fit_model(k - k[at], e - e[at], terms, free)) is not None
    ]
    if not candidates:
        return _no_mass("no extremum at the edge" if fixed else "poor fit", n)
    best = min(candidates)
    k0 = k[at] + best.k0
    r_squared = float(np.corrcoef((k - k0) ** 2, e)[0, 1] ** 2)
    reach = float(np.abs(k - k0).max())
    beyond = BORDER * float(np.diff(k).min())
    if abs(best.mass) > settings.flat_mass:
        return _no_mass("too flat", n, r_squared, reach)
    if not k[0] - beyond <= k0 <= k[-1] + beyond:
        return _no_mass("edge on the border of the path", n, r_squared, reach)
    if not r_squared >= settings.min_r_squared:
        return _no_mass("poor fit", n, r_squared, reach)
    return MassFit(best.mass, r_squared, reach, n, best.non_parabolicity, None)


def _fit_model(k: Floats, e: Floats, terms: int, free: bool) -> _Candidate | None:
    """Fit one model to points counted from the sample at the edge; None where it has no extremum of their kind there.

    ``free`` models fit the position of the extremum, others put it at that sample. The score is Akaike's information
    criterion corrected for few points (lower is better).
    """
    n, parameters = len(k), 1 + terms + free
    if n <= parameters:
        return None
    k_scale, e_scale = float(np.abs(k).max()), float(np.abs(e).max())
    x, y = k / k_scale, e / e_scale
    columns = [y**power for power in range(terms + 1)] + ([x] if free else [])
    design = np.stack(columns, axis=1)
    coefficients = np.linalg.lstsq(design, x**2, rcond=None)[0]
    residual = x**2 - design @ coefficients
    x0 = float(coefficients[-1]) / 2 if free else 0.0
    curve = Polynomial(coefficients[: terms + 1]) + x0**2  # (x - x0)^2 as a function of y
    y0 = _root_near_zero(curve)
    slope = float(curve.deriv()(y0)) if math.isfinite(y0) else 0.0
    if abs(y0) > 1 or slope * y.mean() <= 0:  # the mass is positive exactly where the points lie above the edge
        return None
    variance = float(np.mean(residual**2)) * (e_scale / slope) ** 2 + NOISE_EV**2
    spare = max(n - parameters - 1, 0.5)  # as many unknowns as points, less one, only for data without any noise
    return _Candidate(
        score=n * math.log(variance) + 2 * parameters * (1 + (parameters + 1) / spare) + FREE_PENALTY * free,
        mass=slope * k_scale**2 / e_scale * HBAR2_OVER_2M_EV_ANGSTROM2,
        k0=x0 * k_scale,
        non_parabolicity=float(curve.deriv(2)(y0)) / (2 * slope) / e_scale * math.copysign(1.0, slope)
        if terms > 1
        else 0.0,
    )


def _root_near_zero(curve: Polynomial) -> float:
    """Return the root that Newton's method reaches from 0, nan where it reaches none."""
    derivative, root = curve.deriv(), 0.0
    for _ in range(50):
        slope = float(derivative(root))
        if slope == 0:
            return math.nan
        root -= float(curve(root)) / slope
        if abs(root) > 1e3:
            return math.nan
    return root if abs(float(curve(root))) < 1e-9 else math.nan


def directions_for(label: str) -> tuple[str, ...]:
    """Return the high-symmetry directions from a point of the face-centred cubic zone, as ``("G-X", "G-L")``.

    Parameters
    ----------
    label
        Name of the point. Any other than G, X, L and W has none: symmetry demands no extremum along a line there.
    """
    return DIRECTIONS.get(label, ())


def mass_line(
    label: str, direction: str, cell: ArrayLike, reach_per_angstrom: float = 0.1, n_points: int = 15
) -> MassLine:
    """Return k-points, evenly spaced, on a line that starts at an edge.

    The line starts at the point of ``FCC_POINTS``; at others of its name the bands are the same by cubic symmetry,
    unless a magnetic order breaks it.

    Parameters
    ----------
    label
        Point of the face-centred cubic zone at which the line starts, as ``G``.
    direction
        One of ``directions_for(label)``.
    cell
        (3, 3), rows are the vectors of the primitive cell a/2 [(0,1,1), (1,0,1), (1,1,0)] in Angstrom.
    reach_per_angstrom
        Length of the line in 1/Angstrom, at most the distance to the point it leads to.
    n_points
        Number of points, both ends included, at least 4.

    Raises
    ------
    ValueError
        If the point has no such direction, the line is too long or not positive, or has too few points.
    """
    if direction not in directions_for(label):
        raise ValueError(
            f"no direction {direction!r} at {label!r}: {', '.join(directions_for(label)) or 'it has none'}"
        )
    start = np.array(FCC_POINTS[label])
    segment = np.array(FCC_POINTS[direction.split("-")[1]]) - start
    length = float(np.linalg.norm(segment @ reciprocal_vectors(cell)))
    if not 0 < reach_per_angstrom <= length:
        raise ValueError(
            f"a line of {reach_per_angstrom:g} per Angstrom; {direction} is {length:.4f} per Angstrom long"
        )
    if n_points < MIN_POINTS:
        raise ValueError(f"{n_points} points; a mass takes at least {MIN_POINTS}")
    distances = np.linspace(0.0, reach_per_angstrom, n_points)
    return MassLine(start + distances[:, None] / length * segment, distances)


def masses_of_edge(
    k_per_angstrom: ArrayLike,
    eigenvalues_ev: ArrayLike,
    n_occupied: int,
    carrier: Carrier,
    direction: str,
    *,
    settings: MassSettings | None = None,
    degeneracy_ev: float = 1e-3,
    coincidence_ev: float = 1e-4,
) -> list[MassRow]:
    """Fit the mass of every band that is degenerate with an edge, along one line from it.

    Bands are followed by their order in energy, away from the gap. The extremum is taken to lie at the edge, which
    holds for the points that have directions.

    Parameters
    ----------
    k_per_angstrom
        (n_k,) distances from the edge in 1/Angstrom; the first is the edge.
    eigenvalues_ev
        (n_k, n_bands) in eV, in any order of bands.
    n_occupied
        Occupied bands.
    carrier
        ``hole`` for the highest occupied bands, ``electron`` for the lowest empty ones.
    direction
        Name of the direction, for the rows.
    settings
        Window and limits of the fits.
    degeneracy_ev
        Bands this close to the edge at its k-point belong to it, in eV.
    coincidence_ev
        Bands this close along the whole line, as Kramers pairs are, make one row, in eV.

    Returns
    -------
    list of MassRow
        From the gap outwards; one row without a mass where there is no gap.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not finite, or no band is occupied or none is empty.
    """
    k, bands = np.asarray(k_per_angstrom, dtype=float), np.sort(np.asarray(eigenvalues_ev, dtype=float), axis=-1)
    if carrier not in ("hole", "electron"):
        raise ValueError(f"carrier {carrier!r} is neither 'hole' nor 'electron'")
    if k.ndim != 1 or bands.ndim != 2 or len(k) != len(bands) or not len(k):
        raise ValueError(f"positions {k.shape} and eigenvalues {bands.shape} do not fit")
    if not np.isfinite(bands).all():
        raise ValueError("an eigenvalue on the line is not finite")
    if not 0 < n_occupied < bands.shape[1]:
        raise ValueError(
            f"{n_occupied} occupied of {bands.shape[1]} bands leaves no occupied or no empty band to look at"
        )
    if bands[0, n_occupied] - bands[0, n_occupied - 1] <= 0:
        return [_no_row(carrier, direction, "no gap", 0)]
    side = bands[:, :n_occupied][:, ::-1] if carrier == "hole" else bands[:, n_occupied:]
    side = side[:, np.abs(side[0] - side[0, 0]) <= degeneracy_ev]
    rows = []
    while side.shape[1]:
        multiplicity = int(np.argmin(np.append(np.abs(side - side[:, :1]).max(axis=0) <= coincidence_ev, False)))
        fit = fit_mass(k, side[:, :multiplicity].mean(axis=1), extremum_per_angstrom=float(k[0]), settings=settings)
        if (fit.mass > 0) if carrier == "hole" else (fit.mass < 0):
            rows.append(_no_row(carrier, direction, "no extremum at the edge", multiplicity))
        else:
            rows.append(
                MassRow(carrier, direction, fit.mass, fit.r_squared, fit.window_per_angstrom, multiplicity, fit.limit)
            )
        side = side[:, multiplicity:]
    return rows


def _no_row(carrier: Carrier, direction: str, limit: str, multiplicity: int) -> MassRow:
    """Return a row without a mass."""
    return MassRow(carrier, direction, math.nan, math.nan, 0.0, multiplicity, limit)


def edge_masses(edges: BandEdges, lines: Iterable[EdgeLine], *, settings: MassSettings | None = None) -> list[MassRow]:
    """Give the masses of both edges along every direction that they demand.

    Parameters
    ----------
    edges
        The edges, with their labels.
    lines
        Energies along the lines of :func:`mass_line`; others than the demanded ones are not used.
    settings
        Window and limits of the fits.

    Returns
    -------
    list of MassRow
        Holes first. An edge without directions, a line that is not given, and overlapping bands make a row without a
        mass whose ``limit`` says so.

    Raises
    ------
    ValueError
        As :func:`masses_of_edge`, or if a line is given twice.
    """
    given: dict[tuple[str, str], EdgeLine] = {}
    for line in lines:
        if (line.carrier, line.direction) in given:
            raise ValueError(f"the {line.carrier} line {line.direction} is given twice")
        given[line.carrier, line.direction] = line
    sides: tuple[tuple[Carrier, str], ...] = (("hole", edges.vbm.label), ("electron", edges.cbm.label))
    if edges.kind == "none":
        return [_no_row(carrier, "", "no gap", 0) for carrier, _ in sides]
    rows = []
    for carrier, label in sides:
        if not directions_for(label):
            rows.append(_no_row(carrier, "", f"no high-symmetry direction at the edge ({label or 'no label'})", 0))
        for direction in directions_for(label):
            found = given.get((carrier, direction))
            if found is None:
                rows.append(_no_row(carrier, direction, "no energies along this direction", 0))
            else:
                rows += masses_of_edge(
                    found.k_per_angstrom,
                    found.eigenvalues_ev,
                    found.n_occupied,
                    carrier,
                    direction,
                    settings=settings,
                )
    return rows


# Second derivatives along three axes and three diagonals determine the tensor; five points each are of fourth order
# (M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 25.3.24).
STENCIL_LINES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
STENCIL_STEPS = np.array([-2, -1, 1, 2])
STENCIL_WEIGHTS = np.array([-1, 16, 16, -1]) / 12


def tensor_stencil(step_per_angstrom: float) -> Floats:
    """Return the displacements from an edge at which :func:`inverse_mass_tensor` needs the energies.

    Parameters
    ----------
    step_per_angstrom
        Step in 1/Angstrom.

    Returns
    -------
    numpy.ndarray
        (25, 3), Cartesian, in 1/Angstrom; the first is the edge.

    Raises
    ------
    ValueError
        If the step is not positive.
    """
    if not (math.isfinite(step_per_angstrom) and step_per_angstrom > 0):
        raise ValueError(f"the step of the stencil must be positive, not {step_per_angstrom}")
    points = (STENCIL_LINES[:, None, :] * STENCIL_STEPS[None, :, None]).reshape(-1, 3)
    return step_per_angstrom * np.vstack([np.zeros((1, 3)), points])


def inverse_mass_tensor(energies_ev: ArrayLike, step_per_angstrom: float) -> Floats:
    """Return the inverse effective mass tensor at an edge by finite differences of fourth order.

    It has a meaning for a band that is not degenerate there, apart from Kramers pairs.

    Parameters
    ----------
    energies_ev
        (25,) energies of the band in eV at the points of :func:`tensor_stencil`, in their order.
    step_per_angstrom
        The step given there.

    Returns
    -------
    numpy.ndarray
        (3, 3), symmetric, Cartesian, in 1/electron mass; negative at a maximum.

    Raises
    ------
    ValueError
        If the energies do not fit the stencil or are not finite.
    """
    e = np.asarray(energies_ev, dtype=float)
    expected = tensor_stencil(step_per_angstrom).shape[:1]
    if e.shape != expected or not np.isfinite(e).all():
        raise ValueError(f"the stencil takes {expected[0]} finite energies, not an array of the shape {e.shape}")
    around = e[1:].reshape(len(STENCIL_LINES), len(STENCIL_STEPS)) - e[0]
    # The weights sum to zero, so that with energies counted from the edge the centre drops out.
    second = around @ STENCIL_WEIGHTS / step_per_angstrom**2 / (2 * HBAR2_OVER_2M_EV_ANGSTROM2)
    tensor = np.diag(second[:3])
    for (i, j), diagonal in zip(((1, 2), (0, 2), (0, 1)), second[3:], strict=True):
        tensor[i, j] = tensor[j, i] = (diagonal - second[i] - second[j]) / 2
    return tensor


def principal_masses(inverse_mass: ArrayLike, *, flat_mass: float = 50.0) -> tuple[Floats, Floats]:
    """Return the principal masses and axes of an inverse mass tensor.

    Parameters
    ----------
    inverse_mass
        (3, 3), symmetric, in 1/electron mass.
    flat_mass
        A band that is heavier along an axis is too flat there, in electron masses.

    Returns
    -------
    masses : numpy.ndarray
        (3,) in electron masses, in ascending order of the inverse mass; nan along axes where the band is too flat.
    axes : numpy.ndarray
        (3, 3), rows are the unit vectors, Cartesian.

    Raises
    ------
    ValueError
        If the tensor is not a finite symmetric (3, 3) matrix.
    """
    tensor = np.asarray(inverse_mass, dtype=float)
    if (
        tensor.shape != (3, 3)
        or not np.isfinite(tensor).all()
        or not np.allclose(tensor, tensor.T, rtol=1e-6, atol=1e-9)
    ):
        raise ValueError("the inverse mass tensor is not a finite symmetric 3 x 3 matrix")
    inverse, vectors = np.linalg.eigh(tensor)
    steep = np.abs(inverse) >= 1 / flat_mass
    masses = np.full(3, math.nan)
    masses[steep] = 1 / inverse[steep]
    return masses, vectors.T
