"""Bring the processes of a profile back to life after its daemon, or a part of it, was killed.

AiiDA's daemon starts a worker again that was killed. When its supervisor is killed, worker and broker go on as orphans
that no later daemon looks after; a broker that was killed leaves the address of a socket at which nobody listens, and
workers that started with it stay there; a task that was with one of them can be lost, and its process waits for ever.
The remedy is AiiDA's own (`verdi daemon stop`, `verdi process repair`, `verdi daemon start`), after the orphans.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from aiida.cmdline.utils import echo

# A worker polls the scheduler for each running job every ten seconds (thirty over SSH), and every poll changes the
# job's node; a connection that fails is tried again after 20, 40, 80 and 160 seconds.
STALLED_S = 180.0
# The same after a worker or the broker has vanished: AiiDA starts another, but tasks may be lost with the old one.
SUSPECT_S = 40.0
LOOK_S = 10.0  # how often the nodes are asked whether something changed
IN_VAIN = 3  # repairs in a row after which still nothing moved: then it is not a lost task
END_S = 15.0  # how long an orphan may take to end by itself


class Watch:
    """Notice that the daemon was killed or that nothing moves any more, and do what helps."""

    def __init__(self) -> None:
        self._seen: Any = None
        self._moved = self._looked = time.monotonic()
        self._in_vain = 0
        self._parts = part_numbers()
        self._vanished = False
        self._told: set[str] = set()

    def look(self) -> None:
        """Repair if needed; to be called every few seconds.

        Raises
        ------
        ValueError
            If repairing did not help, in a sentence that says where to look.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        state, parts = daemon_state(), part_numbers()
        self._vanished = state == "running" and (self._vanished or bool(self._parts - parts))
        self._parts = parts
        patience = SUSPECT_S if self._vanished else STALLED_S
        if state == "stopped":
            self._tell("the daemon was stopped, so nothing goes on: `verdi daemon start` when it should")
            self._moved = now
        elif state == "killed":
            self._revive("the daemon was killed")
        elif (seen := last_change()) != self._seen:
            self._seen, self._moved, self._in_vain = seen, now, 0
        elif now - self._moved > patience:
            self._stalled(patience)

    def _stalled(self, seconds: float) -> None:
        paused = paused_processes()
        if paused:
            numbers = " ".join(map(str, paused))
            self._tell(f"paused: {numbers}; `verdi process report {paused[0]}` says why, `verdi process play` goes on")
            return
        if self._in_vain >= IN_VAIN:
            raise ValueError(
                f"nothing has moved for {IN_VAIN * STALLED_S / 60:.0f} minutes and repairing does not help; "
                "`verdi daemon logshow` says more; with the daemon stopped, `verdi process repair` can do more"
            )
        self._in_vain += 1
        self._revive(f"nothing moved for {seconds:.0f} s")

    def _revive(self, why: str) -> None:
        echo.echo_warning(f"{why}: repairing the processes and starting the daemon again", err=True)
        revive()
        self._moved = time.monotonic()
        self._parts, self._vanished = part_numbers(), False

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            echo.echo_warning(text, err=True)


def daemon_state() -> str:
    """Return ``running``, ``stopped`` (by a user, or never started) or ``killed`` (it left its PID file behind)."""
    from aiida.engine.daemon.client import get_daemon_client

    pid = get_daemon_client().get_daemon_pid()
    if pid is None:
        return "stopped"
    alive = psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return "running" if alive else "killed"


def last_change() -> Any:
    """Return what differs whenever a process of the profile has changed or is new."""
    from aiida.orm import ProcessNode, QueryBuilder

    query = QueryBuilder().append(ProcessNode, project=["mtime", "id"], tag="process")
    return query.order_by({"process": {"mtime": "desc"}}).limit(1).first()


def paused_processes() -> list[int]:
    """Return the identifiers of the processes that are paused."""
    from aiida.orm import ProcessNode, QueryBuilder

    from aiida_perovskite.workflows.sharing import ALIVE

    alive = {"attributes.paused": True, "attributes.process_state": {"in": ALIVE}}
    found: list[int] = QueryBuilder().append(ProcessNode, filters=alive, project="id").all(flat=True)
    return found


def revive() -> None:
    """Stop the daemon and its orphans, give every process without a task a new one, and start the daemon.

    Where the storage is PostgreSQL, `verdi process repair` asks before it ends other connections, this program's among
    them; it then changes nothing, which RabbitMQ, the broker that goes with it, does not need either.

    Raises
    ------
    ValueError
        If the daemon does not start.
    """
    n_workers = stop_daemon()
    verdi("process", "repair")
    start_daemon(n_workers)


def stop_daemon() -> int:
    """Stop the daemon with all that a killed one left; return how many workers there were."""
    n_workers = sum("worker" in words for words in daemon_parts().values())
    verdi("daemon", "stop")
    end_orphans()
    forget_broker()
    return n_workers


def start_daemon(n_workers: int) -> None:
    """Start the daemon with so many workers, or with AiiDA's default for 0; ValueError if it does not start."""
    started = verdi("daemon", "start", *([str(n_workers)] if n_workers else []))
    if started.returncode and daemon_state() != "running":
        said = " ".join((started.stdout + started.stderr).split())[-300:]
        raise ValueError(f"the daemon does not start: {said}")


def end_orphans() -> None:
    """End the workers and the broker of this profile that a killed supervisor left behind."""
    found = list(daemon_parts())
    for process in found:
        process.terminate()
    for process in psutil.wait_procs(found, timeout=END_S)[1]:
        process.kill()


def forget_broker() -> None:
    """Remove what a killed ZeroMQ broker left: a worker that starts before the next one would talk to a dead socket."""
    from aiida.manage import get_manager
    from aiida.manage.configuration import get_config

    profile = get_manager().get_profile()
    assert profile is not None  # the command that got here has loaded one
    folder = Path(get_config().filepaths(profile)["broker_service"]["dir"])
    for name in ("broker.sockets", "broker.pid", "broker.status"):
        (folder / name).unlink(missing_ok=True)


def part_numbers() -> set[int]:
    """Return the numbers of this profile's workers and broker."""
    return {process.pid for process in daemon_parts()}


def daemon_parts() -> dict[psutil.Process, list[str]]:
    """Return the workers and the broker of this profile that run, with their command lines."""
    from aiida.manage import get_manager
    from aiida.manage.configuration import get_config

    profile, home = get_manager().get_profile(), str(get_config().dirpath)
    assert profile is not None  # the command that got here has loaded one
    found = {}
    for process in psutil.process_iter():
        try:
            words, place = process.cmdline(), process.environ().get("AIIDA_PATH")
        except psutil.Error:  # ended meanwhile, or somebody else's
            continue
        part = words[words.index("daemon") + 1 :][:1] if "daemon" in words else []
        if part in (["worker"], ["broker"]) and place in (home, os.path.dirname(home)) and profile.name in words:
            found[process] = words
    return found


def verdi(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of AiiDA on this profile."""
    from aiida.manage import get_manager

    profile = get_manager().get_profile()
    assert profile is not None  # the command that got here has loaded one
    command = [sys.executable, "-m", "aiida", "-p", profile.name, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
