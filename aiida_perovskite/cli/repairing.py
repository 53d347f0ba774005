"""``aiida-perovskite doctor --repair``: what a killed worker left behind is ended or taken up again, and written down.

AiiDA starts a killed worker again, and processes with a checkpoint go on from it. Two things stay: a function (such as
a calcfunction) that the worker ran at that moment has no checkpoint, its caller runs it anew, and its first node says
'running' for ever; and a process whose task was lost with the broker waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiida_perovskite.cli.reviving import daemon_parts, daemon_state, start_daemon, stop_daemon, verdi
from aiida_perovskite.workflows.sharing import ABANDONED, ALIVE

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

LOST = "lost with the worker that ran it"


def repair() -> Iterator[str]:
    """Mend what can be mended, with the daemon stopped meanwhile; yield in sentences what was done.

    Every process that is touched says so in its own report (`verdi process report`). A daemon that had been stopped
    by its user stays so.

    Raises
    ------
    ValueError
        If the daemon does not start again.
    """
    stopped = daemon_state() == "stopped" and not daemon_parts()
    n_workers = stop_daemon()
    try:
        for node in lost_processes():
            end(node)
            yield f"{node.process_label} ({node.pk}) was {LOST} and said it was running: it is ended"
        waiting = processes_without_task()
        give_tasks(waiting)
        for node in waiting:
            note(node, "it had no task, so no worker would have taken it up: `doctor --repair` gave it one")
            yield f"{node.process_label} ({node.pk}) had no task: it has one again"
    finally:
        if not stopped:
            start_daemon(n_workers)
    if not stopped:
        yield "the daemon was started again"


def lost_processes() -> list[ProcessNode]:
    """Return the processes that nobody runs and no worker can take up.

    A function runs within the worker that runs its caller: one that is older than every worker was lost with its own.
    What an interpreter outside the daemon runs has no checkpoint either; it is taken for lost when it has not changed
    for two days.
    """
    from aiida.orm import ProcessNode, QueryBuilder

    query = QueryBuilder().append(ProcessNode, filters={"attributes.process_state": {"in": list(ALIVE)}})
    unsaved = [node for node in query.all(flat=True) if node.checkpoint is None]
    if not unsaved:  # as a rule, and then nobody has to look through all processes of the machine
        return []
    workers = [process for process, words in daemon_parts().items() if "worker" in words]
    now = datetime.now(UTC)
    oldest = min((datetime.fromtimestamp(process.create_time(), UTC) for process in workers), default=now)
    found: list[ProcessNode] = []
    for node in unsaved:
        caller = node.caller
        of_daemon = caller is not None and (caller.checkpoint is not None or caller.is_terminated)
        if (of_daemon and node.ctime < oldest) or node.mtime < now - ABANDONED:
            found.append(node)
    return found


def processes_without_task() -> list[ProcessNode]:
    """Return the processes that wait for a worker and are in no queue; to be asked while the daemon is stopped."""
    from aiida.engine.processes.control import get_active_processes, get_process_tasks
    from aiida.manage import get_manager

    broker = get_manager().get_broker()
    if broker is None:
        return []
    tasks = set(get_process_tasks(broker))
    return [node for node in get_active_processes() if node.pk not in tasks]


def give_tasks(nodes: list[ProcessNode]) -> None:
    """Queue processes for the workers to come."""
    from aiida.brokers.zeromq.broker import ZeromqBroker
    from aiida.manage import get_manager

    manager = get_manager()
    if isinstance(manager.get_broker(), ZeromqBroker):
        verdi("process", "repair")  # ends with the daemon, so that tasks are written into the files of its queue
        return
    controller = manager.get_process_controller()
    for node in nodes:
        controller.continue_process(node.pk)


def end(node: ProcessNode) -> None:
    """Mark a process as excepted, as AiiDA does where it notices itself."""
    from aiida.engine import ProcessState

    note(node, f"{LOST}; ended by `doctor --repair`")
    node.set_exception(LOST)
    node.set_process_state(ProcessState.EXCEPTED)
    node.seal()


def note(node: ProcessNode, text: str) -> None:
    """Add a line to the report of a process."""
    from aiida.orm import Log

    Log(
        time=datetime.now(UTC), loggername=__name__, levelname="REPORT", dbnode_id=node.pk, message=f"[doctor]: {text}"
    ).store()
