"""`interpret` and `explain`: what they answer and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from level_inputs import OVERRIDES, gap_table


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and bad tables."""
    monkeypatch.chdir(tmp_path)
    table = gap_table()
    table.to_csv("gaps.csv", index=False)
    table.head(2).to_csv("two.csv", index=False)
    pd.concat([table, table.head(1)]).to_csv("doubled.csv", index=False)
    table.assign(formula=["Cs2AgXxBr6", *table["formula"][1:]]).to_csv("unknown.csv", index=False)
    table[table["formula"].str.endswith("Br6")].to_csv("bromides.csv", index=False)
    Path("silver.csv").write_text("symbol,homo_ev,lumo_ev\nAg,-5,-4\n")
    Path("upside-down.csv").write_text("symbol,homo_ev,lumo_ev\nAg,-4,-5\n")
    Path("small.yaml").write_text(yaml.safe_dump(OVERRIDES))
    Path("misspelt.yaml").write_text("interpret: {families: {k_mux: 3}}")
    Path("step.yaml").write_text("train: {}")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-d", "two.csv", "-t", "gap_ev"], "2 compounds, each in both orders of A and B, are too few for 12 clusters"),
        (["-d", "doubled.csv", "-t", "gap_ev"], "compounds that occur twice"),
        (["-d", "unknown.csv", "-t", "gap_ev"], "formulas that are not ABC2D6: row 2"),
        (["-d", "gaps.csv"], "needs --target"),
        (["-d", "gaps.csv", "-t", "gap_ev", "--reference-levels", "silver.csv"], "no reference levels of Al, Bi"),
        (["-d", "gaps.csv", "-t", "gap_ev", "--reference-levels", "upside-down.csv"], "lies above its LUMO"),
        (["--protocol", "fats"], "choose from fast, balanced, thesis"),
        (["--overrides", "misspelt.yaml"], "unknown setting 'k_mux'"),
        (["--overrides", "step.yaml"], "the steps are interpret, levels"),
        (["--no-wait", "--report", "report.html"], "leave --no-wait out"),
    ],
)
def test_interpret_refuses(
    refused: Callable[..., str], codes: None, files: Path, arguments: list[str], words: str
) -> None:
    assert words in refused("interpret", *arguments)


def test_a_dry_run_says_what_would_be_done_and_stores_nothing(
    run: Callable[..., Any], codes: None, files: Path
) -> None:
    from aiida.orm import Data, QueryBuilder

    before = QueryBuilder().append(Data).count()
    result = run(
        "interpret",
        "-d",
        "bromides.csv",
        "-t",
        "gap_ev",
        "--lambda",
        "0",
        "--overrides",
        "small.yaml",
        "--dry-run",
        "--json",
    )
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["settings"]["prior_weights"] == [0.0]
    assert content["analysis"]["families"]["k_max"] == 4
    assert "all compounds are of Br" in content["notes"][0]
    assert QueryBuilder().append(Data).count() == before
    default = json.loads(run("interpret", "--dry-run").stdout)
    assert default["dataset"]["name"] == "halide-gaps-gpaw"
    assert default["notes"] == []


def test_without_daemon_or_networks_it_says_what_to_do(run: Callable[..., Any], codes: None, files: Path) -> None:
    result = run("interpret")
    assert result.exit_code == 1
    assert "`verdi daemon start`" in result.stderr
    assert "run `aiida-perovskite interpret` first" in run("explain", "Cs2AgBiBr6").stderr


def test_a_campaign_is_explained(
    run: Callable[..., Any], python_code: Any, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a run: files, explanations, status, and commands that want a gap model."""
    from aiida.engine import run_get_node

    from aiida_perovskite.cli.campaigns import campaign_group
    from aiida_perovskite.cli.interpret import build, finish

    choices = {"dataset": "gaps.csv", "dataset_file": None, "target": "gap_ev", "protocol": "fast", "code": python_code}
    choices |= {"overrides": Path("small.yaml"), "prior_weights": (0.0,), "reference_levels": None, "job_options": None}
    builder = build(choices, store=True)
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    campaign_group("mine", create=True).add_nodes(node)

    finish(node, "mine", None, Path("families.csv"), as_json=False)
    families = pd.read_csv("families.csv")
    assert set(families["prior_weight"]) == {0.0}
    status = json.loads(run("campaign", "status", "mine", "--json").stdout)
    assert {step["step"] for step in status["steps"]} == {"train_prior_0", "families_prior_0"}
    assert run("campaign", "report", "mine", "-o", "report.html").exit_code == 0
    assert "<html" in Path("report.html").read_text(encoding="utf-8")

    known = gap_table().iloc[0]
    content = json.loads(run("explain", known["formula"], "--json").stdout)
    assert content["known_gap_ev"] == pytest.approx(known["gap_ev"])
    assert content["lower_ev"] <= content["gap_ev"] <= content["upper_ev"]
    for edge in ("vbm_weight", "cbm_weight"):
        assert sum(site[edge] for site in content["sites"]) == pytest.approx(1.0)
    assert [site["site"] for site in content["sites"]] == list("ABCD")
    assert content["sentence"] in set(families["sentence"])
    assert len(content["neighbours"]) == 5
    assert known["formula"] not in {row["formula"] for row in content["neighbours"]}
    gaps = gap_table().set_index("formula")["gap_ev"]
    assert all(row["gap_ev"] == pytest.approx(gaps[row["formula"]]) for row in content["neighbours"])

    text = run("explain", known["formula"]).stdout
    assert "the valence band maximum is made by " in text
    assert f"the table has {known['gap_ev']:.2f} eV" in text

    unseen = run("explain", "Cs2AgLaBr6")
    assert unseen.exit_code == 1
    assert "no compound of La" in unseen.stderr
    allowed = run("explain", "Cs2AgLaBr6", "--allow-unseen")
    assert allowed.exit_code == 0
    assert "no network was trained on La" in allowed.stderr + allowed.stdout

    assert "choose from 0" in run("explain", "Cs2AgBiBr6", "--lambda", "0.5").stderr
    assert "no interpretation" in run("explain", "Cs2AgBiBr6", "--process", str(node.called[0].pk)).stderr
    model = node.outputs.networks.prior_0.model
    assert "no trained model yet" in run("predict", "Cs2AgBiBr6").stderr
    assert "is a level network" in run("predict", "Cs2AgBiBr6", "--model", str(model.pk)).stderr
