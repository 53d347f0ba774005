"""What can be wrong with an installation, and how to mend it: one finding per thing looked at.

Each check yields findings and never raises for what it looks for, so that one trouble does not hide the next.
"""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiida_perovskite
from aiida_perovskite.cli.repairing import LOST, lost_processes
from aiida_perovskite.cli.reviving import daemon_parts, daemon_state, paused_processes
from aiida_perovskite.cli.servers import ASK_TIMEOUT, LONG_ENOUGH_S, RAISE_TIMEOUT, consumer_timeout_s
from aiida_perovskite.cli.setup import MODULE_OF
from aiida_perovskite.cli.setup_aims import PLUGIN as AIMS
from aiida_perovskite.cli.setup_aims import ask_version

if TYPE_CHECKING:
    from aiida.orm import Computer, InstalledCode

OK, WARNING, PROBLEM = "ok", "warning", "problem"
LITTLE_GIB = 10.0  # a screening of a hundred candidates with all spectra and bands takes a few GiB
TOO_LITTLE_GIB = 1.0  # SQLite and jobs fail in the middle when a disk fills up
MEND = "`aiida-perovskite doctor --repair`"
RENEW = f"{MEND}; or the same `screen` again, which does it as well"
# Packages of an engine of which the results depend; asked of the interpreter that runs them.
PACKAGES_OF = {"learning": ("aiida-perovskite", "torch"), "chgnet": ("chgnet", "ase"), "gpaw": ("gpaw", "ase")}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    subject
        What it is, e.g. ``code gpaw@cluster``.
    state
        ``ok``, ``warning`` (it works, but not as it might) or ``problem`` (something will fail).
    message
        What was found.
    remedy
        What to do, if anything is to be done.
    """

    subject: str
    state: str
    message: str
    remedy: str = ""


def diagnose(computers: list[Computer] | None = None) -> Iterator[Finding]:
    """Yield findings about profile, broker, daemon, processes and disk, and about computers with their codes.

    Parameters
    ----------
    computers
        Which computers; all that have a code if None.
    """
    yield profile_finding()
    yield broker_finding()
    yield from daemon_findings()
    yield from process_findings()
    yield disk_finding()
    yield from species_findings()
    chosen = computers_with_codes() if computers is None else computers
    if not chosen:
        yield Finding("codes", PROBLEM, "no computer has a code", "`aiida-perovskite setup profile`")
    for computer in chosen:
        yield from computer_findings(computer)


def profile_finding() -> Finding:
    """Look at the profile, which is loaded already, and at whether it caches."""
    from aiida.manage import get_manager
    from aiida.manage.configuration import get_config_option

    manager = get_manager()
    profile = manager.get_profile()
    assert profile is not None  # the command line has loaded one
    manager.get_profile_storage()  # raises if it cannot be opened
    storage = f"{profile.name}, {profile.storage_backend}"
    if not get_config_option("caching.default_enabled"):
        remedy = "`verdi config set caching.default_enabled true`"
        return Finding("profile", WARNING, f"{storage}; nothing is taken from the cache", remedy)
    return Finding("profile", OK, storage)


def broker_finding() -> Finding:
    """Look at what brings tasks to the daemon."""
    from aiida.brokers.zeromq.broker import ZeromqBroker
    from aiida.manage import get_manager

    broker = get_manager().get_broker()
    if broker is None:
        remedy = "`aiida-perovskite setup profile` makes a profile with a broker"
        return Finding("broker", PROBLEM, "the profile has none, so nothing can be submitted", remedy)
    if isinstance(broker, ZeromqBroker):
        if daemon_state() != "running":
            return Finding("broker", OK, "ZeroMQ, which starts and ends with the daemon")
        status = broker.probe_service_status()
        if not status.get("connected"):
            return Finding("broker", PROBLEM, "ZeroMQ does not answer", RENEW)
        if not status.get("task_subscribers"):  # workers that were held up for a while do not come back by themselves
            waiting = f"no worker listens to ZeroMQ, and {status.get('pending_tasks', 0)} tasks wait"
            return Finding("broker", PROBLEM, waiting, RENEW)
        return Finding("broker", OK, "ZeroMQ, connected")
    try:
        broker.get_communicator()
    except Exception as error:  # pika, aio_pika and kiwipy have no common error
        remedy = "start RabbitMQ, or correct its address (`verdi profile configure-rabbitmq`)"
        return Finding("broker", PROBLEM, f"{broker}: {_last_line(str(error))}", remedy)
    return rabbitmq_finding(broker)


def rabbitmq_finding(broker: Any) -> Finding:
    """Look whether RabbitMQ, which answers, leaves a task to its worker for as long as a campaign takes.

    Since 3.8.15 it takes a task away after half an hour by default, and gives it to a second worker.
    """
    from aiida.manage import get_manager
    from aiida.manage.configuration import get_config_option
    from packaging.version import Version

    profile = get_manager().get_profile()
    assert profile is not None  # the command line has loaded one
    timeout_s = consumer_timeout_s(profile.process_control_config["broker_host"])
    silenced = not get_config_option("warnings.rabbitmq_version")
    if broker.get_rabbitmq_version() < Version("3.8.15") or (timeout_s or 0.0) >= LONG_ENOUGH_S:
        return Finding("broker", OK, str(broker))
    if timeout_s is not None:
        message = f"{broker} takes away every task that runs for longer than {timeout_s / 60:.0f} minutes"
        return Finding("broker", PROBLEM, message, f"write {RAISE_TIMEOUT}")
    if silenced:
        return Finding("broker", OK, f"{broker}; that its consumer_timeout is long is taken from the profile")
    message = f"{broker}; only its administrator can tell whether it takes away tasks after half an hour"
    remedy = (
        f"as root there: `{ASK_TIMEOUT}`; if it says less than {LONG_ENOUGH_S:.0f}000, write {RAISE_TIMEOUT}; "
        "then here `verdi config set warnings.rabbitmq_version false`"
    )
    return Finding("broker", WARNING, message, remedy)


def daemon_findings() -> Iterator[Finding]:
    """Look at the daemon: whether it runs, with how many workers, and with the code that is installed now."""
    state = daemon_state()
    if state == "stopped":
        yield Finding("daemon", WARNING, "it is not running, so nothing goes on", "`verdi daemon start`")
        return
    if state == "killed":
        yield Finding("daemon", PROBLEM, "it was killed and left processes without a worker", RENEW)
        return
    workers = [process for process, words in daemon_parts().items() if "worker" in words]
    if not workers:
        yield Finding("daemon", PROBLEM, "it runs without a worker", "`verdi daemon incr`")
        return
    started = min(process.create_time() for process in workers)
    newest = max(path.stat().st_mtime for path in Path(aiida_perovskite.__file__).parent.rglob("*.py"))
    if newest > started:
        yield Finding("daemon", WARNING, "the package changed after it started", "`verdi daemon restart`")
    yield Finding("daemon", OK, f"{len(workers)} worker{'s' * (len(workers) > 1)}")


def process_findings() -> Iterator[Finding]:
    """Look for processes that wait for somebody."""
    if lost := lost_processes():
        which = " ".join(str(node.pk) for node in lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        yield Finding("processes", WARNING, f"{which}: said to be running, but {LOST}", MEND)
    paused = paused_processes()
    if paused:
        which = " ".join(map(str, paused[:5])) + (f" and {len(paused) - 5} more" if len(paused) > 5 else "")
        remedy = f"`verdi process report {paused[0]}` says why, `verdi process play {paused[0]}` goes on"
        yield Finding("processes", WARNING, f"paused: {which}", remedy)
    else:
        yield Finding("processes", OK, "none is paused")


def disk_finding() -> Finding:
    """Look at the space left for the repository of the profile."""
    from aiida.manage.configuration import get_config

    folder = str(get_config().dirpath)
    return _space("disk", f"where {folder} lies", shutil.disk_usage(folder).free / 2**30)


def species_findings() -> Iterator[Finding]:
    """Look at whether FHI-aims, if there is one, has species defaults."""
    from aiida.orm import QueryBuilder

    from aiida_perovskite.data.species import SpeciesFamily

    codes = [code for computer in computers_with_codes() for code in codes_of(computer)]
    if not any(code.default_calc_job_plugin == AIMS for code in codes):
        return
    labels = QueryBuilder().append(SpeciesFamily, project="label").all(flat=True)
    if labels:
        yield Finding("species", OK, f"families {', '.join(labels)}")
    else:
        remedy = "`aiida-perovskite setup species DIR` with the species_defaults of your distribution"
        yield Finding("species", PROBLEM, "FHI-aims is set up, but no species defaults", remedy)


def computer_findings(computer: Computer) -> Iterator[Finding]:
    """Look at a computer through its transport: work folder, space, scheduler; then at its codes."""
    subject = f"computer {computer.label}"
    configure = f"`verdi computer configure {computer.transport_type} {computer.label}`"
    if not computer.is_configured:
        yield Finding(subject, PROBLEM, "it is not configured", configure)
        return
    start = time.perf_counter()
    try:
        with computer.get_transport() as transport:
            yield Finding(subject, OK, f"{computer.transport_type} answers in {time.perf_counter() - start:.1f} s")
            yield from _checked(subject, "the work folder", partial(work_folder, computer, transport))
            yield from _checked(subject, "the scheduler", partial(scheduler, computer, transport))
            for code in codes_of(computer):
                yield from _checked(f"code {code.full_label}", "it", partial(code_finding, code, transport))
    except Exception as error:  # each transport has errors of its own
        remedy = f"`verdi computer test {computer.label}` says more; {configure} changes how it is reached"
        yield Finding(subject, PROBLEM, f"it cannot be reached: {_last_line(str(error))}", remedy)


def work_folder(computer: Computer, transport: Any) -> Finding:
    """Make the work folder of a computer if needed, and ask for the space there."""
    subject = f"computer {computer.label}"
    folder = computer.get_workdir().format(username=transport.whoami())
    transport.makedirs(folder, ignore_existing=True)
    status, stdout, stderr = transport.exec_command_wait(shlex.join(["df", "-Pk", folder]))
    if status != 0 or not stdout.strip():
        return Finding(subject, WARNING, f"{folder} does not tell its free space: {_last_line(stderr)}")
    writable, *_ = transport.exec_command_wait(shlex.join(["test", "-w", folder]))
    if writable != 0:
        return Finding(subject, PROBLEM, f"{folder} cannot be written", "give the computer another work folder")
    return _space(subject, f"in {folder}", int(stdout.strip().splitlines()[-1].split()[3]) / 2**20)


def scheduler(computer: Computer, transport: Any) -> Finding:
    """Ask the scheduler of a computer for its queue."""
    plugin = computer.get_scheduler()
    plugin.set_transport(transport)
    jobs = plugin.get_jobs(as_dict=True)
    return Finding(f"computer {computer.label}", OK, f"{computer.scheduler_type} answers ({len(jobs)} jobs)")


def code_finding(code: InstalledCode, transport: Any) -> Finding:
    """Ask the program of a code for its versions."""
    subject = f"code {code.full_label}"
    if code.default_calc_job_plugin == AIMS:
        told = ask_version(Path(code.filepath_executable), code.computer, code.prepend_text)
        return Finding(subject, OK, told)
    packages = PACKAGES_OF[code.label]
    # The text is what the same user lets every job run.
    program = f"import {MODULE_OF[code.label]}; from importlib.metadata import version; print({_versions_of(packages)})"
    command = shlex.join([str(code.filepath_executable), "-c", program])
    status, stdout, stderr = transport.exec_command_wait("\n".join(filter(None, [code.prepend_text, command])))
    if status != 0:
        module = MODULE_OF[code.label]
        remedy = f"install {module} for {code.filepath_executable} there, or `aiida-perovskite setup code` another one"
        return Finding(subject, PROBLEM, f"it cannot import {module}: {_last_line(stderr)}", remedy)
    told = stdout.strip().splitlines()[-1]
    here = f"aiida-perovskite {version('aiida-perovskite')}"
    if code.label == "learning" and here not in told:
        return Finding(subject, WARNING, f"{told}, but here it is {here}", "install the same version there")
    return Finding(subject, OK, told)


def computers_with_codes() -> list[Computer]:
    """Return the computers that have a code of this package, by label."""
    from aiida.orm import Computer, QueryBuilder

    found = [computer for (computer,) in QueryBuilder().append(Computer).all() if codes_of(computer)]
    return sorted(found, key=lambda computer: str(computer.label))


def codes_of(computer: Computer) -> list[InstalledCode]:
    """Return the codes on a computer that this package's workflows run, by label."""
    from aiida.orm import InstalledCode, QueryBuilder

    query = QueryBuilder().append(type(computer), filters={"id": computer.pk}, tag="computer")
    found = query.append(InstalledCode, with_computer="computer").all(flat=True)
    ours = [code for code in found if code.label in MODULE_OF or code.default_calc_job_plugin == AIMS]
    return sorted((code for code in ours if not code.is_hidden), key=lambda code: str(code.label))


def _checked(subject: str, what: str, check: Callable[[], Finding]) -> Iterator[Finding]:
    """Yield what a check finds, or that it failed: the next one may still tell something."""
    try:
        yield check()
    except Exception as error:  # transports, schedulers and engines have errors of their own
        yield Finding(subject, PROBLEM, f"{what} fails: {_last_line(str(error))}", "`verdi computer test` says more")


def _space(subject: str, where: str, free_gib: float) -> Finding:
    message = f"{free_gib:.0f} GiB free {where}"
    if free_gib < TOO_LITTLE_GIB:
        return Finding(subject, PROBLEM, message, "make room first: a full disk ends whatever is running")
    if free_gib < LITTLE_GIB:
        return Finding(subject, WARNING, message, "`verdi storage maintain` and `verdi calcjob cleanworkdir` make room")
    return Finding(subject, OK, message)


def _versions_of(packages: tuple[str, ...]) -> str:
    return " + ', ' + ".join(f"'{name} ' + version('{name}')" for name in packages)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"
