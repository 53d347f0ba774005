"""Calcfunctions of interpretable gaps: what networks say, and descriptors of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from level_inputs import OVERRIDES, gap_table

FAMILIES = OVERRIDES["interpret"]["families"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A level model after four epochs."""
    from aiida_perovskite.learning.levels import LevelModel, LevelSettings

    settings = {name: value for name, value in OVERRIDES["levels"].items() if name != "prior_weights"}
    table, path = gap_table(), tmp_path_factory.mktemp("model")
    LevelModel.train(table["formula"], table["gap_ev"], LevelSettings.from_dict(settings), reference={}).save(path)
    return path


def node_of(frame: pd.DataFrame) -> Any:
    from aiida_perovskite.data.table import CompositionTableData

    return CompositionTableData.from_frame(frame, name="table")


def descriptors(n_rows: int = 60) -> pd.DataFrame:
    """Return three clouds that nobody would take for two or four."""
    random = np.random.default_rng(1)
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])[np.arange(n_rows) % 3]
    values = centres + random.normal(size=(n_rows, 2))
    return pd.DataFrame({"formula": [f"compound {row}" for row in range(n_rows)], "x": values[:, 0], "y": values[:, 1]})


def test_a_checkpoint_may_hold_a_level_model(aiida_profile_clean: Any, folder: Path) -> None:
    from aiida_perovskite.data.model import LEVELS, ModelCheckpointData
    from aiida_perovskite.learning.levels.network import ARCHITECTURE

    node = ModelCheckpointData.from_folder(folder).store()
    assert LEVELS == ARCHITECTURE
    assert (node.base.attributes.get("n_members"), node.base.attributes.get("n_training")) == (3, 40)
    assert node.has_levels
    assert node.load_level_model().n_members == 3
    with pytest.raises(ValueError, match=r"is a level network, which explains gaps .*train"):
        node.load_gap_model()


def test_levels_of_all_networks(aiida_profile_clean: Any, folder: Path) -> None:
    from aiida_perovskite.calculations.interpret import predict_levels
    from aiida_perovskite.data.model import ModelCheckpointData

    model = ModelCheckpointData.from_folder(folder).store()
    levels = predict_levels(model, node_of(gap_table().head(5))).to_frame()
    assert levels["member"].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    # Every row of attention is a distribution over the four sites.
    rows = levels[[f"attention_2_1_a{site}" for site in "abcd"]].sum(axis=1)
    np.testing.assert_allclose(rows, 1.0, rtol=1e-5)
    unseen = pd.DataFrame({"formula": ["AgBiCs2Br6", "AgLaCs2Br6"]})
    _, failed = predict_levels.run_get_node(model, node_of(unseen))
    assert failed.exit_status == 400
    assert "no compound of La" in failed.exit_message


def test_any_table_of_descriptors_is_reduced_and_clustered(aiida_profile_clean: Any) -> None:
    from aiida.orm import Dict

    from aiida_perovskite.calculations.interpret import cluster, reduce_dimensions

    table = node_of(descriptors())
    reduced = reduce_dimensions(table, Dict({"components": 2}))
    scores = reduced["scores"].to_frame()
    assert list(scores.columns) == ["formula", "pc1", "pc2"]
    assert reduced["components"].to_frame()["explained_variance"].sum() == pytest.approx(1.0)
    found = cluster(table, Dict(FAMILIES))
    assert found["summary"]["n_clusters"] == 3
    labels = found["rows"].to_frame()["cluster"].to_numpy()
    assert [len(set(labels[start::3])) for start in range(3)] == [1, 1, 1]


BAD_TABLES = {
    "few": (lambda: descriptors(4), "too few for 4 clusters"),
    "constant": (lambda: descriptors().assign(x=1.0, y=2.0), "the same for all rows"),
    "duplicated": (lambda: pd.concat([descriptors(), descriptors().head(1)]), "more than once"),
    "text": (lambda: descriptors().assign(x="one"), "do not hold numbers"),
    "nan": (lambda: descriptors().assign(x=np.nan), "not numbers"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_tables_that_cannot_be_clustered_are_refused_in_one_sentence(aiida_profile_clean: Any, name: str) -> None:
    from aiida.orm import Dict

    from aiida_perovskite.calculations.interpret import cluster

    make, words = BAD_TABLES[name]
    _, node = cluster.run_get_node(node_of(make()), Dict(FAMILIES))
    assert node.exit_status == 400
    assert words in node.exit_message
    assert "\n" not in node.exit_message


def test_solid_state_energies_before_and_after_the_fit(aiida_profile_clean: Any) -> None:
    from aiida.orm import Dict, Str

    from aiida_perovskite.calculations.interpret import solid_state_baseline
    from aiida_perovskite.chemistry import sse_gap

    settings = {"updates": 200, "learning_rate": 0.05, "threshold_ev": -4.5}
    found = solid_state_baseline(node_of(gap_table()), Str("gap_ev"), Dict(settings))
    errors, gaps = found["errors"].get_dict(), found["gaps"].to_frame()
    assert errors["rmse_after_ev"] < errors["rmse_before_ev"]
    assert errors["rmse_after_ev"] == pytest.approx(((gaps["after_ev"] - gaps["target_ev"]) ** 2).mean() ** 0.5)
    energies = found["energies"].to_frame().set_index("symbol")
    assert energies.loc["Cs+1", "cation"]
    assert not energies.loc["F-1", "cation"]
    assert (gaps["before_ev"].isna() == (gaps["reason"] != "")).all()
    np.testing.assert_allclose(gaps["before_ev"], sse_gap(gaps["formula"]).gap_ev.clip(min=0.0))
    noble = pd.DataFrame({"formula": ["HeNeAr2Kr6"], "gap_ev": [1.0]})
    _, failed = solid_state_baseline.run_get_node(node_of(noble), Str("gap_ev"), Dict(settings))
    assert failed.exit_status == 400
