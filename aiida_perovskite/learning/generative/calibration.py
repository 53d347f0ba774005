"""How far off energies are that were predicted for rows left out: what intervals are made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from .selection import compound_folds
from .space import encode
from .table import N_CLASSES, ElpasoliteTable

if TYPE_CHECKING:
    from .autoregressive import Autoregressive

__all__ = ["NearbyErrors", "calibrate", "has_energy_axis", "held_out", "member_energies"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NEIGHBOURS = 200  # rows, at most, whose errors calibrate a generator
_KNOTS = 41  # predicted energies at which its errors are kept
_LEVELS = (0.005, 0.01, 0.025, 0.05, *(round(0.1 * step, 1) for step in range(1, 10)), 0.95, 0.975, 0.99, 0.995)


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


def has_energy_axis(edges: Floats) -> bool:
    """Say whether classes with these edges (11,) are equally wide, so that their numbers are an axis of energies."""
    widths = np.diff(edges)
    return bool(np.allclose(widths, widths[0]))


def calibrate(energies: Floats, predicted: Floats) -> dict[str, Any]:
    """Return how far off predictions of held-out rows (`held_out`) are, by their energy, for `energies.ClassEnergies`.

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
    rows, settings = table.one_order, generator.settings
    folds = compound_folds(table.codes, settings.folds, generator.seed)[rows]
    unseen = np.arange(settings.members)[:, None] % settings.folds == folds
    predicted: Floats = (unseen * member_energies(generator, table.codes[rows])).sum(axis=0) / unseen.sum(axis=0)
    return table.energies_ev_per_atom[rows], predicted


def member_energies(generator: Autoregressive, codes: Ints) -> Floats:
    """Return the energies in eV/atom at which each of M networks places codes (N,): shape (M, N)."""
    with torch.inference_mode():
        inputs = generator.net.inputs(torch.from_numpy(encode(codes)))
        place = generator.net(inputs.expand(generator.settings.members, *inputs.shape))[..., 0].double().numpy()
    energies: Floats = generator.edges[0] + (place - 0.5) * (generator.edges[-1] - generator.edges[0]) / N_CLASSES
    return energies
