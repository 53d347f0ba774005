"""Band edges, kinds of gap, names of k-points, and the first direct transition that light can make."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import gamma, pbdv

__all__ = [
    "FCC_POINTS",
    "AllowedGap",
    "BandEdges",
    "BandStructure",
    "Edge",
    "band_edges",
    "direct_allowed_gap",
    "direct_allowed_gap_from_absorption",
    "fcc_path",
    "is_fcc_primitive",
    "kind_of_gap",
    "label_fcc",
    "reciprocal_vectors",
]

Floats = NDArray[np.float64]
Kind = Literal["direct", "indirect", "quasi-direct", "none"]
QUASI_DIRECT_EV = 0.05  # thermal energy at room temperature, twice over
FCC_PATH = "GXWLGK"

# Fractions of the reciprocal vectors of the primitive cell a/2 [(0,1,1), (1,0,1), (1,1,0)]. U is K plus a reciprocal
# vector and a rotation, so that labels never say U.
FCC_POINTS: dict[str, tuple[float, float, float]] = {
    "G": (0.0, 0.0, 0.0),
    "X": (0.0, 0.5, 0.5),
    "L": (0.5, 0.5, 0.5),
    "W": (0.25, 0.5, 0.75),
    "K": (0.375, 0.375, 0.75),
    "U": (0.25, 0.625, 0.625),
}
TO_CUBIC = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])  # from those fractions to units of 2 pi / a
IMAGES = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))

EQUIVALENT_EV = 1e-5  # k-points related by symmetry agree to this in a converged calculation
SAME_GAP_EV = 1e-6  # a direct and a fundamental gap this close are one
SAME_K = 1e-5  # in fractions of the reciprocal vectors
CUBIC_TOLERANCE = 1e-3  # of the metric of a cell, relative: relaxed cells carry rounding
JUMP = 3.0  # a step of a path this many times longer than those around it joins two pieces
FLOOR = 1e-3  # of the threshold: smaller values may be the noise of a code, and do not shape the slope
WIDEST_TAIL = 6.0  # standard deviations below the onset; 1e3 per cm there would need alpha beyond 1e11 per cm above it
NO_TAIL = 25.0  # standard deviations above the onset, where the broadening shifts the crossing by 1 % of its width


@dataclass(frozen=True, eq=False)
class BandStructure:
    """Eigenvalues on a set of k-points.

    Attributes
    ----------
    kpoints
        (n_k, 3), fractions of the reciprocal vectors of ``cell``.
    cell
        (3, 3), rows are the lattice vectors in Angstrom.
    eigenvalues_ev
        (n_spin, n_k, n_bands) in eV, ascending within each k-point. Spinors are one channel, one electron per band.
    n_occupied
        Occupied bands of each spin channel; a channel may have none, but not all, and not every channel none.
    is_path
        Whether the k-points follow a path in their order, so that an edge may lie at its border.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, bands are unsorted, or no band is occupied or none is empty.
    """

    kpoints: Floats
    cell: Floats
    eigenvalues_ev: Floats
    n_occupied: tuple[int, ...]
    is_path: bool = False

    def __post_init__(self) -> None:
        for name in ("kpoints", "cell", "eigenvalues_ev"):
            value = np.array(getattr(self, name), dtype=float)
            if not np.isfinite(value).all():
                raise ValueError(f"{name} holds a value that is not finite")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "n_occupied", tuple(int(n) for n in self.n_occupied))
        shape = self.eigenvalues_ev.shape
        if self.cell.shape != (3, 3) or abs(np.linalg.det(self.cell)) < 1e-6:
            raise ValueError("cell is not three independent vectors in Angstrom")
        if self.kpoints.ndim != 2 or self.kpoints.shape[1] != 3 or not len(self.kpoints):
            raise ValueError(f"kpoints have the shape {self.kpoints.shape}, not (n_k, 3)")
        if len(shape) != 3 or shape[0] not in (1, 2) or shape[1] != len(self.kpoints):
            raise ValueError(f"eigenvalues_ev have the shape {shape}, not (1 or 2, {len(self.kpoints)}, n_bands)")
        if len(self.n_occupied) != shape[0]:
            raise ValueError(f"n_occupied counts {len(self.n_occupied)} spin channels, the eigenvalues {shape[0]}")
        if min(self.n_occupied) < 0 or sum(self.n_occupied) < 1 or max(self.n_occupied) >= shape[2]:
            raise ValueError(
                f"n_occupied {self.n_occupied} of {shape[2]} bands leaves no occupied or no empty band to look at"
            )
        if (np.diff(self.eigenvalues_ev, axis=2) < 0).any():
            raise ValueError("eigenvalues_ev are not in ascending order at every k-point")


@dataclass(frozen=True)
class Edge:
    """One edge of the gap.

    Attributes
    ----------
    energy_ev
        Energy in eV, on the scale of the eigenvalues.
    kpoint
        Fractions of the reciprocal vectors; the first in order of those that are equivalent.
    label
        Name of that k-point, see :func:`label_fcc`; empty for cells that are not face-centred cubic.
    spin, band
        Indices of the state, from 0.
    degeneracy
        Bands of both channels on this side of the gap that reach the edge at this k-point.
    equivalent_kpoints
        Sampled k-points, distinct modulo reciprocal vectors, at which the edge is reached.
    """

    energy_ev: float
    kpoint: tuple[float, float, float]
    label: str
    spin: int
    band: int
    degeneracy: int
    equivalent_kpoints: int


@dataclass(frozen=True)
class BandEdges:
    """The gaps of a band structure and the states that make them.

    Attributes
    ----------
    gap_ev, raw_gap_ev
        Fundamental gap in eV: 0 where bands overlap, and with its sign.
    direct_gap_ev, direct_gap_kpoint, direct_gap_label
        Smallest difference at one k-point in eV (between any spins, not below 0), and where it is.
    vbm, cbm
        The two edges.
    kind
        ``direct``, ``indirect``, ``quasi-direct`` (indirect by no more than ``quasi_direct_ev``) or ``none``.
    quasi_direct_ev
        The limit between the last two kinds in eV.
    limits
        What a reader of the numbers should know.
    """

    gap_ev: float
    raw_gap_ev: float
    direct_gap_ev: float
    direct_gap_kpoint: tuple[float, float, float]
    direct_gap_label: str
    vbm: Edge
    cbm: Edge
    kind: Kind
    quasi_direct_ev: float
    limits: tuple[str, ...]


@dataclass(frozen=True)
class AllowedGap:
    """The first direct transition that is dipole-allowed.

    Attributes
    ----------
    energy_ev
        Its energy in eV.
    definition
        How it was found, in words.
    k_index, spin
        Where it is; None where only the absorption is known.
    ratio
        Its squared momentum matrix element over the largest in the window; None as above.
    lowest_direct_ev, lowest_direct_ratio
        Energy in eV and ratio of the lowest direct transition, allowed or not; None as above.
    """

    energy_ev: float
    definition: str
    k_index: int | None = None
    spin: int | None = None
    ratio: float | None = None
    lowest_direct_ev: float | None = None
    lowest_direct_ratio: float | None = None


def reciprocal_vectors(cell: ArrayLike) -> Floats:
    """Return the reciprocal vectors (3, 3) of a cell in 1/Angstrom, with the factor 2 pi, as rows.

    Parameters
    ----------
    cell
        (3, 3), rows are the lattice vectors in Angstrom.
    """
    inverse: Floats = np.linalg.inv(np.asarray(cell, dtype=float))
    return 2 * np.pi * inverse.T


def is_fcc_primitive(cell: ArrayLike) -> bool:
    """Return whether a cell is a/2 [(0,1,1), (1,0,1), (1,1,0)], rotated at will, for some a.

    Parameters
    ----------
    cell
        (3, 3), rows are the lattice vectors, in any unit.
    """
    vectors = np.asarray(cell, dtype=float)
    metric = vectors @ vectors.T
    expected = np.trace(metric) / 3 * (np.eye(3) + 1) / 2  # angles of 60 degrees
    return bool(np.abs(metric - expected).max() < CUBIC_TOLERANCE * metric.max())


def label_fcc(kpoint: ArrayLike) -> str:
    """Return the name of a k-point of the face-centred cubic zone: ``X``, ``G-X`` on a line, else ``""``.

    Points that symmetry or a reciprocal vector relates have one name, so that U is called K.

    Parameters
    ----------
    kpoint
        (3,), fractions of the reciprocal vectors of the primitive cell a/2 [(0,1,1), (1,0,1), (1,1,0)].
    """
    fractions = np.asarray(kpoint, dtype=float)
    images = (fractions - np.round(fractions) + IMAGES) @ TO_CUBIC
    shortest = min(images, key=lambda q: (round(float(q @ q), 6), round(float(np.abs(q).max()), 6)))
    z, y, x = np.sort(np.abs(shortest))  # x >= y >= z
    away = {
        "G": x,
        "X": max(abs(x - 1), y),
        "L": max(abs(x - 0.5), abs(z - 0.5)),
        "W": max(abs(x - 1), abs(y - 0.5), z),
        "K": max(abs(x - 0.75), abs(y - 0.75), z),
        "G-X": y,
        "G-L": x - z,
        "G-K": max(x - y, z),
        "X-W": max(abs(x - 1), z),
        "X-U": max(abs(x - 1), y - z),
        "L-W": max(abs(x + z - 1), abs(y - 0.5)),
        "L-K": max(x - y, abs(x + y + z - 1.5)),
        "W-K": max(abs(x + y - 1.5), z),
    }
    return next((name for name, distance in away.items() if distance < 1e-4), "")


def kind_of_gap(gap_ev: float, direct_gap_ev: float, *, quasi_direct_ev: float = QUASI_DIRECT_EV) -> Kind:
    """Name the kind of a gap from the fundamental and the direct gap in eV, as :func:`band_edges` does.

    Parameters
    ----------
    quasi_direct_ev
        An indirect gap is called quasi-direct where the direct one is larger by this or less, in eV.
    """
    if not gap_ev > 0:
        return "none"
    if direct_gap_ev - gap_ev <= SAME_GAP_EV:
        return "direct"
    return "quasi-direct" if direct_gap_ev - gap_ev <= quasi_direct_ev else "indirect"


def fcc_path(cell: ArrayLike, step_per_angstrom: float) -> tuple[Floats, list[tuple[int, str]]]:
    """Return k-points along G-X-W-L-G-K, at most a step apart, and the index and name of each corner.

    Parameters
    ----------
    cell
        (3, 3), rows are the vectors of the primitive cell a/2 [(0,1,1), (1,0,1), (1,1,0)] in Angstrom.
    step_per_angstrom
        Largest distance between neighbours in 1/Angstrom.

    Returns
    -------
    kpoints
        (n, 3), fractions of the reciprocal vectors.
    ticks
        Index and label of G, X, W, L, G and K.

    Raises
    ------
    ValueError
        If the step is not positive or the cell is not that one.
    """
    if not step_per_angstrom > 0:
        raise ValueError(f"the step of the path must be positive, not {step_per_angstrom} per Angstrom")
    if not is_fcc_primitive(cell):
        raise ValueError("the path G-X-W-L-G-K belongs to the primitive face-centred cubic cell, which this is not")
    reciprocal = reciprocal_vectors(cell)
    corners = [np.array(FCC_POINTS[label]) for label in FCC_PATH]
    kpoints, ticks = [corners[0]], [(0, FCC_PATH[0])]
    for label, start, end in zip(FCC_PATH[1:], corners, corners[1:], strict=False):
        n_steps = max(1, math.ceil(float(np.linalg.norm((end - start) @ reciprocal)) / step_per_angstrom - 1e-9))
        kpoints += [start + (end - start) * i / n_steps for i in range(1, n_steps + 1)]
        ticks.append((len(kpoints) - 1, label))
    return np.array(kpoints), ticks


def band_edges(
    bands: BandStructure, *, quasi_direct_ev: float = QUASI_DIRECT_EV, degeneracy_ev: float = 1e-3
) -> BandEdges:
    """Find the edges, the fundamental and the direct gap, and the kind of gap.

    Parameters
    ----------
    bands
        The band structure.
    quasi_direct_ev
        An indirect gap is called quasi-direct where the direct one is larger by this or less, in eV.
    degeneracy_ev
        Bands this close at the k-point of an edge are one degenerate level, in eV.

    Returns
    -------
    BandEdges
        Overlapping bands and edges at the border of a path are stated in its ``limits``.
    """
    pairs = [(bands.eigenvalues_ev[s], n) for s, n in enumerate(bands.n_occupied)]
    valence = np.max([e[:, n - 1] for e, n in pairs if n > 0], axis=0)
    conduction = np.min([e[:, n] for e, n in pairs], axis=0)
    direct = conduction - valence
    raw_gap = float(conduction.min() - valence.max())
    at_direct = int(np.argmax(direct <= direct.min() + EQUIVALENT_EV))
    kind = kind_of_gap(raw_gap, float(direct.min()), quasi_direct_ev=quasi_direct_ev)
    # Of several k-points with the same edge a direct gap takes the one that both edges share.
    preferred = at_direct if kind == "direct" else None
    vbm, at_vbm = _edge(bands, "valence", preferred, degeneracy_ev)
    cbm, at_cbm = _edge(bands, "conduction", preferred, degeneracy_ev)
    limits = [] if raw_gap > 0 else ["the bands overlap: there is no gap"]
    for name, index in (("valence band maximum", at_vbm), ("conduction band minimum", at_cbm)):
        if _is_at_border(bands, index):
            limits.append(f"the {name} lies at the border of the sampled path: the true one may lie beyond")
    return BandEdges(
        gap_ev=max(raw_gap, 0.0),
        raw_gap_ev=raw_gap,
        direct_gap_ev=max(float(direct.min()), 0.0),
        direct_gap_kpoint=_point(bands.kpoints[at_direct]),
        direct_gap_label=_label(bands, at_direct),
        vbm=vbm,
        cbm=cbm,
        kind=kind,
        quasi_direct_ev=quasi_direct_ev,
        limits=tuple(limits),
    )


def _edge(
    bands: BandStructure, side: Literal["valence", "conduction"], preferred: int | None, degeneracy_ev: float
) -> tuple[Edge, int]:
    """Return one edge and the index of its k-point, which is ``preferred`` where that is given."""
    sign = -1.0 if side == "valence" else 1.0
    # Both edges as minima of height = sign * energy; states of the other side of the gap do not count.
    heights = sign * bands.eigenvalues_ev
    for spin, n in enumerate(bands.n_occupied):
        heights[spin][:, slice(n, None) if side == "valence" else slice(n)] = np.inf
    per_k = heights.min(axis=(0, 2))
    reached = per_k <= per_k.min() + EQUIVALENT_EV
    index = int(np.argmax(reached)) if preferred is None else preferred
    state = np.unravel_index(int(np.argmin(heights[:, index])), heights[:, index].shape)
    return Edge(
        energy_ev=float(sign * per_k.min()),
        kpoint=_point(bands.kpoints[index]),
        label=_label(bands, index),
        spin=int(state[0]),
        band=int(state[1]),
        degeneracy=int((heights[:, index] <= per_k[index] + degeneracy_ev).sum()),
        equivalent_kpoints=len(np.unique(np.round(bands.kpoints[reached] % 1, 5) % 1, axis=0)),
    ), index


def _point(kpoint: Floats) -> tuple[float, float, float]:
    """Return a k-point as a tuple."""
    return float(kpoint[0]), float(kpoint[1]), float(kpoint[2])


def _label(bands: BandStructure, index: int) -> str:
    """Return the name of a k-point, empty unless the cell is the primitive one of a face-centred cubic lattice."""
    return label_fcc(bands.kpoints[index]) if is_fcc_primitive(bands.cell) else ""


def _is_at_border(bands: BandStructure, index: int) -> bool:
    """Return whether a path has neighbours on one side of a k-point only, and symmetry demands no extremum there."""
    if not bands.is_path:
        return False
    k, here, label = bands.kpoints, bands.kpoints[index], _label(bands, index)
    # Bands are stationary where k and -k differ by a reciprocal vector, and at W by its mirror rotations.
    if np.abs(2 * here - np.round(2 * here)).max() < SAME_K or label == "W":
        return False
    same = np.zeros(len(k), dtype=bool)
    for image in (k - here, k + here):
        same |= np.abs(image - np.round(image)).max(axis=1) < SAME_K
    if label == "K":  # paths that jump from U to K go on at an equivalent point
        same |= np.array([label_fcc(other) == "K" for other in k])
    steps = np.linalg.norm(np.diff(k, axis=0) @ reciprocal_vectors(bands.cell), axis=1)
    around = np.maximum(np.append(steps[1:], 0.0), np.insert(steps[:-1], 0, 0.0)) if len(steps) else steps
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    joined = (steps <= JUMP * around) | (steps <= JUMP * usual)
    to_next = np.count_nonzero(same[:-1] & ~same[1:] & joined)
    to_previous = np.count_nonzero(same[1:] & ~same[:-1] & joined)
    return bool(to_next + to_previous < 2)


def direct_allowed_gap(
    valence_ev: ArrayLike,
    conduction_ev: ArrayLike,
    squared_momentum: ArrayLike,
    *,
    relative_threshold: float = 0.01,
    window_ev: float = 1.0,
    degeneracy_ev: float = 1e-3,
) -> AllowedGap:
    """Find the lowest direct transition whose squared momentum matrix element is not negligible.

    States of a degenerate level are defined up to a rotation among them, which moves weight between single
    elements but not the sum over two levels: elements are averaged over pairs of levels before they are compared.

    Parameters
    ----------
    valence_ev, conduction_ev
        (n_k, n_v) and (n_k, n_c) in eV, in any order of bands, optionally with a spin axis in front. Include whole
        degenerate levels.
    squared_momentum
        (n_k, n_v, n_c), or with the spin axis: mean of the squared modulus over the three
        Cartesian components, in any one unit.
    relative_threshold
        Share of the largest element above which a transition is allowed.
    window_ev
        The largest element is sought among transitions up to this above the lowest direct one, in eV.
    degeneracy_ev
        Neighbouring bands this close belong to one level, in eV.

    Returns
    -------
    AllowedGap
        ``energy_ev`` is the smallest difference between the two levels.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not finite, an element is negative or all are zero, or bands overlap.
    """
    v, c, p2 = _checked_transitions(valence_ev, conduction_ev, squared_momentum)
    energies = c[:, :, None, :] - v[:, :, :, None]
    lowest = float(energies.min())
    if lowest <= 0:
        raise ValueError("valence and conduction bands overlap at a k-point: there is no direct gap")
    strengths, levels_ev = np.empty_like(p2), np.empty_like(p2)
    for s, k in np.ndindex(p2.shape[:2]):
        for rows, columns in itertools.product(_levels(v[s, k], degeneracy_ev), _levels(c[s, k], degeneracy_ev)):
            block = (s, k, *np.ix_(rows, columns))
            strengths[block] = p2[block].mean()
            levels_ev[block] = energies[block].min()
    largest = float(strengths[energies <= lowest + window_ev].max())
    if largest <= 0:
        raise ValueError(f"every momentum matrix element within {window_ev:g} eV of the direct gap is zero")
    first = np.unravel_index(
        int(np.argmin(np.where(strengths > relative_threshold * largest, levels_ev, np.inf))), p2.shape
    )
    bottom = np.unravel_index(int(np.argmin(energies)), p2.shape)
    return AllowedGap(
        energy_ev=float(levels_ev[first]),
        definition=(
            "lowest direct transition with a mean squared momentum matrix element above "
            f"{100 * relative_threshold:g} % of the largest within {window_ev:g} eV of the lowest direct transition"
        ),
        k_index=int(first[1]),
        spin=int(first[0]),
        ratio=float(strengths[first]) / largest,
        lowest_direct_ev=lowest,
        lowest_direct_ratio=float(strengths[bottom]) / largest,
    )


def _checked_transitions(
    valence: ArrayLike, conduction: ArrayLike, squared: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Return the three arrays with a spin axis in front, or raise ValueError."""
    v, c, p2 = (np.asarray(x, dtype=float) for x in (valence, conduction, squared))
    if (v.ndim, c.ndim, p2.ndim) == (2, 2, 3):
        v, c, p2 = v[None], c[None], p2[None]
    if v.ndim != 3 or c.shape[:-1] != v.shape[:-1] or p2.shape != (*v.shape, c.shape[-1]) or not p2.size:
        raise ValueError(f"bands {v.shape} and {c.shape} do not fit the matrix elements {p2.shape}")
    if not all(np.isfinite(x).all() for x in (v, c, p2)) or (p2 < 0).any():
        raise ValueError("energies and squared matrix elements must be finite, the latter not negative")
    return v, c, p2


