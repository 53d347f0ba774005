"""k-means for a range of k, and three ways to choose k: silhouette, elbow, gap statistic."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from .descriptor import FamilyDataError
from .settings import FamilySettings

__all__ = ["Clustering", "Progress", "Reference", "Scan", "choose", "k_means", "scan_clusters", "silhouettes"]

_CHUNK = 1024
"""Rows whose distances to all others are held at once."""
_DIGITS = 9
"""Rows that agree to this many digits are one point to k-means."""

_THREADS = ThreadpoolController()

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Clustering:
    """One k-means: labels from 0, the largest cluster first, centres (k, C) and inertia (sum of squared distances)."""

    labels: Ints
    centres: Floats
    inertia: float

    def assign(self, scores: Floats) -> Ints:
        """Return the nearest centre of each row."""
        nearest: Ints = cdist(scores, self.centres).argmin(axis=1)
        return nearest


@dataclass(frozen=True)
class Reference:
    """What k-means gives for rows without clusters: mean and spread of log(inertia per row), by k."""

    mean: dict[int, float]
    spread: dict[int, float]


@dataclass(frozen=True)
class Scan:
    """Clusterings for every k, and what speaks for which.

    Attributes
    ----------
    frame
        k, silhouette (mean), inertia, gap_statistic, gap_statistic_std (standard error of the reference draws), chosen.
    clusterings
        By k.
    silhouettes
        By k, of every row, shape (N,).
    choices
        Rule -> k. The gap statistic also considers that there is but one cluster.
    k
        The k that was chosen.
    reference
        The reference draws behind the gap statistic.
    """

    frame: pd.DataFrame
    clusterings: dict[int, Clustering]
    silhouettes: dict[int, Floats]
    choices: dict[str, int]
    k: int
    reference: Reference


def k_means(scores: Floats, k: int, n_init: int, seed: int) -> Clustering:
    """Cluster rows, shape (N, C), around k centres (equation 6.5 of the thesis, by Lloyd's algorithm).

    Clusters are numbered by falling size, equal ones by their centres.
    """
    # One thread: sums are taken in one order on any machine, and for rows of three numbers many threads are slower (25
    # times where other processes keep the cores busy).
    with warnings.catch_warnings(), _THREADS.limit(limits=1, user_api="openmp"):
        # A small resample can have fewer distinct rows than clusters; clusters that stay empty do no harm.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = KMeans(k, n_init=n_init, random_state=seed).fit(scores)
    found = np.asarray(fit.labels_, dtype=np.int64)
    centres = np.asarray(fit.cluster_centers_, dtype=np.float64)
    sizes = np.bincount(found, minlength=k)
    order = sorted(range(k), key=lambda label: (-sizes[label], *centres[label].round(_DIGITS)))
    rank = np.argsort(order)
    return Clustering(rank[found].astype(np.int64), centres[order], float(fit.inertia_))


def silhouettes(scores: Floats, labellings: Sequence[Ints]) -> list[Floats]:
    """Return the silhouette of every row (equation 6.6 of the thesis) for several labellings of the same rows.

    The sums of distances to all clusters of all labellings are one matrix product per chunk of rows, so that distances
    are computed once; scikit-learn's `silhouette_samples` gives the same numbers for one labelling.
    """
    compact = [np.unique(labels, return_inverse=True)[1] for labels in labellings]
    members = [np.eye(int(labels.max()) + 1)[labels] for labels in compact]
    stacked = np.hstack(members)
    edges = np.cumsum([0] + [one.shape[1] for one in members])
    results = [np.empty(len(scores)) for _ in compact]
    for start in range(0, len(scores), _CHUNK):
        rows = slice(start, start + _CHUNK)
        sums = cdist(scores[rows], scores) @ stacked
        for labels, one, first, last, result in zip(compact, members, edges[:-1], edges[1:], results, strict=True):
            result[rows] = _silhouette(sums[:, first:last], labels[rows], one.sum(axis=0))
    return results


def _silhouette(sums: Floats, own: Ints, sizes: Floats) -> Floats:
    if len(sizes) < 2:
        return np.zeros(len(own))
    rows = np.arange(len(own))
    inside = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    outside = means.min(axis=1)
    larger = np.maximum(inside, outside)
    score: Floats = np.where((sizes[own] > 1) & (larger > 0), (outside - inside) / np.where(larger > 0, larger, 1), 0.0)
    return score


def scan_clusters(scores: Floats, settings: FamilySettings, progress: Progress | None = None) -> Scan:
    """Cluster rows, shape (N, C), for every k of the settings and choose one k.

    Raises
    ------
    FamilyDataError
        If there are not more distinct rows than clusters.
    """
    distinct = len(np.unique(scores.round(_DIGITS), axis=0))
    if distinct <= settings.k_max:
        raise FamilyDataError(
            f"{len(scores)} rows with {distinct} different values are too few for {settings.k_max} clusters: give more "
            "rows or lower k_max."
        )
    numbers = range(settings.k_min, settings.k_max + 1)
    clusterings = {k: k_means(scores, k, settings.n_init, settings.seed) for k in numbers}
    per_row = silhouettes(scores, [clustering.labels for clustering in clusterings.values()])
    inertia = {1: _inertia(scores)} | {k: clustering.inertia for k, clustering in clusterings.items()}
    reference = _reference(scores, [1, *numbers], settings, progress)
    means = {k: float(values.mean()) for k, values in zip(numbers, per_row, strict=True)}
    choices = {
        rule: choose(rule, means, {k: value / len(scores) for k, value in inertia.items()}, reference)
        for rule in ("silhouette", "elbow", "gap_statistic")
    }
    chosen = max(choices[settings.rule], settings.k_min)
    frame = pd.DataFrame(
        {
            "k": list(numbers),
            "silhouette": [means[k] for k in numbers],
            "inertia": [inertia[k] for k in numbers],
            "gap_statistic": [reference.mean[k] - np.log(inertia[k] / len(scores)) for k in numbers],
            "gap_statistic_std": [reference.spread[k] for k in numbers],
            "chosen": [k == chosen for k in numbers],
        }
    )
    return Scan(frame, clusterings, dict(zip(numbers, per_row, strict=True)), choices, chosen, reference)


def choose(
    rule: str, silhouette: Mapping[int, float], inertia_per_row: Mapping[int, float], reference: Reference
) -> int:
    """Choose a number of clusters.

    Parameters
    ----------
    rule
        'silhouette': the largest mean silhouette. 'elbow': the inertia farthest below the chord between its first and
        last value. 'gap_statistic': the smallest k whose gap statistic is not below the next one's less its standard
        error (R. Tibshirani, G. Walther, T. Hastie, J. R. Stat. Soc. B 63, 411, 2001).
    silhouette
        Mean silhouette by k.
    inertia_per_row
        Inertia by k, k = 1 included, over the number of rows.
    reference
        From rows without clusters.
    """
    numbers = sorted(silhouette)
    if rule == "silhouette":
        return max(numbers, key=lambda k: (silhouette[k], -k))
    if rule == "elbow":
        first, last = numbers[0], numbers[-1]
        slope = (inertia_per_row[last] - inertia_per_row[first]) / max(last - first, 1)
        below = {k: inertia_per_row[first] + slope * (k - first) - inertia_per_row[k] for k in numbers}
        return max(numbers, key=lambda k: (below[k], -k))
    tried = [1, *numbers] if numbers[0] == 2 else numbers
    gap = {k: reference.mean[k] - float(np.log(inertia_per_row[k])) for k in tried}
    for k in tried[:-1]:
        if gap[k] >= gap[k + 1] - reference.spread[k + 1]:
            return k
    return tried[-1]


def _inertia(scores: Floats) -> float:
    return float(((scores - scores.mean(axis=0)) ** 2).sum())


def _reference(
    scores: Floats, numbers: Iterable[int], settings: FamilySettings, progress: Progress | None
) -> Reference:
    """Cluster uniform draws in the box of the scores, whose axes are principal components already."""
    random = np.random.default_rng([settings.seed, 1])
    low, high = scores.min(axis=0), scores.max(axis=0)
    logs: dict[int, list[float]] = {k: [] for k in numbers}
    for draw in range(settings.gap_references):
        rows = random.uniform(low, high, scores.shape)
        for k, found in logs.items():
            # As many starts as for the data: fewer would leave more inertia here and so find clusters in nothing.
            inertia = _inertia(rows) if k == 1 else k_means(rows, k, settings.n_init, settings.seed).inertia
            found.append(float(np.log(inertia / len(rows))))
        if progress is not None:
            progress(f"gap statistic: reference {draw + 1}/{settings.gap_references}")
    error = np.sqrt(1 + 1 / settings.gap_references)
    return Reference(
        {k: float(np.mean(found)) for k, found in logs.items()},
        {k: float(np.std(found) * error) for k, found in logs.items()},
    )
