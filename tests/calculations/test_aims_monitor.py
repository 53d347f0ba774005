"""A run is asked to stop before its walltime ends, or when its density is stuck; never twice, and never killed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ITERATION = "  Begin self-consistency iteration #{n:5d}\n  | Change of charge density :  {change:.4E}\n"


def output(changes: list[float]) -> str:
    """Return a standard output whose density changes so from iteration to iteration."""
    return "".join(ITERATION.format(n=n + 1, change=change) for n, change in enumerate(changes))


STUCK = [0.1 * 0.5**n for n in range(10)] + [2e-4 + 1e-5 * (n % 3) for n in range(80)]
FINE = [0.1 * 0.9**n for n in range(90)]


@pytest.fixture
def job(aiida_profile: Any, aiida_localhost: Any, tmp_path: Path) -> Any:
    """A job that runs in a folder, as far as the monitor can see."""
    from aiida.common import LinkType
    from aiida.orm import CalcJobNode, Dict

    def make(settings: dict[str, Any], changes: list[float], elapsed_s: int = 10, limit_s: int | None = None) -> Any:
        (tmp_path / "aims.out").write_text(output(changes))
        node = CalcJobNode(computer=aiida_localhost, process_type="aiida.calculations:perovskite.aims")
        node.set_option("output_filename", "aims.out")
        if limit_s is not None:
            node.set_option("max_wallclock_seconds", limit_s)
        node.base.links.add_incoming(Dict(settings).store(), LinkType.INPUT_CALC, "settings")
        node.store()
        node.set_remote_workdir(str(tmp_path))
        node.set_last_job_info(info(elapsed_s))
        return node

    return make


def info(elapsed_s: int) -> Any:
    """Return what a scheduler says of a running job."""
    from aiida.schedulers.datastructures import JobInfo

    found = JobInfo()
    found.dispatch_time = datetime.now(UTC) - timedelta(seconds=elapsed_s)
    return found


@pytest.mark.parametrize(
    ("settings", "changes", "elapsed_s", "limit_s", "asked"),
    [
        ({}, STUCK, 10, None, "abort_scf"),
        ({}, FINE, 10, None, None),
        ({}, STUCK[:40], 10, None, None),
        ({}, FINE, 3100, 3600, "abort_scf"),
        ({"relaxation": {}}, FINE, 3100, 3600, "abort_opt"),
        ({"relaxation": {}}, STUCK, 10, 3600, "abort_scf"),
        ({}, FINE, 100, 3600, None),
    ],
)
def test_when_a_run_is_asked_to_stop(
    settings: dict[str, Any],
    changes: list[float],
    elapsed_s: int,
    limit_s: int | None,
    asked: str | None,
    job: Any,
    aiida_localhost: Any,
    tmp_path: Path,
) -> None:
    from aiida_perovskite.calculations.aims_monitor import ASKED, stop_gracefully

    node = job(settings, changes, elapsed_s, limit_s)
    with aiida_localhost.get_transport() as transport:
        assert stop_gracefully(node, transport) is None, "AiiDA would kill the job"
        assert {path.name for path in tmp_path.iterdir() if path.name.startswith("abort")} == (
            {asked} if asked else set()
        )
        assert bool(node.base.extras.get(ASKED, None)) is (asked is not None)
        for path in tmp_path.glob("abort_*"):
            path.unlink()
        stop_gracefully(node, transport)
        assert not list(tmp_path.glob("abort_*")), "asked twice"


def test_the_emulator_obeys_and_the_handlers_go_on(tmp_path: Path) -> None:
    from aiida_perovskite.engines.aims import is_stalled

    assert is_stalled(output(STUCK))
    assert not is_stalled(output(STUCK) + "  Begin self-consistency loop: Re-initialization.\n" + output(FINE[:5]))
