from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs

from aiida_perovskite.learning.families import (
    FamilyAnalysis,
    FamilyDataError,
    FamilySettings,
    analyse,
    cluster_table,
    mirror_levels,
)

SETTINGS = FamilySettings(permutations=199, k_max=8, n_init=3, gap_references=3, seed_runs=2, bootstrap_runs=3)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def analysis(levels: pd.DataFrame, make_levels: Callable[..., pd.DataFrame], lines: list[str]) -> FamilyAnalysis:
    second = make_levels(seed=1).drop(columns="planted")
    return analyse({"member-0": levels, "member-1": second}, SETTINGS, progress=lines.append)


def test_planted_families_are_found_with_their_mirrors(analysis: FamilyAnalysis, planted: pd.DataFrame) -> None:
    summary = analysis.summary
    assert (summary["n_clusters"], summary["n_families"], summary["n_distinguishable"]) == (5, 3, 3)
    assert summary["confirmed_share"] == 1.0
    merged = analysis.members.merge(planted, on="formula")
    assert merged.groupby("planted")["family"].agg(["min", "max"]).to_numpy().tolist() == [[2, 2], [1, 1], [3, 3]]
    assert analysis.families["clusters"].str.count(r"\+").sum() == 2
    stability = summary["stability"]
    assert stability["member"] == {
        "n_runs": 1,
        "ari_mean": 1.0,
        "ari_min": 1.0,
        "ari_quartiles": [1.0, 1.0, 1.0],
        "same_k": 1,
        "k_counts": {"5": 1},
    }
    assert stability["seed"]["same_k"] == 2
    assert stability["bootstrap"]["ari_min"] > 0.95


def test_the_tables_hold_what_the_report_draws(analysis: FamilyAnalysis, lines: list[str]) -> None:
    members = analysis.members
    assert len(members) == 2 * 198
    assert {"formula", "order", "pc1", "pc2", "pc3", "cluster", "family", "silhouette", "gap_ev"} <= set(members)
    # Exactly one order of a compound of a pair is that of its family; in a self-mirrored one both are.
    per_compound = members.groupby(["family", "formula"])["in_family_order"].sum()
    assert per_compound[1].unique().tolist() == [2]
    assert per_compound[2].unique().tolist() == [1]
    assert list(analysis.scan) == ["k", "silhouette", "inertia", "gap_statistic", "gap_statistic_std", "chosen"]
    assert analysis.scan.loc[analysis.scan["chosen"], "k"].tolist() == [5]
    assert len(analysis.components.columns) == 2 + 56
    assert analysis.stability["kind"].tolist() == ["seed"] * 2 + ["bootstrap"] * 3 + ["member"]
    json.dumps(analysis.summary, allow_nan=False)
    assert any("bootstrap" in line for line in lines)


def test_nothing_depends_on_how_the_table_was_written(levels: pd.DataFrame, analysis: FamilyAnalysis) -> None:
    turned = np.random.default_rng(0).random(len(levels)) < 0.5
    written = pd.concat([levels[~turned], mirror_levels(levels[turned])]).sample(frac=1, random_state=0)
    again = analyse({"member-0": written}, SETTINGS)
    for name in ("members", "scan", "families", "elements", "claims", "components"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(analysis, name))


def test_clusters_that_know_nothing_of_chemistry_make_no_claim_about_it(levels: pd.DataFrame) -> None:
    """Attention and weights of other compounds: clusters as clear as before, but elements and gaps are by chance."""
    described = [name for name in levels if "weight" in name or "attention" in name]
    order = np.random.default_rng(0).permutation(len(levels))
    mixed = levels.assign(**{name: levels[name].to_numpy()[order] for name in described})
    claims = analyse({"one": mixed}, SETTINGS).claims
    claimed = set(claims.loc[claims["claimed"], "statistic"])
    assert claimed
    assert all(name.startswith(("vbm_weight", "cbm_weight", "attention_to")) for name in claimed)


def test_levels_that_do_not_vary_or_do_not_fit_are_refused(levels: pd.DataFrame) -> None:
    numbers = [name for name in levels if "weight" in name or "attention" in name]
    with pytest.raises(FamilyDataError, match="same for all rows"):
        analyse({"one": levels.assign(**dict.fromkeys(numbers, 0.25))}, SETTINGS)
    with pytest.raises(FamilyDataError, match="too few for 8 clusters"):
        analyse({"one": levels.iloc[:4]}, SETTINGS)
    with pytest.raises(FamilyDataError, match="not of the same compounds"):
        analyse({"one": levels, "two": levels.iloc[1:]}, SETTINGS)
    with pytest.raises(FamilyDataError, match="at least one network"):
        analyse({}, SETTINGS)


def test_a_single_class_of_anion_is_noted(levels: pd.DataFrame) -> None:
    oxides = analyse({"one": levels[levels["d"] == "O"]}, SETTINGS)
    assert "All compounds are oxides, so that anions cannot tell families apart." in oxides.summary["notes"]
    assert not oxides.families["sentence"].str.contains("oxides").any()


def test_any_table_can_be_clustered() -> None:
    values, truth = make_blobs(150, 5, centers=3, cluster_std=0.6, random_state=4)
    frame = pd.DataFrame(values, columns=list("vwxyz")).assign(name=[f"sample {n}" for n in range(150)], constant=2)
    found = cluster_table(frame, SETTINGS, labels=["name"])
    assert found.summary["n_clusters"] == 3
    assert list(found.rows) == ["name", "pc1", "pc2", "pc3", "cluster", "silhouette"]
    assert (pd.crosstab(truth, found.rows["cluster"]) > 0).to_numpy().sum() == 3
    assert set(found.stability["kind"]) == {"seed", "bootstrap"}
    json.dumps(found.summary, allow_nan=False)
    narrow = cluster_table(frame[["name", "v"]], SETTINGS, labels=["name"])
    assert list(narrow.rows) == ["name", "pc1", "cluster", "silhouette"]


def test_importing_settings_loads_nothing_heavy() -> None:
    code = (
        "import sys; from aiida_perovskite.learning.families import FamilySettings; "
        "print(sorted({'torch', 'aiida', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == "[]"
