"""``verdi data perovskite.model``: look at checkpoints and write them to folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.commands.cmd_data import verdi_data
from aiida.cmdline.params import arguments, options, types
from aiida.cmdline.utils import decorators, echo

from aiida_perovskite.cli.common import clear_errors

if TYPE_CHECKING:
    from aiida_perovskite.data.model import ModelCheckpointData

DATUM = arguments.DATUM(type=types.DataParamType(sub_classes=("aiida.data:perovskite.model",)))


@verdi_data.group("perovskite.model")
def cmd_model() -> None:
    """Manipulate trained models (ModelCheckpointData)."""


@cmd_model.command("list")
@options.RAW(help="Print without headers.")
@decorators.with_dbenv()
def model_list(raw: bool) -> None:
    """List the models of the profile with their errors in cross-validation."""
    from aiida.orm import QueryBuilder

    from aiida_perovskite.data.model import ModelCheckpointData

    told = ["architecture", "target", "n_training", "n_members", "metrics.mae_ev"]
    columns = ["id", *(f"attributes.{name}" for name in told)]
    rows = QueryBuilder().append(ModelCheckpointData, project=columns).all()
    if raw:
        for row in rows:
            click.echo("\t".join(map(str, row)))
    else:
        echo.echo_tabulate(rows, headers=["PK", "Kind", "Target", "Compounds", "Members", "MAE (eV)"])


@cmd_model.command("show")
@DATUM
@decorators.with_dbenv()
def model_show(datum: ModelCheckpointData) -> None:
    """Show architecture, settings, seed, errors and versions."""
    content = datum.checkpoint
    shown = ["architecture", "target", "seed", "settings", "data_sha256", "seen_elements", "metrics", "versions"]
    if datum.is_generator:
        shown = ["name", "seed", "settings", "data_sha256", "class_counts", "edges_ev_per_atom"]
    echo.echo_dictionary({key: content[key] for key in shown})


@cmd_model.command("export")
@DATUM
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@clear_errors
@decorators.with_dbenv()
def model_export(datum: ModelCheckpointData, folder: Path, overwrite: bool) -> None:
    """Write the checkpoint into FOLDER, for `python -m aiida_perovskite.learning predict --model FOLDER`."""
    folder.mkdir(parents=True, exist_ok=True)
    present = [path.name for path in folder.iterdir()]
    if present and not overwrite:
        raise ValueError(f"{folder} is not empty; --overwrite replaces what is there")
    datum.write_to(folder)
    echo.echo_success(f"checkpoint written to {folder}")
