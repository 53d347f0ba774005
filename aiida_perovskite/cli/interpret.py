"""``aiida-perovskite interpret``: explain the gaps of a table, as a campaign."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.params import options
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.campaigns import INTERPRET, active_run, campaign_group, check_name
from aiida_perovskite.cli.common import (
    DATASET,
    DATASET_FILE,
    JOB_OPTIONS,
    JSON,
    TARGET,
    clear_errors,
    echo_json,
    frame_records,
    read_dataset,
    read_overrides,
    require_configured,
    stored_once,
    training_options,
)
from aiida_perovskite.cli.running import require_daemon, wait_for

if TYPE_CHECKING:
    import pandas as pd
    from aiida.engine import ProcessBuilder
    from aiida.orm import ProcessNode

FILE = click.Path(dir_okay=False, path_type=Path)
GIVEN = click.Path(exists=True, dir_okay=False, path_type=Path)


@cmd_root.command("interpret")
@click.option("-c", "--campaign", default="interpretation", show_default=True, help="Name of the campaign.")
@DATASET()
@DATASET_FILE()
@TARGET()
@click.option("-p", "--protocol", help="Settings of networks and analysis: fast, balanced (default), thesis.")
@click.option(
    "--prior-weight",
    "--lambda",
    "prior_weights",
    type=click.FloatRange(min=0),
    multiple=True,
    help="Weight of the prior, lambda of the loss; may be repeated. Those of the protocol if not given.",
)
@click.option("--reference-levels", type=GIVEN, help="CSV of symbol, homo_ev, lumo_ev: your own prior.")
@click.option("--overrides", type=GIVEN, help="YAML file with changed settings under levels: and interpret:.")
@JOB_OPTIONS()
@options.CODE(default="learning@localhost", help="Interpreter that trains.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Show progress until the campaign ends.")
@options.DRY_RUN(help="Check every input and print what would be done; submit nothing.")
@click.option("--report", type=FILE, help="Write the report here when the campaign has ended.")
@click.option("--families", type=FILE, help="Write the families of every prior weight here, as CSV.")
@JSON()
@clear_errors
def cmd_interpret(
    campaign: str,
    wait: bool,
    dry_run: bool,
    report: Path | None,
    families: Path | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Explain band gaps: which site makes which band edge, and which compounds are alike in that.

    Networks are trained that read a gap off two energy levels per site, once for each weight of a prior that draws
    the levels to those of the free ions. What they attend to groups the compounds into families, with statistics, a
    sentence for each, and how stable they are.

    A campaign that was interrupted goes on where it was: run the same command again.

    \b
      aiida-perovskite interpret --protocol fast --report report.html
      aiida-perovskite interpret -d mp-abc2d6-legacy2023 --file abc2d6.csv --prior-weight 0 --prior-weight 1e-3
      aiida-perovskite explain Cs2AgBiBr6
    """
    from aiida.engine import submit

    if not wait and (report or families):
        raise ValueError("--report and --families need the campaign to end: leave --no-wait out")
    check_name(campaign)
    builder = build(choices, store=not dry_run)
    note = one_anion(builder)
    if note and not as_json:
        echo.echo_warning(note)
    if dry_run:
        echo_json({"campaign": campaign, **summary(builder), "notes": [note] if note else []})
        return
    require_daemon()
    running = active_run(campaign, INTERPRET)
    if running is not None:
        echo.echo_report(f"campaign {campaign!r} is running already as process {running.pk}: following it", err=as_json)
        node: ProcessNode = running
    else:
        builder["metadata"]["label"] = campaign
        node = submit(builder)
        campaign_group(campaign, create=True).add_nodes(node)
    if wait:
        wait_for(node, quiet=as_json)
    finish(node, campaign, report, families, as_json)


