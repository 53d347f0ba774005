"""Fixtures shared by all rooms: a temporary AiiDA profile, its codes, and where the shared data lie."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Importing aiida creates a configuration folder: never in the home of whoever runs the tests.
os.environ["AIIDA_PATH"] = tempfile.mkdtemp(prefix="aiida-perovskite-tests-")
# The daemon is started by `verdi`, which lies beside the interpreter whether or not the environment is activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# One thread per process, as in production: the machine's cores are shared between processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from aiida.manage.configuration.profile import Profile
    from aiida.orm import InstalledCode

pytest_plugins = "aiida.tools.pytest_fixtures"


@pytest.fixture(scope="session")
def aiida_profile(aiida_config: Any, aiida_profile_factory: Callable[..., Any]) -> Iterator[Profile]:
    """A temporary profile like the demo's: SQLite storage and the built-in ZeroMQ broker."""
    with aiida_profile_factory(aiida_config, broker_backend="core.zeromq") as profile:
        aiida_config.set_option("daemon.timeout", 60, scope=profile.name)
        aiida_config.set_option("runner.poll.interval", 1, scope=profile.name)
        yield profile


@pytest.fixture
def python_code(aiida_code_installed: Callable[..., InstalledCode], aiida_localhost: Any) -> InstalledCode:
    """The interpreter that runs the tests, as a Code: it has torch, and CHGNet and GPAW where these are installed."""
    aiida_localhost.set_minimum_job_poll_interval(0)
    return aiida_code_installed(label="python", default_calc_job_plugin="core.shell", filepath_executable=sys.executable)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of data that are not part of the repository; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("AIIDA_PEROVSKITE_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("the shared data folder is absent (set AIIDA_PEROVSKITE_SHARED to it)")
    return folder
