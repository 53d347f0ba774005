"""``aiida-perovskite benchmark search`` and ``benchmark sizes``: studies of generators that are many jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.params import options
from aiida.cmdline.utils import echo

from aiida_perovskite.cli.benchmark import FILE, cmd_benchmark
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
from aiida_perovskite.cli.generate import DEMO, ELPASOLITES, read_energies
from aiida_perovskite.cli.running import require_daemon, wait_for

if TYPE_CHECKING:
    import pandas as pd
    from aiida.engine import ProcessBuilder
    from aiida.orm import ProcessNode

    from aiida_perovskite.workflows.generative_study import GenerativeJobsWorkChain

DATA = click.option(
    "-d",
    "--data",
    "--dataset",
    "dataset",
    default=ELPASOLITES,
    show_default=True,
    help=f"{ELPASOLITES}; demo ({DEMO}); or a CSV/Parquet file with the columns A, B, C, D, "
    "formation_energy_eV_per_atom.",
)
DEVICE = click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where networks train."
)
CLASS = click.option("--class", "energy_class", type=int, help="Energy class that is asked for, from 1 (lowest) to 10.")
SAMPLES = click.option("--samples", type=int, help="Draws per fit.")
SEED = click.option("--seed", type=int, help="Of the first fit.")
CONCURRENT = click.option("--max-concurrent", type=click.IntRange(1), help="Jobs in flight at the same time.")
CODE = options.CODE(default="learning@localhost", help="Interpreter that trains.")
DRY_RUN = options.DRY_RUN(help="Check every input and print what would be done; submit nothing.")


def output(default: str) -> Callable[..., Any]:
    """Return the option for the folder that is written."""
    folder = click.Path(file_okay=False, path_type=Path)
    words = "Folder for the tables and the report."
    return click.option("-o", "--output", type=folder, default=Path(default), show_default=True, help=words)


@cmd_benchmark.command("search")
@DATA
@DATASET_FILE()
@click.option("-m", "--model", help="Kind of generator: vae (default), gan, rl; others need a domain in --overrides.")
@click.option("-p", "--protocol", help="Settings: fast, balanced (default), thesis.")
@click.option("--draws", type=int, help="Combinations of settings that are drawn.")
@click.option("--initialisations", type=int, help="Fits of each, with seeds of their own.")
@CLASS
@SAMPLES
@SEED
@click.option("--overrides", type=FILE, help="YAML file with changed settings under search:, e.g. a smaller domain.")
@CONCURRENT
@DEVICE
@JOB_OPTIONS()
@CODE
@DRY_RUN
@output("generative-search")
@JSON()
@clear_errors
def cmd_search(dry_run: bool, output: Path, as_json: bool, **choices: Any) -> None:
    """Search for settings of a generator by what the training rows say of its samples (section 7.4 of the thesis).

    Settings are drawn at random from ranges, each combination is fitted several times, and each fit is asked for
    compositions of an energy class. Those are wanted that have elements as the training rows of the class have them, by
    the Jensen-Shannon distance, and of which many are different. No truth is looked at. A fit that diverges is reported
    and stops no other.

    Each fit is a job. The same command again follows a search that runs, and goes on with one that was interrupted;
    what was fitted before is not fitted again, also if there are more draws now. The output folder then holds
    draws.csv, fits.csv, summary.json, report.html, and chosen.yaml for `aiida-perovskite generate --overrides`.

    \b
      aiida-perovskite benchmark search --data demo --protocol fast
      aiida-perovskite benchmark search --file elpasolites.csv -m gan --draws 20 --initialisations 3 --device cuda
    """
    names = ("model", "draws", "initialisations", "energy_class", "samples", "seed", "max_concurrent")
    node = run_study("search", names, choices, dry_run, as_json)
    if node is None:
        return
    tables = {name: node.outputs[name].to_frame() for name in ("draws", "fits")}
    report = export("search", node, tables, output)
    if as_json:
        show_json(node, tables)
        return
    draws = tables["draws"]
    shown = draws[draws["on_front"]].drop(columns=[name for name in draws if name.endswith(("_min", "_max"))])
    click.echo(shown.drop(columns=["on_front", "error"]).to_string(index=False, float_format="%.4g"))
    for row in draws[draws["fits_failed"] > 0].itertuples():
        echo.echo_warning(
            f"draw {row.draw}: {row.fits_failed} of {row.fits + row.fits_failed} fits failed: {row.error}"
        )
    most = node.outputs.summary["most_js_distance"]
    if not (draws["training_js_distance"] <= most).any():
        echo.echo_warning(
            f"no draw is within the JS distance of {most:.3f} from the training rows, so the one nearest to both ends "
            "of the front was taken: wider ranges under `domain:`, more draws or more updates may find better"
        )
    echo.echo_success(
        f"draw {node.outputs.summary['draw']} chosen, generator {node.outputs.model.pk}; report in {report}"
    )


@cmd_benchmark.command("sizes")
@DATA
@DATASET_FILE()
@click.option("--models", help="Names with commas between, as `benchmark generative` has them.")
@click.option("--sizes", help="Numbers of training rows with commas between; `all` for the whole table.")
@click.option("--permuted", type=click.Choice(["both", "yes", "no"]), help="Each compound also with A and B exchanged.")
@click.option("--fits", type=int, help="Fits of each model and size, on rows of their own.")
@CLASS
@SAMPLES
@SEED
@click.option(
    "--overrides", type=FILE, help="YAML file with changed settings under sizes:, e.g. models of few updates."
)
@CONCURRENT
@DEVICE
@JOB_OPTIONS()
@CODE
@DRY_RUN
@output("generative-sizes")
@JSON()
@clear_errors
def cmd_sizes(dry_run: bool, output: Path, as_json: bool, **choices: Any) -> None:
    """Compare generators by the number of rows that they learn from (figure 7.9 of the thesis).

    Each model learns parts of the table, drawn at random for each fit, once with every compound in both orders of A and
    B, which are equivalent, and once as the table has it. Then as many rows are twice as many compounds, and as many
    computations. It is scored as by `benchmark generative`, by a regression on the whole table.

    Each model, size and order is a job; the same command again goes on where it was. The output folder then holds
    metrics.csv (also for `benchmark generative --sizes`), summary.json and report.html.

    \b
      aiida-perovskite benchmark sizes --data demo --models independent,random --sizes 200,400,all --fits 3
    """
    if choices["models"]:
        choices["models"] = {name.strip(): {} for name in choices["models"].split(",") if name.strip()}
    if choices["sizes"]:
        choices["sizes"] = read_sizes(choices["sizes"])
    if choices["permuted"]:
        choices["permuted"] = {"both": [True, False], "yes": [True], "no": [False]}[choices["permuted"]]
    names = ("models", "sizes", "permuted", "fits", "energy_class", "samples", "seed", "max_concurrent")
    node = run_study("sizes", names, choices, dry_run, as_json)
    if node is None:
        return
    tables = {"metrics": node.outputs.metrics.to_frame()}
    report = export("sizes", node, tables, output)
    if as_json:
        show_json(node, tables)
        return
    columns = ["model", "training_rows", "permuted", "fits", "precision", "coverage", "js_distance", "unique"]
    click.echo(tables["metrics"][columns].to_string(index=False, float_format="%.4g"))
    for label, why in node.outputs.summary["lost"].items():
        echo.echo_warning(f"{label.replace('_', ' ')}: {why}")
    echo.echo_success(f"report in {report}")


def read_sizes(text: str) -> list[int | None]:
    """Return the sizes that a text such as ``500,1000,all`` names."""
    words = [word.strip() for word in text.split(",")]
    if not all(word == "all" or word.isdecimal() for word in words):
        raise ValueError(f"--sizes {text!r} is not understood: give numbers of rows such as 500,1000,all")
    return [None if word == "all" else int(word) for word in words]


def run_study(kind: str, names: tuple[str, ...], choices: dict[str, Any], dry_run: bool, quiet: bool) -> Any:
    """Submit a study, or take the one with these inputs that there is, and wait for it; None for a dry run."""
    from aiida.engine import submit
    from aiida.orm import load_node

    from aiida_perovskite.workflows.sharing import SHARED_KEY, find_shared, shared_key

    builder = build(kind, names, choices)
    if dry_run:
        table = builder["dataset"]
        given = {name: builder[name].value for name in ("device", "max_concurrent")}
        source = {"dataset": {"name": table.name, "n_rows": table.n_rows}, "settings": builder["settings"].get_dict()}
        echo_json({**source, **given, "code": builder["code"].full_label})
        return None
    require_daemon()
    builder["dataset"] = stored_once(builder["dataset"])
    inputs = {name: builder[name] for name in ("dataset", "settings", "device", "code")}
    workflow = workflow_of(kind)[0]
    key = shared_key(workflow, inputs)
    node = find_shared(workflow, key)
    if node is not None and node.is_finished and node.outputs.summary["lost"]:
        node = None  # what was lost is tried again
    if node is None:
        node = submit(builder)
        node.base.extras.set(SHARED_KEY, key)
    else:
        echo.echo_report(f"process {node.pk} has these inputs already: following it", err=quiet)
    wait_for(node, quiet=quiet)
    fresh: Any = load_node(node.pk)  # the other one caches what it read before it ended
    return fresh


def build(kind: str, names: tuple[str, ...], choices: dict[str, Any]) -> ProcessBuilder:
    """Return the filled builder of a study, of which nothing is stored; ValueError for bad input."""
    from aiida.orm import Str

    code = choices["code"]
    require_configured(code.computer, f"code {code.full_label}: ")
    workflow, fault_of = workflow_of(kind)
    changes = dict(read_overrides(choices["overrides"], {kind}).get(kind) or {})
    given = {name: choices[name] for name in names if choices[name] is not None}
    if "models" in given:  # settings of a model that is named here and in the file are the file's
        given["models"] = {name: (changes.get("models") or {}).get(name, {}) for name in given["models"]}
    builder = workflow.get_builder_from_protocol(
        code,
        read_energies(choices["dataset"], choices["dataset_file"]),
        protocol=choices.get("protocol"),
        overrides={**changes, **given},
        options=training_options(choices["job_options"], code),
        device=Str(choices["device"]),
    )
    if fault := fault_of(builder, None):
        raise ValueError(fault)
    return builder


def workflow_of(kind: str) -> tuple[type[GenerativeJobsWorkChain], Callable[..., str | None]]:
    """Return the WorkChain of a study, and what says what is wrong with its inputs together."""
    from aiida_perovskite.workflows import generative_search, generative_study

    if kind == "search":
        return generative_search.GenerativeSearchWorkChain, generative_search.validate_together
    return generative_study.GenerativeSizesWorkChain, generative_study.validate_together


def export(kind: str, node: ProcessNode, tables: dict[str, pd.DataFrame], output: Path) -> Path:
    """Write tables, summary, report and, of a search, the chosen settings; return the path of the report."""
    import yaml

    from aiida_perovskite.learning.checkpoint import atomic_path, write_json
    from aiida_perovskite.report.study_render import SUMMARY, write_study

    table = node.inputs.dataset
    given = {"dataset": table, "settings": node.inputs.settings, **{name: node.outputs[name] for name in node.outputs}}
    content: dict[str, Any] = {
        "kind": kind,
        "settings": node.inputs.settings.get_dict(),
        "data": {"name": table.name, "n_rows": table.n_rows, "sha256": table.sha256, **table.origin},
        "result": node.outputs.summary.get_dict(),
        "process": node.uuid,
        "nodes": {name: one.uuid for name, one in given.items()},
    }
    if "chosen" in node.outputs:
        chosen = {name: node.outputs.chosen[name] for name in ("name", "seed", "settings")}
        content["chosen"] = chosen
        with atomic_path(output / "chosen.yaml") as temporary:
            temporary.write_text(yaml.safe_dump({"generate": chosen}, sort_keys=False), encoding="utf-8")
    for name, frame in tables.items():
        with atomic_path(output / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
    write_json(output / SUMMARY, content)
    return write_study(output, output / "report.html")


def show_json(node: ProcessNode, tables: dict[str, pd.DataFrame]) -> None:
    """Print what came out as JSON."""
    rows = {name: frame_records(frame) for name, frame in tables.items()}
    chosen = {"chosen": node.outputs.chosen.get_dict()} if "chosen" in node.outputs else {}
    echo_json({"pk": node.pk, "uuid": node.uuid, "summary": node.outputs.summary.get_dict(), **chosen, **rows})
