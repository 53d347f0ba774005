"""The checkpoint node: safe files, queryable attributes, the same predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a model after one epoch."""
    from aiida_perovskite.datasets import load_dataset
    from aiida_perovskite.learning.gap_model import GapModel
    from aiida_perovskite.learning.settings import TrainingSettings

    frame = load_dataset("halide-gaps-gpaw").frame.head(40)
    settings = TrainingSettings(epochs=1, members=2, folds=3, fold_members=2)
    path = tmp_path_factory.mktemp("checkpoint")
    GapModel.train(frame["formula"], frame["gap_hse06_soc_ev"], settings, target="gap_hse06_soc_ev").save(path)
    return path


def test_the_node_predicts_as_the_files_do_and_can_be_found(aiida_profile_clean: Any, folder: Path) -> None:
    import pandas as pd
    from aiida.orm import QueryBuilder

    from aiida_perovskite.data.model import ModelCheckpointData
    from aiida_perovskite.learning.gap_model import GapModel

    node = ModelCheckpointData.from_folder(folder).store()
    direct = GapModel.load(folder / "model.safetensors", folder / "model.json").predict(["Cs2AgBiBr6"])
    pd.testing.assert_frame_equal(node.load_model().predict(["Cs2AgBiBr6"]), direct)
    query = QueryBuilder().append(
        ModelCheckpointData, filters={"attributes.n_training": 40, "attributes.metrics.mae_ev": {">": 0}}
    )
    assert query.count() == 1


def test_a_copy_from_the_cache_is_valid(aiida_profile_clean: Any, folder: Path) -> None:
    from aiida_perovskite.data.model import ModelCheckpointData

    node = ModelCheckpointData.from_folder(folder).store()
    assert node.clone().store().base.caching.get_hash() == node.base.caching.get_hash()


@pytest.mark.parametrize("damage", ["truncated", "architecture", "missing", "description"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(
    aiida_profile_clean: Any, folder: Path, tmp_path: Path, damage: str
) -> None:
    import shutil

    from aiida_perovskite.data.model import ModelCheckpointData

    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    if damage == "truncated":
        weights = copy / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "missing":
        (copy / "model.safetensors").unlink()
    elif damage == "description":
        (copy / "model.json").write_text("{")
    else:
        content = json.loads((copy / "model.json").read_text())
        (copy / "model.json").write_text(json.dumps({**content, "architecture": "roost"}))
    with pytest.raises(ValueError, match=r"\w") as caught:
        ModelCheckpointData.from_folder(copy)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_may_hold_a_generator(aiida_profile_clean: Any, folder: Path, tmp_path: Path) -> None:
    """It draws the same compositions, goes through a copy, and commands that want gaps refuse it in one sentence."""
    from smooth_elpasolites import smooth_table

    from aiida_perovskite.cli.common import latest_model
    from aiida_perovskite.data.model import GAPS, GENERATOR_FILES, ModelCheckpointData
    from aiida_perovskite.learning import cnn
    from aiida_perovskite.learning.generative import generator, generator_type

    assert cnn.ARCHITECTURE == GAPS
    assert list(GENERATOR_FILES.values()) == [generator.TENSOR_FILE, generator.JSON_FILE]
    model = generator_type("independent").fit(smooth_table(100))
    model.save(tmp_path / "generator")
    node = ModelCheckpointData.from_folder(tmp_path / "generator").store()
    assert (node.base.attributes.get("architecture"), node.base.attributes.get("n_training")) == (
        "generator:independent",
        model.class_counts.sum(),
    )
    assert node.load_generator().sample(4, 20, 1).tolist() == model.sample(4, 20, 1).tolist()
    assert node.clone().store().base.caching.get_hash() == node.base.caching.get_hash()
    for wants_gaps in (node.load_model, node.load_gap_model, node.load_level_model):
        with pytest.raises(ValueError, match=r"is a generator of compositions .* predicts no gaps: give a model"):
            wants_gaps()
    gaps = ModelCheckpointData.from_folder(folder).store()
    with pytest.raises(ValueError, match="generates nothing: give one that"):
        gaps.load_generator()
    ModelCheckpointData.from_folder(tmp_path / "generator").store()
    assert latest_model(None).pk == gaps.pk
    with pytest.raises(ValueError, match="is a generator of compositions"):
        latest_model(str(node.pk))
    (tmp_path / "generator" / "generator.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="damaged or truncated"):
        ModelCheckpointData.from_folder(tmp_path / "generator")
