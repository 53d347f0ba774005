"""Calcfunctions of inverse design: for small tables and tests, since they freeze a daemon's worker.

The real thing, minutes of training and a regression on ten thousand rows, runs as jobs
(:mod:`aiida_perovskite.calculations.jobs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, FolderData, Int, List, SinglefileData, Str

from aiida_perovskite.calculations.functions import json_file
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData

if TYPE_CHECKING:
    from aiida_perovskite.learning.generative.table import ElpasoliteTable

ERROR_BAD_TABLE = 400  # table, target or settings will not do; the message says why and what to do


@calcfunction  # type: ignore[untyped-decorator]
def train_generator(dataset: CompositionTableData, settings: Dict) -> ModelCheckpointData | ExitCode:
    """Train a generator inside the interpreter.

    Parameters
    ----------
    dataset
        Columns ``a``, ``b``, ``c``, ``d`` and ``formation_energy_ev_per_atom``.
    settings
        ``name`` (of ``GENERATORS``), ``seed``, ``settings`` (of that generator).
    """
    import tempfile
    from pathlib import Path

    from aiida_perovskite.learning.generative import generator_type

    chosen = settings.get_dict()
    try:
        kind = generator_type(chosen["name"])
        given = kind.settings_type.from_dict(chosen["settings"])
        fitted = kind.fit(elpasolite_table(dataset), given, chosen["seed"])
    except ValueError as error:
        return ExitCode(ERROR_BAD_TABLE, str(error))
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(folder)
        return ModelCheckpointData.from_folder(Path(folder))


@calcfunction  # type: ignore[untyped-decorator]
def generate_compositions(
    model: ModelCheckpointData,
    dataset: CompositionTableData,
    target: Str,
    n: Int,
    settings: Dict,
    exclude: List | None = None,
) -> dict[str, Any] | ExitCode:
    """Propose compounds for a target such as ``formation energy < -2.3 eV/atom``, ranked by predicted energy.

    Parameters
    ----------
    model
        A generator.
    dataset
        What it was trained on.
    target
        Of the formation energy, in eV/atom.
    n
        How many compounds.
    settings
        Of `DesignSettings`.
    exclude
        Symbols of elements that are not wanted.

    Outputs: ``compositions`` (table) and ``summary``.
    """
    from aiida_perovskite.learning.generative.design import DesignSettings, EnergyTarget, design

    try:
        found = design(
            model.load_generator(),
            elpasolite_table(dataset),
            EnergyTarget.parse(target.value),
            n.value,
            DesignSettings.from_dict(settings.get_dict()),
            exclude=[] if exclude is None else exclude.get_list(),
        )
    except ValueError as error:
        return ExitCode(ERROR_BAD_TABLE, str(error))
    table = CompositionTableData.from_frame(found.compositions, name="compositions")
    return {"compositions": table, "summary": Dict(found.summary)}


@calcfunction  # type: ignore[untyped-decorator]
def evaluate_generator(
    model: ModelCheckpointData, dataset: CompositionTableData, settings: Dict
) -> dict[str, Any] | ExitCode:
    """Hold a generator against the truth of the whole space, a regression on all rows of its table.

    Parameters
    ----------
    model
        A generator.
    dataset
        What it was trained on.
    settings
        Of `EvaluationSettings`.

    Outputs: ``evaluation`` (metrics by class) and ``truth`` (its files,
    as `Truth.load` reads them).
    """
    import tempfile

    from aiida_perovskite.learning.generative.evaluation import EvaluationSettings, evaluate
    from aiida_perovskite.learning.generative.truth import Truth

    try:
        chosen, table = EvaluationSettings.from_dict(settings.get_dict()), elpasolite_table(dataset)
        generator = model.load_generator()
        truth = Truth.fit(table, chosen.truth)
        frame = evaluate(generator, table, truth, chosen)
    except ValueError as error:
        return ExitCode(ERROR_BAD_TABLE, str(error))
    with tempfile.TemporaryDirectory() as folder:
        truth.save(folder)
        files = FolderData(tree=folder)
    return {"evaluation": CompositionTableData.from_frame(frame, name="evaluation"), "truth": files}


@calcfunction  # type: ignore[untyped-decorator]
def write_generator_settings(settings: Dict) -> SinglefileData:
    """Write the settings file of a training, refusing settings that the generator does not have."""
    from aiida_perovskite.learning.generative import generator_type

    chosen = settings.get_dict()
    return json_file(_complete(generator_type(chosen["name"]).settings_type, chosen["settings"]), "settings.json")


@calcfunction  # type: ignore[untyped-decorator]
def write_design_settings(settings: Dict) -> SinglefileData:
    """Write the settings file of a design, refusing settings that do not exist."""
    from aiida_perovskite.learning.generative.design import DesignSettings

    return json_file(_complete(DesignSettings, settings.get_dict()), "settings.json")


@calcfunction  # type: ignore[untyped-decorator]
def write_evaluation_settings(settings: Dict) -> SinglefileData:
    """Write the settings file of an evaluation, refusing settings that do not exist."""
    from aiida_perovskite.learning.generative.evaluation import EvaluationSettings

    return json_file(_complete(EvaluationSettings, settings.get_dict()), "settings.json")


@calcfunction  # type: ignore[untyped-decorator]
def write_benchmark_settings(settings: Dict) -> SinglefileData:
    """Write the settings file of a benchmark, refusing models and settings that do not exist."""
    from aiida_perovskite.learning.generative.benchmark import BenchmarkSettings

    chosen = BenchmarkSettings.from_dict(settings.get_dict())
    return json_file({**settings.get_dict(), "models": chosen.complete()}, "settings.json")


@calcfunction  # type: ignore[untyped-decorator]
def choose_settings(dataset: CompositionTableData, settings: Dict, lost: Dict, **quantities: Dict) -> dict[str, Any]:
    """Put the fits of a search together, and choose settings by what the training rows say.

    Parameters
    ----------
    dataset
        Training rows.
    settings
        Of `SearchSettings`.
    lost
        `fit_label` -> why its job gave nothing.
    **quantities
        `fit_label` -> what the other jobs said.

    Returns
    -------
    dict
        ``fits``, ``draws`` (tables), ``summary`` and, unless every draw failed, ``chosen``: settings as the protocol
        ``generate`` has them.
    """
    from aiida_perovskite.learning.generative.design import DesignSettings
    from aiida_perovskite.learning.generative.evaluation import EvaluationSettings
    from aiida_perovskite.learning.generative.search import SearchSettings, summarise

    given = SearchSettings.from_dict(settings.get_dict())
    said: dict[str, Any] = {label: one.get_dict() for label, one in quantities.items()}
    said |= {label: {"error": why} for label, why in lost.get_dict().items()}
    places = [(draw, seed) for draw in range(1, given.draws + 1) for seed in given.seeds]
    found = summarise(given, elpasolite_table(dataset), {place: said[fit_label(*place)] for place in places})
    outputs: dict[str, Any] = {
        "fits": CompositionTableData.from_frame(found.fits, name="fits"),
        "draws": CompositionTableData.from_frame(found.draws, name="draws"),
    }
    summary: dict[str, Any] = {"most_js_distance": found.limit, "lost": lost.get_dict()}
    summary |= {name: found.chosen[name] if found.chosen else None for name in ("draw", "seed")}
    if found.chosen is not None:
        training = {"name": given.model, "seed": found.chosen["seed"], "settings": found.chosen["settings"]}
        rest = {"design": DesignSettings().to_dict(), "evaluation": EvaluationSettings().to_dict()}
        outputs["chosen"] = Dict({**training, **rest})
    return {**outputs, "summary": Dict(summary)}


def fit_label(draw: int, seed: int) -> str:
    """Return how links call a fit of a search."""
    return f"fit_{draw}_seed_{seed}"


@calcfunction  # type: ignore[untyped-decorator]
def join_sizes(
    dataset: CompositionTableData, settings: Dict, lost: Dict, **metrics: CompositionTableData
) -> dict[str, Any]:
    """Put the metrics of a study of training-set sizes into one table.

    Parameters
    ----------
    dataset
        All training rows.
    settings
        Of `SizesSettings`.
    lost
        Label of a part -> why its job gave nothing.
    **metrics
        Label of a part -> the table of its benchmark.

    Returns
    -------
    dict
        ``metrics``, with ``training_rows`` and ``permuted`` beside each model, and ``summary``.
    """
    import pandas as pd

    from aiida_perovskite.learning.generative.sizes import SizesSettings

    table = elpasolite_table(dataset)
    rows = []
    for part in SizesSettings.from_dict(settings.get_dict()).parts():
        if part.label in metrics:
            frame = metrics[part.label].to_frame()
            own = frame[frame["model"] == part.model].iloc[0].to_dict()
            rows.append(part.row(table) | {str(name): value for name, value in own.items()})
    joined = CompositionTableData.from_frame(pd.DataFrame(rows), name="metrics")
    return {"metrics": joined, "summary": Dict({"lost": lost.get_dict(), "rows": len(table.codes)})}


def elpasolite_table(dataset: CompositionTableData) -> ElpasoliteTable:
    """Return the training table that a node holds.

    Raises
    ------
    ValueError
        If a column is missing, an element is not of the space or on two sites, or an energy is missing.
    """
    from aiida_perovskite.learning.generative.commands import COLUMNS
    from aiida_perovskite.learning.generative.table import ElpasoliteTable

    missing = [name for name in COLUMNS if name not in dataset.columns]
    if missing:
        raise ValueError(
            f"the table has no column {', '.join(missing)}, which inverse design needs; its columns are "
            f"{', '.join(dataset.columns)}"
        )
    frame = dataset.to_frame()
    return ElpasoliteTable.from_rows(*(frame[name] for name in COLUMNS))


def _complete(settings_type: Any, given: dict[str, Any]) -> dict[str, Any]:
    complete: dict[str, Any] = settings_type.from_dict(given).to_dict()
    return complete
