"""The report of a benchmark of generators draws what its files hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report.benchmark_files import MODELS

from aiida_perovskite.report.benchmark_contents import read_benchmark


@pytest.fixture(scope="module")
def folder(benchmark_folder: Path) -> Path:
    return benchmark_folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def figures(page: str) -> dict[str, Any]:
    found = re.findall(r'class="figure-data" data-figure="([^"]+)">(.*?)</script>', page, re.DOTALL)
    return {name: json.loads(content) for name, content in found}


def test_every_figure_is_there(figures: dict[str, Any]) -> None:
    kinds = ("metrics", "saturation", "coverage", "energies", "elements")
    assert set(figures) == {"js", "sizes", *(f"{kind}/{number}/" for kind in kinds for number in (1, 4))}


def test_the_thesis_stands_beside_the_same_model_and_only_in_class_1(figures: dict[str, Any]) -> None:
    here, thesis = figures["metrics/1/"]["data"][:2]
    assert (here["name"], thesis["name"]) == ("here", "thesis")
    assert dict(zip(thesis["y"], thesis["x"], strict=True))["enrichment 25"] == 41
    assert "enrichment 25" in here["y"]
    assert {trace["name"] for trace in figures["metrics/4/"]["data"]} == {"here"}


def test_the_parts_of_a_sample_add_up(figures: dict[str, Any]) -> None:
    for trace_of_model in range(len(MODELS)):
        traces = [trace for trace in figures["saturation/1/"]["data"] if trace["meta"] == trace_of_model]
        assert len(traces) == 5
        for n, *parts in zip(traces[0]["x"], *(trace["y"] for trace in traces), strict=True):
            assert sum(parts) == pytest.approx(n, abs=0.1)


def test_elements_stand_in_their_cells_with_the_share_of_the_table(figures: dict[str, Any], folder: Path) -> None:
    table = pd.read_csv(folder / "elements.csv").set_index(["class", "source", "site", "element"])["share"]
    traces = figures["elements/4/"]["data"]
    per_site = 2 * (2 + len(MODELS))  # the full space, the training set, the models: a table and its name
    assert len(traces) == 4 * per_site
    site_d = traces[3 * per_site]
    assert site_d["text"][1][6] == "F"
    assert site_d["text"][5][4] == "Bi"
    assert site_d["text"][0][7] == "He"
    assert site_d["z"][1][6] ** 2 == pytest.approx(table[4, "truth", "D", "F"], abs=1e-4)


def test_the_matrix_has_training_rows_left_and_the_truth_right(figures: dict[str, Any], folder: Path) -> None:
    table = pd.read_csv(folder / "js_matrix.csv").set_index(["set", "class"])
    training, truth = figures["js"]["data"]
    assert training["z"][3][4] == pytest.approx(table.loc[("training", 4), "truth_class_5"], abs=1e-4)
    assert truth["z"][3][3] == 0


def test_numbers_and_settings_can_be_taken_away(page: str, folder: Path) -> None:
    found = re.search(r'id="report-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    metrics = pd.read_csv(folder / "metrics.csv")
    assert data["tables"]["metrics"]["columns"]["model"] == metrics["model"].tolist()
    assert data["summary"]["data"]["table_sha256"] in page
    assert "outside the provenance graph" in page
    assert "<img src=x" not in page


def test_files_that_are_no_benchmark_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ValueError, match="does not hold the files of a benchmark"):
        read_benchmark(tmp_path)
    (tmp_path / "sizes.csv").write_text("model,fits\nvae,1\n")
    with pytest.raises(ValueError, match="lacks training_rows"):
        read_benchmark(folder, tmp_path / "sizes.csv")
