from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_perovskite.learning.families.descriptor import SITES, both_orders
from aiida_perovskite.learning.families.mirrors import find_families, orient
from aiida_perovskite.learning.families.statistics import element_table, family_table, reference_gap


def tables(both: pd.DataFrame, clusters: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    families = find_families(both, clusters)
    family, oriented = orient(families, clusters)
    rows = both.iloc[oriented].reset_index(drop=True)
    return family_table(rows, family, families, 0.1), element_table(rows, family)


@pytest.fixture(scope="module")
def both(levels: pd.DataFrame) -> pd.DataFrame:
    return both_orders(levels)


@pytest.fixture(scope="module")
def clusters(both: pd.DataFrame, planted: pd.DataFrame) -> np.ndarray:
    kind = np.tile(planted["planted"], 2)
    on_b = both["cbm_weight_b"] > both["cbm_weight_a"]
    return np.select([kind == "magnetic", (kind == "ionic") & on_b, kind == "ionic", on_b], [1, 2, 3, 4], 5)


def test_a_family_has_the_planted_statistics(both: pd.DataFrame, clusters: np.ndarray, planted: pd.DataFrame) -> None:
    families, elements = tables(both, clusters)
    magnetic, ionic, silver = families.to_dict(orient="records")
    assert [row["n_compounds"] for row in (magnetic, ionic, silver)] == [90, 72, 36]
    assert ionic["clusters"] == "2+3"
    # Written in one order, the planted weights come back (to a tolerance: the noise is symmetric in the logarithm).
    assert [ionic[f"vbm_weight_{site}"] for site in SITES] == pytest.approx([0.03, 0.05, 0.02, 0.9], abs=0.02)
    assert [ionic[f"cbm_weight_{site}"] for site in SITES] == pytest.approx([0.05, 0.85, 0.05, 0.05], abs=0.02)
    assert silver["vbm_weight_a"] > 0.8 > 0.2 > silver["vbm_weight_b"]
    # A self-mirrored family is symmetric by itself.
    assert magnetic["cbm_weight_a"] == pytest.approx(magnetic["cbm_weight_b"])
    assert magnetic["attention_ac"] == pytest.approx(0.7, abs=0.03)
    assert magnetic["attention_ac"] == pytest.approx(
        np.mean([magnetic[f"attention_{layer}_ac"] for layer in (1, 2, 3)])
    )
    gaps = both["gap_ev"].iloc[: len(planted)][(planted["planted"] == "ionic").to_numpy()]
    assert ionic["gap_mean_ev"] == pytest.approx(gaps.mean())
    assert ionic["gap_std_ev"] == pytest.approx(gaps.std(ddof=0))

    counted = elements.set_index(["family", "site", "element"])
    assert counted.loc[(2, "A", "Na"), "n"] == 24
    assert counted.loc[(2, "A", "Na"), "share_of_site"] == pytest.approx(1 / 3)
    assert counted.loc[(2, "C", "Cs"), "share_of_element"] == pytest.approx(36 / (36 + 12))
    assert counted.loc[(1, "A", "Fe"), "n"] == counted.loc[(1, "B", "Fe"), "n"] == 9
    assert counted.loc[(2, "B", "Sc"), "cbm_weight"] == pytest.approx(0.85, abs=0.05)


def test_shares_add_up_both_ways(both: pd.DataFrame, clusters: np.ndarray) -> None:
    _, elements = tables(both, clusters)
    assert elements.groupby(["family", "site"])["share_of_site"].sum().to_numpy() == pytest.approx(1.0)
    assert elements.groupby(["site", "element"])["share_of_element"].sum().to_numpy() == pytest.approx(1.0)
    whole = elements[elements["site"] == "all"]
    assert whole["n"].sum() == 4 * 198


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_it_does_not_matter_which_site_a_user_calls_a(both: pd.DataFrame, clusters: np.ndarray, seed: int) -> None:
    """Exchange A and B of some compounds: rows i and i + N change places, with their clusters."""
    random = np.random.default_rng(seed)
    compounds = len(both) // 2
    exchanged = random.random(compounds) < 0.5
    order = random.permutation(compounds)
    top = np.where(exchanged, order + compounds, order)
    bottom = np.where(exchanged, order, order + compounds)
    index = np.concatenate([top, bottom])
    written = both.iloc[index].reset_index(drop=True)
    families, elements = tables(both, clusters)
    other_families, other_elements = tables(written, clusters[index])
    pd.testing.assert_frame_equal(families, other_families)
    pd.testing.assert_frame_equal(elements, other_elements)


def test_the_reference_gap_goes_before_the_prediction() -> None:
    frame = pd.DataFrame({"gap_ev": [-0.3, 1.0, 2.0], "target_ev": [np.nan, 1.5, None]})
    assert reference_gap(frame).tolist() == [0.0, 1.5, 2.0]
    assert reference_gap(frame[["gap_ev"]]).tolist() == [0.0, 1.0, 2.0]
