"""Calcfunctions of the funnel: node -> plain function -> node, for steps that take seconds.

Longer work runs as a job (:mod:`aiida_perovskite.calculations.jobs`): a calcfunction freezes its daemon worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, Int, List, SinglefileData, Str, StructureData

from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData

if TYPE_CHECKING:
    from ase import Atoms


@calcfunction  # type: ignore[untyped-decorator]
def enumerate_space(parameters: Dict) -> CompositionTableData:
    """Enumerate a space of compositions with charges, radii factors and whether ions are open-shell.

    Parameters
    ----------
    parameters
        ``{"preset": "halide"}``, or lists of symbols ``ab_elements``, ``c_elements``, ``d_elements``.
    """
    import pandas as pd

    from aiida_perovskite.chemistry import describe, space_from_settings

    compositions = space_from_settings(parameters.get_dict())
    return CompositionTableData.from_frame(
        pd.DataFrame(describe(compositions)), name="space", origin={"parameters": parameters.get_dict()}
    )


@calcfunction  # type: ignore[untyped-decorator]
def take_candidates(candidates: CompositionTableData, first: Int) -> dict[str, CompositionTableData]:
    """Take compounds that were chosen elsewhere, the first rows of a table with the column ``formula``, as the space.

    Outputs: ``space``, as `enumerate_space` gives one, and ``refused``, what cannot be screened: ``formula``, ``rule``
    (always ``taken``) and ``reason``.
    """
    import pandas as pd

    from aiida_perovskite.chemistry import describe
    from aiida_perovskite.learning.candidates import screenable
    from aiida_perovskite.learning.selection import DROPPED

    taken, refused = screenable(candidates.to_frame()["formula"].head(first.value))
    rows = [(formula, "taken", reason) for formula, reason in refused.items()]
    return {
        "space": CompositionTableData.from_frame(pd.DataFrame(describe(taken)), name="space"),
        "refused": CompositionTableData.from_frame(pd.DataFrame(rows, columns=DROPPED, dtype=str), name="refused"),
    }


@calcfunction  # type: ignore[untyped-decorator]
def train_band_gap_model(dataset: CompositionTableData, target: Str, settings: Dict) -> dict[str, Any]:
    """Train the gap model inside the interpreter: for small data and tests; a campaign trains as a job.

    Parameters
    ----------
    dataset
        Column ``formula`` and the target.
    target
        Column of the gaps, in eV.
    settings
        Of `TrainingSettings`.
    """
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

    Parameters
    ----------
    model
        A gap model, as `train` trains it.
    space
        Column ``formula``.
    parameters
        ``window_ev`` (two numbers) and ``confidence`` (of the interval).
    """
    settings = parameters.get_dict()
    predictions = model.load_gap_model().predict(
        space.to_frame()["formula"].tolist(), window_ev=tuple(settings["window_ev"]), confidence=settings["confidence"]
    )
    return CompositionTableData.from_frame(predictions, name="predictions")


@calcfunction  # type: ignore[untyped-decorator]
def select_candidates(
    predictions: CompositionTableData,
    space: CompositionTableData,
    settings: Dict,
    refused: CompositionTableData | None = None,
    **known: CompositionTableData,
) -> dict[str, Any]:
    """Apply the funnel's filters to the predictions and rank what survives.

    Parameters
    ----------
    predictions
        As `predict_band_gaps` makes them.
    space
        The same compositions with charges and factors.
    settings
        Of `SelectionSettings`.
    refused
        What `take_candidates` left out, where the compounds were handed over.
    known
        Tables whose compounds need no calculation any more.

    Outputs: ``selection`` (the ranked table) and ``funnel`` (the counts of the stages); where the compounds were handed
    over, ``dropped`` says of each that does not survive why.
    """
    import pandas as pd

    from aiida_perovskite.learning.selection import SelectionSettings, dropped, select

    known_formulas = {formula for table in known.values() for formula in table.to_frame()["formula"]}
    table = predictions.to_frame().merge(space.to_frame(), on="formula", validate="one_to_one")
    rules = SelectionSettings.from_dict(settings.get_dict())
    selection, stages = select(table, rules, known_formulas)
    outputs = {"selection": CompositionTableData.from_frame(selection, name="selection")}
    if refused is not None:
        n_given = len(table) + refused.n_rows
        stages = [{"name": "given", "label": "compounds handed over", "count": n_given}, *stages]
        rows = pd.concat([refused.to_frame(), dropped(table, rules, known_formulas)], ignore_index=True)
        outputs["dropped"] = CompositionTableData.from_frame(rows, name="dropped")
    return {**outputs, "funnel": Dict({"stages": stages})}


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
def write_script_input(
    structure: StructureData, parameters: Dict, magnetic_moments: List | None = None, plan: Dict | None = None
) -> SinglefileData:
    """Write the input file of an engine script.

    ``magnetic_moments`` holds one number per atom, Bohr magnetons; ``plan`` the ``lines`` along which bands are wanted.
    """
    from aiida_perovskite.engines.results import script_input

    atoms = structure.get_ase()
    if magnetic_moments is not None:
        atoms.set_initial_magnetic_moments(magnetic_moments.get_list())
    content = script_input(atoms, parameters.get_dict())
    return json_file(content if plan is None else content | {"lines": plan["lines"]})


@calcfunction  # type: ignore[untyped-decorator]
def write_training_settings(settings: Dict) -> SinglefileData:
    """Write the settings file of a training job, refusing settings that do not exist."""
    from aiida_perovskite.learning.settings import TrainingSettings

    return json_file(TrainingSettings.from_dict(settings.get_dict()).to_dict(), filename="settings.json")


def _without_moments(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.set_initial_magnetic_moments(None)
    return copy


def json_file(content: dict[str, Any], filename: str = "input.json") -> SinglefileData:
    """Wrap ``content`` with a fixed name and sorted keys: equal content must give an equal hash, or caching misses."""
    import io
    import json

    return SinglefileData(io.BytesIO(json.dumps(content, indent=1, sort_keys=True).encode()), filename=filename)
