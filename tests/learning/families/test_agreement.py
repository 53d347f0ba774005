from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from aiida_perovskite.learning.families import (
    FamilyDataError,
    FamilySettings,
    attention_importance,
    measure_agreement,
)
from aiida_perovskite.learning.families.descriptor import SITES, mirror_levels

SETTINGS = FamilySettings(permutations=199)
PAIRS = [i + j for i in SITES for j in SITES]


def test_the_rollout_follows_attention_back_to_the_embeddings(levels: pd.DataFrame) -> None:
    """Two layers: B asks A, then C asks B; the edges are made by C alone."""
    first, second = np.eye(4), np.eye(4)
    first[1], second[2] = [1, 0, 0, 0], [0, 1, 0, 0]
    row = levels.iloc[:1].drop(columns=[name for name in levels if name.startswith("attention")])
    for layer, weights in enumerate((first, second), start=1):
        names = [f"attention_{layer}_1_{pair}" for pair in PAIRS]
        row = row.join(pd.DataFrame([weights.ravel()], columns=names))
    for edge in ("vbm", "cbm"):
        row = row.assign(**{f"{edge}_weight_{site}": float(site == "c") for site in SITES})
    # Half of C is its own; the other half B's, of which again half is A's.
    np.testing.assert_allclose(attention_importance(row), [[0.25, 0.25, 0.5, 0.0]])


def test_shares_add_up_and_turn_with_the_mirror(levels: pd.DataFrame) -> None:
    importance = attention_importance(levels)
    np.testing.assert_allclose(importance.sum(axis=1), 1.0)
    np.testing.assert_allclose(attention_importance(mirror_levels(levels)), importance[:, [1, 0, 2, 3]])


def test_equal_rankings_agree_and_noise_does_not(levels: pd.DataFrame) -> None:
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(levels), 4))
    perfect = measure_agreement(levels, signs * attention_importance(levels), SETTINGS).score
    assert perfect["spearman_mean"] == pytest.approx(1.0)
    assert perfect["same_top_share"] == 1.0
    assert perfect["spearman_sites_p"] == perfect["spearman_compounds_p"] == pytest.approx(1 / 200)
    assert perfect["spearman_sites_null"] == pytest.approx(0.0, abs=0.02)
    assert perfect["same_top_sites_null"] == pytest.approx(0.25, abs=0.02)

    noise = measure_agreement(levels, np.random.default_rng(1).normal(size=(len(levels), 4)), SETTINGS)
    assert noise.score["spearman_sites_p"] > 0.01
    assert abs(noise.score["spearman_mean"]) < 0.12
    for place in (0, 100):
        row = noise.frame.iloc[place]
        expected = spearmanr(row[[f"attention_{s}" for s in SITES]], row[[f"gradient_{s}" for s in SITES]]).statistic
        assert row["spearman"] == pytest.approx(expected)


def test_a_general_preference_for_a_site_is_told_from_agreement_about_compounds(levels: pd.DataFrame) -> None:
    """Gradients that always rank the sites as the attention does on average beat shuffled sites only."""
    halides = levels[levels["d"].isin(["F", "Cl"])]  # they look at D
    average = np.tile(attention_importance(halides).mean(axis=0), (len(halides), 1))
    score = measure_agreement(halides, average, SETTINGS).score
    assert score["spearman_sites_p"] <= 0.01
    assert score["spearman_compounds_p"] > 0.01


def test_compounds_without_a_ranking_are_counted_apart(levels: pd.DataFrame) -> None:
    attributions = attention_importance(levels)
    attributions[:5] = 0.0
    found = measure_agreement(levels, attributions, SETTINGS)
    assert found.score["n_undecided"] == 5
    assert found.frame["spearman"].isna().sum() == 5
    assert found.score["spearman_mean"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("attributions", "message"),
    [
        (np.ones((3, 4)), "shape"),
        (np.full((198, 4), np.nan), "finite"),
        (np.ones((198, 4)), "No compound ranks"),
    ],
)
def test_attributions_that_do_not_fit_are_refused(levels: pd.DataFrame, attributions: np.ndarray, message: str) -> None:
    with pytest.raises(FamilyDataError, match=message):
        measure_agreement(levels, attributions, SETTINGS)
