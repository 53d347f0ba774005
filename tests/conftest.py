"""Fixtures shared by all rooms: a Code, and where the shared data lie."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aiida.orm import InstalledCode


@pytest.fixture
def python_code(aiida_code_installed: Callable[..., InstalledCode], aiida_localhost: Any) -> InstalledCode:
    """The interpreter that runs the tests, as a Code: it has torch, and CHGNet and GPAW where these are installed."""
    aiida_localhost.set_minimum_job_poll_interval(0)
    return aiida_code_installed(
        label="python", default_calc_job_plugin="core.shell", filepath_executable=sys.executable
    )


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of data that are not part of the repository; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("AIIDA_PEROVSKITE_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("the shared data folder is absent (set AIIDA_PEROVSKITE_SHARED to it)")
    return folder
