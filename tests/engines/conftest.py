"""Running engine scripts as the jobs do: by an interpreter of their own, in an empty folder."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from aiida_perovskite.engines.gpaw import GAP_SCRIPT


class Outcome(NamedTuple):
    """What a script left."""

    status: int
    results: str
    arrays: bytes
    output: str


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[[Path, Any], Outcome]:
    """Return a function that runs a script on a given ``input.json``."""

    def run(script: Path, content: Any) -> Outcome:
        (tmp_path / "input.json").write_text(content if isinstance(content, str) else json.dumps(content))
        command = [sys.executable, str(script), "input.json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
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
def gap_script() -> ModuleType:
    """The GPAW script as a module, to test its functions: it imports no engine before it runs."""
    spec = importlib.util.spec_from_file_location("gap", GAP_SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
