"""``aiida-perovskite export`` and ``import``: a campaign as one file, and back."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.campaigns import campaign_group, campaign_groups, latest_run, report_of
from aiida_perovskite.cli.common import clear_errors

NAMED = 5  # nodes that a warning names


@cmd_root.command("export")
@click.argument("campaign")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "--keep-paths",
    is_flag=True,
    help="Leave work folders, job options, logs and submission files in: for your own other machine, not for others.",
)
@clear_errors
def cmd_export(campaign: str, file: Path, overwrite: bool, keep_paths: bool) -> None:
    """Write CAMPAIGN, with everything that it was made from, into FILE: an AiiDA archive that may be given away.

    The file holds the report, a README and a citation file as well; it is a zip file. Where jobs ran is taken out:
    work and home folders, job options, environment variables, accounts, texts that run before a job, submission files,
    logs. Labels and host names of computers stay, and the mail addresses that AiiDA knows its users by.

    \b
      aiida-perovskite export halides halides.aiida
      aiida-perovskite import halides.aiida              on another machine
    """
    from aiida_perovskite.learning.checkpoint import atomic_path
    from aiida_perovskite.report.archive import REPORT, export_campaign

    if file.exists() and not overwrite:
        raise ValueError(f"{file} exists; --overwrite replaces it")
    group, run = campaign_group(campaign), latest_run(campaign)
    if not run.is_sealed:
        raise ValueError(f"campaign {campaign!r} is still running (process {run.pk}): export it when it has ended")
    with quiet(), atomic_path(file) as temporary:
        left = export_campaign(group, {REPORT: report_of(run)}, temporary, keep_paths=keep_paths)
    if left:
        shown = ", ".join(left[:NAMED]) + (", ..." if len(left) > NAMED else "")
        echo.echo_warning(f"{len(left)} nodes hold files that are no text and name a folder of this machine: {shown}")
    echo.echo_success(f"campaign {campaign!r} written to {file} ({file.stat().st_size / 2**20:.1f} MiB)")


@cmd_root.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@clear_errors
def cmd_import(file: Path) -> None:
    """Take an archive into the profile: its campaigns can be reported, queried and traced as where they ran.

    Nodes that the profile holds already are left as they are. Nothing in an archive is run, and no code or daemon is
    needed to look at it.
    """
    from aiida_perovskite.report.archive import import_archive

    with quiet():
        labels = import_archive(file)
    campaigns = [group.label for group in campaign_groups() if group.label in labels]
    if not campaigns:
        echo.echo_success(f"{file} is imported; it holds no campaign")
    for label in campaigns:
        echo.echo_success(f"campaign {label!r} is imported: `aiida-perovskite campaign report {shlex.quote(label)}`")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep AiiDA from telling each step of an export or import, both of which use one logger."""
    logger = logging.getLogger("aiida.export")

    # A filter, not a level: AiiDA sets the levels anew when it opens a profile.
    def is_warning(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING

    logger.addFilter(is_warning)
    try:
        yield
    finally:
        logger.removeFilter(is_warning)
