"""Commands of inverse design: ``python -m aiida_perovskite.learning train-generator | sample-generator | ...``.

They read tables with the columns ``a``, ``b``, ``c``, ``d`` (symbols) and ``formation_energy_ev_per_atom``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..command_input import read_json_settings, read_table
from . import GENERATORS

if TYPE_CHECKING:
    from .table import ElpasoliteTable

COLUMNS = ("a", "b", "c", "d", "formation_energy_ev_per_atom")
PATH = click.Path(path_type=Path)
TABLE = click.option("--table", required=True, type=PATH, help="CSV or Parquet: a, b, c, d, " + COLUMNS[-1] + ".")
MODEL = click.option("--model", required=True, type=PATH, help="Folder that train-generator wrote.")


@click.command("train-generator")
@TABLE
@click.option("--generator", required=True, type=click.Choice(list(GENERATORS)), help="Kind of generator.")
@click.option("--settings", type=PATH, help="JSON object of its settings [default: {}].")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the training.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--output", required=True, type=PATH, help="Folder for the generator.")
def train_generator(table: Path, generator: str, settings: Path | None, seed: int, device: str, output: Path) -> None:
    """Train a generator of compositions by energy class, and write it to a folder.

    A training that was interrupted resumes when the same command is given again.
    """
    from . import generator_type

    kind = generator_type(generator)
    rows = read_elpasolites(table)
    chosen = kind.settings_type.from_dict(read_json_settings(settings))
    fitted = kind.fit(
        rows,
        chosen,
        seed,
        progress=lambda line: click.echo(line, err=True),
        workdir=output,
        device=device,
    )
    fitted.save(output)
    click.echo(f"{generator} trained on {rows.n_compounds} compounds. Generator in {output}.")


@click.command("sample-generator")
@MODEL
@click.option("--table", type=PATH, help="The table it was trained on; not needed by one that can predict itself.")
@click.option("--target", required=True, help="E.g. 'formation energy < -2.3 eV/atom'.")
@click.option("-n", "n", required=True, type=int, help="Number of compounds.")
@click.option("--exclude", multiple=True, help="Symbol of an element that is not wanted; may be repeated.")
@click.option("--settings", type=PATH, help="JSON object of design settings [default: {}].")
@click.option("--output", required=True, type=PATH, help="Folder for the table and its summary.")
def sample_generator(
    model: Path, table: Path | None, target: str, n: int, exclude: tuple[str, ...], settings: Path | None, output: Path
) -> None:
    """Propose compounds for a target energy, ranked by prediction.

    \b
    The folder then holds
      compositions.csv   energies with intervals, charge balance, tolerance factors, known or new
      summary.json       counts, and the error of the regression that predicts

    Without a table, which compounds are known is not known.
    """
    from ..checkpoint import atomic_path, write_json
    from . import load_generator
    from .design import DesignSettings, EnergyTarget, design

    wanted, chosen = EnergyTarget.parse(target), DesignSettings.from_dict(read_json_settings(settings))
    rows = None if table is None else read_elpasolites(table)
    found = design(load_generator(model), rows, wanted, n, chosen, exclude=exclude)
    with atomic_path(output / "compositions.csv") as temporary:
        found.compositions.to_csv(temporary, index=False)
    write_json(output / "summary.json", found.summary)
    click.echo(f"{len(found.compositions)} compounds. Table in {output}.")


@click.command("evaluate-generator")
@MODEL
@TABLE
@click.option("--settings", type=PATH, help="JSON object of evaluation settings [default: {}].")
@click.option("--output", required=True, type=PATH, help="Folder for the metrics and the truth.")
def evaluate_generator(model: Path, table: Path, settings: Path | None, output: Path) -> None:
    """Hold a generator against the truth: precision, coverage, element distributions of energy classes.

    \b
    The folder then holds
      evaluation.csv          one row of metrics per class
      truth.npz, truth.json   energies and classes of the whole space, from a regression on all rows of the table
    """
    from ..checkpoint import atomic_path
    from . import load_generator
    from .evaluation import EvaluationSettings, evaluate
    from .truth import Truth

    chosen = EvaluationSettings.from_dict(read_json_settings(settings))
    rows, generator = read_elpasolites(table), load_generator(model)
    truth = Truth.fit(rows, chosen.truth)
    frame = evaluate(generator, rows, truth, chosen)
    truth.save(output)
    with atomic_path(output / "evaluation.csv") as temporary:
        frame.to_csv(temporary, index=False)
    for row in frame.itertuples():
        click.echo(
            f"class {row.requested}: precision {row.precision:.3f}, coverage {row.coverage:.3f}, "
            f"JS distance {row.js_distance:.3f}"
        )


@click.command("benchmark-generators")
@TABLE
@click.option("--settings", type=PATH, help="JSON object of benchmark settings [default: {}].")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--output", required=True, type=PATH, help="Folder for the tables and what is finished.")
def benchmark_generators(table: Path, settings: Path | None, device: str, output: Path) -> None:
    """Fit generators several times each, and hold them against the truth.

    The folder then holds metrics.csv, fits.csv, saturation.csv, js_matrix.csv, elements.csv, energies.csv,
    metrics.json, and the trained generators below generators/. A benchmark that was interrupted goes on when the same
    command is given again.
    """
    import shutil

    from .benchmark import BenchmarkSettings, run_benchmark

    chosen = BenchmarkSettings.from_dict(read_json_settings(settings))
    found = run_benchmark(
        read_elpasolites(table), chosen, output, device=device, say=lambda line: click.echo(line, err=True)
    )
    found.save(output)
    for file in output.glob("*/fits/*/generator.*"):
        target = output / "generators" / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    click.echo(f"{len(chosen.models)} models compared. Tables in {output}.")


@click.command("try-generator")
@TABLE
@click.option("--generator", required=True, type=click.Choice(list(GENERATORS)), help="Kind of generator.")
@click.option("--settings", type=PATH, help="JSON object of its settings [default: {}].")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the training.")
@click.option("--energy-class", type=int, default=1, show_default=True, help="Class that is asked for.")
@click.option("--samples", type=click.IntRange(1), default=10_000, show_default=True, help="Number of draws.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--output", required=True, type=PATH, help="Folder for the quantities and the generator.")
def try_generator(
    table: Path,
    generator: str,
    settings: Path | None,
    seed: int,
    energy_class: int,
    samples: int,
    device: str,
    output: Path,
) -> None:
    """Train a generator, and say what the training rows can tell of its samples of a class: a fit of a search.

    quantities.json then holds the JS distance to the class and the number of different compositions, or why there are
    none: a training that diverges is a result here. A training that was interrupted resumes when the same command is
    given again.
    """
    from ..checkpoint import write_json
    from .search import try_settings

    fitted, quantities = try_settings(
        read_elpasolites(table),
        generator,
        read_json_settings(settings),
        seed,
        energy_class,
        samples,
        progress=lambda line: click.echo(line, err=True),
        workdir=output,
        device=device,
    )
    if fitted is not None:
        fitted.save(output)
    write_json(output / "quantities.json", quantities)
    click.echo(", ".join(f"{name} {value}" for name, value in quantities.items()))


COMMANDS = (train_generator, sample_generator, evaluate_generator, benchmark_generators, try_generator)


def read_elpasolites(path: Path) -> ElpasoliteTable:
    """Read the training table from a file."""
    from .table import ElpasoliteTable

    frame = read_table(path, list(COLUMNS))
    return ElpasoliteTable.from_rows(*(frame[column] for column in COLUMNS))
