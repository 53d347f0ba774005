"""Conformal intervals: how far off a prediction may be, learned from predictions on rows that were held out.

The errors come from cross-validation, so every one of them was made by networks that never saw the row. Each is divided
by a difficulty, the spread of its ensemble plus a floor, so that intervals are wide where the networks disagree. The
method is crepes' normalised conformal regressor (H. Bostrom, PMLR 179, 24, 2022; H. Papadopoulos et al., J. Artif.
Intell. Res. 40, 815, 2011); probabilities come from the conformal predictive system of the same errors (V. Vovk et al.,
Mach. Learn. 108, 445, 2019).

The final ensemble is trained on all rows, the calibrating ones on a fold less, so intervals are, if anything, a little
too wide. The guarantee holds for compounds drawn like the training rows, not for elements the training never saw.
"""

from __future__ import annotations

import numpy as np
from crepes import ConformalPredictiveSystem, ConformalRegressor
from numpy.typing import NDArray

__all__ = ["Calibration", "cross_intervals"]

Floats = NDArray[np.float64]


class Calibration:
    """Intervals and probabilities from held-out errors.

    Parameters
    ----------
    residual_ev
        Target minus prediction of rows that were held out, shape (N,).
    std_ev
        Spread of the ensemble for the same rows, shape (N,); zeros give intervals of constant width.
    """

    def __init__(self, residual_ev: Floats, std_ev: Floats) -> None:
        # The floor keeps rows on which the members agree by chance from claiming certainty.
        self.floor_ev = float(np.mean(std_ev)) or 1.0
        difficulty = std_ev + self.floor_ev
        self._regressor = ConformalRegressor()
        self._regressor.fit(residuals=residual_ev, sigmas=difficulty)
        self._system = ConformalPredictiveSystem()
        self._system.fit(residuals=residual_ev, sigmas=difficulty, seed=0)

    def interval(self, predicted_ev: Floats, std_ev: Floats, confidence: float) -> tuple[Floats, Floats]:
        """Lower and upper ends, in eV and not below 0, of intervals that hold the gap with the given confidence."""
        bounds = self._regressor.predict_int(predicted_ev, std_ev + self.floor_ev, confidence=confidence)
        return np.maximum(bounds[:, 0], 0.0), np.maximum(bounds[:, 1], 0.0)

    def probability(self, predicted_ev: Floats, std_ev: Floats, window_ev: tuple[float, float]) -> Floats:
        """Chance that the gap lies in the window (a gap is never below 0, so a window from 0 includes all that is)."""
        low, high = window_ev
        at_most_high = self._below(predicted_ev, std_ev, high)
        return at_most_high - self._below(predicted_ev, std_ev, low) if low > 0 else at_most_high

    def _below(self, predicted_ev: Floats, std_ev: Floats, threshold_ev: float) -> Floats:
        difficulty = std_ev + self.floor_ev
        return np.asarray(self._system.predict_p(predicted_ev, float(threshold_ev), sigmas=difficulty, smoothing=False))


def cross_intervals(
    target_ev: Floats, predicted_ev: Floats, std_ev: Floats, fold: NDArray[np.int64], confidence: float
) -> tuple[Floats, Floats]:
    """Intervals for held-out predictions, each calibrated on the other folds' errors only; used to check coverage."""
    lower, upper = np.empty_like(predicted_ev), np.empty_like(predicted_ev)
    for number in np.unique(fold):
        here, others = fold == number, fold != number
        calibration = Calibration(target_ev[others] - predicted_ev[others], std_ev[others])
        lower[here], upper[here] = calibration.interval(predicted_ev[here], std_ev[here], confidence)
    return lower, upper
