"""Formation energies of compositions with their uncertainty, from what a generator or its training table knows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .kernel_ridge import KernelRidge
from .space import GenerativeError, encode
from .table import N_CLASSES, ElpasoliteTable

if TYPE_CHECKING:
    from .autoregressive import Autoregressive
    from .design import DesignSettings, EnergyTarget
    from .generator import Generator

__all__ = ["ClassEnergies", "Energies", "NearbyErrors", "RegressionEnergies", "calibrate", "held_out"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 10_000  # compounds at a time: some 60 MB of activations
_NEIGHBOURS = 200  # rows, at most, whose errors calibrate a generator
_KNOTS = 41  # predicted energies at which its errors are kept
_LEVELS = (0.005, 0.01, 0.025, 0.05, *(round(0.1 * step, 1) for step in range(1, 10)), 0.95, 0.975, 0.99, 0.995)


class Energies(Protocol):
    """What can predict the energies of compositions."""

    def predict(self, codes: Ints) -> Floats:
        """Return energies (N,) in eV/atom of codes (N,)."""

    def uncertainty(self, energies: Floats, target: EnergyTarget, confidence: float) -> tuple[Floats, Floats, Floats]:
        """Return ends of intervals around predictions (N,), and the chance to be in the target, shape (N,) each."""

    def summary(self) -> dict[str, Any]:
        """Say what predicts and how well."""


class NearbyErrors:
    """Errors of rows with the nearest predictions: as many below as above, fewer towards the lowest and the highest.

    Errors depend on the energy, and grow most where it is lowest. Ends of intervals are order statistics as of a
    conformal prediction (V. Vovk et al., Algorithmic Learning in a Random World, 2005): plain quantiles of the errors
    would hold too few energies.

    Parameters
    ----------
    predicted, errors
        Of rows that were held out, true minus predicted, in eV/atom, shape (N,).
    neighbours
        Rows, at most, that are looked at.
    """

    def __init__(self, predicted: Floats, errors: Floats, neighbours: int) -> None:
        order = np.argsort(predicted, kind="stable")
        self.predicted, self.errors = predicted[order], errors[order]
        self._neighbours = neighbours

    def around(self, energy: float, outside: float) -> Floats:
        """Return sorted errors, enough of them that a share `outside` lies beyond the first."""
        least = math.ceil(1 / outside / 2)
        place = int(np.searchsorted(self.predicted, energy))
        half = max(min(place, len(self.errors) - place, self._neighbours // 2), least)
        start = min(max(place - half, 0), max(len(self.errors) - 2 * half, 0))
        return np.sort(self.errors[start : start + 2 * half])


class RegressionEnergies:
    """Kernel ridge regression on the rows of a table; its leave-one-out errors (`NearbyErrors`) are the uncertainty."""

    def __init__(self, table: ElpasoliteTable, settings: DesignSettings) -> None:
        rows = table.one_order
        known = table.energies_ev_per_atom[rows]
        self._regression, errors = KernelRidge.fit_with_errors(
            table.codes[rows], known, settings.sigma, settings.regularisation, symmetric=True
        )
        self.nearby = NearbyErrors(known - errors, errors, settings.neighbours)

    def predict(self, codes: Ints) -> Floats:
        """Predict, as `Energies` says."""
        return self._regression.predict(codes)

    def uncertainty(self, energies: Floats, target: EnergyTarget, confidence: float) -> tuple[Floats, Floats, Floats]:
        """Return intervals and chances, as `Energies` says."""
        outside = (1 - confidence) / 2
        lower, upper, chance = np.empty((3, len(energies)))
        for number, energy in enumerate(energies):
            around = energy + self.nearby.around(energy, outside)
            skipped = max(int((len(around) + 1) * outside), 1) - 1
            lower[number], upper[number] = around[skipped], around[len(around) - 1 - skipped]
            chance[number] = target.holds(around).mean()
        return lower, upper, chance

    def summary(self) -> dict[str, Any]:
        """Say what predicts."""
        return {
            "energies_from": "kernel ridge regression on the training rows",
            "mae_ev_per_atom": float(np.abs(self.nearby.errors).mean()),
            "training_rows": len(self.nearby.errors),
        }


class ClassEnergies:
    """What an autoregressive generator knows of energies itself, for use without its table.

    Its networks place a composition on the axis of the class numbers; with classes of equal width this is an axis of
    energies. How far off they are on training rows that they had not seen is the generator's ``calibration``
    (`calibrate`): quantiles of errors by predicted energy. The median is taken off, since networks that only know
    classes place the lowest energies too high; the others make intervals, of up to 99 %.

    Raises
    ------
    GenerativeError
        If the generator is of another kind, its classes are not of equal width, or it has no calibration.
    """

    def __init__(self, generator: Generator) -> None:
        widths = np.diff(generator.edges)
        if generator.name != "autoregressive" or not generator.calibration or not np.allclose(widths, widths[0]):
            raise GenerativeError(
                "This generator cannot predict energies on its own: give the table that it was trained on."
            )
        self._generator: Any = generator
        self._calibration = generator.calibration
        self._placed, self._levels, quantiles = (
            np.asarray(generator.calibration[name], dtype=np.float64)
            for name in ("predicted_ev_per_atom", "levels", "error_quantiles_ev_per_atom")
        )
        median = quantiles[:, len(self._levels) // 2]
        self._knots = np.maximum.accumulate(self._placed + median)  # rising: corrections change no order
        self._quantiles = quantiles - median[:, None]

    def predict(self, codes: Ints) -> Floats:
        """Predict, as `Energies` says."""
        blocks = np.array_split(codes, max(1, -(-len(codes) // _BLOCK)))
        return self.correct(np.concatenate([member_energies(self._generator, block).mean(axis=0) for block in blocks]))

    def correct(self, placed: Floats) -> Floats:
        """Return energies (N,) with the median error taken off where the networks place compositions (N,)."""
        beyond = placed - np.clip(placed, self._placed[0], self._placed[-1])
        corrected: Floats = np.interp(placed, self._placed, self._knots) + beyond
        return corrected

    def uncertainty(self, energies: Floats, target: EnergyTarget, confidence: float) -> tuple[Floats, Floats, Floats]:
        """Return intervals and chances, as `Energies` says."""
        # Quantiles of the energy of each compound, (L, N): those of the errors where its prediction lies.
        quantiles = energies + np.stack([np.interp(energies, self._knots, errors) for errors in self._quantiles.T])
        lower, upper, chance = np.empty((3, len(energies)))
        for number, of_one in enumerate(quantiles.T):
            lower[number], upper[number] = np.interp([(1 - confidence) / 2, (1 + confidence) / 2], self._levels, of_one)
            below = np.interp([target.low, target.high], of_one, self._levels, left=0.0, right=1.0)
            chance[number] = below[1] - below[0]
        return lower, upper, chance

    def summary(self) -> dict[str, Any]:
        """Say what predicts."""
        return {
            "energies_from": "the generator itself, without its table",
            "mae_ev_per_atom": self._calibration["mae_ev_per_atom"],
            "training_rows": self._calibration["rows"],
        }


def calibrate(energies: Floats, predicted: Floats) -> dict[str, Any]:
    """Return what `ClassEnergies` needs: how far off predictions of held-out rows (`held_out`) are, by their energy.

    Kept are quantiles at some energies, not the rows: from these the table could be told.
    """
    nearby = NearbyErrors(predicted, energies - predicted, _NEIGHBOURS)
    half = np.geomspace(1 / len(predicted), 0.5, (_KNOTS + 1) // 2)  # dense towards both ends
    knots = np.unique(np.quantile(predicted, np.concatenate([half, 1 - half])))
    errors = [np.quantile(nearby.around(knot, 0.05), _LEVELS, method="weibull") for knot in knots]
    return {
        "predicted_ev_per_atom": np.round(knots, 4).tolist(),
        "levels": list(_LEVELS),
        "error_quantiles_ev_per_atom": np.round(errors, 4).tolist(),
        "mae_ev_per_atom": float(np.abs(energies - predicted).mean()),
        "rows": len(energies),
    }


def held_out(generator: Autoregressive, table: ElpasoliteTable) -> tuple[Floats, Floats]:
    """Return energies and predictions (N,) of the compounds of a table, each by the networks that did not see it."""
    from .selection import compound_folds

    rows, settings = table.one_order, generator.settings
    folds = compound_folds(table.codes, settings.folds, generator.seed)[rows]
    unseen = np.arange(settings.members)[:, None] % settings.folds == folds
    predicted: Floats = (unseen * member_energies(generator, table.codes[rows])).sum(axis=0) / unseen.sum(axis=0)
    return table.energies_ev_per_atom[rows], predicted


def member_energies(generator: Autoregressive, codes: Ints) -> Floats:
    """Return the energies in eV/atom at which each of M networks places codes (N,): shape (M, N)."""
    import torch

    with torch.inference_mode():
        inputs = generator.net.inputs(torch.from_numpy(encode(codes)))
        place = generator.net(inputs.expand(generator.settings.members, *inputs.shape))[..., 0].double().numpy()
    energies: Floats = generator.edges[0] + (place - 0.5) * (generator.edges[-1] - generator.edges[0]) / N_CLASSES
    return energies
