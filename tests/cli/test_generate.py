"""`generate`: what it answers and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from smooth_elpasolites import smooth_csv

TARGET = "formation energy < 0 eV/atom"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and bad tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AIIDA_PEROVSKITE_ELPASOLITE_PRL2016", raising=False)
    table = smooth_csv(200)
    table.assign(formation_energy_eV_per_atom=[None, *table["formation_energy_eV_per_atom"][1:]]).to_csv(
        "missing.csv", index=False
    )
    Path("misspelt.yaml").write_text("generate: {design: {drawz: 3}}")
    Path("small.yaml").write_text("generate: {design: {draws: 500}}")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "gap < 1 eV"], "The target 'gap < 1 eV' is not understood"),
        (["--target", TARGET, "--model", "vae"], "take the training set that the authors published with the paper"),
        (["--target", TARGET, "--trained", "shipped", "-d", "energies.csv"], "takes no table"),
        (["--target", TARGET, "--trained", "shipped", "--evaluate"], "--evaluate need a table"),
        (["--target", "formation energy < -99"], "outside of the training energies"),
        (["--target", TARGET, "--file", "energies.csv"], "is not the registered file of elpasolite-prl2016"),
        (["--target", TARGET, "-d", "halide-gaps-gpaw"], "is no table of elpasolites"),
        (["--target", TARGET, "-d", "nothing.csv"], "is neither a file nor"),
        (["--target", TARGET, "-d", "repeated.csv"], "has an element on two sites"),
        (["--target", TARGET, "-d", "missing.csv"], "1 rows have no formation energy"),
        (["--target", "formation energy < -99", "-d", "energies.csv"], "outside of the training energies"),
        (["--target", TARGET, "-d", "energies.csv", "-n", "2000000"], "ask for 1 to 987012"),
        (["--target", TARGET, "-d", "energies.csv", "--model", "diffusion"], "There is no generator 'diffusion'"),
        (["--target", TARGET, "-d", "energies.csv", "--exclude", "Ag"], "Ag cannot be excluded"),
        (["--target", TARGET, "-d", "energies.csv", "--overrides", "misspelt.yaml"], "unknown setting 'drawz'"),
    ],
)
def test_generate_refuses(
    refused: Callable[..., str], codes: None, files: Path, arguments: list[str], words: str
) -> None:
    assert words in refused("generate", *arguments)


def test_a_dry_run_says_what_would_be_done(run: Callable[..., Any], codes: None, files: Path) -> None:
    arguments = ["generate", "--target", TARGET, "-d", "energies.csv", "--exclude-toxic", "--seed", "7"]
    content = json.loads(run(*arguments, "--model", "vae", "--dry-run").stdout)
    assert (content["settings"]["name"], content["settings"]["seed"], content["n"]) == ("vae", 7, 100)
    assert "Pb" in content["exclude"]
    result = run(*arguments)
    assert result.exit_code == 1
    assert "`verdi daemon start`" in result.stderr


def test_without_a_file_the_shipped_generator_is_taken(run: Callable[..., Any], codes: None, files: Path) -> None:
    arguments = ["generate", "--target", TARGET, "--dry-run"]
    for more in ([], ["--trained", "shipped"], ["--seed", "3"]):
        content = json.loads(run(*arguments, *more).stdout)
        assert content["model"].startswith("shipped generator ")
        assert "dataset" not in content


def test_the_demo_says_that_it_is_no_dft(run: Callable[..., Any], codes: None, files: Path) -> None:
    content = json.loads(run("generate", "--target", TARGET, "--data", "demo", "--dry-run").stdout)
    assert content["dataset"]["title"].startswith("CHGNet, not DFT")


def test_compounds_and_their_files(run: Callable[..., Any], python_code: Any, files: Path) -> None:
    from aiida.engine import run_get_node

    from aiida_perovskite.cli.generate import build, finish

    choices: dict[str, Any] = {"target": TARGET, "n": 20, "exclude": (), "exclude_toxic": True, "trained": None}
    choices |= {
        "charge_balanced": True,
        "dataset": "energies.csv",
        "dataset_file": None,
        "model": "independent",
        "seed": 1,
        "protocol": None,
    }
    choices |= {"overrides": Path("small.yaml"), "job_options": None, "evaluate": False, "code": python_code}
    _, node = run_get_node(build(choices, store=True))
    assert node.is_finished_ok, node.exit_message
    finish(node, Path("compounds.csv"), Path("prototypes"), as_json=False)
    table = pd.read_csv("compounds.csv")
    assert len(table) == 20
    assert not table["toxic"].any()
    assert table["charge_balanced"].all()
    assert {path.stem for path in Path("prototypes").iterdir()} <= set(table["pretty"])

    model = str(node.outputs.model.pk)
    assert "is a generator of compositions" in run("predict", "Cs2AgBiBr6", "--model", model).stderr
    assert "no trained model yet" in run("predict", "Cs2AgBiBr6").stderr
