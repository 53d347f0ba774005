"""What tests and documentation share: a temporary AiiDA profile, away from whoever runs them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
    from production_servers import Servers

# Speed is never asserted in a test: a busy machine is not a failure.
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")

pytest_plugins = "aiida.tools.pytest_fixtures"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses the profile."""
    parser.addoption(
        "--production", action="store_true", help="run on PostgreSQL and RabbitMQ, which root starts for these tests"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let workers of pytest-xdist take whole folders of tests, which share what is made once for them, and pages."""
    from xdist.scheduler import LoadScopeScheduling

    class FolderScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file.endswith(".md") else file.rpartition("/")[0]

    return FolderScheduling(config, log)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Start a PostgreSQL and a RabbitMQ for this session."""
    from production_servers import production_servers, why_not

    if reason := why_not():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="production-") as folder, production_servers(Path(folder)) as started:
        yield started


@pytest.fixture(scope="session")
def aiida_profile(
    aiida_config: Any, aiida_profile_factory: Callable[..., Any], request: pytest.FixtureRequest
) -> Iterator[Profile]:
    """Provide a temporary profile like the demo's, or with `--production` one that `setup production` would make."""
    with ExitStack() as stack:
        backends: dict[str, Any] = {"broker_backend": "core.zeromq"}
        if request.config.getoption("production"):
            backends = stack.enter_context(production_backends(request.getfixturevalue("servers"), aiida_config))
        profile = stack.enter_context(aiida_profile_factory(aiida_config, **backends))
        aiida_config.set_option("daemon.timeout", 60, scope=profile.name)
        aiida_config.set_option("runner.poll.interval", 1, scope=profile.name)
        yield profile


@contextmanager
def production_backends(servers: Servers, config: Any) -> Iterator[dict[str, Any]]:
    """Give the storage and the broker of a profile on both servers."""
    from aiida_perovskite.cli.servers import postgres_storage, rabbitmq_config

    with postgres_storage(servers.postgres, "tests") as storage:
        yield {
            "storage_backend": "core.psql_dos",
            "storage_config": {**storage, "repository_uri": (Path(config.dirpath) / "repository").as_uri()},
            "broker_backend": "core.rabbitmq",
            "broker_config": rabbitmq_config(servers.rabbitmq),
        }
