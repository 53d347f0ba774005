"""How settings of generators are chosen: by quantities of the training rows alone.

Nothing here can see the truth: the module imports neither it nor the metrics that are made of it, which a contract in
``pyproject.toml`` and a test hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distributions import js_distance, site_distribution
from .space import GenerativeError, swap
from .table import ElpasoliteTable, Rows

__all__ = [
    "THESIS_DISTANCE",
    "choose",
    "compound_folds",
    "held_out_log_likelihood",
    "held_out_split",
    "knee",
    "likeliest",
    "pareto_front",
    "sampling_distance",
    "training_quantities",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_SMALLEST = 1e-12  # of a probability whose logarithm is taken
_RESAMPLES = 200  # pairs of samples whose distances are averaged: 0.002 of error where the class has 86 rows

THESIS_DISTANCE = 0.255
"""Largest distance to the training class from which `choose` takes the thesis's models (tables 7.2 to 7.4).

Anything from 0.252 to 0.258 does; the thesis gives no number.
"""


def compound_folds(codes: Ints, folds: int, seed: int) -> Ints:
    """Deal compounds into folds at random; a composition and its A/B swap are of one fold.

    Raises
    ------
    GenerativeError
        If there are fewer compounds than folds.
    """
    compounds, row_compound = np.unique(np.minimum(codes, swap(codes)), return_inverse=True)
    if len(compounds) < folds:
        raise GenerativeError(f"{len(compounds)} compounds are too few for {folds} folds: give more rows.")
    dealt = np.random.default_rng([seed, folds]).permutation(np.arange(len(compounds)) % folds)
    return dealt[row_compound].astype(np.int64)


def held_out_split(table: ElpasoliteTable, folds: int, seed: int) -> tuple[ElpasoliteTable, Ints, Ints]:
    """Return a table without one fold of the compounds, and codes and classes of that fold's rows."""
    out = compound_folds(table.codes, folds, seed) == 0
    codes, stored = table.codes[out], table.rows_as_stored
    kept = ~np.isin(np.minimum(stored.codes, swap(stored.codes)), np.minimum(codes, swap(codes)))
    rest = replace(
        table,
        codes=table.codes[~out],
        energies_ev_per_atom=table.energies_ev_per_atom[~out],
        classes=table.classes[~out],
        rows_as_stored=Rows(stored.codes[kept], stored.energies_ev_per_atom[kept]),
    )
    return rest, codes, table.classes[out]


def held_out_log_likelihood(probabilities: Floats, classes: Ints) -> float:
    """Return the mean natural logarithm of the probability, of (N, 10), that rows have of being of their class (N,)."""
    own = probabilities[np.arange(len(classes)), classes - 1]
    return float(np.log(np.maximum(own, _SMALLEST)).mean())


def likeliest(probabilities: Floats, precision_weight: float) -> int:
    """Return from how many compositions, the likeliest ones, it is best to draw evenly.

    Of the K likeliest, with chances p of being in the class, sum(p) / K are expected to be in it: the precision. They
    are sum(p) / (sum of p over all) of the class: the coverage, if there are many draws. K is where the weighted
    harmonic mean of the two is largest.

    Parameters
    ----------
    probabilities
        p of all compositions, shape (N,), none below 0.
    precision_weight
        Weight of the precision, from 0 to 1; the coverage has the rest. At 1/2 the mean is the F1 score.

    Returns
    -------
    int
        K; 0 if all p are 0.
    """
    inside = np.cumsum(np.sort(probabilities)[::-1])
    if len(inside) == 0 or inside[-1] <= 0:
        return 0
    mean = inside / (precision_weight * np.arange(1, len(inside) + 1) + (1 - precision_weight) * inside[-1])
    return int(np.argmax(mean)) + 1


def training_quantities(codes: Ints, table: ElpasoliteTable, energy_class: int) -> dict[str, Any]:
    """Say of samples of a class what the training set can say of them (section 7.4 of the thesis).

    Returns
    -------
    dict
        training_js_distance (of the samples' elements to those of the class in the training set), unique (different
        compositions) and rediscovered (of these, in the training set).
    """
    unique = np.unique(codes)
    return {
        "training_js_distance": js_distance(
            site_distribution(codes), site_distribution(table.codes_of_class(energy_class))
        ),
        "unique": len(unique),
        "rediscovered": int(np.isin(unique, table.codes).sum()),
    }


def pareto_front(js_distances: Sequence[float], uniques: Sequence[float]) -> list[int]:
    """Return the indices of models that no other beats in both a smaller distance and more unique compositions."""
    points = list(zip(js_distances, uniques, strict=True))
    return [
        index
        for index, (distance, unique) in enumerate(points)
        if not any(
            (d <= distance and u >= unique) and (d < distance or u > unique) for d, u in points if np.isfinite(d)
        )
        and np.isfinite(distance)
    ]


def knee(js_distances: Sequence[float], uniques: Sequence[float]) -> int:
    """Return the model of the front that is nearest to the best distance and the best number, each scaled to its range.

    It needs no limit of the distance, but on the thesis's tables it takes other models than the thesis for VAE and GAN.
    """
    front = pareto_front(js_distances, uniques)
    if not front:
        raise GenerativeError("None of the models gave samples of the class: train them longer.")
    distance = np.array([js_distances[index] for index in front])
    unique = np.array([uniques[index] for index in front])
    lost = np.hypot(_scaled(distance - distance.min()), _scaled(unique.max() - unique))
    return front[int(np.argmin(lost))]


def choose(js_distances: Sequence[float], uniques: Sequence[float], limit: float) -> int:
    """Return the model of the front with the most unique compositions within a distance; the `knee` if none is within.

    The thesis wants many compositions at a distance that is low and not zero, and names no rule; this one takes its
    three models with `THESIS_DISTANCE`.

    Raises
    ------
    GenerativeError
        If no model has a finite distance.
    """
    within = [index for index in pareto_front(js_distances, uniques) if js_distances[index] <= limit]
    return max(within, key=lambda index: uniques[index]) if within else knee(js_distances, uniques)


def sampling_distance(table: ElpasoliteTable, energy_class: int) -> float:
    """Return how far apart two samples are that are as small as a class of the training set.

    A model that is nearer to the class than this knows its rows rather than what they were drawn from. Both samples are
    drawn from the compounds of the class, with replacement.
    """
    codes = table.codes_of_class(energy_class)
    compounds = np.unique(np.minimum(codes, swap(codes)))
    random = np.random.default_rng(0)

    def sample() -> Floats:
        drawn = random.choice(compounds, len(compounds))
        return site_distribution(np.concatenate([drawn, swap(drawn)]))

    return float(np.mean([js_distance(sample(), sample()) for _ in range(_RESAMPLES)]))


def _scaled(values: Floats) -> Floats:
    return values / max(float(values.max()), 1e-12)
