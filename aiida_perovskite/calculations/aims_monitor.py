"""A monitor that ends runs of FHI-aims gracefully: before the walltime does, or when the density is stuck."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from aiida.common.escaping import escape_for_bash
from aiida.schedulers import JobState

if TYPE_CHECKING:
    from aiida.orm import CalcJobNode
    from aiida.transports import Transport

GRACE_S = 600.0  # before the walltime: an iteration or two of a large cell
TAIL_BYTES = 400_000  # some hundred iterations
ASKED = "perovskite_stop_requested"  # extra of a job: why it was asked to stop
SEEN = "perovskite_first_seen_running"  # extra of a job: when, in ISO 8601


def stop_gracefully(
    node: CalcJobNode, transport: Transport, grace_s: float = GRACE_S, patience: int | None = None
) -> str | None:
    """Ask a run to stop, once, by the files for which FHI-aims looks; the handlers then continue where it stopped.

    Parameters
    ----------
    grace_s
        How long before the end of the walltime, in seconds; the whole of a walltime shorter than twice that is halved.
    patience
        Iterations without progress of the density after which a cycle counts as stuck.

    Returns
    -------
    str or None
        Always None: AiiDA would kill the job otherwise.
    """
    folder = node.get_remote_workdir()
    if folder is None or node.base.extras.get(ASKED, None):
        return None
    why = _walltime_is_near(node, grace_s) or _is_stuck(node, transport, folder, patience)
    if why:
        settings = node.inputs.settings.get_dict() if "settings" in node.inputs else {}
        # A stuck density must be left at once; before the walltime a relaxation may finish its step.
        names = ["abort_scf"] if why.startswith("the density") or settings.get("relaxation") is None else ["abort_opt"]
        with TemporaryDirectory() as local:
            for name in names:
                empty = PurePosixPath(local) / name
                with open(empty, "w", encoding="utf-8") as handle:
                    handle.write(f"{why}\n")
                transport.putfile(str(empty), str(PurePosixPath(folder) / name))
        node.base.extras.set(ASKED, why)
    return None


def _walltime_is_near(node: CalcJobNode, grace_s: float) -> str:
    limit = node.get_option("max_wallclock_seconds")
    elapsed = _elapsed_s(node)
    near = limit is not None and elapsed is not None and elapsed > max(limit - grace_s, limit / 2)
    return "the walltime is nearly over" if near else ""


def _elapsed_s(node: CalcJobNode) -> float | None:
    """Return for how long the job has run; None as long as it does not.

    Since it began, where the scheduler says when that was, else since it was first seen running: what schedulers call
    elapsed time is processor time with some.
    """
    now = datetime.now(UTC)
    started = getattr(node.get_last_job_info(), "dispatch_time", None)
    if started is None:
        if node.get_scheduler_state() != JobState.RUNNING:
            return None
        seen = node.base.extras.get(SEEN, None)
        if seen is None:
            node.base.extras.set(SEEN, now.isoformat())
        started = datetime.fromisoformat(seen) if seen is not None else now
    return (now - (started if started.tzinfo else started.astimezone(UTC))).total_seconds()


def _is_stuck(node: CalcJobNode, transport: Transport, folder: str, patience: int | None) -> str:
    from aiida_perovskite.engines.aims import PATIENCE, is_stalled

    path = str(PurePosixPath(folder) / str(node.get_option("output_filename")))
    status, tail, _ = transport.exec_command_wait(f"tail -c {TAIL_BYTES} {escape_for_bash(path)}")
    stalled = status == 0 and is_stalled(tail, patience if patience is not None else PATIENCE)
    return "the density does not converge any more" if stalled else ""
