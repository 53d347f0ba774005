"""Train band-gap models, and ask them, without AiiDA: ``python -m aiida_perovskite.learning COMMAND``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command_input import EXIT_BAD_INPUT, BadInput, read_json_settings, read_table
from .generative import commands
from .settings import TrainingSettings

if TYPE_CHECKING:
    from .levels.model import LevelModel

EXIT_OUT_OF_SPACE = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Learn band gaps of double perovskites from a table of formulas and gaps.

    \b
    A first model, and a first answer:
      python -m aiida_perovskite.learning train --table gaps.csv --target gap_ev --output model
      python -m aiida_perovskite.learning predict --model model Cs2AgBiBr6 --window 0.9 1.6

    The model is an ensemble of convolutional networks that read a compound as a picture of the periodic table. It is
    cross-validated while it is trained, so that every prediction comes with an interval of known coverage.
    """


@main.command()
@click.option("--table", required=True, type=click.Path(path_type=Path), help="CSV or Parquet with a `formula` column.")
@click.option("--target", required=True, help="Column to learn, in eV, e.g. gap_hse06_soc_ev.")
@click.option("--settings", type=click.Path(path_type=Path), help="JSON object of training settings [default: {}].")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder for the model and its tables.")
@click.option("--initial", type=click.Path(path_type=Path), help="Folder of a model whose weights are the start.")
@click.option("--threads", type=click.IntRange(1), help="Worker threads; no influence on the result.")
def train(
    table: Path, target: str, settings: Path | None, output: Path, initial: Path | None, threads: int | None
) -> None:
    """Train a model on a table and write it to a folder.

    \b
    The folder then holds
      model.safetensors, model.json   the model, for `predict`
      metrics.json                    cross-validated errors, interval coverage, baselines on the same folds
      cross_validation.csv            each compound as predicted by networks that did not see it
      learning_curve.csv, history.csv errors against training size; losses against epochs

    A training that was interrupted resumes when the same command is given again, and ends with the same weights.

    \b
    Settings are the fields of TrainingSettings, e.g.
      {"epochs": 300, "batch_size": 32, "members": 5, "folds": 5, "learning_curve": [0.25, 0.5], "seed": 0}
    """
    from .gap_model import GapModel

    chosen = TrainingSettings.from_dict(read_json_settings(settings))
    frame = read_table(table, ["formula", target])
    start = _load_model(initial) if initial else None
    model = GapModel.train(
        frame["formula"].astype(str),
        frame[target].astype(float),
        chosen,
        target=target,
        initial=start,
        progress=lambda line: click.echo(line, err=True),
        workdir=output,
        threads=threads,
    )
    write_model(model, output)
    errors = model.metrics
    click.echo(
        f"{errors['n']} compounds, cross-validated: MAE {errors['mae_ev']:.3f} eV, RMSE {errors['rmse_ev']:.3f} eV; "
        f"90 % intervals hold {100 * errors['interval_coverage_90']:.0f} % and are "
        f"{errors['interval_width_ev']:.2f} eV wide. Model in {output}."
    )


@main.command("train-levels")
@click.option("--table", required=True, type=click.Path(path_type=Path), help="CSV or Parquet with a `formula` column.")
@click.option("--target", required=True, help="Column to learn, in eV, e.g. gap_pbe_ev.")
@click.option("--settings", type=click.Path(path_type=Path), help="JSON object of level settings [default: {}].")
@click.option("--reference", type=click.Path(path_type=Path), help="CSV of symbol, homo_ev, lumo_ev: your own prior.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder for the model and its tables.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Threads of torch.")
def train_levels(
    table: Path,
    target: str,
    settings: Path | None,
    reference: Path | None,
    output: Path,
    device: str,
    threads: int | None,
) -> None:
    """Train networks that explain a gap by energy levels of the sites, and write them to a folder.

    \b
    The folder then holds
      model.safetensors, model.json   the model
      metrics.json                    errors on the folds that the networks held out
      cross_validation.csv            each compound as predicted by networks that did not train on it
      history.csv                     losses against epochs

    A training that was interrupted resumes when the same command is given again.

    \b
    Settings are the fields of LevelSettings, e.g.
      {"prior_weight": 0.001, "epochs": 1000, "members": 5, "folds": 5, "seed": 0}
    """
    from aiida_perovskite.chemistry.atomic_levels import read_levels

    from .levels.model import LevelModel
    from .levels.settings import LevelSettings

    chosen = LevelSettings.from_dict(read_json_settings(settings))
    frame = read_table(table, ["formula", target])
    model = LevelModel.train(
        frame["formula"].astype(str),
        frame[target].astype(float),
        chosen,
        target=target,
        reference=read_levels(reference) if reference else None,
        progress=lambda line: click.echo(line, err=True),
        workdir=output,
        threads=threads,
        device=device,
    )
    write_model(model, output)
    errors = model.metrics
    click.echo(
        f"{errors['n']} compounds, held out: MAE {errors['mae_ev']:.3f} eV, RMSE {errors['rmse_ev']:.3f} eV, "
        f"R2 {errors['r2'] or 0:.3f}. Model in {output}."
    )