def build(choices: dict[str, Any], *, store: bool) -> ProcessBuilder:
    """Return the filled builder of the InterpretWorkChain; its tables are stored nodes if ``store``.

    Raises
    ------
    ValueError
        For bad input, before anything is stored.
    """
    from aiida_perovskite.calculations.interpret import reference_table
    from aiida_perovskite.chemistry import read_levels
    from aiida_perovskite.workflows.interpret import InterpretWorkChain, validate_together

    code, path = choices["code"], choices["reference_levels"]
    require_configured(code.computer, f"code {code.full_label}: ")
    table, target = read_dataset(choices["dataset"], choices["dataset_file"], choices["target"])
    builder = InterpretWorkChain.get_builder_from_protocol(
        code,
        table,
        target,
        protocol=choices["protocol"],
        overrides=read_overrides(choices["overrides"], {"levels", "interpret"}),
        options=training_options(choices["job_options"], code),
        prior_weights=choices["prior_weights"],
        reference=reference_table(read_levels(path), path.stem) if path is not None else None,
    )
    if fault := validate_together(builder, None):
        raise ValueError(fault)
    if store:
        builder["dataset"], builder["reference"] = stored_once(table), stored_once(builder["reference"])
    return builder


def one_anion(builder: ProcessBuilder) -> str | None:
    """Return what to say about a table with a single element on the D site."""
    anions = builder["dataset"].to_frame()["formula"].str.extract(r"([A-Z][a-z]?)6$")[0].unique()
    if len(anions) > 1:
        return None
    return (
        f"all compounds are of {anions[0]}, so that anions cannot tell families apart, nor the networks learn from them"
    )


def summary(builder: ProcessBuilder) -> dict[str, Any]:
    """Return what a run would do, for `--dry-run`."""
    table = builder["dataset"]
    return {
        "dataset": {"name": table.name, "n_rows": table.n_rows},
        "target": builder["target"].value,
        "reference": builder["reference"].name,
        "settings": builder["settings"].get_dict(),
        "analysis": builder["analysis"].get_dict(),
        "code": builder["code"].full_label,
        "options": builder.get("options") or {},
    }


def finish(node: Any, campaign: str, report: Path | None, families: Path | None, as_json: bool) -> None:
    """Write the files that were asked for, and say what came out."""
    found = joined_families(node)
    if report is not None:
        from aiida_perovskite.report.interpret_write import write_interpretation

        write_interpretation(node, report)
    if families is not None:
        write_csv(found, families)
    if as_json:
        networks = {key: _numbers(network) for key, network in networks_of(node).items()}
        echo_json({"pk": node.pk, "uuid": node.uuid, "networks": networks, "families": frame_records(found)})
        return
    for row in found.itertuples():
        click.echo(f"  prior weight {row.prior_weight:g}, family {row.family} ({row.n_compounds}): {row.sentence}")
    for path in filter(None, (report, families)):
        echo.echo_success(f"written: {path}")
    if node.is_finished:
        echo.echo_success(
            f"campaign {campaign!r} finished: `aiida-perovskite explain FORMULA` asks about a compound, "
            f"`aiida-perovskite campaign report {shlex.quote(campaign)}` writes the report"
        )
    else:
        echo.echo_success(f"campaign {campaign!r} runs as process {node.pk}")


def joined_families(node: Any) -> pd.DataFrame:
    """Return the families of every prior weight of a run, with the column ``prior_weight`` in front."""
    import pandas as pd

    frames = []
    for network in networks_of(node).values():
        if "families" in network:
            frame = network["families"].to_frame()
            frame.insert(0, "prior_weight", weight_of(network))
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"prior_weight": []})


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    from aiida_perovskite.learning.checkpoint import atomic_path

    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False)


def networks_of(node: Any) -> dict[str, Any]:
    """Return name of a prior weight -> its outputs, by growing weight."""
    if "networks" not in node.outputs:
        return {}
    found = {key: node.outputs.networks[key] for key in node.outputs.networks}
    return dict(sorted(found.items(), key=lambda item: weight_of(item[1])))


def weight_of(network: Any) -> float:
    """Return the prior weight that the networks of one namespace were trained with."""
    return float(network["model"].checkpoint["settings"]["prior_weight"])


def _numbers(network: Any) -> dict[str, Any]:
    numbers = ("metrics", "summary", "agreement")
    content = {name: network[name].get_dict() for name in numbers if name in network}
    return {"prior_weight": weight_of(network), "model": network["model"].uuid, **content}
