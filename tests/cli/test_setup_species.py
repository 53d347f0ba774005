"""Species files of a distribution become nodes and a family."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invented_species import species_folder, species_text


@pytest.fixture
def light(tmp_path: Path) -> Path:
    return species_folder(tmp_path / "defaults_2020" / "light")


def test_twice_is_once(run: Callable[..., Any], light: Path) -> None:
    from aiida.orm import Node, QueryBuilder, load_group

    from aiida_perovskite.data.species import SpeciesFamily

    first = run("setup", "species", str(light))
    assert first.exit_code == 0, first.output
    assert "'defaults_2020/light' is ready with 4 species: Ag, Bi, Br, Cs" in first.output
    nodes = QueryBuilder().append(Node).count()
    second = run("setup", "species", str(light))
    assert second.exit_code == 0
    assert "already there with the same 4 species" in second.output
    assert QueryBuilder().append(Node).count() == nodes == 4
    family = load_group("defaults_2020/light")
    assert isinstance(family, SpeciesFamily)
    assert family.get_species("Bi").text == species_text("Bi")


def test_the_label_of_the_folder_one_stands_in(
    run: Callable[..., Any], light: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(light)
    assert json.loads(run("setup", "species", ".", "--json").stdout)["label"] == "defaults_2020/light"


def test_other_content_needs_another_label(
    run: Callable[..., Any], refused: Callable[..., str], light: Path, tmp_path: Path
) -> None:
    run("setup", "species", str(light))
    other = species_folder(tmp_path / "other" / "light", "Ag Bi Cl Cs", radius="1.5")
    message = refused("setup", "species", str(other), "--label", "defaults_2020/light")
    assert "Br only there; Cl only in the folder; Ag, Bi, Cs different" in message
    assert "give another --label" in message
    assert run("setup", "species", str(other), "--label", "mine").exit_code == 0


def test_json_and_dry_run(run: Callable[..., Any], light: Path) -> None:
    from aiida.orm import Group, Node, QueryBuilder, load_node

    arguments = ("setup", "species", str(light), "--elements", "Cs, Br", "--label", "mine", "--json")
    groups = QueryBuilder().append(Group).count()
    planned = json.loads(run(*arguments, "--dry-run").stdout)
    assert (planned["created"], planned["dry_run"]) == (False, True)
    assert QueryBuilder().append(Node).count() == 0
    assert QueryBuilder().append(Group).count() == groups
    made = json.loads(run(*arguments).stdout)
    assert made["created"]
    assert {element: entry["sha256"] for element, entry in made["species"].items()} == {
        element: entry["sha256"] for element, entry in planned["species"].items()
    }
    assert load_node(made["species"]["Cs"]["uuid"]).element == "Cs"
    again = json.loads(run(*arguments).stdout)
    assert not again["created"]
    assert again["species"] == made["species"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "is no folder; give one of species files"),
        (["."], "holds no species files (named like 55_Cs_default)"),
        (["light", "--elements", "Cs,I"], "no species file of I; it has Ag, Bi, Br, Cs"),
        (["broken"], "35_Br_default: this is no species block"),
        (["binary"], "35_Br_default is not text"),
    ],
)
def test_folders_that_will_not_do(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    species_folder(tmp_path / "light")
    (species_folder(tmp_path / "broken") / "35_Br_default").write_text("no block")
    (species_folder(tmp_path / "binary") / "35_Br_default").write_bytes(b"\xff\xfe")
    monkeypatch.chdir(tmp_path)
    assert words in refused("setup", "species", *arguments)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read(refused: Callable[..., str], light: Path) -> None:
    (light / "35_Br_default").chmod(0)
    assert "35_Br_default" in refused("setup", "species", str(light))


def test_help_shows_an_example(run: Callable[..., Any]) -> None:
    result = run("setup", "species", "--help")
    assert result.exit_code == 0
    assert "aiida-perovskite setup species FHIaims/species_defaults/defaults_2020/light" in result.output


def test_species_through_verdi(run: Callable[..., Any], light: Path, tmp_path: Path) -> None:
    from aiida.orm import load_group
    from click.testing import CliRunner

    from aiida_perovskite.cli.data_species import cmd_species_data

    assert run("setup", "species", str(light)).exit_code == 0
    bismuth = load_group("defaults_2020/light").get_species("Bi")
    assert run("setup", "species", str(light), "--label", "mine").exit_code == 0

    def verdi(*arguments: str) -> Any:
        return CliRunner().invoke(cmd_species_data, list(arguments))

    rows = [line.split("\t") for line in verdi("list", "--raw").output.splitlines()]
    assert [row[1] for row in rows if row[4] == "defaults_2020/light"] == ["Ag", "Bi", "Br", "Cs"]
    assert bismuth.sha256 in verdi("show", str(bismuth.pk)).output
    path = tmp_path / "83_Bi_default"
    assert verdi("export", str(bismuth.pk), "-o", str(path)).exit_code == 0
    assert path.read_text() == verdi("export", str(bismuth.pk)).output == species_text("Bi")
    assert "--overwrite replaces it" in verdi("export", str(bismuth.pk), "-o", str(path)).output
