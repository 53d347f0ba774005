"""Running engine scripts as the jobs do: by an interpreter of their own, in an empty folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from aiida_perovskite.engines import JobScript
from aiida_perovskite.engines import run_script as run_in_folder
from aiida_perovskite.engines.gpaw import GAP_SCRIPT


class Outcome(NamedTuple):
    """What a script left."""

    status: int
    results: str
    arrays: bytes
    output: str


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[[JobScript, Any], Outcome]:
    """Return a function that runs a script on a given ``input.json``."""

    def run(script: JobScript, content: Any) -> Outcome:
        done = run_in_folder(script, content, tmp_path)
        arrays = tmp_path / "arrays.npz"
        assert not list(tmp_path.glob("*.tmp"))
        return Outcome(
            done.returncode,
            (tmp_path / "results.json").read_text(),
            arrays.read_bytes() if arrays.exists() else b"",
            done.stdout + done.stderr,
        )

    return run


@pytest.fixture(scope="session")
def script_module() -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that imports a GPAW script as a module: none imports the engine before it runs."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in {file.parent for file in GAP_SCRIPT.files}:
            patch.syspath_prepend(folder)
        yield importlib.import_module


@pytest.fixture(scope="session")
def gap_script(script_module: Callable[[str], ModuleType]) -> ModuleType:
    """The gap script as a module, to test its functions."""
    return script_module("gap")
