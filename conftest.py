"""What tests and documentation share: a temporary AiiDA profile, away from whoever runs them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

# Importing aiida creates a configuration folder: never in the home of whoever runs the tests.
os.environ["AIIDA_PATH"] = tempfile.mkdtemp(prefix="aiida-perovskite-tests-")
# The daemon is started by `verdi`, which lies beside the interpreter whether or not the environment is activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# One thread per process, as in production: the machine's cores are shared between processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from aiida.manage.configuration.profile import Profile

# Speed is never asserted in a test: a busy machine is not a failure.
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")

pytest_plugins = "aiida.tools.pytest_fixtures"


@pytest.fixture(scope="session")
def aiida_profile(aiida_config: Any, aiida_profile_factory: Callable[..., Any]) -> Iterator[Profile]:
    """Provide a temporary profile like the demo's: SQLite storage and the built-in ZeroMQ broker."""
    with aiida_profile_factory(aiida_config, broker_backend="core.zeromq") as profile:
        aiida_config.set_option("daemon.timeout", 60, scope=profile.name)
        aiida_config.set_option("runner.poll.interval", 1, scope=profile.name)
        yield profile
