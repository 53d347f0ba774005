"""The command, as a cluster node without AiiDA runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from aiida_perovskite.learning.training import STATE_FILE

from .conftest import TINY

# The command, then the claim that AiiDA was never imported.
RUN = (
    "import sys; from aiida_perovskite.learning.__main__ import run\n"
    "try: run()\n"
    "finally: assert 'aiida' not in sys.modules"
)


def command(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "AIIDA_PATH"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        cwd=folder,
        env=environment | {"HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*arguments: object, folder: Path) -> tuple[int, str, str]:
    process = command(*arguments, folder=folder)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture
def folder(tmp_path, table):
    table.to_csv(tmp_path / "gaps.csv", index=False)
    table.to_parquet(tmp_path / "gaps.parquet")
    (tmp_path / "settings.json").write_text(json.dumps(TINY))
    return tmp_path


def train_arguments(output: str, table: str = "gaps.csv", settings: str = "settings.json") -> list[str]:
    return ["train", "--table", table, "--target", "gap_ev", "--settings", settings, "--output", output]


def test_train_and_predict_without_aiida(folder):
    code, out, err = finish(*train_arguments("model", table="gaps.parquet"), folder=folder)
    assert (code, err.count("epochs/s")) == (0, TINY["epochs"]), err
    assert "MAE" in out
    assert sorted(path.name for path in (folder / "model").iterdir()) == [
        "cross_validation.csv",
        "history.csv",
        "learning_curve.csv",
        "metrics.json",
        "model.json",
        "model.safetensors",
    ]
    assert json.loads((folder / "model" / "metrics.json").read_text())["n"] == 32
    code, out, err = finish(
        *(
            "predict",
            "--model",
            "model",
            "Cs2AgBiBr6",
            "--table",
            "gaps.csv",
            "--window",
            0.9,
            1.6,
            "--output",
            "p.csv",
        ),
        folder=folder,
    )
    assert code == 0, err
    frame = pd.read_csv(folder / "p.csv")
    assert len(frame) == 33
    assert list(frame.columns) == [
        *("formula", "gap_ev", "std_ev", "lower_ev", "upper_ev", "probability_in_window", "in_domain")
    ]
    assert not list(folder.glob("**/*.tmp"))


def test_a_killed_training_resumes_to_identical_weights(folder):
    (folder / "longer.json").write_text(json.dumps({**TINY, "epochs": 12}))
    killed = command(*train_arguments("killed", settings="longer.json"), folder=folder)
    deadline = time.monotonic() + 120
    while not (folder / "killed" / STATE_FILE).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL, "the training ended before it could be killed"
    code, _, err = finish(*train_arguments("killed", settings="longer.json"), folder=folder)
    assert code == 0, err
    assert 0 < err.count("epochs/s") < 12
    assert finish(*train_arguments("whole", settings="longer.json"), folder=folder)[0] == 0
    for name in ("model.safetensors", "history.csv", "cross_validation.csv"):
        assert (folder / "killed" / name).read_bytes() == (folder / "whole" / name).read_bytes(), name


def test_state_of_another_training_is_refused_and_kept(folder):
    (folder / "model").mkdir()
    killed = command(*train_arguments("model"), folder=folder)
    while not (folder / "model" / STATE_FILE).exists() and killed.poll() is None:
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    (folder / "settings.json").write_text(json.dumps({**TINY, "seed": 5}))
    code, _, err = finish(*train_arguments("model"), folder=folder)
    assert code == 2
    assert "belongs to a training with other data" in err
    assert (folder / "model" / STATE_FILE).exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("formula,gap\nCs2AgBiBr6,1\n", "lacks the columns gap_ev"),
        ("formula,gap_ev\nCs2AgBiBr6,1\nCs2BiAgBr6,2\n", "listed more than once: AgBiCs2Br6"),
        ("formula,gap_ev\nCs2AgBiBr6,\n", "not numbers: AgBiCs2Br6"),
        ("formula,gap_ev\nCs2HBiBr6,1\n", "H in Cs2.*has no place|too few"),
        ("formula,gap_ev\nCsPbBr3,1\n", "CsPbBr3"),
        ("formula,gap_ev\nCs2AgBiBr6,wide\n", "wide"),
    ],
)
def test_bad_tables_give_one_sentence_and_leave_nothing(folder, content, words):
    (folder / "gaps.csv").write_text(content)
    code, _, err = finish(*train_arguments("model"), folder=folder)
    assert code == 2
    assert pd.Series([err]).str.contains(words)[0], err
    assert "Traceback" not in err
    assert err.strip().count("\n") == 0
    assert not (folder / "model").exists()


def test_help_teaches():
    for arguments in (["--help"], ["train", "--help"], ["predict", "--help"]):
        shown = subprocess.run(
            [sys.executable, "-m", "aiida_perovskite.learning", *arguments], capture_output=True, text=True, check=True
        )
        assert "Usage: python -m aiida_perovskite.learning" in shown.stdout
