from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aiida_perovskite.learning.families.descriptor import both_orders
from aiida_perovskite.learning.families.mirrors import find_families, mirror_index, orient


@pytest.fixture(scope="module")
def both(levels: pd.DataFrame) -> pd.DataFrame:
    return both_orders(levels)


@pytest.fixture(scope="module")
def clusters(both: pd.DataFrame, planted: pd.DataFrame) -> np.ndarray:
    """1 and 2, 4 and 5: mirror pairs; 3: self-mirrored. In 2 and 4 the conduction band is B's."""
    kind = np.tile(planted["planted"], 2)
    on_b = both["cbm_weight_b"] > both["cbm_weight_a"]
    return np.select([kind == "magnetic", (kind == "ionic") & on_b, kind == "ionic", on_b], [3, 2, 1, 4], 5)


def test_pairs_and_self_mirrored_clusters_are_told_apart(both: pd.DataFrame, clusters: np.ndarray) -> None:
    families = find_families(both, clusters)
    assert [family.clusters for family in families] == [(3,), (2, 1), (4, 5)]
    assert [family.number for family in families] == [1, 2, 3]
    assert all(family.confirmed_share == 1.0 for family in families)


def test_a_family_is_written_in_one_order(both: pd.DataFrame, clusters: np.ndarray) -> None:
    family, oriented = orient(find_families(both, clusters), clusters)
    rows = both.iloc[oriented].reset_index(drop=True)
    assert (rows["formula"] == both["formula"]).all()
    pairs = rows[family > 1]
    assert (pairs["cbm_weight_b"] > pairs["cbm_weight_a"]).all()
    assert set(rows.loc[family == 2, "a"]) == {"K", "Li", "Na"}
    assert set(rows.loc[family == 3, "a"]) == {"Ag", "Cu"}


def test_an_imperfect_pair_is_joined_and_says_how_imperfect(both: pd.DataFrame, clusters: np.ndarray) -> None:
    strays = clusters.copy()
    moved = np.flatnonzero(clusters == 1)[:10]
    strays[moved] = 3
    families = {family.clusters: family for family in find_families(both, strays)}
    assert set(families) == {(3,), (2, 1), (4, 5)}
    assert families[2, 1].confirmed_share == pytest.approx((144 - 20) / (144 - 10))


def test_labels_without_mirror_symmetry_are_not_confirmed(both: pd.DataFrame, clusters: np.ndarray) -> None:
    shuffled = np.random.default_rng(0).permutation(clusters)
    families = find_families(both, shuffled)
    assert sorted(number for family in families for number in family.clusters) == [1, 2, 3, 4, 5]
    assert max(family.confirmed_share for family in families) < 0.7


def test_the_mirror_of_the_mirror_is_the_row_itself() -> None:
    index = mirror_index(10)
    np.testing.assert_array_equal(index[index], np.arange(10))
    assert (index != np.arange(10)).all()
