"""`benchmark search` and `benchmark sizes`: what they answer, what they refuse, and that they repeat nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from smooth_elpasolites import smooth_csv

SEARCH = ["benchmark", "search", "--data", "energies.csv", "--overrides", "search.yaml", "--class", "4"]
SIZES = ["benchmark", "sizes", "--data", "energies.csv", "--models", "independent", "--class", "4", "--fits", "2"]
SMALL = {
    "hidden_layers": [1],
    "width": [16],
    "latent": [2],
    "updates": [20],
    "batch_size": [20],
    "learning_rate": [1e-3],
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table and changed settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AIIDA_PEROVSKITE_ELPASOLITE_PRL2016", raising=False)
    smooth_csv(200)
    Path("search.yaml").write_text(yaml.safe_dump({"search": {"domain": SMALL}}))
    Path("wrong.yaml").write_text(yaml.safe_dump({"search": {"domain": {"layers": [2]}}}))
    return tmp_path


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, aiida_localhost: Any) -> None:
    """Run what is submitted at once, in this process."""
    import aiida.engine

    aiida_localhost.set_minimum_job_poll_interval(0)
    monkeypatch.setattr(aiida.engine, "submit", lambda builder: aiida.engine.run_get_node(builder)[1])
    monkeypatch.setattr("aiida_perovskite.cli.generative_studies.require_daemon", lambda: None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*SEARCH, "--data", "nothing.csv"], "is neither a file nor"),
        ([*SEARCH, "--model", "flow"], "There is no generator 'flow'"),
        ([*SEARCH, "--draws", "0"], "draws = 0 is out of its range"),
        ([*SEARCH, "--class", "11"], "energy_class = 11 is out of its range"),
        ([*SEARCH, "--protocol", "slow"], "choose from fast, balanced, thesis"),
        ([*SEARCH, "--overrides", "wrong.yaml"], "layers"),
        ([*SEARCH], "`verdi daemon start`"),
        ([*SIZES, "--sizes", "many"], "'many' is not understood"),
        ([*SIZES, "--sizes", "300"], "300 rows cannot be drawn: the table holds 200"),
        ([*SIZES, "--overrides", "search.yaml"], "the steps are sizes"),
        ([*SIZES, "--sizes", "100"], "`verdi daemon start`"),
    ],
)
def test_what_will_not_do_is_refused_before_anything_is_computed(
    refused: Callable[..., str], codes: None, files: Path, arguments: list[str], words: str
) -> None:
    assert words in refused(*arguments)


def test_a_dry_run_shows_the_settings(run: Callable[..., Any], codes: None, files: Path) -> None:
    shown = json.loads(run(*SEARCH, "--dry-run", "--draws", "5").stdout)
    assert shown["settings"]["domain"] == SMALL
    assert (shown["settings"]["draws"], shown["settings"]["initialisations"]) == (5, 3)
    shown = json.loads(run(*SIZES, "--dry-run", "--sizes", "100,all", "--permuted", "no").stdout)
    assert shown["settings"]["sizes"] == [100, None]
    assert shown["settings"]["permuted"] == [False]


def test_a_search_ends_with_a_report_and_settings_for_generate_and_is_not_repeated(
    run: Callable[..., Any], codes: None, files: Path, in_process: None
) -> None:
    from aiida.orm import ProcessNode, QueryBuilder

    small = [*SEARCH, "--draws", "1", "--initialisations", "1", "--samples", "200", "-o", "found"]
    result = run(*small)
    assert result.exit_code == 0, result.output
    assert "draw 1 chosen" in result.output
    assert "no draw is within the JS distance" in result.output  # after 20 updates
    draws = pd.read_csv("found/draws.csv")
    assert draws["chosen"].tolist() == [True]

    page = Path("found/report.html").read_text(encoding="utf-8")
    assert "No draw comes as near" in page
    content = re.search(r'class="figure-data" data-figure="study">(.*?)</script>', page, re.DOTALL)
    assert content is not None
    figure = json.loads(content[1])
    chosen = next(trace for trace in figure["data"] if trace["name"] == "chosen")
    assert chosen["y"] == draws["unique"].tolist()
    summary = json.loads(Path("found/summary.json").read_text())
    assert figure["layout"]["shapes"][0]["x0"] == pytest.approx(summary["result"]["most_js_distance"])
    assert summary["nodes"]["chosen"] in page

    overrides = yaml.safe_load(Path("found/chosen.yaml").read_text())
    assert overrides["generate"]["settings"]["updates"] == 20
    target = ["generate", "--target", "formation energy < 0", "--data", "energies.csv", "--dry-run"]
    assert run(*target, "--overrides", "found/chosen.yaml").exit_code == 0

    before = QueryBuilder().append(ProcessNode).count()
    again = json.loads(run(*small, "--json").stdout)
    assert again["uuid"] == summary["process"]
    assert QueryBuilder().append(ProcessNode).count() == before


def test_sizes_end_with_a_report_and_a_table_for_the_benchmark(
    run: Callable[..., Any], codes: None, files: Path, in_process: None
) -> None:
    from aiida_perovskite.report.benchmark_contents import read_sizes

    result = run(*SIZES, "--sizes", "all", "--samples", "200", "--max-concurrent", "2", "-o", "found")
    assert result.exit_code == 0, result.output
    frame = read_sizes(Path("found/metrics.csv"))
    assert frame["model"].tolist() == ["independent", "independent, one order"]
    assert frame["training_rows"].tolist() == [400, 200]
    page = Path("found/report.html").read_text(encoding="utf-8")
    assert "independent sites, one order" in page
