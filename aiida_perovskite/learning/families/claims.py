"""Which statistics of a family differ from those of all compounds by more than chance.

The labels of the compounds are exchanged at random, a compound's two rows (orders of A and B) together, and A and B of
a compound at random too. A statistic counts only if its difference from all compounds is worth a claim
(`smallest_difference`); its size is the difference over the standard deviation among the relabellings. The p-value of
a claim is the share of relabellings in which any statistic of any family is as large (the maximum statistic of P. H.
Westfall, S. S. Young, Resampling-Based Multiple Testing, 1993). So the chance that a false claim is made at all is at
most the chosen p-value, however many families and statistics there are.

Attention and weights are what the clusters were made from, so it is no news that they differ between clusters, and
these p-values do not show that there are clusters; silhouette, gap statistic and stability speak about that. Elements
and gaps were not clustered, and that they differ is a finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .classes import HALIDE_KINDS
from .descriptor import attention_tensor, site_columns
from .mirrors import Family
from .settings import FamilySettings
from .statistics import reference_gap

__all__ = ["find_claims"]

_BATCH = 32
"""Relabellings that are averaged by one matrix product."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Statistics:
    """Numbers per row whose family means may be claimed: values (2 N, S), their names and their unit of difference."""

    values: Floats
    names: list[str]
    unit: Floats


def find_claims(
    both: pd.DataFrame, family: Ints, oriented: Ints, families: Sequence[Family], settings: FamilySettings
) -> pd.DataFrame:
    """Hold the statistics of each family against relabelled compounds.

    Parameters
    ----------
    both
        Levels in both orders, 2 N rows, with the columns of `classes.describe_elements`.
    family, oriented
        Family of each row, and the row that says the same in the family's order (`mirrors.orient`).
    families
        The families.
    settings
        Number of relabellings, p-value and smallest difference.

    Returns
    -------
    pandas.DataFrame
        family, statistic, mean (in the family), overall_mean, difference, p_value, claimed. Statistics are
        ``vbm_weight_a`` ... ``cbm_weight_d``, ``attention_to_a`` ... (mean attention that a site receives), ``gap_ev``,
        ``zero_gap``, ``open_d``, ``open_f``, ``halides``, and ``class_a=...`` to ``class_d=...`` (shares).
    """
    statistics = _collect(both, settings.zero_gap_ev)
    members = np.zeros((len(families), len(both)))
    for place, one in enumerate(families):
        np.add.at(members[place], oriented[family == one.number], 1.0)
    overall = statistics.values.mean(axis=0)
    observed = _means(members, statistics.values) - overall
    drawn = np.concatenate(list(_relabelled(members, statistics.values, settings))) - overall
    spread = drawn.std(axis=0)
    smallest = settings.smallest_difference * statistics.unit
    largest = _size(drawn, spread, smallest).max(axis=(1, 2))
    size = _size(observed, spread, smallest)
    as_large = (largest[:, None, None] >= size).sum(axis=0)
    p_values = (1 + as_large) / (1 + settings.permutations)
    count = len(statistics.names)
    return pd.DataFrame(
        {
            "family": np.repeat([one.number for one in families], count),
            "statistic": statistics.names * len(families),
            "mean": (observed + overall).ravel(),
            "overall_mean": np.tile(overall, len(families)),
            "difference": observed.ravel(),
            "p_value": p_values.ravel(),
            "claimed": ((p_values <= settings.p_value) & (size > 0)).ravel(),
        }
    )


def _collect(both: pd.DataFrame, zero_gap_ev: float) -> _Statistics:
    gap = reference_gap(both).to_numpy(dtype=np.float64)
    received = attention_tensor(both).mean(axis=(1, 2, 3))
    columns = both[site_columns("vbm_weight") + site_columns("cbm_weight")].astype(float)
    columns[site_columns("attention_to")] = received
    columns["gap_ev"] = gap
    columns["zero_gap"] = gap < zero_gap_ev
    columns["halides"] = both["class_d"].isin(HALIDE_KINDS.values())
    columns[["open_d", "open_f"]] = both[["open_d", "open_f"]]
    classes = pd.get_dummies(both[site_columns("class")], prefix_sep="=")
    columns = pd.concat([columns, classes], axis=1).astype(np.float64)
    unit = np.ones(columns.shape[1])
    unit[columns.columns.get_loc("gap_ev")] = gap.std()
    return _Statistics(columns.to_numpy(), list(map(str, columns.columns)), unit)


def _means(members: Floats, values: Floats) -> Floats:
    """Average over the rows of each family; `members` counts how often a row is in a family, shape (..., 2 N)."""
    means: Floats = members @ values / members.sum(axis=-1, keepdims=True)
    return means


def _relabelled(members: Floats, values: Floats, settings: FamilySettings) -> list[Floats]:
    """Average after relabelling, shapes (batch, families, statistics)."""
    random = np.random.default_rng([settings.seed, 3])
    count, compounds = len(members), members.shape[1] // 2
    per_order = members.reshape(count, 2, compounds)
    batches = []
    for start in range(0, settings.permutations, _BATCH):
        batch = np.empty((min(_BATCH, settings.permutations - start), count, 2, compounds))
        for draw in batch:
            shuffled = per_order[:, :, random.permutation(compounds)]
            exchanged = random.random(compounds) < 0.5
            draw[...] = np.where(exchanged, shuffled[:, ::-1], shuffled)
        batches.append(_means(batch.reshape(len(batch), count, -1), values))
    return batches


def _size(difference: Floats, spread: Floats, smallest: Floats) -> Floats:
    """Give the size of a difference in standard deviations; 0 where it is not worth a claim or nothing varies."""
    worth = (np.abs(difference) >= smallest) & (spread > 1e-12)
    size: Floats = np.where(worth, np.abs(difference) / np.where(spread > 1e-12, spread, 1.0), 0.0)
    return size
