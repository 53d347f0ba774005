"""`doctor --repair`: what killed workers leave is mended, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

CHECKPOINT = "a checkpoint: whoever runs this process is the daemon"


def process(kind: Any, label: str, caller: Any = None, checkpoint: str | None = None) -> Any:
    """Return a node that says it is running."""
    from aiida.common import LinkType
    from aiida.engine import ProcessState

    node = kind()
    node.set_process_label(label)
    node.set_process_state(ProcessState.RUNNING)
    if caller is not None:
        link = LinkType.CALL_CALC if "Calc" in kind.__name__ else LinkType.CALL_WORK
        node.base.links.add_incoming(caller, link_type=link, link_label=label)
    node.store()
    if checkpoint is not None:
        node.set_checkpoint(checkpoint)
    return node


def take_tasks_away() -> None:
    """Empty the queue of the broker."""
    from aiida.manage import get_manager

    for task in get_manager().get_broker().iterate_tasks():
        with task.processing() as outcome:
            outcome.set_result(False)


def reports(node: Any) -> list[str]:
    from aiida.orm import Log

    return [log.message for log in Log.collection.get_logs_for(node)]


def test_a_function_that_was_lost_with_its_worker_is_ended(aiida_profile_clean: Any, run: Callable[..., Any]) -> None:
    """Its caller goes on; what an interpreter runs by itself is nobody's business until it has not moved for days."""
    from aiida.orm import CalcFunctionNode, WorkChainNode, load_node

    funnel = process(WorkChainNode, "ScreeningWorkChain", checkpoint=CHECKPOINT)
    lost = process(CalcFunctionNode, "predict_band_gaps", caller=funnel)
    notebook = process(WorkChainNode, "CandidateWorkChain")
    own = process(CalcFunctionNode, "judge_gap", caller=notebook)
    assert f"{lost.pk}: said to be running, but lost with the worker" in run("doctor").stdout

    result = run("doctor", "--repair")
    assert f"predict_band_gaps ({lost.pk}) was lost with the worker" in result.output
    fresh = load_node(lost.pk)
    assert fresh.is_excepted
    assert fresh.is_sealed
    assert fresh.exception == "lost with the worker that ran it"
    assert "ended by `doctor --repair`" in reports(fresh)[-1]
    for node in (funnel, notebook, own):
        assert not load_node(node.pk).is_terminated
    assert "daemon was started" not in result.output, "nobody had started it before"
    assert "lost with the worker" not in run("doctor", "--repair").output
    take_tasks_away()  # a profile that is emptied gives their numbers to other processes


def test_what_has_not_moved_for_days_is_ended(aiida_profile_clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiida.orm import WorkChainNode

    from aiida_perovskite.cli import repairing

    old = process(WorkChainNode, "CandidateWorkChain")
    kept = process(WorkChainNode, "ScreeningWorkChain", checkpoint=CHECKPOINT)
    assert repairing.lost_processes() == []

    class InThreeDays(datetime):
        @classmethod
        def now(cls, zone: Any = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=3)

    monkeypatch.setattr(repairing, "datetime", InThreeDays)
    assert [node.pk for node in repairing.lost_processes()] == [old.pk]
    assert kept.pk != old.pk


@pytest.mark.production
def test_a_process_without_a_task_gets_one(
    aiida_profile_clean: Any, run: Callable[..., Any], job_of_some_seconds: Any, started_daemon_client: Any
) -> None:
    """The task of a job is taken away while the daemon is stopped; afterwards it runs to its end."""
    import time

    from aiida.engine import submit
    from aiida.engine.processes.control import get_process_tasks
    from aiida.manage import get_manager
    from aiida.orm import load_node

    node = submit(job_of_some_seconds)
    end = time.monotonic() + 60.0
    while load_node(node.pk).get_job_id() is None and time.monotonic() < end:
        time.sleep(0.2)
    started_daemon_client.stop_daemon(wait=True)
    take_tasks_away()
    assert node.pk not in get_process_tasks(get_manager().get_broker())
    assert not load_node(node.pk).is_terminated
    started_daemon_client.start_daemon()

    result = run("doctor", "--repair")
    assert f"({node.pk}) had no task: it has one again" in result.output
    assert "the daemon was started again" in result.output
    assert "`doctor --repair` gave it one" in "".join(reports(node))
    end = time.monotonic() + 120.0
    while not load_node(node.pk).is_terminated and time.monotonic() < end:
        time.sleep(0.5)
    assert load_node(node.pk).is_finished_ok


@pytest.fixture
def job_of_some_seconds(aiida_code_installed: Callable[..., Any], aiida_localhost: Any) -> Any:
    """A job of AiiDA itself, long enough to stop the daemon meanwhile."""
    from aiida.orm import Int

    aiida_localhost.set_minimum_job_poll_interval(0)
    builder = aiida_code_installed(
        label="bash", default_calc_job_plugin="core.arithmetic.add", filepath_executable="/bin/bash"
    ).get_builder()
    builder.x, builder.y = Int(1), Int(2)
    builder.metadata.options.prepend_text = "sleep 10"
    return builder
