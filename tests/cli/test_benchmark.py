"""`benchmark generative`: what it answers and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from smooth_elpasolites import smooth_csv

RUN = ["benchmark", "generative", "--data", "energies.csv", "--models", "independent,random", "--fits", "2"]
SMALL = [*RUN, "--classes", "4", "--samples", "200", "-o", "compared"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table and with what will not do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AIIDA_PEROVSKITE_ELPASOLITE_PRL2016", raising=False)
    smooth_csv(200)
    Path("changes.yaml").write_text("vae: {updates: 5}\nindependent: {updates: 5}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "repeated.csv"], "has an element on two sites"),
        (["--data", "nothing.csv"], "is neither a file nor"),
        (["--models", "flow"], "There is no generator 'flow'"),
        (["--models", ","], "Name at least one model"),
        (["--classes", "one"], "'one' is not understood"),
        (["--classes", "3-1"], "'3-1' is not understood"),
        (["--classes", "11"], "numbers from 1 to 10"),
        (["--fits", "0"], "fits = 0 is out of its range"),
        (["--overrides", "changes.yaml"], "must map steps to settings"),
        (["--models", "vae,independent", "--overrides", "changes.yaml"], "Unknown training settings updates"),
        (["--sizes", "energies.csv"], "is no table of training-set sizes"),
        (["--submit", "--device", "auto"], "give --device cpu or cuda"),
        (["--submit"], "`verdi daemon start`"),
    ],
)
def test_what_will_not_do_is_refused_before_anything_is_computed(
    refused: Callable[..., str], codes: None, files: Path, arguments: list[str], words: str
) -> None:
    assert words in refused(*RUN, *arguments)
    assert not Path("generative-benchmark").exists()


def test_from_a_table_to_a_report_and_on_from_what_is_finished(run: Callable[..., Any], files: Path) -> None:
    result = run(*SMALL)
    assert result.exit_code == 0, result.output
    assert "independent: 2 of 2 fits done" in result.stdout
    assert "report.html" in result.stdout
    assert Path("compared/report.html").is_file()
    before = pd.read_csv("compared/metrics.csv")
    assert before["model"].tolist() == ["independent", "random"]

    again = run(*SMALL, "--json")
    assert "fits done" not in again.stderr
    content = json.loads(again.stdout)
    assert [row["precision"] for row in content["metrics"]] == pytest.approx(before["precision"].tolist(), rel=1e-4)
    assert content["data"]["name"] == "energies"
    assert content["data"]["compounds"] == 200


def test_it_says_that_no_node_is_stored(run: Callable[..., Any], files: Path) -> None:
    from aiida.orm import Node, QueryBuilder

    assert "OUTSIDE the provenance graph" in run("benchmark", "generative", "--help").stdout
    before = QueryBuilder().append(Node).count()
    assert run(*SMALL).exit_code == 0
    assert QueryBuilder().append(Node).count() == before
