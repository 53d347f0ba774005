"""``aiida-perovskite setup aims``: register the FHI-aims of a computer."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.params import options, types
from aiida.cmdline.utils import echo

from aiida_perovskite.cli.common import clear_errors, require_configured
from aiida_perovskite.cli.setup import cmd_setup

if TYPE_CHECKING:
    from aiida.orm import Computer, InstalledCode

PLUGIN = "perovskite.aims"


@cmd_setup.command("aims")
@click.argument("executable", type=click.Path(path_type=Path))
@options.COMPUTER(default="localhost", type=types.ComputerParamType(), help="Computer on which it lies.")
@click.option("--label", default="aims", show_default=True, help="Label of the code.")
@click.option("--prepend-text", default="", help="Lines that a job runs before, e.g. `module load ...`.")
@click.option("--mpi/--no-mpi", default=True, show_default=True, help="Whether it is started by mpirun or srun.")
@clear_errors
def cmd_aims(executable: Path, computer: Computer, label: str, prepend_text: str, mpi: bool) -> None:
    """Register an FHI-aims executable, after asking it for its version.

    FHI-aims is licensed: bring your own. Its species defaults are installed by `setup species`.

    \b
      aiida-perovskite setup aims /opt/fhi-aims/aims.240507.scalapack.mpi.x -Y cluster
      aiida-perovskite setup species /opt/fhi-aims/species_defaults/defaults_2020/light
    """
    code = install_aims(executable, computer, label, prepend_text, mpi)
    echo.echo_success(f"code {code.full_label} is ready: {code.description}")


def install_aims(
    executable: Path, computer: Computer, label: str = "aims", prepend_text: str = "", mpi: bool = True
) -> InstalledCode:
    """Return the code ``LABEL@COMPUTER``, made if needed, once the executable has told its version.

    Raises
    ------
    ValueError
        If the computer is not configured, the executable does not answer, or the label is taken by another one.
    """
    from aiida.common.exceptions import NotExistent
    from aiida.orm import InstalledCode, load_code

    if not executable.is_absolute():
        raise ValueError(f"{executable} is not an absolute path, by which alone another computer finds it")
    version = ask_version(executable, computer, prepend_text)
    try:
        code = load_code(f"{label}@{computer.label}")
    except NotExistent:
        return InstalledCode(
            label=label,
            computer=computer,
            filepath_executable=str(executable),
            default_calc_job_plugin=PLUGIN,
            description=version,
            prepend_text=prepend_text,
            with_mpi=mpi,
        ).store()
    if not isinstance(code, InstalledCode) or Path(code.filepath_executable) != executable:
        raise ValueError(f"code {code.full_label} exists with another executable; choose another --label")
    return code


def ask_version(executable: Path, computer: Computer, prepend_text: str = "") -> str:
    """Return what an FHI-aims executable says of its version; ValueError if it does not run."""
    require_configured(computer)
    # The text is what the same user lets every job run.
    command = "\n".join(filter(None, [prepend_text, shlex.join([str(executable), "--version"])]))
    with computer.get_transport() as transport:
        status, stdout, stderr = transport.exec_command_wait(command)
    lines = [line.strip() for line in stdout.splitlines() if line.strip()]
    if status != 0 or not lines:
        last = (stderr.strip() or stdout.strip() or f"exit status {status}").splitlines()[-1]
        raise ValueError(f"{executable} on {computer.label} does not tell its version ({last})")
    return next((line for line in lines if "version" in line.lower()), lines[0])[:200]
