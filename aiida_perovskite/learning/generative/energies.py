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

__all__ = ["ClassEnergies", "Energies", "RegressionEnergies", "pit_quantiles"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 10_000  # compounds at a time: some 20 MB of errors
_BISECTIONS = 40  # of 40 eV/atom: to less than 1e-10
_REACH = 20.0  # eV/atom around the training energies in which ends of intervals are sought
_LEVELS = np.linspace(0.0, 1.0, 201)


class Energies(Protocol):
    """What can predict the energies of compositions."""

    def predict(self, codes: Ints) -> Floats:
        """Return energies (N,) in eV/atom of codes (N,)."""

    def uncertainty(
        self, codes: Ints, energies: Floats, target: EnergyTarget, confidence: float
    ) -> tuple[Floats, Floats, Floats]:
        """Return lower and upper ends of intervals and the chance to be in the target, shape (N,) each."""

    def summary(self) -> dict[str, Any]:
        """Say what predicts and how well."""


class RegressionEnergies:
    """Kernel ridge regression on the rows of a table; its leave-one-out errors are the uncertainty.

    Errors depend on the energy, so an interval is made of those of the rows with the nearest predictions, as many below
    as above: towards the lowest and highest predictions, where errors grow, they become fewer. The ends are order
    statistics as of a conformal prediction (V. Vovk et al., Algorithmic Learning in a Random World, 2005): quantiles of
    the errors alone would hold too few energies.
    """

    def __init__(self, table: ElpasoliteTable, settings: DesignSettings) -> None:
        rows = table.one_order
        known = table.energies_ev_per_atom[rows]
        self._regression, errors = KernelRidge.fit_with_errors(
            table.codes[rows], known, settings.sigma, settings.regularisation, symmetric=True
        )
        predicted = known - errors
        order = np.argsort(predicted, kind="stable")
        self._predicted, self._errors = predicted[order], errors[order]
        self._neighbours = settings.neighbours

    def predict(self, codes: Ints) -> Floats:
        """Predict, as `Energies` says."""
        return self._regression.predict(codes)

    def uncertainty(
        self, codes: Ints, energies: Floats, target: EnergyTarget, confidence: float
    ) -> tuple[Floats, Floats, Floats]:
        """Return intervals and chances, as `Energies` says."""
        outside = (1 - confidence) / 2
        ends, shares = np.empty((2, len(energies))), np.empty(len(energies))
        for number, (energy, place) in enumerate(
            zip(energies, np.searchsorted(self._predicted, energies), strict=True)
        ):
            around = np.sort(energy + self._errors[self._around(int(place), outside)])
            skipped = max(int((len(around) + 1) * outside), 1) - 1
            ends[:, number] = around[skipped], around[len(around) - 1 - skipped]
            shares[number] = target.holds(around).mean()
        return ends[0], ends[1], shares

    def _around(self, place: int, outside: float) -> slice:
        """Return the rows around a place in the order of the predictions."""
        least = math.ceil(1 / outside / 2)  # below and above: with fewer there is nothing beyond an end
        half = max(min(place, len(self._errors) - place, self._neighbours // 2), least)
        start = min(max(place - half, 0), max(len(self._errors) - 2 * half, 0))
        return slice(start, start + 2 * half)

    def summary(self) -> dict[str, Any]:
        """Say what predicts."""
        return {
            "energies_from": "kernel ridge regression on the training rows",
            "mae_ev_per_atom": float(np.abs(self._errors).mean()),
            "training_rows": len(self._errors),
        }


class ClassEnergies:
    """What an autoregressive generator knows of energies itself, for use without its table.

    Its networks place a composition on the axis of the class numbers, with a width; with classes of equal width this is
    an axis of energies. The chance that an energy lies below a value is the mean over the networks. How often that came
    true on training rows that a network had not seen, the generator's ``calibration`` says, and intervals heed it.

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
        self._levels = np.asarray(generator.calibration["pit_quantiles"], dtype=np.float64)

    def predict(self, codes: Ints) -> Floats:
        """Predict, as `Energies` says."""
        blocks = np.array_split(codes, max(1, -(-len(codes) // _BLOCK)))
        return np.concatenate([self._logistics(block)[0].mean(axis=0) for block in blocks])

    def uncertainty(
        self, codes: Ints, energies: Floats, target: EnergyTarget, confidence: float
    ) -> tuple[Floats, Floats, Floats]:
        """Return intervals and chances, as `Energies` says."""
        place, scale = self._logistics(codes)
        low, high = np.interp([(1 - confidence) / 2, (1 + confidence) / 2], _LEVELS, self._levels)
        chance = self._below(place, scale, target.high) - self._below(place, scale, target.low)
        return self._quantile(place, scale, low), self._quantile(place, scale, high), chance

    def summary(self) -> dict[str, Any]:
        """Say what predicts."""
        return {
            "energies_from": "the generator itself, without its table",
            "mae_ev_per_atom": self._calibration["mae_ev_per_atom"],
            "training_rows": self._calibration["rows"],
        }

    def _logistics(self, codes: Ints) -> tuple[Floats, Floats]:
        return member_logistics(self._generator, codes)

    def _below(self, place: Floats, scale: Floats, energy: float) -> Floats:
        """Return the calibrated chance (N,) that energies are below a number, which may be infinite."""
        chance: Floats = np.interp(logistic_below(place, scale, energy), self._levels, _LEVELS)
        return chance

    def _quantile(self, place: Floats, scale: Floats, level: float) -> Floats:
        edges: Floats = self._generator.edges
        low: Floats = np.full(place.shape[1], edges[0] - _REACH)
        high: Floats = np.full(place.shape[1], edges[-1] + _REACH)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            above = logistic_below(place, scale, middle) < level
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return low


def calibrate(generator: Autoregressive, table: ElpasoliteTable) -> dict[str, Any]:
    """Measure on training rows how true the energies of a generator are, and return what `ClassEnergies` needs of it.

    Each row is judged by the networks that did not see it.
    """
    energies, predicted, chances = held_out(generator, table)
    return {
        "pit_quantiles": pit_quantiles(chances),
        "mae_ev_per_atom": float(np.abs(energies - predicted).mean()),
        "rows": len(energies),
    }


def held_out(generator: Autoregressive, table: ElpasoliteTable) -> tuple[Floats, Floats, Floats]:
    """Return energies, predictions and the chance of a lower energy (N,) of compounds, by networks without them."""
    from scipy.special import expit

    from .selection import compound_folds

    rows, settings = table.one_order, generator.settings
    folds = compound_folds(table.codes, settings.folds, generator.seed)[rows]
    unseen = np.arange(settings.members)[:, None] % settings.folds == folds
    weights = unseen / unseen.sum(axis=0)
    energies = table.energies_ev_per_atom[rows]
    place, scale = member_logistics(generator, table.codes[rows])
    chances = expit((energies - place) / scale)
    return energies, (weights * place).sum(axis=0), (weights * chances).sum(axis=0)


def member_logistics(generator: Autoregressive, codes: Ints) -> tuple[Floats, Floats]:
    """Return mean and scale, in eV/atom, of the logistic distributions that each network gives codes (N,): (M, N)."""
    import torch

    with torch.inference_mode():
        inputs = generator.net.inputs(torch.from_numpy(encode(codes)))
        output = generator.net(inputs.expand(generator.settings.members, *inputs.shape)).double().numpy()
    width = (generator.edges[-1] - generator.edges[0]) / N_CLASSES
    return generator.edges[0] + (output[..., 0] - 0.5) * width, output[..., 1] * width


def logistic_below(place: Floats, scale: Floats, energy: Floats | float) -> Floats:
    """Return the mean over members (M, N) of the chance that the energy is below a value."""
    from scipy.special import expit

    mean: Floats = expit((energy - place) / scale).mean(axis=0)
    return mean


def pit_quantiles(chances: Floats) -> list[float]:
    """Return which chances, of rows that were held out, lie at the levels by which intervals are corrected."""
    values = np.quantile(chances, _LEVELS)
    values[[0, -1]] = 0.0, 1.0
    return [round(float(value), 6) for value in values]
