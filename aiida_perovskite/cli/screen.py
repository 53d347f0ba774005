"""``aiida-perovskite screen``: run the funnel as a campaign."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.params import options
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.campaigns import SCREENING, active_run, campaign_group, check_name
from aiida_perovskite.cli.candidates import candidates, left_out
from aiida_perovskite.cli.common import (
    CAMPAIGN,
    DATASET,
    DATASET_FILE,
    JOB_OPTIONS,
    JSON,
    TARGET,
    clear_errors,
    echo_json,
    latest_model,
    read_dataset,
    read_job_options,
    read_overrides,
    require_configured,
    stored_once,
)
from aiida_perovskite.cli.phases import phase_structures, stored_structure
from aiida_perovskite.cli.running import require_daemon, wait_for

if TYPE_CHECKING:
    from aiida.engine import ProcessBuilder
    from aiida.orm import ProcessNode

    from aiida_perovskite.data.table import CompositionTableData


@cmd_root.command("screen")
@CAMPAIGN()
@DATASET()
@DATASET_FILE()
@TARGET()
@click.option(
    "--from-table",
    metavar="TABLE",
    help="Screen these compounds instead of a space: identifier of a table or of a `generate` run, or a CSV/Parquet "
    "file; column `formula`. All that the rules leave are computed, unless -N says fewer.",
)
@click.option("--top", type=click.IntRange(min=1), help="Only the first ones of --from-table.")
@click.option("-m", "--model", "model", help="Identifier of a trained model: predict with it instead of training.")
@click.option(
    "--preset", help="Preset of the funnel: `default`, `gaps` (no more than gaps), `thesis` (no charge or tau filter)."
)
@click.option(
    "-N",
    "--n-candidates",
    type=click.IntRange(min=0),
    help="How many of the best are computed; 0: ranked, and nothing computed.",
)
@click.option(
    "--n-electronic", type=click.IntRange(min=0), help="How many of those get more than a geometry; all if not given."
)
@click.option(
    "--complete/--leave-early",
    default=False,
    show_default=True,
    help="Compute every step even of a candidate whose gap or enthalpy takes it out of the funnel.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    help="Compound computed to compare with, instead of Cs2AgBiBr6; may be repeated.",
)
@click.option("--max-concurrent", type=click.IntRange(min=1), help="Candidates in flight at the same time.")
@click.option("--relax-protocol", help="Protocol of the geometry: fast, balanced, precise.")
@click.option(
    "--gap-protocol",
    help="Protocol of the band gap: fast, balanced, precise, self_consistent; with FHI-aims fast, balanced, thesis.",
)
@click.option("--train-protocol", help="Protocol of the training.")
@click.option(
    "--protocol",
    "step_protocols",
    multiple=True,
    metavar="STEP=NAME",
    help="Protocol of any step or part: stability, masses, efficiency, phases, energy, absorption, bands, free_relax; "
    "may be repeated.",
)
@click.option(
    "--known",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV/Parquet with compounds (column `formula`) that need no calculation; may be repeated.",
)
@click.option(
    "--known-phases",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table of phases that exist: the dataset `competing-phases-halides`, or a CSV/Parquet with the columns "
    "`formula` and `formation_energy_ev_per_atom`. Without it every neutral formula with a structure type competes.",
)
@click.option(
    "--phase-structures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of structure files (.cif, .vasp, .poscar, .extxyz, .xyz) of phases that compete; "
    "`aiida-perovskite phases` fetches one.",
)
@click.option(
    "--overrides",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with changed settings under screening:, train:, candidate:, stability:, relax:, gap:, ...",
)
@JOB_OPTIONS()
@click.option("--code-learning", default="learning@localhost", show_default=True, help="Interpreter that trains.")
@click.option(
    "--code-relax", default="chgnet@localhost", show_default=True, help="Interpreter with the geometries' engine."
)
@click.option("--code-gap", default="gpaw@localhost", show_default=True, help="Interpreter with the electrons' engine.")
@click.option(
    "--engine",
    help="Engine of every step that it offers, e.g. `aims` (FHI-aims) instead of CHGNet and GPAW; structure types of "
    "competing phases stay with CHGNet.",
)
@click.option("--code-engine", help="Program of --engine; `ENGINE@localhost` if not given.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Show progress until the campaign ends.")
@options.DRY_RUN(help="Check every input and print what would be done; submit nothing.")
@JSON()
@clear_errors
def cmd_screen(campaign: str, wait: bool, dry_run: bool, as_json: bool, **choices: Any) -> None:
    """Run the funnel: train, predict the space, select, compute the best, all in one campaign.

    A campaign whose run was interrupted goes on where it was: run the same command again. What has been computed
    before comes from AiiDA's cache.

    \b
      aiida-perovskite screen --dry-run
      aiida-perovskite screen -c halides -N 10 --gap-protocol fast
      aiida-perovskite screen -c halides --engine aims --code-engine aims@cluster --gap-protocol thesis
      aiida-perovskite screen -c designed --from-table PK --top 20
    """
    from aiida.engine import submit

    check_name(campaign)
    builder = build(choices, store=not dry_run)
    if dry_run:
        echo_json(summary(campaign, builder))
        return
    require_daemon()
    running = active_run(campaign, SCREENING)
    if running is not None:
        echo.echo_report(f"campaign {campaign!r} is running already as process {running.pk}: following it", err=as_json)
        node: ProcessNode = running
    else:
        builder["metadata"]["label"] = campaign
        node = submit(builder)
        campaign_group(campaign, create=True).add_nodes(node)
    if not wait:
        _finish(as_json, {"pk": node.pk, "uuid": node.uuid}, f"campaign {campaign!r} runs as process {node.pk}")
        return
    wait_for(node, quiet=as_json)
    records, dropped = (_records(node, name) for name in ("results", "dropped"))
    if not as_json:
        for sentence in left_out(dropped):
            echo.echo_report(sentence)
    _finish(
        as_json,
        {"pk": node.pk, "uuid": node.uuid, "results": records, "dropped": dropped},
        f"campaign {campaign!r} finished: `aiida-perovskite campaign report {shlex.quote(campaign)}` writes the report",
    )


def build(choices: dict[str, Any], *, store: bool) -> ProcessBuilder:
    """Return the filled builder of the ScreeningWorkChain; its tables are stored nodes if ``store``.

    Raises
    ------
    ValueError
        For bad input, before anything is stored.
    """
    from aiida.orm import Int, load_code

    from aiida_perovskite.chemistry import Composition
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.datasets import load_table
    from aiida_perovskite.workflows.protocols import load_protocol
    from aiida_perovskite.workflows.screening import ScreeningWorkChain

    overrides = read_overrides(choices["overrides"])
    funnel: dict[str, Any] = overrides.setdefault("screening", {})
    given = candidates(choices["from_table"], choices["top"]) if choices["from_table"] is not None else None
    if given is None and choices["top"] is not None:
        raise ValueError("--top says how many of --from-table: give that too")
    if given is not None:
        if "space" in funnel:
            raise ValueError("give either --from-table or a space in the overrides, not both")
        funnel.setdefault("selection", {}).setdefault("n_candidates", choices["top"] or given.n_rows)
    if choices["n_candidates"] is not None:
        funnel.setdefault("selection", {})["n_candidates"] = choices["n_candidates"]
    if choices["n_electronic"] is not None:
        funnel["n_electronic"] = choices["n_electronic"]
    if choices["max_concurrent"] is not None:
        funnel["max_concurrent"] = choices["max_concurrent"]
    if choices["references"]:
        funnel["references"] = [Composition.parse(text).pretty for text in choices["references"]]
    elif choices["n_candidates"] == 0:  # a ranking: nothing to compare with
        funnel.setdefault("references", [])
    # By engine, as far as they are the usual ones: which steps each of them does is for the workflow to find out.
    codes = {"learning": load_code(choices["code_learning"])}
    engines = load_protocol("screening", choices["preset"], funnel)["engines"]
    for step, usual in (("relax", "chgnet"), ("gap", "gpaw")):
        codes[usual if engines[step] in (None, "chgnet", "gpaw") else step] = load_code(choices[f"code_{step}"])
    if choices["engine"] is not None:
        codes[choices["engine"]] = load_code(choices["code_engine"] or f"{choices['engine']}@localhost")
    for code in codes.values():
        require_configured(code.computer, f"code {code.full_label}: ")
    table, target = read_dataset(choices["dataset"], choices["dataset_file"], choices["target"])
    known = {"dataset": table}
    for number, path in enumerate(choices["known"]):
        frame = load_table(path, None)[["formula"]]
        known[f"table_{number}"] = CompositionTableData.from_frame(frame, name=path.stem)
    inputs: dict[str, Any] = {"dataset": table, "target": target}
    extra: dict[str, Any] = {}
    if choices["model"] is not None:
        inputs, extra = {}, {"model": latest_model(choices["model"])}
    if given is not None:
        extra |= {"candidates": given, "n_given": Int(choices["top"] or given.n_rows)}
    protocols = {step: choices[f"{step}_protocol"] for step in ("train", "relax", "gap")}
    if choices["complete"]:
        protocols["candidate"] = "complete"
    protocols |= parse_protocols(choices["step_protocols"])
    builder = ScreeningWorkChain.get_builder_from_protocol(
        codes,
        **inputs,
        protocol=choices["preset"],
        protocols=protocols,
        overrides=overrides,
        options=read_job_options(choices["job_options"]),
        engine=choices["engine"],
        **extra,
    )
    structures = phase_structures(choices["phase_structures"]) if choices["phase_structures"] is not None else {}
    if choices["known_phases"] is not None:
        phases = known_phases(choices["known_phases"])
        builder.known_phases = stored_once(phases) if store else phases
    if structures:
        builder.phase_structures = {
            label: stored_structure(node) if store else node for label, node in structures.items()
        }
    if store:
        known = {name: stored_once(node) for name, node in known.items()}
        if given is not None and not given.is_stored:
            builder.candidates = stored_once(given)
    if "dataset" in inputs:
        builder.dataset = known["dataset"]
    builder.known = known
    return builder


def parse_protocols(texts: tuple[str, ...]) -> dict[str, str]:
    """Return step -> protocol from texts such as ``bands=precise``.

    Raises
    ------
    ValueError
        If a text is not of this form or names no step.
    """
    from aiida_perovskite.workflows.ports import PARTS, STEPS

    steps = {"train", *PARTS, *STEPS}
    chosen = {}
    for text in texts:
        step, _, name = text.partition("=")
        if step not in steps or not name:
            raise ValueError(f"--protocol {text}: give STEP=NAME with a step of {', '.join(sorted(steps))}")
        chosen[step] = name
    return chosen


def known_phases(path: Path) -> CompositionTableData:
    """Return the table of phases that exist: the registered dataset, or a table of the user's.

    Raises
    ------
    ValueError
        If the file is neither.
    """
    from dataclasses import asdict

    import numpy as np

    from aiida_perovskite.calculations.stability import FORMATION_ENERGY
    from aiida_perovskite.chemistry.phases import reduced_formula
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.datasets import DatasetError, load_dataset
    from aiida_perovskite.datasets.tables import read_file

    try:
        dataset = load_dataset("competing-phases-halides", path)
    except DatasetError:
        frame = read_file(path)
        missing = [name for name in ("formula", FORMATION_ENERGY) if name not in frame.columns]
        if missing:
            raise ValueError(f"{path.name} has no column {', '.join(missing)}") from None
        if not np.isfinite(frame[FORMATION_ENERGY].to_numpy(dtype=float)).all():
            raise ValueError(f"{path.name} has a formation energy that is not finite") from None
        frame = frame[["formula", FORMATION_ENERGY]].assign(formula=frame["formula"].map(reduced_formula))
        lowest = frame.sort_values(FORMATION_ENERGY, kind="stable").drop_duplicates("formula").sort_index()
        return CompositionTableData.from_frame(lowest, name=path.stem)
    return CompositionTableData.from_frame(dataset.frame, name=dataset.name, origin=asdict(dataset.card))


def summary(campaign: str, builder: ProcessBuilder) -> dict[str, Any]:
    """Return what a run would do, for `--dry-run`."""
    from aiida_perovskite.chemistry.phases import reduced_formula
    from aiida_perovskite.workflows.ports import STEPS

    content: dict[str, Any] = {"campaign": campaign}
    if builder.get("candidates") is not None:
        content["candidates"] = {"name": builder["candidates"].name, "n_given": builder["n_given"].value}
    for name in ("space", "selection", "prediction", "training", "rules", "stability", "masses", "efficiency"):
        if name in builder and builder[name] is not None:
            content[name] = builder[name].get_dict()
    content["model"] = str(builder["model"].uuid) if builder.get("model") is not None else "trained in this campaign"
    for step in STEPS:
        port = builder[step]
        if port.get("engine") is None:
            continue
        content[step] = {
            "engine": port["engine"].value,
            "code": port["code"].full_label,
            "parameters": port["parameters"].get_dict(),
        }
        if port.get("options"):
            content[step]["options"] = dict(port["options"])
    content["known"] = {name: table.n_rows for name, table in builder["known"].items()}
    if builder.get("known_phases") is not None:
        content["known_phases"] = builder["known_phases"].base.attributes.get("n_rows")
    if builder.get("phase_structures"):
        content["phase_structures"] = {
            label: reduced_formula(node.get_formula()) for label, node in builder["phase_structures"].items()
        }
    content["references"] = builder["references"].get_list()
    content["n_electronic"] = builder["n_electronic"].value if builder.get("n_electronic") is not None else "all"
    content["max_concurrent"] = builder["max_concurrent"].value
    return content


def _records(node: Any, name: str) -> list[dict[str, Any]]:
    from aiida_perovskite.cli.common import frame_records

    return frame_records(node.outputs[name].to_frame()) if name in node.outputs else []


def _finish(as_json: bool, content: dict[str, Any], message: str) -> None:
    if as_json:
        echo_json(content)
        return
    for row in content.get("results", []):
        predicted = row.get("predicted_gap_ev")
        expected = f"predicted {predicted:.2f} eV" if predicted is not None else "reference"
        click.echo(f"  {row['formula']}: {expected}; {row['reason']}")
    echo.echo_success(message)
