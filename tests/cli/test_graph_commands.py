"""`trace`, `query`, `export` and `import` refuse what cannot be answered, and say so of an empty profile."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_nothing_to_trace(refused: Callable[..., str]) -> None:
    assert "no node '1'" in refused("trace", "1")
    assert "this profile holds: none" in refused("trace", "Cs2AgBiBr6", "-c", "halides")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--gap", "1.6", "0.9"], "1.6 to 0.9 of gap_hse06_soc_ev is empty"),
        (["--gap", "nan", "1"], "is empty"),
        (["--with", "Ag,Xx"], "Xx is no symbol of an element"),
        (["--with", "Ag", "--without", "Ag,Bi"], "Ag cannot be both"),
        (["--engine", "cook=gpaw"], "a step of relax, gap"),
        (["--since", "yesterday"], "write a date as"),
        (["--since", "0001-01-01"], "write a date as"),
        (["-c", "halides"], "no campaign 'halides'; this profile holds: none"),
        (["-o", "found.xlsx"], "neither in .csv nor in .parquet"),
        ([], "holds no computed compound yet"),
    ],
)
def test_bad_questions_are_refused(refused: Callable[..., str], arguments: list[str], sentence: str) -> None:
    assert sentence in refused("query", *arguments)


def test_archives_that_are_none(refused: Callable[..., str], tmp_path: Path) -> None:
    text, empty, bomb = (tmp_path / name for name in ("text.aiida", "empty.aiida", "bomb.aiida"))
    text.write_text("<html>")
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("README.md", "nothing else")
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("db.sqlite3", bytes(50 * 2**20))
    assert "no zip file" in refused("import", str(text))
    assert "no AiiDA archive" in refused("import", str(empty))
    assert "times its size" in refused("import", str(bomb))


def forged(path: Path, *, metadata: str, database: bytes = b"", encrypted: bool = False) -> str:
    """Write a zip file with the members of an AiiDA archive and one that would leave the folder."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", metadata)
        archive.writestr("db.sqlite3", database)
        archive.writestr("../outside.txt", "x")
        archive.writestr("repo/../../outside.txt", "x")
    if encrypted:
        content = bytearray(path.read_bytes())
        for signature, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
            place = content.find(signature)
            while place >= 0:
                content[place + flags] |= 1
                place = content.find(signature, place + 4)
        path.write_bytes(bytes(content))
    return str(path)


LATEST = '{"export_version": "main_0001", "aiida_version": "2.8.0", "key_format": "sha256", "compression": 6}'


@pytest.mark.parametrize(
    "content",
    [
        {"metadata": "[" * 100_000},
        {"metadata": "[]"},
        {"metadata": '{"export_version": [1]}'},
        {"metadata": '{"export_version": "0.4"}'},
        {"metadata": LATEST},
        {"metadata": LATEST, "database": b"SQLite format 3\x00" + bytes(4000)},
        {"metadata": LATEST, "encrypted": True},
    ],
)
def test_archives_that_are_forged(refused: Callable[..., str], tmp_path: Path, content: dict[str, Any]) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    assert "no AiiDA archive, or is damaged" in refused("import", forged(folder / "x.aiida", **content))
    assert [path.name for path in (*tmp_path.iterdir(), *folder.iterdir())] == ["a folder", "x.aiida"]


def test_a_file_that_is_tar_and_zip_at_once(refused: Callable[..., str], tmp_path: Path) -> None:
    """AiiDA asks first whether it is a tar file, and unpacks those whole."""
    import tarfile

    path = tmp_path / "both.aiida"
    with tarfile.open(path, "w") as archive:
        archive.add(Path(__file__), "../outside.txt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", LATEST)
    assert "it is a tar file" in refused("import", str(path))


def test_an_archive_whose_campaign_has_a_name_that_moves_the_cursor(
    refused: Callable[..., str], aiida_profile_clean: Any, tmp_path: Path
) -> None:
    from aiida.orm import Group
    from aiida.tools.archive import create_archive

    path = tmp_path / "x.aiida"
    create_archive([Group(label="halides\x1b[2J\nrm").store()], path)
    aiida_profile_clean.reset_storage()
    assert "no printable name" in refused("import", str(path))


def test_commands_that_are_suggested_are_quoted(run: Callable[..., Any], tmp_path: Path) -> None:
    from aiida.orm import Group
    from aiida.tools.archive import create_archive

    from aiida_perovskite.cli.campaigns import CAMPAIGN_EXTRA

    group = Group(label="../a b; rm -rf '$HOME'").store()
    group.base.extras.set(CAMPAIGN_EXTRA, True)
    create_archive([group], tmp_path / "x.aiida")
    said = run("import", str(tmp_path / "x.aiida")).output
    command = re.search(r"`(.*)`", said.replace("\n", " "))
    assert command is not None
    assert shlex.split(command[1]) == ["aiida-perovskite", "campaign", "report", group.label]


def test_nothing_to_export(refused: Callable[..., str], tmp_path: Path) -> None:
    from aiida.orm import WorkChainNode

    from aiida_perovskite.cli.campaigns import SCREENING, campaign_group

    path = tmp_path / "halides.aiida"
    assert "this profile holds: none" in refused("export", "halides", str(path))
    group = campaign_group("halides", create=True)
    assert "has no run yet" in refused("export", "halides", str(path))
    run = WorkChainNode()
    run.process_type = SCREENING
    group.add_nodes(run.store())
    assert "still running" in refused("export", "halides", str(path))
    path.write_text("mine")
    assert "--overwrite replaces it" in refused("export", "halides", str(path))
    assert path.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == [path]
