"""Bad input gets one clear sentence and an exit code, and leaves nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("formula", ["Cs2AgXxBr6", "Cs2AgAgBr6", "Cs2AgBiBr5", "CsAgBiBr6", "", "Cs2AgBiBr6; rm"])
def test_formulas_that_are_no_double_perovskites(refused: Callable[..., str], formula: str) -> None:
    assert "expected four different elements" in refused("predict", formula)


def test_prediction_without_a_model_says_how_to_get_one(refused: Callable[..., str]) -> None:
    assert "no trained model yet: run `aiida-perovskite train`" in refused("predict", "Cs2AgBiBr6")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "no-such"], "neither a file nor a dataset; datasets are halide-gaps-gpaw"),
        (["--dataset", "mp-abc2d6-2026"], "mp-api"),
        (["--preset", "thsis"], "choose from default, gaps, thesis"),
        (["--gap-protocol", "fats"], "choose from fast"),
        (["--overrides", "misspelt.yaml"], "unknown setting 'windw_ev'"),
        (["--overrides", "step.yaml"], "the steps are absorption, bands"),
        (["--overrides", "broken.yaml"], "not valid YAML"),
        (["--dataset", "nan.csv", "--target", "gap_ev"], "no number in row 3"),
        (["--dataset", "nan.csv"], "needs --target"),
        (["--code-gap", "vasp@localhost"], "vasp"),
        (["--model", "12345678"], "12345678"),
        (["--from-table", "12345678"], "'12345678' is neither a file nor one node of this profile"),
        (["--from-table", "nan.csv", "--top", "3"], "3 candidates cannot be taken: the table holds 2"),
        (["--from-table", "hydride.csv"], "can be screened: no gap model takes hydrogen"),
        (["--from-table", "nan.csv", "--overrides", "space.yaml"], "not both"),
        (["--job-options", "flat.yaml"], "must map steps to settings; the steps are absorption, all"),
        (["--job-options", "queue.yaml"], "job options of train: there is no 'queue'; there are account"),
        (["--top", "3"], "--top says how many of --from-table"),
    ],
)
def test_screen_refuses(
    refused: Callable[..., str],
    codes: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("misspelt.yaml").write_text("screening: {selection: {windw_ev: [1, 2]}}")
    Path("step.yaml").write_text("sreening: {}")
    Path("flat.yaml").write_text("queue_name: short")
    Path("queue.yaml").write_text("all: {queue: short}")
    Path("broken.yaml").write_text("screening: {")
    Path("space.yaml").write_text("screening: {space: {preset: halide}}")
    Path("hydride.csv").write_text("formula\nK2NaAlH6\n")
    Path("nan.csv").write_text("formula,gap_ev\nCs2AgBiBr6,1.8\nCs2AgInBr6,\n")
    assert words in refused("screen", *arguments)


def test_screen_without_a_daemon_says_how_to_start_it(run: Callable[..., Any], codes: None) -> None:
    result = run("screen")
    assert result.exit_code == 1
    assert "`verdi daemon start`" in result.stderr


def test_a_dry_run_says_what_would_be_done_and_stores_nothing(
    run: Callable[..., Any], codes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from aiida.orm import Data, QueryBuilder

    monkeypatch.chdir(tmp_path)
    before = QueryBuilder().append(Data).count()
    Path("options.yaml").write_text("all: {queue_name: short}\ngap: {max_wallclock_seconds: 60}")
    result = run("screen", "--dry-run", "-N", "7", "--job-options", "options.yaml")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["selection"]["n_candidates"] == 7
    assert content["gap"]["engine"] == "gpaw"
    assert content["gap"]["options"] == {"queue_name": "short", "max_wallclock_seconds": 60}
    assert QueryBuilder().append(Data).count() == before


def test_a_ranking_computes_nothing_unless_a_reference_is_named(run: Callable[..., Any], codes: None) -> None:
    import json

    assert json.loads(run("screen", "--dry-run").stdout)["references"] == ["AgBiCs2Br6"]
    assert json.loads(run("screen", "--dry-run", "-N", "0").stdout)["references"] == []
    named = json.loads(run("screen", "--dry-run", "-N", "0", "--reference", "Cs2AgInCl6").stdout)
    assert named["references"] == ["AgInCs2Cl6"]


def test_a_table_that_is_handed_over_decides_how_many_are_computed(
    run: Callable[..., Any], codes: None, tmp_path: Path
) -> None:
    import json

    path = tmp_path / "compounds.csv"
    path.write_text("formula\nCs2AgBiBr6\nCs2AgInBr6\nCs2AgSbBr6\n")
    arguments = ["screen", "--dry-run", "--from-table", str(path)]
    content = json.loads(run(*arguments, "--top", "2").stdout)
    assert content["candidates"] == {"name": "compounds", "n_given": 2}
    assert content["selection"]["n_candidates"] == 2
    assert "space" not in content
    assert json.loads(run(*arguments, "-N", "1").stdout)["selection"]["n_candidates"] == 1


def test_an_engine_that_is_not_installed(refused: Callable[..., str], aiida_localhost: Any, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    sentence = refused("setup", "code", "gpaw", "-Y", aiida_localhost.label, "--python", str(bare))
    assert "cannot import gpaw" in sentence
    assert "not installed there" in sentence


def test_a_code_on_a_computer_that_is_not_configured(refused: Callable[..., str], tmp_path: Path, codes: None) -> None:
    from aiida.orm import Computer, InstalledCode

    computer = Computer(
        label="cluster",
        hostname="cluster",
        workdir=str(tmp_path),
        transport_type="core.local",
        scheduler_type="core.direct",
    ).store()
    InstalledCode(label="gpaw", computer=computer, filepath_executable="/opt/python").store()
    assert "`verdi computer configure core.local cluster`" in refused("screen", "--code-gap", "gpaw@cluster")
    assert "not configured" in refused("setup", "code", "chgnet", "-Y", "cluster")


@pytest.mark.parametrize(
    "name", ["../../x", "/x", "a\nb", "\x1b[31mred", "", "-rf", ".hidden", "x" * 101, "a\\b", "a\0"]
)
@pytest.mark.parametrize("command", ["screen", "interpret"])
def test_names_that_no_campaign_can_have(refused: Callable[..., str], codes: None, command: str, name: str) -> None:
    assert "is no name for a campaign" in refused(command, "--campaign", name, "--dry-run")


@pytest.mark.parametrize("name", ["a b; rm -rf 'x'", '"$(id)`id`"', "<img onerror=x>", "=1+1", "Halogenide äöü"])
def test_a_name_is_only_a_name(run: Callable[..., Any], codes: None, name: str) -> None:
    import json

    assert json.loads(run("screen", "-c", name, "--dry-run").stdout)["campaign"] == name


def test_a_report_is_not_written_where_a_name_leads(
    refused: Callable[..., str], aiida_profile_clean: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An imported campaign may have any name."""
    from aiida.orm import WorkChainNode

    from aiida_perovskite.cli.campaigns import SCREENING, campaign_group

    run = WorkChainNode()
    run.process_type = SCREENING
    campaign_group("../outside", create=True).add_nodes(run.store())
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    assert "cannot be the name of a file" in refused("campaign", "report", "../outside")
    assert not (tmp_path / "outside.html").exists()


def test_a_campaign_that_does_not_exist(refused: Callable[..., str]) -> None:
    assert "this profile holds: none" in refused("campaign", "status", "nothing")
    assert "this profile holds: none" in refused("campaign", "report", "nothing")
