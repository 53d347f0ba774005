from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from aiida_perovskite.learning import CheckpointError, GapModel, TrainingDataError, TrainingSettings

from .conftest import TINY

FORMULAS = ["Cs2AgBiBr6", "Cs2CuInCl6", "Rb2MgFeI6"]


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model" / "model.safetensors", tmp_path / "model" / "model.json"


def weights(model: GapModel) -> bytes:
    states = [member.net.state_dict() for member in model.ensemble.members]
    return b"".join(tensor.numpy().tobytes() for state in states for tensor in state.values())


def test_prediction_says_what_how_sure_and_whether_to_trust_it(model):
    frame = model.predict(FORMULAS, window_ev=(0.9, 1.6))
    assert list(frame["formula"]) == ["AgBiCs2Br6", "CuInCs2Cl6", "FeMgRb2I6"]
    assert list(frame["in_domain"]) == [True, True, False]
    assert frame.drop(columns="formula").notna().all(axis=None)
    assert (frame["lower_ev"] <= frame["gap_ev"]).all()
    assert (frame["gap_ev"] <= frame["upper_ev"]).all()
    assert frame["probability_in_window"].between(0, 1).all()
    narrow = model.predict(FORMULAS, confidence=0.5)
    assert (narrow["upper_ev"] - narrow["lower_ev"] <= frame["upper_ev"] - frame["lower_ev"]).all()
    assert narrow["probability_in_window"].isna().all()


def test_swap_changes_no_bit_in_one_batch_or_in_two(model):
    one, two = ["Cs2AgBiBr6", "Cs2CuInCl6"], ["Cs2BiAgBr6", "Cs2InCuCl6"]
    together = model.predict([*one, *two], window_ev=(0.9, 1.6))
    alone = model.predict(two[1:], window_ev=(0.9, 1.6))
    pd.testing.assert_frame_equal(together[:2], together[2:].reset_index(drop=True), check_exact=True)
    pd.testing.assert_frame_equal(together[3:].reset_index(drop=True), alone, check_exact=True)


def test_cross_validation_holds_every_row_out_once(model, table):
    frame = model.cross_validation
    assert sorted(frame["formula"]) == sorted(table["formula"])
    assert sorted(frame["fold"].value_counts()) == [10, 11, 11]
    assert frame.notna().all(axis=None)
    assert model.metrics["n"] == len(table)
    assert model.metrics["mae_ev"] == pytest.approx((frame["gap_ev"].clip(lower=0) - frame["target_ev"]).abs().mean())
    assert set(model.metrics["baselines"]) == {"mean", "ridge", "gradient_boosting", "extremely_randomised_trees"}
    assert list(model.learning_curve["share"]) == [0.5, 1.0, 1.0]


def test_held_out_rows_have_no_influence_on_their_own_prediction(model, table):
    """Nor on the scale of the targets: another gap for one compound leaves its held-out prediction as it was."""
    changed = table.copy()
    changed.loc[0, "gap_ev"] += 5.0
    other = GapModel.train(changed["formula"], changed["gap_ev"], model.settings)
    before, after = (item.cross_validation.set_index("formula") for item in (model, other))
    fold = before.loc[changed.loc[0, "formula"], "fold"]
    same = before["fold"] == fold
    columns = ["gap_ev", "std_ev"]
    pd.testing.assert_frame_equal(before.loc[same, columns], after.loc[same, columns], check_exact=True)
    assert (before.loc[~same, "gap_ev"] != after.loc[~same, "gap_ev"]).all()


def test_order_of_rows_and_threads_change_no_bit_but_the_seed_does(model, table):
    shuffled = table.sample(frac=1, random_state=0)
    settings = TrainingSettings.from_dict(TINY)
    again = GapModel.train(shuffled["formula"], shuffled["gap_ev"], settings, threads=2)
    assert weights(again) == weights(model)
    assert again.data_sha256 == model.data_sha256
    other = GapModel.train(table["formula"], table["gap_ev"], TrainingSettings.from_dict({**TINY, "seed": 1}))
    assert weights(other) != weights(model)


def test_a_model_can_start_from_another(model, table):
    started = GapModel.train(table["formula"], table["gap_ev"] / 2, model.settings, initial=model)
    fresh = GapModel.train(table["formula"], table["gap_ev"] / 2, model.settings)
    assert weights(started) != weights(fresh)
    assert started.pretrained_on == model.data_sha256


def test_saved_and_loaded_model_is_the_same(model, saved):
    loaded = GapModel.load(*saved)
    for window in (None, (0.9, 1.6)):
        expected = model.predict(FORMULAS, window_ev=window)
        pd.testing.assert_frame_equal(loaded.predict(FORMULAS, window_ev=window), expected, check_exact=True)
    for name in ("cross_validation", "history", "learning_curve"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(model, name), check_exact=True)
    assert loaded.settings == model.settings
    assert loaded.metrics == model.metrics
    assert loaded.versions == model.versions