@main.command()
@click.option(
    "--model", "model_folder", required=True, type=click.Path(path_type=Path), help="What train-levels wrote."
)
@click.option("--levels", type=click.Path(path_type=Path), help="Its levels of other compounds than it trained on.")
@click.option("--settings", type=click.Path(path_type=Path), help="JSON object of family settings [default: {}].")
@click.option("--attribution-steps", type=click.IntRange(1), default=32, show_default=True, help="Of the gradients.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder for the tables.")
def families(
    model_folder: Path, levels: Path | None, settings: Path | None, attribution_steps: int, output: Path
) -> None:
    """Find families of compounds by what the networks of train-levels attend to.

    \b
    The folder then holds
      families.csv, elements.csv      each family with its sentence, and the elements on its sites
      members.csv                     family, cluster and principal components of each compound
      scan.csv, stability.csv         how the number of clusters was chosen, and whether it would be again
      components.csv, claims.csv      what the components are made of; what is claimed of families, and how surely
      attributions.csv                sites by attention and by gradients, for each compound
      summary.json, agreement.json    the same in numbers
      levels.parquet                  levels and attention, where --levels did not give them

    \b
    Settings are the fields of FamilySettings, e.g.
      {"k_max": 12, "bootstrap_runs": 20, "rule": "silhouette", "seed": 0}
    """
    from .checkpoint import atomic_path
    from .families.settings import FamilySettings
    from .interpretation import interpret_levels, levels_of_members

    chosen = FamilySettings.from_dict(read_json_settings(settings))
    model = _load_level_model(model_folder)
    if levels is None:
        frame = levels_of_members(model, model.cross_validation["formula"])
        with atomic_path(output / "levels.parquet") as temporary:
            frame.to_parquet(temporary, index=False)
    else:
        frame = read_table(levels, ["member", "formula"])
    found = interpret_levels(
        model, frame, chosen, attribution_steps=attribution_steps, progress=lambda line: click.echo(line, err=True)
    )
    found.save(output)
    for row in found.analysis.families.itertuples():
        click.echo(f"Family {row.family}, {row.n_compounds} compounds: {row.sentence}")
    for note in found.analysis.summary["notes"]:
        click.echo(note)


@main.command()
@click.argument("formulas", nargs=-1, metavar="[FORMULA]...")
@click.option("--model", "model_folder", required=True, type=click.Path(path_type=Path), help="Folder `train` wrote.")
@click.option("--table", type=click.Path(path_type=Path), help="CSV or Parquet with a `formula` column to predict.")
@click.option("--output", type=click.Path(path_type=Path), help="Write CSV here instead of printing a table.")
@click.option("--confidence", default=0.9, show_default=True, help="Share of gaps that the intervals are to hold.")
@click.option("--window", nargs=2, type=float, help="Lowest and highest gap in eV: adds the chance to lie between.")
@click.option("--threads", type=click.IntRange(1), help="Worker threads; no influence on the result.")
def predict(
    formulas: tuple[str, ...],
    model_folder: Path,
    table: Path | None,
    output: Path | None,
    confidence: float,
    window: tuple[float, float] | None,
    threads: int | None,
) -> None:
    """Predict gaps of FORMULAs such as Cs2AgBiBr6, or of every formula in a table.

    gap_ev is the mean of the ensemble and std_ev its spread; lower_ev and upper_ev hold the gap with the given
    confidence; in_domain says whether training saw each element on that site: where it did not, trust nothing.
    """
    names = [*formulas, *(read_table(table, ["formula"])["formula"].astype(str) if table else ())]
    if not names:
        raise BadInput("Nothing to predict: give formulas, or a table with --table.")
    frame = _load_model(model_folder).predict(names, confidence=confidence, window_ev=window or None, threads=threads)
    if output is None:
        click.echo(frame.to_string(index=False, float_format="%.3f"))
    else:
        from .checkpoint import atomic_path

        with atomic_path(output) as temporary:
            frame.to_csv(temporary, index=False)


def write_model(model: Any, folder: Path) -> None:
    """Write a `GapModel` or `LevelModel`, its tables and metrics into a folder; remove the state of its training."""
    from .checkpoint import atomic_path, write_json
    from .training import STATE_FILE

    model.save(folder)
    for name in ("cross_validation", "history", "learning_curve"):
        if hasattr(model, name):
            with atomic_path(folder / f"{name}.csv") as temporary:
                getattr(model, name).to_csv(temporary, index=False)
    write_json(folder / "metrics.json", model.metrics)
    (folder / STATE_FILE).unlink(missing_ok=True)


def _load_model(folder: Path) -> Any:
    from .gap_model import JSON_FILE, TENSOR_FILE, GapModel

    return GapModel.load(folder / TENSOR_FILE, folder / JSON_FILE)


def _load_level_model(folder: Path) -> LevelModel:
    from .levels.model import JSON_FILE, TENSOR_FILE, LevelModel

    return LevelModel.load(folder / TENSOR_FILE, folder / JSON_FILE)


for command in commands.COMMANDS:
    main.add_command(command)


def run(command: Callable[[], Any] = main) -> None:
    """Run the command; a `ValueError` of this package becomes one sentence on stderr and exit code 2."""
    try:
        command()
    except ValueError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        click.echo(f"Error: {error}. What was finished is kept: run the command again to resume.", err=True)
        sys.exit(EXIT_OUT_OF_SPACE)


if __name__ == "__main__":
    run()
