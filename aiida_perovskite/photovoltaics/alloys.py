"""Band gaps of solid solutions between two compounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Bowing", "alloy_gap", "fit_bowing"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bowing:
    """A fit of `alloy_gap`.

    Attributes
    ----------
    gap_0_ev, gap_1_ev
        Gaps of the end members in eV, fitted or given.
    bowing_ev
        b in eV; negative where the gap bows down.
    bowing_error_ev
        Its standard error in eV from the scatter about the fit; nan where no point is left over to tell.
    rmse_ev
        Root mean square deviation of the points in eV.
    """

    gap_0_ev: float
    gap_1_ev: float
    bowing_ev: float
    bowing_error_ev: float
    rmse_ev: float


def alloy_gap(x: ArrayLike, gap_0_ev: ArrayLike, gap_1_ev: ArrayLike, bowing_ev: ArrayLike = 0.0) -> Floats:
    """Compute Eg(x) = (1 - x) Eg(0) + x Eg(1) + b x (1 - x).

    Equation 1.8 of the thesis. Most authors write -b x (1 - x); here b < 0 bows down.

    Parameters
    ----------
    x
        Share of the second compound, between 0 and 1.
    gap_0_ev, gap_1_ev
        Gaps of the end members in eV, of shapes that broadcast with x.
    bowing_ev
        Bowing parameter b in eV.

    Returns
    -------
    numpy.ndarray
        Gaps in eV (a scalar for scalars); where strong bowing would make one negative, 0: a metal.

    Raises
    ------
    ValueError
        If a share lies outside 0 to 1, a gap is negative, or a number is not finite.
    """
    share = _shares(x)
    gap_0, gap_1 = _gaps("gap_0_ev", gap_0_ev), _gaps("gap_1_ev", gap_1_ev)
    bowing = np.asarray(bowing_ev, float)
    if not np.isfinite(bowing).all():
        raise ValueError("bowing_ev must be finite.")
    gap = (1 - share) * gap_0 + share * gap_1 + bowing * share * (1 - share)
    return np.asarray(np.maximum(gap, 0.0))[()]


def fit_bowing(x: ArrayLike, gap_ev: ArrayLike, gap_0_ev: float | None = None, gap_1_ev: float | None = None) -> Bowing:
    """Fit the bowing parameter of `alloy_gap` by linear least squares.

    Parameters
    ----------
    x : array_like, shape (n,)
        Shares of the second compound, between 0 and 1.
    gap_ev : array_like, shape (n,)
        Gaps in eV.
    gap_0_ev, gap_1_ev
        Gaps of the end members in eV where they are known; fitted where they are None.

    Returns
    -------
    Bowing
        The parameters and their scatter.

    Raises
    ------
    ValueError
        If shapes differ, a share lies outside 0 to 1, a gap is negative, or the points do not determine the parameters.
    """
    share, gap = _shares(x), _gaps("gap_ev", gap_ev)
    if share.ndim != 1 or share.shape != gap.shape:
        raise ValueError(
            f"x and gap_ev must be lists of one length, but their shapes are {share.shape} and {gap.shape}."
        )
    basis = np.stack([1 - share, share, share * (1 - share)], axis=-1)
    known = [None if end is None else float(_gaps("An end member's gap", end)) for end in (gap_0_ev, gap_1_ev)]
    given = [i for i, end in enumerate(known) if end is not None]
    free = [i for i in range(3) if i not in given]
    parameters = np.array([np.nan if end is None else end for end in (*known, None)])
    solution, _, rank, _ = np.linalg.lstsq(basis[:, free], gap - basis[:, given] @ parameters[given])
    if rank < len(free):
        raise ValueError(f"{len(set(share.tolist()))} different shares do not determine {len(free)} parameters.")
    parameters[free] = solution
    residual = gap - basis @ parameters
    spare = len(gap) - len(free)
    covariance = np.linalg.inv(basis[:, free].T @ basis[:, free])
    error = float(np.sqrt(residual @ residual / spare * covariance[-1, -1])) if spare else float("nan")
    gap_0, gap_1, bowing = parameters.tolist()
    return Bowing(gap_0, gap_1, bowing, error, float(np.sqrt(np.mean(residual**2))))


def _shares(x: ArrayLike) -> Floats:
    """Return shares between 0 and 1."""
    share = np.asarray(x, float)
    bad = ~((share >= 0) & (share <= 1))
    if bad.any():
        raise ValueError(f"x must lie between 0 and 1, but {share[bad][0]:g} is given.")
    return share


def _gaps(name: str, value: ArrayLike) -> Floats:
    """Return gaps that are finite and not negative."""
    gap = np.asarray(value, float)
    bad = ~(np.isfinite(gap) & (gap >= 0))
    if bad.any():
        raise ValueError(f"{name} must be finite and not negative, but {gap[bad][0]:g} is given.")
    return gap