def _levels(energies_ev: Floats, degeneracy_ev: float) -> list[NDArray[np.intp]]:
    """Return the indices of the bands of each degenerate level."""
    order = np.argsort(energies_ev, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(energies_ev[order]) > degeneracy_ev) + 1)


def direct_allowed_gap_from_absorption(
    energy_ev: ArrayLike, absorption_per_cm: ArrayLike, *, broadening_ev: float, threshold_per_cm: float = 1e3
) -> AllowedGap:
    r"""Find where the absorption passes a threshold once its Gaussian tail is taken out.

    Near the onset :math:`\alpha = A \sqrt{E - E_0}`; broadened by a Gaussian it is :math:`A \sqrt\sigma F(y)` with
    :math:`y = (E - E_0)/\sigma` and :math:`F(y) = \Gamma(3/2) e^{-y^2/4} D_{-3/2}(-y) / \sqrt{2\pi}` (D a parabolic
    cylinder function, NIST DLMF 12.5.1). The logarithmic slope at the crossing of the threshold gives y whatever A is,
    and the height gives A: the sharp spectrum passes the threshold at :math:`E_0 + \sigma F(y)^2`, which tends to the
    crossing itself above the tail.

    Parameters
    ----------
    energy_ev
        (n,) photon energies in eV, in any order.
    absorption_per_cm
        (n,) absorption coefficients in 1/cm.
    broadening_ev
        Standard deviation of the Gaussian in eV (its full width at half maximum is 2.355 times that); 0 for none.
    threshold_per_cm
        The threshold in 1/cm.

    Returns
    -------
    AllowedGap
        Without matrix elements: only ``energy_ev`` and ``definition`` are set.

    Raises
    ------
    ValueError
        If the spectrum is malformed, starts above the threshold or never reaches it, or rises too fast for the
        broadening.
    """
    e, alpha = _checked_spectrum(energy_ev, absorption_per_cm)
    if not (math.isfinite(broadening_ev) and broadening_ev >= 0 and threshold_per_cm > 0):
        raise ValueError("broadening_ev must not be negative and threshold_per_cm must be positive")
    definition = (
        f"energy at which alpha passes {threshold_per_cm:g} per cm after the tail of a Gaussian of standard deviation "
        f"{broadening_ev:g} eV is taken out"
    )
    above = int(np.argmax(alpha >= threshold_per_cm))
    if alpha[above] < threshold_per_cm:
        raise ValueError(f"the absorption never reaches {threshold_per_cm:g} per cm")
    if above == 0:
        raise ValueError(f"the absorption starts above {threshold_per_cm:g} per cm: its onset is not in the data")
    crossing, slope = _crossing(e, alpha, above, threshold_per_cm)
    if broadening_ev == 0 or slope * broadening_ev <= _log_slope(NO_TAIL):
        return AllowedGap(crossing, definition)
    if slope * broadening_ev >= _log_slope(-WIDEST_TAIL):
        raise ValueError(f"the absorption rises faster than a Gaussian of {broadening_ev:g} eV permits at its onset")
    y = float(brentq(lambda x: _log_slope(x) - slope * broadening_ev, -WIDEST_TAIL, NO_TAIL))
    height = gamma(1.5) / math.sqrt(2 * math.pi) * math.exp(-y * y / 4) * float(pbdv(-1.5, -y)[0])
    return AllowedGap(crossing + broadening_ev * (height**2 - y), definition)


