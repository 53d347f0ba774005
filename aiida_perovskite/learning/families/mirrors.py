"""Clusters come in mirror pairs: where the rows of ABC2D6 go, those of BAC2D6 go to the partner.

A family is such a pair, or a cluster that is its own mirror. In a pair the rows of one cluster are exchanged, so that
all rows of a family are written in one order, and a statement about its A site means something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Family", "find_families", "mirror_index", "orient"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_EQUAL = 1e-9
"""Mean weights of A and B in a self-mirrored cluster differ by rounding only."""


@dataclass(frozen=True)
class Family:
    """A mirror pair of clusters, or a self-mirrored one.

    Attributes
    ----------
    number
        From 1, the largest family first.
    clusters
        Numbers of its clusters, from 1. The rows of the first are written in the family's order of A and B, those of
        the second in the other one.
    confirmed_share
        Share of its rows whose mirrored row lies in the partner (in the same cluster, if there is but one).
    """

    number: int
    clusters: tuple[int, ...]
    confirmed_share: float


def mirror_index(n_rows: int) -> Ints:
    """Return for each row of a table in both orders (`both_orders`) the place of its mirrored row."""
    return (np.arange(n_rows) + n_rows // 2) % n_rows


def find_families(both: pd.DataFrame, clusters: Ints) -> list[Family]:
    """Find mirror pairs by what happens to the labels when A and B are exchanged.

    Parameters
    ----------
    both
        Levels in both orders, 2 N rows.
    clusters
        Cluster of each row, numbered from 1.

    Returns
    -------
    list of Family
        The larger ones first. A family's order is the one in which B has more of the conduction band than A or, where
        the two are equal, A more of the valence band than B.
    """
    count = int(clusters.max())
    exchanged = np.zeros((count + 1, count + 1))
    np.add.at(exchanged, (clusters, clusters[mirror_index(len(clusters))]), 1)
    sizes = exchanged.sum(axis=1)
    groups = [group for group in _pairs(exchanged) if sizes[list(group)].sum() > 0]
    groups.sort(key=lambda group: (-sizes[list(group)].sum(), group))
    families = []
    for number, group in enumerate(groups, start=1):
        confirmed = sum(exchanged[one, other] for one, other in zip(group, group[::-1], strict=True))
        rows = sizes[list(group)].sum()
        families.append(Family(number, _in_order(group, both, clusters), float(confirmed / rows)))
    return families


def _pairs(exchanged: Floats) -> list[tuple[int, ...]]:
    """Join clusters in pairs, best first, as long as that confirms more rows than leaving both alone."""
    own = np.diag(exchanged)
    gain = 2 * exchanged - own[:, None] - own[None, :]
    free = set(range(1, len(exchanged)))
    candidates = [(one, other) for one in free for other in free if one < other and gain[one, other] > 0]
    groups: list[tuple[int, ...]] = []
    for one, other in sorted(candidates, key=lambda pair: (-gain[pair], pair)):
        if {one, other} <= free:
            groups.append((one, other))
            free -= {one, other}
    return groups + [(left,) for left in sorted(free)]


def _in_order(group: tuple[int, ...], both: pd.DataFrame, clusters: Ints) -> tuple[int, ...]:
    if len(group) == 1:
        return group
    sign = np.where(clusters == group[0], 1, np.where(clusters == group[1], -1, 0))
    more_in_b = float(sign @ (both["cbm_weight_b"] - both["cbm_weight_a"]).to_numpy(float))
    if abs(more_in_b) < _EQUAL * len(both):
        more_in_b = float(sign @ (both["vbm_weight_a"] - both["vbm_weight_b"]).to_numpy(float))
    return group if more_in_b >= 0 else group[::-1]


def orient(families: list[Family], clusters: Ints) -> tuple[Ints, Ints]:
    """Return for each row its family, and the row that says the same in that family's order (itself or its mirror)."""
    family = np.zeros(len(clusters), dtype=np.int64)
    oriented = np.arange(len(clusters))
    mirror = mirror_index(len(clusters))
    for one in families:
        family[np.isin(clusters, one.clusters)] = one.number
        for exchanged in one.clusters[1:]:
            rows = clusters == exchanged
            oriented[rows] = mirror[rows]
    return family, oriented
