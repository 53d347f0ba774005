"""How far clusters can be trusted: what other seeds, other compounds and other networks make of them.

Every repetition is the whole analysis again. It is compared with the first one by the adjusted Rand index of their
labels of the same rows, at the k of the first one (1: the same clusters; 0: no more alike than by chance; L. Hubert, P.
Arabie, J. Classif. 2, 193, 1985). And it chooses its own k, by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from .clustering import Clustering, Progress, Scan, choose, k_means, silhouettes
from .descriptor import Descriptor
from .reduction import Reduction, reduce_dimensions
from .settings import FamilySettings

__all__ = ["measure_stability", "summarise_stability"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Outcome = tuple[Ints, int]
"""Labels of all rows at the k of the first analysis, and the k that the repetition chooses."""


def measure_stability(
    descriptor: Descriptor,
    reduction: Reduction,
    scan: Scan,
    settings: FamilySettings,
    *,
    copies: int = 1,
    others: Mapping[str, Descriptor] | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Repeat an analysis with other seeds, with resampled compounds, and with the descriptors of other networks.

    Parameters
    ----------
    descriptor, reduction, scan
        The analysis whose stability is asked for.
    settings
        Its settings; `seed_runs` and `bootstrap_runs` count the repetitions.
    copies
        How many blocks of rows describe the same compounds in the same order (2: both orders of A and B). A resampled
        compound brings all its rows along.
    others
        Name -> descriptor of the same rows by another network.
    progress
        Called with a line of text per repetition.

    Returns
    -------
    pandas.DataFrame
        kind ('seed', 'bootstrap' or 'member'), run, k (which the repetition chooses), ari.
    """
    others = others or {}
    total = settings.seed_runs + settings.bootstrap_runs + len(others)
    reference = scan.clusterings[scan.k].labels
    rows: list[dict[str, Any]] = []

    def add(kind: str, run: str, outcome: Outcome) -> None:
        labels, own_k = outcome
        ari = float(adjusted_rand_score(reference, labels))
        rows.append({"kind": kind, "run": run, "k": own_k, "ari": ari})
        if progress is not None:
            progress(f"stability: {kind} {run} ({len(rows)}/{total}), adjusted Rand index {ari:.2f}")

    for run in range(1, settings.seed_runs + 1):
        add("seed", str(run), _repeat(reduction.scores, scan, settings, settings.seed + run))
    for run, sample in enumerate(_samples(len(descriptor.values), copies, settings), start=1):
        add("bootstrap", str(run), _resampled(descriptor, sample, scan, settings))
    for name, other in others.items():
        scores = reduce_dimensions(other, settings.components, settings.standardise).scores
        add("member", name, _repeat(scores, scan, settings, settings.seed))
    return pd.DataFrame(rows, columns=["kind", "run", "k", "ari"])


def _samples(n_rows: int, copies: int, settings: FamilySettings) -> Iterator[Ints]:
    """Draw compounds with replacement; yield the rows of each draw."""
    random = np.random.default_rng([settings.seed, 2])
    compounds = n_rows // copies
    for _ in range(settings.bootstrap_runs):
        drawn = np.sort(random.integers(compounds, size=compounds))
        yield np.concatenate([drawn + block * compounds for block in range(copies)])


def _repeat(scores: Floats, scan: Scan, settings: FamilySettings, seed: int) -> Outcome:
    clusterings = {k: k_means(scores, k, settings.n_init, seed) for k in scan.clusterings}
    labels = {k: clustering.labels for k, clustering in clusterings.items()}
    return labels[scan.k], _own_k(scores, clusterings, labels, scan, settings)


def _resampled(descriptor: Descriptor, sample: Ints, scan: Scan, settings: FamilySettings) -> Outcome:
    """Project and cluster a sample of the rows, then give every row to its nearest centre."""
    drawn = Descriptor(descriptor.values[sample], descriptor.names)
    reduction = reduce_dimensions(drawn, settings.components, settings.standardise)
    clusterings = {k: k_means(reduction.scores, k, settings.n_init, settings.seed) for k in scan.clusterings}
    everything = reduction.project(descriptor.values)
    # Repeated rows are at distance 0 from each other and would flatter the silhouette.
    distinct = np.unique(sample)
    labels = {k: clustering.assign(everything) for k, clustering in clusterings.items()}
    held = {k: found[distinct] for k, found in labels.items()}
    return labels[scan.k], _own_k(everything[distinct], clusterings, held, scan, settings, len(sample))


def _own_k(
    scores: Floats,
    clusterings: Mapping[int, Clustering],
    labels: Mapping[int, Ints],
    scan: Scan,
    settings: FamilySettings,
    n_clustered: int | None = None,
) -> int:
    """Choose k as the first analysis did; its reference draws serve for the gap statistic of the repetition too."""
    means = dict.fromkeys(labels, 0.0)
    if settings.rule == "silhouette":
        found = silhouettes(scores, list(labels.values()))
        means = {k: float(values.mean()) for k, values in zip(labels, found, strict=True)}
    n_clustered = n_clustered or len(scores)
    inertia = {k: clustering.inertia / n_clustered for k, clustering in clusterings.items()}
    inertia[1] = float(scores.var(axis=0).sum())
    return max(choose(settings.rule, means, inertia, scan.reference), settings.k_min)


def summarise_stability(stability: pd.DataFrame, k: int) -> dict[str, dict[str, Any]]:
    """Describe the repetitions of each kind.

    Parameters
    ----------
    stability
        As `measure_stability` returns it.
    k
        Of the first analysis.

    Returns
    -------
    dict
        Kind -> n_runs, ari_mean, ari_min, ari_quartiles (three values), same_k (how many runs choose `k`), k_counts
        (k as text -> number of runs).
    """
    return {
        str(kind): {
            "n_runs": len(runs),
            "ari_mean": float(runs["ari"].mean()),
            "ari_min": float(runs["ari"].min()),
            "ari_quartiles": [float(value) for value in runs["ari"].quantile([0.25, 0.5, 0.75])],
            "same_k": int((runs["k"] == k).sum()),
            "k_counts": {str(number): int(count) for number, count in runs["k"].value_counts().sort_index().items()},
        }
        for kind, runs in stability.groupby("kind", sort=False)
    }
