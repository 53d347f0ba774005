"""Calcfunctions of the funnel: node -> plain function -> node, for steps that take seconds.

Longer work runs as a job (:mod:`aiida_perovskite.calculations.jobs`): a calcfunction freezes its daemon worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, List, SinglefileData, Str, StructureData

from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms


@calcfunction  # type: ignore[untyped-decorator]
def enumerate_space(parameters: Dict) -> CompositionTableData:
    """Enumerate a space of compositions with charges, radii factors and whether ions are open-shell.

    ``parameters`` is ``{"preset": "halide"}`` or lists of symbols ``ab_elements``, ``c_elements``, ``d_elements``.
    """
    import pandas as pd

    from aiida_perovskite.chemistry import describe, space_from_settings

    compositions = space_from_settings(parameters.get_dict())
    return CompositionTableData.from_frame(
        pd.DataFrame(describe(compositions)), name="space", origin={"parameters": parameters.get_dict()}
    )


@calcfunction  # type: ignore[untyped-decorator]
def train_band_gap_model(dataset: CompositionTableData, target: Str, settings: Dict) -> dict[str, Any]:
    """Train the gap model inside the interpreter: for small data and tests; a campaign trains as a job."""
    import tempfile
    from pathlib import Path

    from aiida_perovskite.learning.gap_model import GapModel
    from aiida_perovskite.learning.settings import TrainingSettings

    frame = dataset.to_frame()
    model = GapModel.train(
        frame["formula"].tolist(),
        frame[target.value].to_numpy(),
        TrainingSettings.from_dict(settings.get_dict()),
        target=target.value,
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        checkpoint = ModelCheckpointData.from_folder(Path(folder))
    return {
        "model": checkpoint,
        "cross_validation": CompositionTableData.from_frame(model.cross_validation, name="cross-validation"),
        "metrics": Dict(model.metrics),
    }


@calcfunction  # type: ignore[untyped-decorator]
def predict_band_gaps(
    model: ModelCheckpointData, space: CompositionTableData, parameters: Dict
) -> CompositionTableData:
    """Predict gap, interval and probability of lying in the window for every composition of ``space``.

    ``parameters`` holds ``window_ev`` (two numbers) and ``confidence`` (of the interval).
    """
    settings = parameters.get_dict()
    predictions = model.load_model().predict(
        space.to_frame()["formula"].tolist(), window_ev=tuple(settings["window_ev"]), confidence=settings["confidence"]
    )
    return CompositionTableData.from_frame(predictions, name="predictions")


@calcfunction  # type: ignore[untyped-decorator]
def select_candidates(
    predictions: CompositionTableData, space: CompositionTableData, settings: Dict, **known: CompositionTableData
) -> dict[str, Any]:
    """Apply the funnel's filters to the predictions and rank what survives.

    ``known`` are the tables whose compounds need no calculation any more. Outputs: ``selection`` (the ranked table)
    and ``funnel`` (the counts of the stages).
    """
    from aiida_perovskite.learning.selection import SelectionSettings, select

    known_formulas = {formula for table in known.values() for formula in table.to_frame()["formula"]}
    selection, stages = select(
        predictions.to_frame().merge(space.to_frame(), on="formula", validate="one_to_one"),
        SelectionSettings.from_dict(settings.get_dict()),
        known_formulas,
    )
    return {
        "selection": CompositionTableData.from_frame(selection, name="selection"),
        "funnel": Dict({"stages": stages}),
    }


@calcfunction  # type: ignore[untyped-decorator]
def build_prototype(formula: Str) -> dict[str, Any] | ExitCode:
    """Build the Fm-3m prototype from ionic radii, with the initial magnetic moments of its ions."""
    from aiida_perovskite.chemistry import Composition, prototype_atoms

    try:
        atoms = prototype_atoms(Composition.parse(formula.value))
    except ValueError as error:
        return ExitCode(400, f"no starting structure for {formula.value}: {error}")
    structure = StructureData(ase=_without_moments(atoms))
    structure.label = formula.value
    return {"structure": structure, "magnetic_moments": List(atoms.get_initial_magnetic_moments().tolist())}


@calcfunction  # type: ignore[untyped-decorator]
def write_relax_input(structure: StructureData, parameters: Dict) -> SinglefileData:
    """Write the input file of the CHGNet relaxation script."""
    from aiida_perovskite.engines.chgnet import relax_input

    return _json_file(relax_input(structure.get_ase(), parameters.get_dict()))


@calcfunction  # type: ignore[untyped-decorator]
def write_gap_input(structure: StructureData, magnetic_moments: List, parameters: Dict) -> SinglefileData:
    """Write the input file of the GPAW band-gap script."""
    from aiida_perovskite.engines.gpaw import gap_input

    atoms = structure.get_ase()
    atoms.set_initial_magnetic_moments(magnetic_moments.get_list())
    return _json_file(gap_input(atoms, parameters.get_dict()))


@calcfunction  # type: ignore[untyped-decorator]
def write_training_settings(settings: Dict) -> SinglefileData:
    """Write the settings file of a training job, refusing settings that do not exist."""
    from aiida_perovskite.learning.settings import TrainingSettings

    return _json_file(TrainingSettings.from_dict(settings.get_dict()).to_dict(), filename="settings.json")


@calcfunction  # type: ignore[untyped-decorator]
def judge_candidate(gap: Dict, window_ev: List) -> Dict:
    """Say whether the computed gap keeps the compound in the funnel, and why."""
    low, high = window_ev.get_list()
    value = gap["gap_hse06_soc_ev"]
    window = f"{low:g}-{high:g} eV"
    if gap["pbe_gapless"]:
        passed, reason = False, "PBE has no gap: the hybrid gap starts from a metal and is not to be trusted"
    elif low <= value <= high:
        passed, reason = True, f"gap of {value:.2f} eV lies in {window}"
    else:
        passed, reason = False, f"gap of {value:.2f} eV lies outside {window}"
    return Dict({"stage": "gap", "passed": passed, "reason": reason})


@calcfunction  # type: ignore[untyped-decorator]
def collect_results(selection: CompositionTableData, failures: Dict, **candidates: Dict) -> CompositionTableData:
    """Join predictions and computed gaps into the campaign's results: one row per candidate.

    ``candidates`` holds ``gap_<formula>`` and ``verdict_<formula>`` Dicts, ``failures`` formula -> what went wrong.
    """
    import pandas as pd

    rows = []
    for label, verdict in sorted(candidates.items()):
        if label.startswith("verdict_"):
            formula = label.removeprefix("verdict_")
            rows.append({"formula": formula, **_scalars(candidates[f"gap_{formula}"].get_dict()), **verdict.get_dict()})
    rows += [{"formula": formula, "passed": False, "reason": why} for formula, why in sorted(failures.items())]
    computed: pd.DataFrame = pd.DataFrame(rows)
    predicted = selection.to_frame()[["formula", "gap_ev", "lower_ev", "upper_ev", "probability_in_window"]]
    predicted = predicted.rename(
        columns={"gap_ev": "predicted_gap_ev", "lower_ev": "predicted_lower_ev", "upper_ev": "predicted_upper_ev"}
    )
    return CompositionTableData.from_frame(predicted.merge(computed, on="formula"), name="results")


def _scalars(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, str | int | float | bool)}


def _without_moments(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.set_initial_magnetic_moments(None)
    return copy


def _json_file(content: dict[str, Any], filename: str = "input.json") -> SinglefileData:
    """Wrap ``content`` with a fixed name and sorted keys: equal content must give an equal hash, or caching misses."""
    import io
    import json

    return SinglefileData(io.BytesIO(json.dumps(content, indent=1, sort_keys=True).encode()), filename=filename)
