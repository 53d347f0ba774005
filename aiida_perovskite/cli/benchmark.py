"""``aiida-perovskite benchmark generative``: generators of compositions against the truth, as tables and a report."""

from __future__ import annotations

import re
import time
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
    read_overrides,
    require_configured,
    stored_once,
    training_options,
)
from aiida_perovskite.cli.generate import ELPASOLITES, read_energies
from aiida_perovskite.cli.running import require_daemon, wait_for

if TYPE_CHECKING:
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.learning.generative.benchmark import BenchmarkSettings

LONG = ("gan", "rl")  # compared only if named
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@cmd_root.group("benchmark")
def cmd_benchmark() -> None:
    """Compare models by what is known."""


@cmd_benchmark.command("generative")
@click.option(
    "-d",
    "--data",
    "--dataset",
    "dataset",
    default=ELPASOLITES,
    show_default=True,
    help=f"{ELPASOLITES}, or a CSV/Parquet file with the columns A, B, C, D, formation_energy_eV_per_atom.",
)
@DATASET_FILE()
@click.option(
    "--models",
    help="Names with commas between; enrich_25 is enrichment with 25 triples. By default all but gan and rl, of which "
    "a fit takes hundreds of thousands of updates.",
)
@click.option("--fits", type=int, default=10, show_default=True, help="Fits of each model, with seeds of their own.")
@click.option("--classes", default="1", show_default=True, help="Energy classes to ask for, e.g. 1,5 or 1-10.")
@click.option("--samples", type=int, default=10_000, show_default=True, help="Draws per fit and class.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first fit.")
@click.option(
    "--device", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu", show_default=True, help="For networks."
)
@click.option("--overrides", type=FILE, help="YAML file with changed settings by model, e.g. vae: {updates: 2000}.")
@click.option("--sizes", type=FILE, help="CSV of metrics by training_rows, to be drawn in the report as well.")
@click.option("--submit", is_flag=True, help="Run as a job within the provenance graph; every table becomes a node.")
@JOB_OPTIONS()
@options.CODE(default=None, help="Interpreter that runs the job; learning@localhost if not given.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("generative-benchmark"),
    show_default=True,
    help="Folder for the tables, the report and what is finished.",
)
@JSON()
@clear_errors
def cmd_generative(**choices: Any) -> None:
    """Hold generators of compositions against the truth of the whole space (chapter 7 of the thesis).

    Each model learns the table several times, is asked for compositions of energy classes, and is scored by precision,
    coverage and the distance of the element distributions. The output folder then holds metrics.csv, fits.csv,
    saturation.csv, js_matrix.csv, elements.csv, energies.csv, metrics.json (with settings, seeds, versions and
    checksums) and report.html.

    Without --submit the benchmark runs here and OUTSIDE the provenance graph: no node is stored. Finished fits are kept
    in the output folder, so that an interrupted benchmark, or one with more models, fits or classes, computes only what
    is missing. With --submit it is a job, and data, settings, generators and tables are nodes.

    \b
      aiida-perovskite benchmark generative --data elpasolites.csv --models independent,enrich_25 --fits 3 -o compared
    """
    from aiida_perovskite.report.benchmark_contents import read_sizes
    from aiida_perovskite.report.benchmark_render import write_benchmark

    output, sizes, as_json = choices["output"], choices["sizes"], choices["as_json"]
    if sizes is not None:
        read_sizes(sizes)  # before hours of work
    settings = read_settings(choices)
    table = read_energies(choices["dataset"], choices["dataset_file"])
    if choices["submit"]:
        submit_benchmark(table, settings, choices)
    else:
        run_here(table, settings, choices)
    report = write_benchmark(output, output / "report.html", sizes)
    if as_json:
        import json

        echo_json(json.loads((output / "metrics.json").read_text(encoding="utf-8")))
        return
    show(output)
    echo.echo_success(f"tables in {output}, report in {report}")


