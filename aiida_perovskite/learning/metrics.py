"""Errors of predictions and quality of intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["error_metrics", "interval_metrics"]


def error_metrics(target_ev: ArrayLike, predicted_ev: ArrayLike) -> dict[str, float]:
    """Mean absolute and root mean square error, both in eV."""
    error = np.asarray(predicted_ev, dtype=float) - np.asarray(target_ev, dtype=float)
    return {"mae_ev": float(np.abs(error).mean()), "rmse_ev": float(np.sqrt((error**2).mean()))}


def interval_metrics(target_ev: ArrayLike, lower_ev: ArrayLike, upper_ev: ArrayLike) -> dict[str, float]:
    """Share of targets inside their intervals, and the intervals' mean width in eV."""
    target, lower, upper = (np.asarray(values, dtype=float) for values in (target_ev, lower_ev, upper_ev))
    inside = (lower <= target) & (target <= upper)
    return {"interval_coverage": float(inside.mean()), "interval_width_ev": float((upper - lower).mean())}
