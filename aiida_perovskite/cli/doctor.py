"""``aiida-perovskite doctor``: look whether everything is there that a campaign needs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from aiida.cmdline.params import options
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.common import JSON, clear_errors, echo_json

if TYPE_CHECKING:
    from aiida.orm import Computer

    from aiida_perovskite.cli.diagnosis import Finding

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@cmd_root.command("doctor")
@options.COMPUTERS(help="Look at these computers only; at all that have a code if not given.")
@click.option("--repair", is_flag=True, help="First mend what a killed worker, daemon or broker has left.")
@JSON()
@clear_errors
def cmd_doctor(computers: list[Computer] | None, repair: bool, as_json: bool) -> None:
    """Look at profile, broker, daemon, disk, computers and codes, and say how to mend what is wrong.

    Without --repair nothing is changed, but that a missing work folder is made. Computers are asked through their own
    transport: whether the folder can be written and how much space is there, whether the scheduler answers, whether
    each code can import its engine, and which version that is. The exit code is 1 if something will fail.

    With --repair the daemon is stopped for a moment. Processes that say they are running, but were lost with a killed
    worker, are ended (their callers have run them anew); those that were left without a task get one; orphans of a
    killed daemon are ended, and it starts again. The report of each process says what was done.

    \b
      aiida-perovskite doctor
      aiida-perovskite doctor -Y cluster
      aiida-perovskite doctor --repair
    """
    from aiida_perovskite.cli.diagnosis import PROBLEM, diagnose
    from aiida_perovskite.cli.repairing import repair as mend

    for sentence in mend() if repair else ():
        echo.echo_report(sentence, err=as_json)
    found = []
    for finding in diagnose(computers or None):
        found.append(finding)
        if not as_json:
            show(finding)
    problems = sum(finding.state == PROBLEM for finding in found)
    if as_json:
        echo_json([asdict(finding) for finding in found])
    elif problems:
        echo.echo_error(f"{problems} problem{'s' * (problems > 1)} found", err=True)
    else:
        echo.echo_success("a campaign can run")
    sys.exit(1 if problems else 0)


def show(finding: Finding) -> None:
    """Print a finding, and below it what to do."""
    state = click.style(f"{finding.state:<8}", fg=COLOURS[finding.state])
    click.echo(f"{state} {finding.subject}: {finding.message}")
    if finding.remedy:
        click.echo(f"{'':8} -> {finding.remedy}")
