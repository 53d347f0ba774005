"""``aiida-perovskite generate``: compounds for a target energy, ranked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.params import options
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.common import (
    DATASET_FILE,
    JOB_OPTIONS,
    JSON,
    clear_errors,
    echo_json,
    frame_records,
    read_overrides,
    require_configured,
    stored_once,
    training_options,
)
from aiida_perovskite.cli.running import require_daemon, wait_for

if TYPE_CHECKING:
    import pandas as pd
    from aiida.engine import ProcessBuilder

    from aiida_perovskite.data.table import CompositionTableData

ELPASOLITES = "elpasolite-prl2016"
DEMO = "elpasolites-chgnet-demo"
SHIPPED = "shipped"  # how `--trained` calls the generator that comes with the package
SHOWN = 10  # compounds that are printed; the file has all


@cmd_root.command("generate")
@click.option("--target", required=True, help='E.g. "formation energy < -2.3 eV/atom", or "... between -3 and -2".')
@click.option("-n", "n", type=int, default=100, show_default=True, help="Number of compounds.")
@click.option("--exclude-toxic", is_flag=True, help="Leave out compounds of toxic elements.")
@click.option(
    "--charge-balanced", is_flag=True, help="Leave out compounds that known oxidation states do not make neutral."
)
@click.option("--exclude", multiple=True, help="Symbol of an element that is not wanted; may be repeated.")
@click.option(
    "-d",
    "--data",
    "--dataset",
    "dataset",
    help=f"{ELPASOLITES}; demo, a small table computed with CHGNet; or your own CSV/Parquet file with the columns A, "
    "B, C, D, formation_energy_eV_per_atom. Without any, the shipped generator is taken.",
)
@DATASET_FILE()
@click.option(
    "-m", "--model", help="Kind of generator, e.g. autoregressive, vae, independent; the protocol's if not given."
)
@click.option(
    "--trained",
    help=f"Generator that is trained already: identifier of one trained on the same table, or `{SHIPPED}`, which comes "
    "with the package and needs no table.",
)
@click.option("--seed", type=click.IntRange(0), help="Of training and draws; the protocol's if not given.")
@click.option("-p", "--protocol", help="Settings: fast, balanced (default), thesis.")
@click.option(
    "--overrides",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with changed settings under generate:.",
)
@click.option("--evaluate", is_flag=True, help="Hold the generator against the truth of the whole space as well.")
@JOB_OPTIONS()
@options.CODE(default="learning@localhost", help="Interpreter that trains.")
@click.option("--dry-run", is_flag=True, help="Check every input and print what would be done; submit nothing.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the table here, as CSV.")
@click.option(
    "--cif", type=click.Path(file_okay=False, path_type=Path), help="Folder for the Fm-3m prototypes from ionic radii."
)
@JSON()
@clear_errors
def cmd_generate(dry_run: bool, output: Path | None, cif: Path | None, as_json: bool, **choices: Any) -> None:
    """Design compounds ABC2D6 of main-group elements with a formation energy as wanted.

    A generator learns from a table of formation energies and proposes compounds. Its own networks, or a regression
    on the same table if that errs less on rows left out, predict their energies and rank them, lowest first, with
    intervals. The table says of each compound whether it is neutral by known oxidation states, its tolerance factors,
    and whether it was known.

    \b
      aiida-perovskite generate --target "formation energy < -2.3 eV/atom" -n 100 --exclude-toxic \\
          --file elpasolites.csv -o compounds.csv --cif prototypes
    """
    from aiida.engine import submit

    builder = build(choices, store=not dry_run)
    if dry_run:
        echo_json(summary(builder))
        return
    require_daemon()
    node = submit(builder)
    wait_for(node, quiet=as_json)
    finish(node, output, cif, as_json)


def build(choices: dict[str, Any], *, store: bool) -> ProcessBuilder:
    """Return the filled builder of the GenerateWorkChain; its table is a stored node if ``store``.

    Raises
    ------
    ValueError
        For bad input, before anything is stored.
    """
    from aiida.orm import Bool

    from aiida_perovskite.chemistry import TOXIC_ELEMENTS
    from aiida_perovskite.learning.generative.design import EnergyTarget
    from aiida_perovskite.learning.generative.space import ELEMENTS
    from aiida_perovskite.workflows.generate import GenerateWorkChain, validate_together

    EnergyTarget.parse(choices["target"])  # before a file is asked for
    code = choices["code"]
    require_configured(code.computer, f"code {code.full_label}: ")
    exclude = set(choices["exclude"])
    if choices["exclude_toxic"]:
        exclude |= TOXIC_ELEMENTS & set(ELEMENTS)
    table, given = read_source(choices)
    builder = GenerateWorkChain.get_builder_from_protocol(
        code,
        table,
        choices["target"],
        choices["n"],
        protocol=choices["protocol"],
        overrides=overrides_of(choices),
        options=training_options(choices["job_options"], code),
        exclude=sorted(exclude),
        evaluate=Bool(choices["evaluate"]),
        **given,
    )
    if fault := validate_together(builder, None):
        raise ValueError(fault)
    if store and table is not None:
        builder["dataset"] = stored_once(table)
    return builder


def read_source(choices: dict[str, Any]) -> tuple[CompositionTableData | None, dict[str, Any]]:
    """Return the table to learn from, if any, and the generator that was given, as input ``model``.

    Without a table, without the file of the dataset and with nothing that asks for a training, it is the shipped
    generator.
    """
    import os

    from aiida_perovskite.datasets.registry import environment_variable

    trained, name, file = (choices[key] for key in ("trained", "dataset", "dataset_file"))
    to_learn = any(choices[key] for key in ("model", "protocol", "evaluate"))
    has_table = bool(name or file or os.environ.get(environment_variable(ELPASOLITES)))
    if trained == SHIPPED or not (trained or has_table or to_learn):
        if has_table and trained == SHIPPED and (name or file):
            raise ValueError(f"the {SHIPPED} generator was trained on {ELPASOLITES} and takes no table")
        if to_learn:
            raise ValueError(f"the {SHIPPED} generator is trained: --model, --protocol and --evaluate need a table")
        return None, {"model": shipped_generator_node()}
    given = {"model": load_generator_node(trained)} if trained else {}
    return read_energies(name or ELPASOLITES, file), given


def overrides_of(choices: dict[str, Any]) -> dict[str, Any]:
    """Return the changed settings: the file's, and on top of them those of the options."""
    overrides = dict(read_overrides(choices["overrides"], {"generate"}).get("generate") or {})
    if choices["model"] is not None:
        overrides["name"] = choices["model"]
    if choices["seed"] is not None:
        overrides["seed"] = choices["seed"]
        overrides["design"] = {**overrides.get("design", {}), "seed": choices["seed"]}
    if choices["charge_balanced"]:
        overrides["design"] = {**overrides.get("design", {}), "charge_balanced": True}
    return overrides


