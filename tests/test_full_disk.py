"""A disk that fills up under the work: one sentence, nothing half-written, and the next run goes on.

A limit on the size of files stands for the full disk: the system refuses to write in the same place.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiida_perovskite.engines import JobScript
from aiida_perovskite.engines.chgnet import RELAX_SCRIPT
from aiida_perovskite.engines.gpaw import GAP_SCRIPT

SETTINGS = {"epochs": 4, "members": 2, "folds": 3, "fold_members": 2}


def run_with_room(blocks: str, *command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command whose files may have so many blocks of 1 KiB."""
    limited = ["bash", "-c", f'ulimit -f {blocks}; exec "$@"', "limited", sys.executable, *map(str, command)]
    return subprocess.run(limited, cwd=folder, capture_output=True, text=True, timeout=300)


def test_a_training_says_so_and_resumes(tmp_path: Path) -> None:
    pairs = [(one, three) for one in ("Ag", "Na", "K") for three in ("Bi", "In")]
    rows = [f"Cs2{a}{b}{d}6,{len(a + b + d)}" for a, b in pairs for d in ("Cl", "Br")]
    (tmp_path / "gaps.csv").write_text("\n".join(["formula,gap_ev", *rows]) + "\n")
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    command = ("-m", "aiida_perovskite.learning", "train", "--table", "gaps.csv", "--target", "gap_ev")
    command += ("--settings", "settings.json", "--output", "model")
    full = run_with_room("500", *command, folder=tmp_path)
    assert full.returncode == 3
    assert "cannot be written" in full.stderr
    assert full.stderr.rstrip().endswith("run the command again to resume.")
    assert "Traceback" not in full.stderr
    assert list((tmp_path / "model").iterdir()) == []
    assert run_with_room("unlimited", *command, folder=tmp_path).returncode == 0
    assert (tmp_path / "model" / "model.json").exists()


@pytest.mark.parametrize("script", [RELAX_SCRIPT, GAP_SCRIPT])
def test_an_engine_leaves_no_half_result(script: JobScript, tmp_path: Path) -> None:
    for file in script.files:
        shutil.copy(file, tmp_path)
    done = run_with_room("0", script.path.name, "input.json", folder=tmp_path)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert not (tmp_path / "results.json").exists()
