"""The commands that need no daemon."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model after one epoch."""
    from aiida_perovskite.datasets import load_dataset
    from aiida_perovskite.learning.gap_model import GapModel
    from aiida_perovskite.learning.settings import TrainingSettings

    frame = load_dataset("halide-gaps-gpaw").frame
    settings = TrainingSettings(epochs=1, members=2, folds=3, fold_members=2)
    path = tmp_path_factory.mktemp("model")
    GapModel.train(frame["formula"], frame["gap_hse06_soc_ev"], settings, target="gap_hse06_soc_ev").save(path)
    return path


def test_predict_answers_in_one_line_per_formula(run: Callable[..., Any], checkpoint: Path) -> None:
    result = run("predict", "Cs2AgBiBr6", "Cs2FeCrBr6", "--checkpoint", str(checkpoint))
    first, second = result.stdout.splitlines()
    assert first.startswith("Cs2AgBiBr6: ")
    assert first.endswith("in the model's domain")
    assert "90% interval" in first
    assert "OUTSIDE the model's domain" in second


def test_predict_takes_the_newest_model_of_the_profile(run: Callable[..., Any], checkpoint: Path) -> None:
    from aiida_perovskite.data.model import ModelCheckpointData

    ModelCheckpointData.from_folder(checkpoint).store()
    (record,) = json.loads(run("predict", "Cs2AgBiBr6", "--json").stdout)
    assert record["formula"] == "AgBiCs2Br6"
    assert record["lower_ev"] <= record["gap_ev"] <= record["upper_ev"]


def test_space_lists_and_writes(run: Callable[..., Any], tmp_path: Path) -> None:
    result = run("space", "--ab", "Ag,Bi", "--c-site", "Cs", "--d-site", "Cl,Br", "--json")
    assert {row["formula"] for row in json.loads(result.stdout)} == {"AgBiCs2Cl6", "AgBiCs2Br6"}
    path = tmp_path / "space.csv"
    assert run("space", "-o", str(path)).exit_code == 0
    assert len(path.read_text().splitlines()) == 7057


def test_tables_and_models_through_verdi(run: Callable[..., Any], checkpoint: Path, tmp_path: Path) -> None:
    import pandas as pd
    from click.testing import CliRunner

    from aiida_perovskite.cli.data_model import cmd_model
    from aiida_perovskite.cli.data_table import cmd_table
    from aiida_perovskite.data.model import ModelCheckpointData
    from aiida_perovskite.data.table import CompositionTableData

    table = CompositionTableData.from_frame(
        pd.DataFrame({"formula": ["AgBiCs2Br6"], "gap_ev": [1.8]}), name="gaps"
    ).store()
    model = ModelCheckpointData.from_folder(checkpoint).store()

    def verdi(group: Any, *arguments: str) -> Any:
        return CliRunner().invoke(group, list(arguments))

    assert "gaps" in verdi(cmd_table, "list").output
    assert "gap_ev [eV]" in verdi(cmd_table, "show", str(table.pk)).output
    path = tmp_path / "gaps.csv"
    assert verdi(cmd_table, "export", str(table.pk), "-o", str(path)).exit_code == 0
    assert path.read_text() == "formula,gap_ev\nAgBiCs2Br6,1.8\n"
    again = verdi(cmd_table, "export", str(table.pk), "-o", str(path))
    assert again.exit_code == 1
    assert "--overwrite replaces it" in again.output
    assert "gap_hse06_soc_ev" in verdi(cmd_model, "list").output
    assert "seen_elements" in verdi(cmd_model, "show", str(model.pk)).output
    folder = tmp_path / "model"
    assert verdi(cmd_model, "export", str(model.pk), str(folder)).exit_code == 0
    assert (folder / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()


COMMANDS = ["space", "phases", "train", "predict", "screen", "interpret", "explain", "campaign", "setup"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(run: Callable[..., Any], command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.output) > 200


def test_an_engine_that_takes_over_a_step_is_run_by_its_own_code(
    run: Callable[..., Any], codes: None, tmp_path: Path
) -> None:
    (tmp_path / "pbe.yaml").write_text("screening: {engines: {relax: gpaw}}")
    result = run("screen", "--dry-run", "--overrides", str(tmp_path / "pbe.yaml"))
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    who = {step: (plan[step]["engine"], plan[step]["code"]) for step in ("relax", "gap", "free_relax")}
    gpaw, chgnet = ("gpaw", "gpaw@localhost"), ("chgnet", "chgnet@localhost")
    assert who == {"relax": gpaw, "gap": gpaw, "free_relax": chgnet}
