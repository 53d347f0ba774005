"""``aiida-perovskite campaign``: list, status and report of campaigns."""

from __future__ import annotations

from pathlib import Path

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.campaigns import campaign_groups, latest_run, report_of, run_status, runs, state_of
from aiida_perovskite.cli.common import JSON, clear_errors, echo_json
from aiida_perovskite.cli.running import last_line, running_jobs


@cmd_root.group("campaign")
def cmd_campaign() -> None:
    """Look at campaigns: what runs, what came out."""


@cmd_campaign.command("list")
@JSON()
@clear_errors
def cmd_list(as_json: bool) -> None:
    """List the campaigns of the profile."""
    rows = []
    for group in campaign_groups():
        found = runs(group.label)
        state = state_of(found[0]) if found else "no run"
        rows.append({"campaign": group.label, "runs": len(found), "newest": state})
    if as_json:
        echo_json(rows)
    elif rows:
        echo.echo_tabulate([list(row.values()) for row in rows], headers=["Campaign", "Runs", "Newest"])
    else:
        echo.echo_report("no campaign yet; `aiida-perovskite screen` or `interpret` starts one")


@cmd_campaign.command("status")
@click.argument("name", default="screening")
@JSON()
@clear_errors
def cmd_status(name: str, as_json: bool) -> None:
    """Show what the newest run has done: funnel counts and candidates, or trainings and analyses."""
    run = latest_run(name)
    status = run_status(run)
    if as_json:
        echo_json(status)
        return
    ending = f", exit {status['exit_status']}" if status["exit_status"] is not None else ""
    click.echo(f"Campaign {name}: process {run.pk} ({status['state']}{ending}), started {status['started']}")
    if status["message"]:
        click.echo(f"  {status['message']}")
    for stage in status["funnel"]:
        click.echo(f"  {stage['count']:>6}  {stage['label']}")
    rows = [[c["formula"], c["pk"], c["state"], c["message"] or ""] for c in status["candidates"]]
    if rows:
        echo.echo_tabulate(rows, headers=["Candidate", "PK", "State", "Outcome"])
    for step in status["steps"]:
        click.echo(f"  {step['step']} ({step['pk']}): {step['message'] or step['state']}")
    for job in running_jobs(run):
        click.echo(f"  job {job.pk}: {last_line(job) or job.get_state()}")


@cmd_campaign.command("report")
@click.argument("name", default="screening")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; NAME.html if not given."
)
@clear_errors
def cmd_report(name: str, output: Path | None) -> None:
    """Write one HTML file with everything: opens offline, needs no profile."""
    from aiida_perovskite.report.write import write_page

    if output is None and Path(name).name != name:
        raise ValueError(f"campaign {name!r} cannot be the name of a file: say with --output where to write")
    path = output or Path(f"{name}.html")
    write_page(report_of(latest_run(name)), path)
    echo.echo_success(f"report written to {path}")
