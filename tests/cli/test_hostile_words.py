"""Words that mean something to a shell are only words: labels, paths and columns."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

ODD = "a b'c\"; touch pwned; $(touch pwned) `touch pwned`"


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python whose path holds spaces, quotes and commands."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ODD / "python"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return path


def test_a_path_of_an_interpreter_is_quoted(
    run: Callable[..., Any], aiida_localhost: Any, interpreter: Path, tmp_path: Path
) -> None:
    result = run("setup", "code", "learning", "-Y", aiida_localhost.label, "--python", str(interpreter))
    assert result.exit_code == 0, result.output
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("label", [ODD, "a@b", "a\nb", ""])
def test_labels_of_codes(run: Callable[..., Any], aiida_localhost: Any, tmp_path: Path, label: str) -> None:
    program = tmp_path / "aims.x"
    program.write_text("#!/bin/sh\necho Version 250507\n")
    program.chmod(0o755)
    result = run("setup", "aims", str(program), "-Y", aiida_localhost.label, "--label", label)
    assert "Traceback" not in result.output
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("target", [ODD, "{table}", "{}", "{", "{0!r:>9}", "--output=/x", "<script>"])
def test_a_column_may_have_any_name(run: Callable[..., Any], codes: None, tmp_path: Path, target: str) -> None:
    """As the option of a job it comes through aiida-shell, which fills in what stands in braces."""
    import pandas as pd
    from aiida.orm import load_code
    from aiida_shell import ShellJob

    from aiida_perovskite.calculations.jobs import job_options, learning_job

    path = tmp_path / "a folder; x.csv"
    pd.DataFrame({"formula": ["Cs2AgBiBr6", "Cs2AgInBr6"], target: [1.8, 2.1]}).to_csv(path, index=False)
    result = run("screen", "--dry-run", "--dataset", str(path), f"--target={target}")
    assert result.exit_code == 0, result.output
    options = job_options(None, [], "perovskite.train")
    words = learning_job(load_code("learning@localhost"), "train", {}, ["--target", target], options)["arguments"]
    made = ShellJob.process_arguments_and_nodes(Mock(prepare_filenames=lambda *_: {}), tmp_path, {}, {}, list(words))
    assert made[made.index("--target") + 1] == target
