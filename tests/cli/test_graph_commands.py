"""`trace`, `query`, `export` and `import` refuse what cannot be answered, and say so of an empty profile."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

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
