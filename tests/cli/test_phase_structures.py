"""Structures of competing phases on the command line: from files, and from a server to files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from optimade_server import serve


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "mine"
    path.mkdir()
    return path


def caesium_bromide() -> Atoms:
    return bulk("CsBr", "cesiumchloride", a=4.29)


def test_a_dry_run_lists_each_structure_and_stores_none(run: Callable[..., Any], codes: None, folder: Path) -> None:
    from aiida.orm import Data, QueryBuilder

    write(folder / "Cs-Br (high).cif", caesium_bromide())
    write(folder / "2nd.vasp", caesium_bromide().repeat((2, 1, 1)), format="vasp")
    write(folder / "settings.extxyz", caesium_bromide())
    write(folder / "AgBr.POSCAR", bulk("AgBr", "rocksalt", a=5.77), format="vasp")
    (folder / "phases.csv").write_text("formula\nCsBr\n")
    before = QueryBuilder().append(Data).count()
    result = run("screen", "--dry-run", "--phase-structures", str(folder))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["phase_structures"] == {
        "AgBr": "AgBr",
        "Cs_Br_high": "CsBr",
        "phase_2nd": "CsBr",
        "phase_settings": "CsBr",
    }
    assert QueryBuilder().append(Data).count() == before


def test_labels_are_names_of_links(folder: Path) -> None:
    from aiida.common.links import validate_link_label

    from aiida_perovskite.cli.phases import phase_structures

    for name in ("_a__b_.cif", "metadata.cif", "é.cif", "class.cif", "7.cif"):
        write(folder / name, caesium_bromide())
    labels = phase_structures(folder)
    assert set(labels) == {"a_b", "phase_metadata", "phase", "phase_class", "phase_7"}
    for label in labels:
        validate_link_label(label)


def test_equal_structures_are_stored_once(aiida_profile_clean: Any, folder: Path) -> None:
    from aiida.orm import QueryBuilder, StructureData

    from aiida_perovskite.cli.phases import phase_structures, stored_structure

    write(folder / "one.cif", caesium_bromide())
    first = stored_structure(phase_structures(folder)["one"])
    again = stored_structure(phase_structures(folder)["one"])
    assert first.uuid == again.uuid
    write(folder / "one.cif", bulk("CsBr", "cesiumchloride", a=4.3))
    assert stored_structure(phase_structures(folder)["one"]).uuid != first.uuid
    assert QueryBuilder().append(StructureData).count() == 2


def test_structures_become_inputs_of_the_funnel(codes: None, folder: Path) -> None:
    from aiida_perovskite.cli import cmd_root
    from aiida_perovskite.cli.screen import build

    write(folder / "CsBr.cif", caesium_bromide())
    command = cmd_root.get_command(None, "screen")
    context = command.make_context("screen", ["--phase-structures", str(folder)])
    builder = build(context.params, store=True)
    structure = builder["phase_structures"]["CsBr"]
    assert structure.is_stored
    assert structure.get_ase().cell.lengths() == pytest.approx([4.29] * 3)


DISORDERED = """data_x
_cell_length_a 4.29
_cell_length_b 4.29
_cell_length_c 4.29
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cs1 Cs 0 0 0 {cs}
Br1 Br 0.5 0.5 0.5 {br}
{more}
"""


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.cif", "no structure", "a.cif cannot be read as a structure"),
        ("a.vasp", "no structure\nx\n", "a.vasp cannot be read as a structure"),
        ("a.cif", "", "a.cif holds no structures"),
        ("a.cif", "\xff\x00", "a.cif cannot be read as a structure"),
        ("a.cif", DISORDERED.format(cs=0.9, br=1, more=""), "a.cif is disordered"),
        ("a.cif", DISORDERED.format(cs=1, br=0.5, more="I1 I 0.5 0.5 0.5 0.5"), "a.cif is disordered"),
        ("a.xyz", "2\n\nCs 0 0 0\nBr 2 2 2\n", "a.xyz is not periodic"),
        ("a.xyz", '1\nLattice="4 0 0 0 4 0 0 0 4" pbc="T T F"\nCs 0 0 0\n', "a.xyz is not periodic"),
        ("a.xyz", '1\nLattice="4 0 0 0 4 0 0 0 4"\nX 0 0 0\n', "no known element"),
        ("a.xyz", 2 * '1\nLattice="4 0 0 0 4 0 0 0 4"\nCs 0 0 0\n', "a.xyz holds 2 structures"),
        ("a.txt", "", "has no structure file: names must end with .cif"),
    ],
)
def test_bad_files_are_named(
    refused: Callable[..., str], codes: None, folder: Path, name: str, content: str, words: str
) -> None:
    (folder / name).write_text(content, encoding="latin-1")
    assert words in refused("screen", "--phase-structures", str(folder))


def test_two_files_of_one_label(refused: Callable[..., str], codes: None, folder: Path) -> None:
    write(folder / "Cs Br.cif", caesium_bromide())
    write(folder / "Cs_Br.cif", caesium_bromide())
    assert "would both be called Cs_Br: rename one" in refused("screen", "--phase-structures", str(folder))


def test_from_a_server_to_a_campaign(run: Callable[..., Any], codes: None, server: str, tmp_path: Path) -> None:
    folder = tmp_path / "phases"
    result = run("phases", "--compound", "CsBr", "--url", server, "-o", str(folder))
    assert result.exit_code == 0, result.output
    assert "3 structures written" in result.stdout
    assert "serves --known-phases as well" in result.stdout
    assert "mp-3 left out: disordered" in result.stderr
    options = ["--phase-structures", str(folder), "--known-phases", str(folder / "phases.csv")]
    content = json.loads(run("screen", "--dry-run", *options).stdout)
    assert content["phase_structures"] == {"CsBr_mp_2": "CsBr", "CsBr_mp_2_rocksalt": "CsBr", "Cs_mp_1": "Cs"}
    assert content["known_phases"] == 2


def test_a_search_that_is_cut_short_says_so(run: Callable[..., Any], server: str, tmp_path: Path) -> None:
    result = run("phases", "Cs", "Br", "--url", server, "--limit", "2", "-o", str(tmp_path / "phases"))
    assert result.exit_code == 0, result.output
    assert "more than 2 entries: raise --limit" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either elements"),
        (["Cs", "--compound", "CsBr"], "give either elements"),
        (["--compound", "nonsense"], "is no formula"),
        (["Cs,Br"], "Cs,Br: no such element"),
        (["Cs", "--url", "no-such"], "neither a URL nor a server"),
    ],
)
def test_phases_refuses(refused: Callable[..., str], tmp_path: Path, arguments: list[str], words: str) -> None:
    assert words in refused("phases", *arguments, "-o", str(tmp_path / "phases"))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_search_leaves_nothing(run: Callable[..., Any], server: str, tmp_path: Path) -> None:
    result = run("phases", "Cs", "--url", f"{server}/garbage", "-o", str(tmp_path / "phases"))
    assert result.exit_code == 1
    assert "does not answer as an OPTIMADE server does" in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(refused: Callable[..., str], folder: Path) -> None:
    assert "exists already" in refused("phases", "Cs", "-o", str(folder))