def read_energies(name: str, file: Path | None) -> CompositionTableData:
    """Return an unstored table of formation energies, A and B as they are in the file.

    Raises
    ------
    ValueError
        If there is no such file, and how to get it; or if its content will not do.
    """
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.datasets import list_datasets, load_elpasolites_as_stored

    name = DEMO if name == "demo" else name
    if name in (ELPASOLITES, DEMO):
        dataset = load_elpasolites_as_stored(file, name=name)
        card = dataset.card
        return CompositionTableData.from_frame(
            dataset.frame,
            name=dataset.name,
            description=card.title,
            origin={"title": card.title, "citation": card.citation, "licence": card.licence, "sha256": card.sha256},
        )
    if name in list_datasets():
        raise ValueError(f"{name} is no table of elpasolites: give {ELPASOLITES}, {DEMO}, or a file of your own")
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"{name!r} is neither a file nor {ELPASOLITES} nor demo")
    return CompositionTableData.from_frame(load_elpasolites_as_stored(path, verify=False).frame, name=path.stem)


def shipped_generator_node() -> Any:
    """Return the node of the generator that comes with the package: the profile's, or a new one, not stored."""
    import hashlib

    from aiida.orm import QueryBuilder

    from aiida_perovskite.data.model import ModelCheckpointData
    from aiida_perovskite.learning.generative.shipped import CARD, CHECKSUMS, shipped_folder

    folder = shipped_folder()
    label = f"shipped generator {hashlib.sha256((folder / CHECKSUMS).read_bytes()).hexdigest()[:12]}"
    stored = QueryBuilder().append(ModelCheckpointData, filters={"label": label}).first(flat=True)
    if stored is not None:
        return stored
    node = ModelCheckpointData.from_folder(folder)
    node.label = label
    node.description = (folder / CARD).read_text(encoding="utf-8")
    return node


