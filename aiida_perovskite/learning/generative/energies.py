"""Formation energies of compositions with their uncertainty, from what a generator or its training table knows.

`best_energies` takes the one that errs less on training rows that it had not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .calibration import NearbyErrors, has_energy_axis, member_energies
from .kernel_ridge import KernelRidge
from .space import GenerativeError
from .table import ElpasoliteTable

if TYPE_CHECKING:
    from .design import DesignSettings, EnergyTarget
    from .generator import Generator

__all__ = ["ClassEnergies", "Energies", "RegressionEnergies", "best_energies"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 10_000  # compounds at a time: some 60 MB of activations


class Energies(Protocol):
    """What can predict the energies of compositions."""

    def predict(self, codes: Ints) -> Floats:
        """Return energies (N,) in eV/atom of codes (N,)."""

    def uncertainty(self, energies: Floats, target: EnergyTarget, confidence: float) -> tuple[Floats, Floats, Floats]:
        """Return ends of intervals around predictions (N,), and the chance to be in the target, shape (N,) each."""

    def summary(self) -> dict[str, Any]:
        """Say what predicts and how well."""


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
    """What an autoregressive generator knows of energies itself; its table is not needed.

    Its networks place a composition on the axis of the class numbers; with classes of equal width this is an axis of
    energies. How far off they are on training rows that they had not seen is the generator's ``calibration`` (from
    `calibration.calibrate`): quantiles of errors by predicted energy. The median is taken off, since networks that only
    know classes place the lowest energies too high; the others make intervals, of up to 99 %.

    Raises
    ------
    GenerativeError
        If the generator is of another kind, its classes are not of equal width, or it has no calibration.
    """

    def __init__(self, generator: Generator) -> None:
        if not _knows_energies(generator):
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
            "energies_from": "the networks of the generator",
            "mae_ev_per_atom": self._calibration["mae_ev_per_atom"],
            "training_rows": self._calibration["rows"],
        }


def best_energies(generator: Generator, table: ElpasoliteTable | None, settings: DesignSettings) -> Energies:
    """Return what predicts best: the generator's own networks or a regression on its table, by their held-out errors.

    Both errors are of the training rows, each predicted by what had not seen it. Without a table there is no choice.
    """
    if table is None:
        return ClassEnergies(generator)
    regression = RegressionEnergies(table, settings)
    if not _knows_energies(generator):
        return regression
    networks = ClassEnergies(generator)
    errors = [energies.summary()["mae_ev_per_atom"] for energies in (networks, regression)]
    return networks if errors[0] < errors[1] else regression


def _knows_energies(generator: Generator) -> bool:
    return generator.name == "autoregressive" and bool(generator.calibration) and has_energy_axis(generator.edges)