def read_settings(choices: dict[str, Any]) -> BenchmarkSettings:
    """Return what is to be compared; ValueError for models, settings or classes that do not exist."""
    from aiida_perovskite.learning.generative.benchmark import BenchmarkSettings
    from aiida_perovskite.learning.generative.study import MODELS

    default = ",".join(name for name in MODELS if name not in LONG)
    names = [name.strip() for name in (choices["models"] or default).split(",") if name.strip()]
    changes = read_overrides(choices["overrides"], set(names))
    return BenchmarkSettings.from_dict(
        {
            "models": {name: changes.get(name) or {} for name in names},
            "classes": read_classes(choices["classes"]),
            **{name: choices[name] for name in ("fits", "samples", "seed")},
        }
    )


def read_classes(text: str) -> list[int]:
    """Return the classes that a text such as ``1,5`` or ``1-3`` names."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*", part)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise ValueError(f"--classes {text!r} is not understood: give numbers such as 1,5 or 1-10")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


def run_here(table: CompositionTableData, settings: BenchmarkSettings, choices: dict[str, Any]) -> None:
    """Run the benchmark in this process, and write its tables."""
    from dataclasses import replace

    from aiida_perovskite.calculations.generate import elpasolite_table
    from aiida_perovskite.learning.generative.batched import resolve_device
    from aiida_perovskite.learning.generative.benchmark import run_benchmark

    start, quiet = time.monotonic(), choices["as_json"]

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - start:6.0f} s  {line}", err=quiet)

    device = resolve_device(choices["device"]).type
    rows = elpasolite_table(table)
    found = run_benchmark(rows, settings, choices["output"], device=device, say=say)
    summary = {**found.summary, "data": data_of(table, found.summary)}
    replace(found, summary=summary).save(choices["output"])


def submit_benchmark(table: CompositionTableData, settings: BenchmarkSettings, choices: dict[str, Any]) -> None:
    """Run the benchmark as a job, wait for it, and write what its nodes hold."""
    from dataclasses import asdict

    from aiida.engine import submit
    from aiida.orm import Dict, Str, load_code

    from aiida_perovskite.calculations.generate import elpasolite_table
    from aiida_perovskite.learning.generative.table import check_class
    from aiida_perovskite.workflows.generative_study import GenerativeStudyWorkChain

    if choices["device"] == "auto":
        raise ValueError("a job may run on another computer than this one: give --device cpu or cuda with --submit")
    code = choices["code"] or load_code("learning@localhost")
    require_configured(code.computer, f"code {code.full_label}: ")
    counts = elpasolite_table(table).counts
    for number in settings.classes:
        check_class(number, counts)
    require_daemon()
    builder = GenerativeStudyWorkChain.get_builder()
    builder.code = code
    builder.dataset = stored_once(table)
    builder.device = Str(choices["device"])
    builder.settings = Dict(asdict(settings))
    if own := training_options(choices["job_options"], code):
        builder.options = own
    node = submit(builder)
    wait_for(node, quiet=choices["as_json"])
    export(node, choices["output"])


def export(node: Any, output: Path) -> None:
    """Write the tables of a finished benchmark to the files that the report is made of."""
    from aiida_perovskite.learning.generative.benchmark import FRAMES, Benchmark

    table, summary = node.inputs.dataset, node.outputs.summary.get_dict()
    given = {"dataset": table, "settings": node.inputs.settings, **{name: node.outputs[name] for name in node.outputs}}
    summary |= {
        "data": data_of(table, summary),
        "process": node.uuid,
        "nodes": {name: one.uuid for name, one in given.items()},
    }
    Benchmark(**{name: node.outputs[name].to_frame() for name in FRAMES}, summary=summary).save(output)


def data_of(table: CompositionTableData, summary: dict[str, Any]) -> dict[str, Any]:
    """Return what the summary of a benchmark says of its data, with name and origin of the table."""
    return {"name": table.name, **table.base.attributes.get("origin"), **summary["data"]}


def show(output: Path) -> None:
    """Print the table of metrics."""
    import pandas as pd

    frame = pd.read_csv(output / "metrics.csv")
    columns = ["class", "model", "fits", "precision", "coverage", "js_distance", "unique"]
    for name in ("precision", "coverage", "js_distance"):
        spread = [f" ± {value:.3f}" if value == value else "" for value in frame[f"{name}_std"]]
        frame[name] = [f"{value:.3f}{more}" for value, more in zip(frame[name], spread, strict=True)]
    frame["unique"] = [f"{value:.0f}" if value == value else "" for value in frame["unique"]]
    click.echo(frame[columns].to_string(index=False))
