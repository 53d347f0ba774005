"""Wait for a process and show what it does."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli.reviving import Watch, daemon_state, revive

if TYPE_CHECKING:
    from aiida.orm import CalcJobNode, ProcessNode

LOG_SECONDS = 30.0  # where output goes to a file, a sign of life this often
TERMINAL_WIDTH = 110
BUSY = "database is locked"  # SQLite: the daemon of a loaded machine has been writing for longer than readers wait
POLL_SECONDS = 2.0  # fast enough to follow by eye, slow enough to cost nothing beside the daemon


def require_daemon() -> None:
    """Raise ValueError if no daemon would take up what is submitted; one that was killed is started again."""
    state = daemon_state()
    if state == "stopped":
        raise ValueError("the daemon is not running, so nothing would start: run `verdi daemon start` first")
    if state == "killed":
        echo.echo_warning("the daemon was killed: repairing the processes and starting it again", err=True)
        revive()


def wait_for(node: ProcessNode, *, quiet: bool = False) -> None:
    """Follow a process to its end: reports as they come and, on a terminal, what each job printed last.

    A daemon that is killed meanwhile is started again, and processes whose task was lost get a new one. Interrupting
    leaves the process running. A process that failed raises ValueError with its exit message.
    """
    from aiida.orm import ProcessNode, load_node
    from sqlalchemy.exc import OperationalError

    from aiida_perovskite.workflows.interfaces import how_it_ended

    start, shown, told = time.monotonic(), 0, time.monotonic()
    watch = Watch()
    try:
        while True:
            try:
                # A node caches what it read: a fresh one sees what the daemon did meanwhile.
                fresh = load_node(node.pk)
                assert isinstance(fresh, ProcessNode)
                if not quiet:
                    shown = _print_reports(fresh, shown, start)
                if fresh.is_terminated:
                    break
                watch.look()
            except OperationalError as error:
                if BUSY not in str(error):
                    raise
                time.sleep(POLL_SECONDS)
                continue
            if not quiet and sys.stdout.isatty():
                click.echo(f"\r\033[K[{_clock(start)}] {_status(fresh)}"[:TERMINAL_WIDTH], nl=False)
            elif not quiet and time.monotonic() - told > LOG_SECONDS:
                told = time.monotonic()
                click.echo(f"[{_clock(start)}] {_status(fresh)}")
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        echo.echo_warning(f"process {node.pk} goes on in the background; run the same command again to follow it")
        raise click.Abort from None
    if not quiet:
        _clear_status()
    if not fresh.is_finished_ok:
        raise ValueError(
            f"process {node.pk} failed: {how_it_ended(fresh)} (`verdi process report {node.pk}` says more)"
        )


def running_jobs(node: ProcessNode) -> list[CalcJobNode]:
    """Return the jobs below ``node`` that have not ended.

    Only what is alive is asked for: a campaign may have thousands of candidates that have ended.
    """
    from aiida.orm import CalcJobNode, QueryBuilder
    from aiida.orm import ProcessNode as Process

    from aiida_perovskite.workflows.sharing import ALIVE

    jobs: list[CalcJobNode] = []
    callers = [node.pk]
    while callers:
        query = QueryBuilder().append(Process, filters={"id": {"in": callers}}, tag="caller")
        query.append(Process, with_incoming="caller", filters={"attributes.process_state": {"in": ALIVE}})
        called = query.all(flat=True)
        jobs += [one for one in called if isinstance(one, CalcJobNode)]
        callers = [one.pk for one in called if not isinstance(one, CalcJobNode)]
    return jobs


def last_line(job: CalcJobNode) -> str:
    """Return what a job on this machine printed last; empty for jobs elsewhere."""
    folder = job.base.attributes.get("remote_workdir", None)
    if folder is None or job.computer is None or job.computer.transport_type != "core.local":
        return ""
    path = Path(folder) / "stdout"
    if not path.is_file():
        return ""
    lines = path.read_text(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _print_reports(node: ProcessNode, shown: int, start: float) -> int:
    """Print what a process has reported since the record with the number ``shown``; return the number of the last."""
    from aiida.orm import Log, QueryBuilder

    filters = {"dbnode_id": node.pk, "levelname": "REPORT", "id": {">": shown}}
    query = QueryBuilder().append(Log, filters=filters, project=["id", "message"], tag="log").order_by({"log": "id"})
    for number, message in query.all():
        _clear_status()
        click.echo(f"[{_clock(start)}] {message.split(']: ', 1)[-1]}")
        shown = number
    return shown


def _status(node: ProcessNode) -> str:
    jobs = [line for job in running_jobs(node) if (line := last_line(job))]
    return "; ".join(jobs) or "working"


def _clear_status() -> None:
    if sys.stdout.isatty():
        click.echo("\r\033[K", nl=False)


def _clock(start: float) -> str:
    seconds = int(time.monotonic() - start)
    return f"{seconds // 60:02d}:{seconds % 60:02d}"
