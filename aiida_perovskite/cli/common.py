"""Options and helpers that several commands share."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
from aiida.cmdline.params.options import OverridableOption
from aiida.cmdline.utils import echo

if TYPE_CHECKING:
    from aiida_perovskite.data.model import ModelCheckpointData
    from aiida_perovskite.data.table import CompositionTableData

P = ParamSpec("P")
T = TypeVar("T")

JSON = OverridableOption("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
DATASET = OverridableOption(
    "-d",
    "--dataset",
    default="halide-gaps-gpaw",
    show_default=True,
    help="Name of a dataset of the registry, or a CSV/Parquet file with a `formula` column.",
)
DATASET_FILE = OverridableOption(
    "--file",
    "dataset_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Local copy of a registered dataset that cannot be downloaded.",
)
TARGET = OverridableOption("-t", "--target", help="Column to train on; the dataset's own default if not given.")
JOB_OPTIONS = OverridableOption(
    "--job-options",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with options of the jobs under all:, train:, relax:, gap:, ...: queue_name, account, resources, "
    "max_wallclock_seconds, withmpi, custom_scheduler_commands, and so on.",
)
CAMPAIGN = OverridableOption("-c", "--campaign", default="screening", show_default=True, help="Name of the campaign.")


def clear_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Turn the errors that bad input causes into one sentence and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        from aiida.common.exceptions import AiidaException, UnreachableStorage

        try:
            return command(*args, **kwargs)
        except BrokenPipeError:  # whoever reads has had enough, as `head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again at its end
            sys.exit(1)
        except UnreachableStorage as error:  # its text is many lines, of which the first says what happened
            start = "; start PostgreSQL (Debian: `systemctl start postgresql`)" if "psycopg" in str(error) else ""
            echo.echo_critical(f"{str(error).splitlines()[0]}{start}")
        except (ValueError, OSError, AiidaException) as error:
            echo.echo_critical(str(error) or type(error).__name__)

    return wrapped


def read_dataset(name: str, file: Path | None, target: str | None) -> tuple[CompositionTableData, str]:
    """Return an unstored table node of a registered dataset or a user's file, and the target column.

    Raises
    ------
    ValueError
        If the name, the file or its content will not do.
    """
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.datasets import list_datasets, load_dataset, load_table

    if name in list_datasets():
        dataset = load_dataset(name, file=file)
        card = dataset.card
        if "a" not in dataset.frame.columns:
            raise ValueError(f"{name} holds no double perovskites to train on; `screen --known-phases` takes its file")
        return CompositionTableData.from_frame(
            dataset.frame,
            name=dataset.name,
            description=card.title,
            origin={"citation": card.citation, "licence": card.licence, "sha256": card.sha256},
        ), target or dataset.target
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"{name!r} is neither a file nor a dataset; datasets are {', '.join(list_datasets())}")
    if target is None:
        raise ValueError("a table of your own needs --target, the column to train on")
    return CompositionTableData.from_frame(load_table(path, target), name=path.stem), target


def stored_once(node: CompositionTableData) -> CompositionTableData:
    """Return the equal node that the profile already holds, or store this one."""
    from aiida.orm import QueryBuilder

    query = QueryBuilder().append(
        type(node), filters={"attributes.sha256": node.sha256, "attributes.name": node.base.attributes.get("name")}
    )
    found = query.first(flat=True)
    return found if found is not None else node.store()


def latest_model(identifier: str | None) -> ModelCheckpointData:
    """Return the gap model with this identifier, or the newest one of the profile; ValueError for another model."""
    from aiida.orm import QueryBuilder, load_node

    from aiida_perovskite.data.model import GAPS, ModelCheckpointData

    if identifier is not None:
        node = load_node(identifier)
        if not isinstance(node, ModelCheckpointData):
            raise ValueError(f"node {identifier} is not a trained model but a {type(node).__name__}")
        node.require_gap_model()
        return node
    of_gaps = {"attributes.architecture": GAPS}
    query = QueryBuilder().append(ModelCheckpointData, filters=of_gaps, tag="model")
    query.order_by({"model": {"ctime": "desc"}})
    newest: ModelCheckpointData | None = query.first(flat=True)
    if newest is None:
        raise ValueError("this profile holds no trained model yet: run `aiida-perovskite train` or `screen` first")
    return newest


def read_overrides(path: Path | None, steps: set[str] | None = None) -> dict[str, Any]:
    """Read a YAML file of protocol overrides, nested by step: those of the funnel, unless others are named."""
    from aiida_perovskite.limits import MAX_YAML, parse_yaml, read_text
    from aiida_perovskite.workflows.ports import PARTS, STEPS

    known = {"screening", "train", *PARTS, *STEPS} if steps is None else steps
    if path is None:
        return {}
    try:
        content = parse_yaml(read_text(path, MAX_YAML))
    except ValueError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(content, dict) or not set(content) <= known:
        raise ValueError(f"{path} must map steps to settings; the steps are {', '.join(sorted(known))}")
    return content


def read_job_options(path: Path | None) -> dict[str, Any]:
    """Read a YAML file of job options, nested by step; one file serves every command."""
    from aiida_perovskite.workflows.job_options import ALL
    from aiida_perovskite.workflows.ports import STEPS, TRAIN

    return read_overrides(path, {ALL, TRAIN, *STEPS})


def training_options(path: Path | None, code: Any) -> dict[str, Any]:
    """Return what a YAML file of job options says of jobs that run this package, for an input ``options``."""
    from aiida_perovskite.workflows.job_options import checked_options
    from aiida_perovskite.workflows.ports import STEPS, TRAIN

    return checked_options(read_job_options(path), TRAIN, code, STEPS)


def echo_json(content: Any) -> None:
    """Print JSON that any parser reads: no NaN."""
    click.echo(json.dumps(content, indent=1, default=str))


def frame_records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a frame as plain values, NaN as None."""
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return records


def require_configured(computer: Any, of: str = "") -> None:
    """Raise ValueError if a computer cannot be used yet; ``of`` says in front of it what needs it."""
    if not computer.is_configured:
        raise ValueError(
            f"{of}computer {computer.label!r} is not configured; run "
            f"`verdi computer configure {computer.transport_type} {computer.label}`"
        )