def load_generator_node(identifier: str) -> Any:
    """Return the node of a trained generator; ValueError if it is another one."""
    from aiida.orm import load_node

    from aiida_perovskite.data.model import ModelCheckpointData

    node = load_node(identifier)
    if not isinstance(node, ModelCheckpointData):
        raise ValueError(f"node {identifier} is not a trained model but a {type(node).__name__}")
    node.require_generator()
    return node


def summary(builder: ProcessBuilder) -> dict[str, Any]:
    """Return what a run would do, for `--dry-run`."""
    table = builder.get("dataset")
    if table is None:
        source = {"model": builder["model"].label or str(builder["model"].uuid)}
    else:
        source = {"dataset": {"name": table.name, "title": table.description, "n_rows": table.n_rows}}
    return {
        **source,
        "target": builder["target"].value,
        "n": builder["n"].value,
        "exclude": builder["exclude"].get_list() if "exclude" in builder else [],
        "settings": builder["settings"].get_dict(),
        "evaluate": builder["evaluate"].value,
        "code": builder["code"].full_label,
    }


def finish(node: Any, output: Path | None, cif: Path | None, as_json: bool) -> None:
    """Write the files that were asked for, and say what came out."""
    frame, counts = node.outputs.compositions.to_frame(), node.outputs.summary.get_dict()
    if output is not None:
        from aiida_perovskite.learning.checkpoint import atomic_path

        with atomic_path(output) as temporary:
            frame.to_csv(temporary, index=False)
    without = write_prototypes(frame, cif) if cif is not None else []
    if as_json:
        evaluation = frame_records(node.outputs.evaluation.to_frame()) if "evaluation" in node.outputs else None
        content = {"pk": node.pk, "uuid": node.uuid, "model": node.outputs.model.uuid, "summary": counts}
        echo_json({**content, "evaluation": evaluation, "compositions": frame_records(frame)})
        return
    click.echo(f"  energies from: {origin_of(node)}")
    for row in frame.head(SHOWN).itertuples():
        known = f", known: {row.known_energy_ev_per_atom:.2f}" if row.known else ", new"
        known = "" if counts["n_known"] is None else known
        neutral = "neutral" if row.charge_balanced else "not neutral"
        click.echo(
            f"  {row.pretty:<14} {row.formation_energy_ev_per_atom:.2f} eV/atom "
            f"({row.lower_ev_per_atom:.2f} to {row.upper_ev_per_atom:.2f}), {neutral}{known}"
        )
    if "evaluation" in node.outputs:
        for row in node.outputs.evaluation.to_frame().itertuples():
            click.echo(f"  class {row.requested}: precision {row.precision:.3f}, coverage {row.coverage:.3f}")
    if counts["n_compositions"] < counts["n_requested"]:
        echo.echo_warning(f"{counts['draws']} draws gave {counts['n_compositions']} compounds, fewer than asked for")
    if without:
        echo.echo_warning(f"no prototype of {', '.join(without)}: ionic radii are not known")
    for path in filter(None, (output, cif)):
        echo.echo_success(f"written: {path}")
    known = "" if counts["n_known"] is None else f", {counts['n_known']} of them known,"
    echo.echo_success(
        f"{counts['n_compositions']} compounds{known} in table {node.outputs.compositions.pk}; generator "
        f"{node.outputs.model.pk}"
    )


def origin_of(node: Any) -> str:
    """Say what the predicted energies are: a regression, or a generator, and what that learned from."""
    method = node.outputs.summary["energies_from"]
    if "dataset" not in node.inputs:
        return f"{method} ({node.inputs.model.label or node.inputs.model.uuid})"
    table = node.inputs.dataset
    return f"{method} ({table.description or table.name})"


def write_prototypes(frame: pd.DataFrame, folder: Path) -> list[str]:
    """Write the prototype of each compound as CIF; return the formulas of those for which there are no radii."""
    from ase.io import write

    from aiida_perovskite.chemistry import Composition, prototype_atoms
    from aiida_perovskite.learning.checkpoint import atomic_path

    folder.mkdir(parents=True, exist_ok=True)
    without = []
    for formula in frame["formula"]:
        composition = Composition.parse(formula)
        try:
            atoms = prototype_atoms(composition)
        except ValueError:
            without.append(composition.pretty)
            continue
        with atomic_path(folder / f"{composition.pretty}.cif") as temporary:
            write(temporary, atoms, format="cif")
    return without