def _checked_spectrum(energy_ev: ArrayLike, absorption_per_cm: ArrayLike) -> tuple[Floats, Floats]:
    """Return a spectrum in ascending order of energy, or raise ValueError."""
    e, alpha = np.asarray(energy_ev, dtype=float), np.asarray(absorption_per_cm, dtype=float)
    if e.ndim != 1 or e.shape != alpha.shape or len(e) < 2:
        raise ValueError("energy_ev and absorption_per_cm must be two lists of one length, at least 2")
    if not (np.isfinite(e).all() and np.isfinite(alpha).all()):
        raise ValueError("the absorption spectrum holds a value that is not finite")
    if (alpha < 0).any():
        raise ValueError("the absorption coefficient is negative somewhere")
    order = np.argsort(e)
    if (np.diff(e[order]) == 0).any():
        raise ValueError("the absorption spectrum gives an energy twice")
    return e[order], alpha[order]


def _crossing(e: Floats, alpha: Floats, above: int, threshold: float) -> tuple[float, float]:
    """Return the energy at which alpha passes the threshold, and its logarithmic slope there (1/eV).

    A broadened onset is close to a parabola on the logarithmic scale, so a spline needs a few points around it only.
    """
    first = above - 1 if alpha[above - 1] > 0 else above
    while 0 < first < above and above - first < 4 and alpha[first - 1] > FLOOR * threshold:
        first -= 1
    last = above
    while last + 1 < len(e) and last - above < 3 and alpha[last + 1] > 0:
        last += 1
    if first == above:  # from zero within one step
        return float(e[above - 1] + (e[above] - e[above - 1]) * threshold / alpha[above]), math.inf
    log = CubicSpline(e[first : last + 1], np.log(alpha[first : last + 1] / threshold))
    at_point = float(log(e[above])) <= 0  # alpha equals the threshold there, but for rounding
    crossing = float(e[above] if at_point else brentq(log, e[above - 1], e[above]))
    return crossing, float(log(crossing, 1))


def _log_slope(y: float) -> float:
    """Return d ln F / dy of the broadened square root; it falls monotonically."""
    return float(pbdv(-0.5, -y)[0] / pbdv(-1.5, -y)[0])
