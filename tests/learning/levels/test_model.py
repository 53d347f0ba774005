from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aiida_perovskite.learning import CheckpointError, TrainingDataError
from aiida_perovskite.learning.levels import LevelModel, LevelSettings, UnseenElementError, levels_frame
from aiida_perovskite.learning.levels.model import JSON_FILE, TENSOR_FILE
from aiida_perovskite.learning.models import load_model


@pytest.fixture(scope="module")
def trained(table: pd.DataFrame, tiny: LevelSettings) -> LevelModel:
    """A network large enough to learn the invented levels."""
    settings = replace(tiny, epochs=150, hidden=32, embedding=15)
    return LevelModel.train(table["formula"], table["gap_ev"], settings, reference={})


def test_it_learns_gaps_that_follow_from_levels(trained: LevelModel, table: pd.DataFrame):
    spread = float(np.abs(table["gap_ev"] - table["gap_ev"].median()).mean())
    assert trained.metrics["mae_ev"] < 0.35 * spread
    assert 0.75 <= trained.metrics["interval_coverage_90"] <= 1


def test_each_row_is_predicted_by_networks_that_did_not_train_on_it(model: LevelModel):
    frame = model.cross_validation
    gaps = np.stack([model.outputs(frame["formula"], member).gap_ev for member in range(model.n_members)])
    np.testing.assert_allclose(frame["gap_ev"], gaps[frame["fold"], np.arange(len(frame))], rtol=1e-5, atol=1e-6)


def test_order_of_rows_and_spelling_change_nothing(model: LevelModel, table: pd.DataFrame, tiny: LevelSettings):
    turned = table.iloc[::-1]
    again = LevelModel.train(turned["formula"], turned["gap_ev"], tiny, reference={})
    assert again.data_sha256 == model.data_sha256
    pd.testing.assert_frame_equal(again.predict(["Cs2AgBiBr6"]), model.predict(["BiAgCs2Br6"]))


def test_saved_and_loaded(model: LevelModel, tmp_path: Path):
    model.save(tmp_path)
    loaded = load_model(tmp_path / TENSOR_FILE, tmp_path / JSON_FILE)
    assert isinstance(loaded, LevelModel)
    pd.testing.assert_frame_equal(loaded.predict(["Cs2AgBiBr6"]), model.predict(["Cs2AgBiBr6"]))
    assert loaded.settings == model.settings
    assert loaded.metrics == model.metrics


def test_a_changed_checkpoint_is_refused(model: LevelModel, tmp_path: Path):
    model.save(tmp_path)
    text = (tmp_path / JSON_FILE).read_text().replace('"weights_sha256": "', '"weights_sha256": "0')
    (tmp_path / JSON_FILE).write_text(text)
    with pytest.raises(CheckpointError, match="not of the same model"):
        LevelModel.load(tmp_path / TENSOR_FILE, tmp_path / JSON_FILE)


@pytest.mark.parametrize(
    "change", [{"hidden": 10**9}, {"layers": 10**9}, {"heads": 10**7}, {"embedding": 10**9}, {"folds": 1, "members": 1}]
)
def test_a_description_cannot_make_a_network_larger_than_its_weights(model: LevelModel, tmp_path: Path, change: dict):
    model.save(tmp_path)
    content = json.loads((tmp_path / JSON_FILE).read_text())
    content["settings"] |= change
    (tmp_path / JSON_FILE).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="does not describe a model of this version"):
        LevelModel.load(tmp_path / TENSOR_FILE, tmp_path / JSON_FILE)


@pytest.mark.parametrize("options", [{}, {"element_features": True, "anchored": True}])
def test_an_unseen_element_is_flagged_and_predicted_only_on_request(
    table: pd.DataFrame, tiny: LevelSettings, options: dict
):
    settings = replace(tiny, **options)
    model = LevelModel.train(table["formula"], table["gap_ev"], settings)
    with pytest.raises(UnseenElementError, match="Tl"):
        model.predict(["Cs2TlBiBr6"])
    row = model.predict(["Cs2TlBiBr6", "Cs2AgBiBr6"], allow_unseen=True)
    assert row["unseen"].tolist() == ["Tl", ""]
    assert row["in_domain"].tolist() == [False, True]
    assert np.isfinite(row["gap_ev"]).all()
    # Others are predicted as without it.
    assert row["gap_ev"][1] == pytest.approx(model.predict(["Cs2AgBiBr6"])["gap_ev"][0], rel=1e-5)


def test_an_element_on_another_site_is_out_of_domain(model: LevelModel):
    assert not model.predict(["Na2AgBiBr6"])["in_domain"][0]


def test_levels_frame(model: LevelModel, table: pd.DataFrame):
    frame = levels_frame(model, ["Cs2BiAgBr6", table["formula"][0]], member=1)
    assert frame[["a", "b", "c", "d"]].iloc[0].tolist() == ["Ag", "Bi", "Cs", "Br"]
    np.testing.assert_allclose(frame["cbm_ev"] - frame["vbm_ev"], frame["gap_ev"], atol=1e-5)
    settings = model.settings
    names = [f"attention_1_1_a{site}" for site in "abcd"]
    np.testing.assert_allclose(frame[names].sum(axis=1), 1, rtol=1e-5)
    assert sum(name.startswith("attention_") for name in frame) == settings.layers * settings.heads * 16
    assert frame["target_ev"].iloc[1] == pytest.approx(table["gap_ev"][0])


def test_bad_input(model: LevelModel, table: pd.DataFrame, tiny: LevelSettings):
    with pytest.raises(TrainingDataError, match="more than once"):
        LevelModel.train(["Cs2AgBiBr6", "Cs2BiAgBr6"], [1.0, 2.0], tiny)
    with pytest.raises(TrainingDataError, match="not numbers"):
        LevelModel.train(["Cs2AgBiBr6"], [np.nan], tiny)
    with pytest.raises(ValueError, match="no reference levels of Ag"):
        LevelModel.train(table["formula"], table["gap_ev"], replace(tiny, prior_weight=1.0), reference={})
    with pytest.raises(ValueError, match="no network 3"):
        model.outputs(["Cs2AgBiBr6"], 3)