def test_checkpoint_says_how_it_came_about(saved):
    content = json.loads(saved[1].read_text())
    assert content["architecture"] == "PeriodicTableCNN"
    assert content["seed"] == 0
    assert content["settings"]["epochs"] == TINY["epochs"]
    assert len(content["split"]) == 32
    assert len(content["data_sha256"]) == 64
    assert {"aiida-perovskite", "torch", "numpy"} <= set(content["versions"])


@pytest.mark.parametrize("which", [0, 1])
def test_truncated_checkpoint_is_refused(saved, which):
    content = saved[which].read_bytes()
    saved[which].write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        GapModel.load(*saved)


def test_missing_checkpoint_is_refused(saved):
    saved[0].unlink()
    with pytest.raises(CheckpointError, match="no model file"):
        GapModel.load(*saved)


@pytest.mark.parametrize("change", [{"architecture": "Roost"}, {"layers": {}}, {"format": 99}])
def test_checkpoint_of_another_architecture_is_refused(saved, change):
    saved[1].write_text(json.dumps({**json.loads(saved[1].read_text()), **change}))
    with pytest.raises(CheckpointError, match="train the model again"):
        GapModel.load(*saved)


def test_files_of_two_models_are_refused(saved, model):
    saved[1].write_text(json.dumps({**json.loads(saved[1].read_text()), "weights_sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match="not of the same model"):
        GapModel.load(*saved)


def test_description_that_lost_a_part_is_refused(saved):
    content = json.loads(saved[1].read_text())
    del content["scales"]
    saved[1].write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="scales"):
        GapModel.load(*saved)


def rewritten(saved, change):
    """Change the weights of a saved model and make its two files agree again, as whoever forges one would."""
    from aiida_perovskite.learning.checkpoint import read_tensors, tensor_hash

    tensors, _ = read_tensors(saved[0])
    name = min(tensors)
    tensors[name] = change(tensors[name])
    digest = "0" * 64 if tensors[name].dtype == torch.bfloat16 else tensor_hash(tensors)
    safetensors.torch.save_file(tensors, saved[0], metadata={"weights_sha256": digest})
    saved[1].write_text(json.dumps({**json.loads(saved[1].read_text()), "weights_sha256": digest}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensor: torch.full_like(tensor, math.nan), "not finite"),
        (lambda tensor: torch.full_like(tensor, math.inf), "not finite"),
        (lambda tensor: tensor[:1], "size mismatch"),
        (lambda tensor: tensor.to(torch.complex64), "complex64"),
        (lambda tensor: tensor.to(torch.bfloat16), "bfloat16"),
    ],
)
def test_weights_that_are_no_network_are_refused(saved, change, words):
    rewritten(saved, change)
    with pytest.raises(CheckpointError, match=words):
        GapModel.load(*saved)


@pytest.mark.parametrize(
    "change",
    [
        {"scales": 5},
        {"scales": []},
        {"scales": [["a", "b"]] * 2},
        {"scales": [[math.nan, 1.0]] * 2},
        {"scales": {"ab": 1}},
        {"cross_validation": "x"},
        {"cross_validation": {}},
        {"cross_validation": {"target_ev": [], "gap_ev": [], "std_ev": []}},
        {"cross_validation": {"target_ev": ["a"], "gap_ev": [None], "std_ev": [1]}},
        {"seen_elements": [1]},
        {"seen_elements": {"ab": 1, "c": 1, "d": 1}},
        {"settings": [1]},
        {"settings": None},
        {"history": "x"},
    ],
)
def test_descriptions_of_the_wrong_form_are_refused(saved, change):
    saved[1].write_text(json.dumps({**json.loads(saved[1].read_text()), **change}))
    with pytest.raises(CheckpointError):
        GapModel.load(*saved)


@pytest.mark.parametrize("text", ['{"a":' * 100_000, "[" * 100_000, '{"format": ' + "9" * 100_000 + "}"])
def test_json_that_is_a_trap_is_refused(saved, text):
    saved[1].write_text(text)
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        GapModel.load(*saved)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"Cs2AgBiBr6": math.nan}, "1 targets are not numbers: AgBiCs2Br6"),
        ({"Cs2AgBiBr6": 1.0, "Cs2BiAgBr6": 2.0}, "listed more than once: AgBiCs2Br6"),
        ({"Cs2AgBiBr6": 1.0}, "1 rows are too few"),
    ],
)
def test_bad_rows_are_listed(rows, words):
    with pytest.raises(TrainingDataError, match=words):
        GapModel.train(list(rows), list(rows.values()))


@pytest.mark.parametrize("arguments", [{"confidence": 1.0}, {"window_ev": (1.6, 0.9)}])
def test_impossible_questions_are_refused(model, arguments):
    with pytest.raises(ValueError, match=r"must (lie|run)"):
        model.predict(FORMULAS, **arguments)


def test_a_constant_target_can_be_learned(table):
    model = GapModel.train(table["formula"], np.full(len(table), 2.0), TrainingSettings.from_dict(TINY))
    assert model.predict(FORMULAS)["gap_ev"].between(0, 4).all()
