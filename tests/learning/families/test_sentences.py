"""Claims and sentences: planted families are described as planted, and permuted labels get no confident word."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from aiida_perovskite.learning.families import FamilySettings
from aiida_perovskite.learning.families.analysis import describe_families
from aiida_perovskite.learning.families.descriptor import both_orders
from aiida_perovskite.learning.families.sentences import NOT_DISTINGUISHABLE

SETTINGS = FamilySettings(permutations=199)


@pytest.fixture(scope="module")
def clusters(levels: pd.DataFrame, planted: pd.DataFrame) -> np.ndarray:
    both = both_orders(levels)
    kind = np.tile(planted["planted"], 2)
    on_b = both["cbm_weight_b"] > both["cbm_weight_a"]
    return np.select([kind == "magnetic", (kind == "ionic") & on_b, kind == "ionic", on_b], [1, 2, 3, 4], 5)


@pytest.fixture(scope="module")
def sentences(levels: pd.DataFrame, clusters: np.ndarray) -> list[str]:
    return describe_families(levels, clusters, SETTINGS).families["sentence"].tolist()


def test_each_family_is_described_as_it_was_planted(sentences: list[str]) -> None:
    magnetic, ionic, silver = sentences
    assert re.match(r"Valence band from D \(\d\d %\), conduction band from B \(\d\d %\); attention on B", ionic)
    assert "chlorides (50 %) and fluorides (50 %) without open d shells" in ionic
    assert "on A and C: alkali metals (100 %)" in ionic
    assert "eV (n = 72)." in ionic
    assert re.match(r"Valence band from A \(\d\d %\), conduction band from B \(\d\d %\); attention on A", silver)
    assert "on A: d metals with a full d shell (100 %)" in silver
    assert "bromides (50 %) and iodides (50 %) without open d shells" in silver
    assert re.match(r"Valence band from A \(\d\d %\) and B \(\d\d %\)", magnetic)
    assert "oxides (100 %) more often with open d shells" in magnetic
    assert "on A and B: d metals with an open d shell (69 %)" in magnetic
    assert "on C: alkaline earths (100 %)" in magnetic
    assert "gap 0.5 ± 0." in magnetic
    for sentence in sentences:
        assert sentence.endswith(".")
        assert NOT_DISTINGUISHABLE not in sentence


def test_other_clusters_give_other_sentences(levels: pd.DataFrame, clusters: np.ndarray, sentences: list[str]) -> None:
    """Join the two pairs: the joint family is neither described as the one nor as the other."""
    joined = np.select([clusters == 4, clusters == 5], [2, 3], clusters)
    families = describe_families(levels, joined, SETTINGS).families.set_index("clusters")
    pair = families["sentence"]["2+3"]
    assert pair not in sentences
    assert "alkali metals (67 %) and d metals with a full d shell (33 %)" in pair
    assert "without open d shells" in pair


@pytest.mark.parametrize("seed", range(5))
def test_permuted_labels_give_no_confident_sentence(levels: pd.DataFrame, clusters: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    order = random.permutation(len(levels))
    compounds = np.concatenate([clusters[: len(levels)][order], clusters[len(levels) :][order]])
    for permuted in (compounds, random.permutation(clusters)):
        families = describe_families(levels, permuted, SETTINGS).families
        assert families["sentence"].str.startswith(NOT_DISTINGUISHABLE).all()


def test_the_chance_of_any_false_claim_is_the_p_value(make_levels: Callable[..., pd.DataFrame]) -> None:
    """At p = 0.2, about a fifth of random labellings may claim something, not one fifth of the statistics."""
    levels = make_levels(seed=3).drop(columns="planted").iloc[::3].reset_index(drop=True)
    settings = FamilySettings(permutations=99, p_value=0.2, smallest_difference=0.0)
    random = np.random.default_rng(0)
    false = 0
    for _ in range(40):
        half = random.integers(1, 4, len(levels))
        false += describe_families(levels, np.concatenate([half, half]), settings).claims["claimed"].any()
    assert 1 <= false <= 16  # the chance of less or more is below 1 in 1000 each


def test_a_claim_needs_a_difference_worth_one(levels: pd.DataFrame, clusters: np.ndarray) -> None:
    claims = describe_families(levels, clusters, SETTINGS).claims
    claimed = claims[claims["claimed"] & (claims["statistic"] != "gap_ev")]
    assert len(claimed) > 10
    assert (claimed["difference"].abs() >= SETTINGS.smallest_difference).all()
    assert (claimed["p_value"] <= SETTINGS.p_value).all()


def test_one_class_of_anion_is_no_distinction(levels: pd.DataFrame, clusters: np.ndarray) -> None:
    oxides = levels["d"] == "O"
    one = levels[oxides].reset_index(drop=True)
    halves = np.where(one["gap_ev"] > one["gap_ev"].median(), 1, 2)
    description = describe_families(one, np.concatenate([halves, halves]), SETTINGS)
    assert not description.families["sentence"].str.contains("oxides").any()
    assert description.families["sentence"].str.contains("gap").any()
    assert "without a gap" in description.families["sentence"].str.cat()
