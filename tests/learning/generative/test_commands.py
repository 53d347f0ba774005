"""Training, design and evaluation by command, as a job runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from smooth_elpasolites import smooth_frame

from aiida_perovskite.learning.__main__ import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and bad tables."""
    monkeypatch.chdir(tmp_path)
    table = smooth_frame(200)
    table.to_parquet("table.parquet", index=False)
    table.assign(b=[table["a"][0], *table["b"][1:]]).to_csv("repeated.csv", index=False)
    table.assign(formation_energy_ev_per_atom=[None, *table["formation_energy_ev_per_atom"][1:]]).to_csv(
        "missing.csv", index=False
    )
    table.drop(columns="d").to_csv("columns.csv", index=False)
    Path("design.json").write_text(json.dumps({"draws": 500}))
    Path("evaluation.json").write_text(json.dumps({"classes": [4, 5], "samples": 200}))
    Path("misspelt.json").write_text(json.dumps({"drawz": 500}))
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def train(*arguments: str) -> Result:
    return call("train-generator", "--generator", "independent", "--output", "model", *arguments)


def test_from_a_table_to_compositions_and_metrics(folder: Path) -> None:
    assert "independent trained on" in train("--table", "table.parquet").stdout
    sample = ["sample-generator", "--model", "model", "--table", "table.parquet", "-n", "20", "--output", "found"]
    result = call(*sample, "--target", "formation energy < 0", "--exclude", "Tl", "--settings", "design.json")
    assert result.exit_code == 0, result.output
    frame = pd.read_csv("found/compositions.csv")
    assert len(frame) == json.loads(Path("found/summary.json").read_text())["n_compositions"] == 20
    assert not frame["formula"].str.contains("Tl").any()
    refused = call(*sample, "--target", "gap < 2")
    assert "The target 'gap < 2' is not understood" in str(refused.exception)

    evaluate = ["evaluate-generator", "--model", "model", "--table", "table.parquet", "--settings", "evaluation.json"]
    assert "class 4: precision " in call(*evaluate, "--output", "judged").stdout
    assert pd.read_csv("judged/evaluation.csv")["requested"].tolist() == [4, 5]
    assert Path("judged/truth.npz").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--table", "repeated.csv"], "Row 1 of the table, the header not counted, will not do"),
        (["--table", "missing.csv"], "1 rows have no formation energy"),
        (["--table", "columns.csv"], "lacks the columns d"),
        (["--table", "table.parquet", "--settings", "misspelt.json"], "drawz"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, arguments: list[str], words: str) -> None:
    result = train(*arguments)
    assert result.exit_code != 0
    assert words in result.output + str(result.exception)
    assert not Path("model").exists()
