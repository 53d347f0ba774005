"""``aiida-perovskite train``: train a gap model as a job."""

from __future__ import annotations

from pathlib import Path

import click
from aiida.cmdline.params import options
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.common import (
    DATASET,
    DATASET_FILE,
    JOB_OPTIONS,
    JSON,
    TARGET,
    clear_errors,
    echo_json,
    read_dataset,
    read_overrides,
    stored_once,
    training_options,
)
from aiida_perovskite.cli.running import require_daemon, wait_for


@cmd_root.command("train")
@DATASET()
@DATASET_FILE()
@TARGET()
@options.CODE(default="learning@localhost", help="Interpreter that trains.")
@click.option("--protocol", help="Protocol of the training (`fast`, `balanced`, ...).")
@click.option(
    "--overrides",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with changed settings under `train:`.",
)
@JOB_OPTIONS()
@click.option("--wait/--no-wait", default=True, help="Show progress until the training ends.", show_default=True)
@options.DRY_RUN(help="Check the input and print the settings; submit nothing.")
@JSON()
@clear_errors
def cmd_train(
    dataset: str,
    dataset_file: Path | None,
    target: str | None,
    code: object,
    protocol: str | None,
    overrides: Path | None,
    job_options: Path | None,
    wait: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the periodic-table network on a table of gaps and store it as a node.

    Without a profile, `python -m aiida_perovskite.learning train --help` does the same with files.
    """
    from aiida.engine import submit
    from aiida.orm import Dict, Str

    from aiida_perovskite.workflows.protocols import load_protocol
    from aiida_perovskite.workflows.train import TrainModelWorkChain

    table, column = read_dataset(dataset, dataset_file, target)
    settings = load_protocol("train", protocol, read_overrides(overrides).get("train"))
    own = training_options(job_options, code)
    if dry_run:
        echo_json({"dataset": table.base.attributes.all, "target": column, "settings": settings, "options": own})
        return
    require_daemon()
    inputs = {"dataset": stored_once(table), "target": Str(column), "settings": Dict(settings), "code": code}
    node = submit(TrainModelWorkChain, {**inputs, "options": own} if own else inputs)
    if wait:
        wait_for(node, quiet=as_json)
    if as_json:
        metrics = node.outputs.metrics.get_dict() if "metrics" in node.outputs else None
        echo_json({"pk": node.pk, "uuid": node.uuid, "metrics": metrics})
    elif wait:
        echo.echo_success(f"trained model {node.outputs.model.uuid}: mean absolute error {_error(node)}")
    else:
        echo.echo_success(f"submitted training {node.pk}; `verdi process status {node.pk}` shows how it goes")


def _error(node: object) -> str:
    metrics = node.outputs.metrics  # type: ignore[attr-defined]
    return f"{metrics['mae_ev']:.3f} eV in cross-validation"
