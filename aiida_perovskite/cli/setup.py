"""``aiida-perovskite setup``: profile, computers and codes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.params import options, types
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.common import clear_errors, require_configured

if TYPE_CHECKING:
    from aiida.orm import Computer, InstalledCode

# Module that the interpreter of a code must be able to import.
MODULE_OF = {"learning": "aiida_perovskite.learning", "chgnet": "chgnet", "gpaw": "gpaw"}


@cmd_root.group("setup")
def cmd_setup() -> None:
    """Set up a profile, computers and codes."""


@cmd_setup.command("profile")
@click.argument("name", default="perovskite")
@clear_errors
def cmd_profile(name: str) -> None:
    """Make a profile that needs no service (SQLite, ZeroMQ broker), with this machine's engines as codes.

    If the profile exists it is completed: nothing is lost by running this again.
    """
    from aiida.manage.configuration import get_config

    if name not in get_config(create=True).profile_names:
        _create_profile(name)
    complete_profile(name)


@cmd_setup.command("computer")
@click.argument("label")
@click.option("--hostname", required=True, help="Name by which ssh reaches the computer.")
@click.option("--work-dir", required=True, help="Folder on the computer in which jobs run.")
@click.option("--scheduler", default="core.slurm", show_default=True, help="Scheduler plugin (`verdi plugin list`).")
@click.option("--transport", default="core.ssh_async", show_default=True, help="Transport plugin.")
@click.option("--mpiprocs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes per machine.")
@clear_errors
def cmd_computer(label: str, hostname: str, work_dir: str, scheduler: str, transport: str, mpiprocs: int) -> None:
    """Register a computer, e.g. a SLURM cluster reached by ssh.

    \b
      aiida-perovskite setup computer cluster --hostname cluster --work-dir /scratch/{username}/aiida
      verdi computer configure core.ssh_async cluster
      verdi computer test cluster
    """
    from aiida.orm import Computer

    computer = Computer(
        label=label, hostname=hostname, workdir=work_dir, scheduler_type=scheduler, transport_type=transport
    )
    computer.set_default_mpiprocs_per_machine(mpiprocs)
    computer.store()
    echo.echo_success(f"computer {label!r} registered; next: `verdi computer configure {transport} {label}`")


@cmd_setup.command("code")
@click.argument("engine", type=click.Choice(sorted(MODULE_OF)))
@options.COMPUTER(default="localhost", type=types.ComputerParamType(), help="Computer on which the interpreter lies.")
@click.option(
    "--python",
    "executable",
    default=sys.executable,
    type=click.Path(path_type=Path),
    help="Absolute path there of a Python that has the engine installed; this interpreter if not given.",
)
@clear_errors
def cmd_code(engine: str, computer: Computer, executable: Path) -> None:
    """Register the interpreter that runs an engine, after testing that it can.

    \b
      aiida-perovskite setup code gpaw -Y cluster --python /home/me/gpaw/bin/python
    """
    code = install_code(engine, computer, executable)
    echo.echo_success(f"code {code.full_label} is ready")


def complete_profile(name: str) -> None:
    """Load a profile, choose its options, and give it this computer and those engines that are installed here."""
    from aiida.manage.configuration import get_config, load_profile

    profile, config = load_profile(name, allow_switch=True), get_config()
    # Two seconds, the default, fail on a loaded machine.
    config.set_option("daemon.timeout", 30, scope=profile.name)
    config.set_option("runner.poll.interval", 2, scope=profile.name)
    # What has been computed is not computed again.
    config.set_option("caching.default_enabled", True, scope=profile.name)
    config.store()
    computer = _localhost(config)
    echo.echo_success(f"profile {name!r} is ready")
    for engine in MODULE_OF:
        try:
            code = install_code(engine, computer, Path(sys.executable))
        except ValueError as error:
            echo.echo_warning(str(error))
        else:
            echo.echo_success(f"code {code.full_label} is ready")


def install_code(engine: str, computer: Computer, executable: Path) -> InstalledCode:
    """Return the code ``ENGINE@COMPUTER``, made if needed, once its interpreter has imported the engine.

    Raises
    ------
    ValueError
        If the computer is not configured, or the interpreter cannot import the engine.
    """
    from aiida.common.exceptions import NotExistent
    from aiida.orm import InstalledCode, load_code

    require_configured(computer)
    check_import(engine, computer, executable)
    try:
        code = load_code(f"{engine}@{computer.label}")
    except NotExistent:
        return InstalledCode(
            label=engine,
            computer=computer,
            filepath_executable=str(executable),
            default_calc_job_plugin="core.shell",
            description=f"Python interpreter that has {MODULE_OF[engine]}",
        ).store()
    if not isinstance(code, InstalledCode) or Path(code.filepath_executable) != executable:
        raise ValueError(
            f"code {code.full_label} exists with another interpreter; "
            f"relabel it (`verdi code relabel {code.full_label} NEW`) before setting up a new one"
        )
    return code


def check_import(engine: str, computer: Computer, executable: Path) -> None:
    """Raise ValueError if ``executable`` on ``computer`` cannot import the engine."""
    module = MODULE_OF[engine]
    command = shlex.join([str(executable), "-c", f"import {module}"])
    with computer.get_transport() as transport:
        status, _, stderr = transport.exec_command_wait(command)
    if status != 0:
        last = stderr.strip().splitlines()[-1] if stderr.strip() else f"exit status {status}"
        raise ValueError(
            f"{executable} on {computer.label} cannot import {module} ({last}): engine not installed there"
        )


def _create_profile(name: str) -> None:
    """Create the profile as `verdi presto` does, without looking for services."""
    from aiida.manage.configuration import create_profile, get_config
    from aiida.plugins import BrokerFactory

    config = get_config()
    broker = "core.zeromq"
    profile = create_profile(
        config,
        name=name,
        email="aiida@localhost",
        storage_backend="core.sqlite_dos",
        storage_config={},
        broker_backend=broker,
        broker_config=BrokerFactory(broker).get_default_config(),
    )
    config.set_default_profile(profile.name, overwrite=False)
    config.store()


def _localhost(config: object) -> Computer:
    from aiida.common.exceptions import NotExistent
    from aiida.orm import Computer, load_computer

    try:
        return load_computer("localhost")
    except NotExistent:
        computer = Computer(
            label="localhost",
            hostname="localhost",
            transport_type="core.local",
            scheduler_type="core.direct",
            workdir=str(Path(config.dirpath) / "scratch"),  # type: ignore[attr-defined]
        ).store()
        computer.configure(safe_interval=0)
        computer.set_minimum_job_poll_interval(2)  # each poll is a transaction of the database
        computer.set_default_mpiprocs_per_machine(1)
        return computer
