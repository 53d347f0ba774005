"""Calcfunctions of interpretable gaps: what networks say about compounds, and descriptors of any kind.

Steps that take longer on thousands of compounds, the training and the analysis of families, run as jobs
(:mod:`aiida_perovskite.calculations.jobs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, Float, FolderData, List, SinglefileData, Str

from aiida_perovskite.calculations.functions import json_file
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ERROR_BAD_TABLE = 400  # the table will not do; the message says why and what to do
REFERENCE_COLUMNS = ["symbol", "homo_ev", "lumo_ev"]


@calcfunction  # type: ignore[untyped-decorator]
def predict_levels(model: ModelCheckpointData, table: CompositionTableData) -> CompositionTableData | ExitCode:
    """Let every network of a level model speak about the compounds of a table: levels, weights, attention.

    Parameters
    ----------
    model
        Level networks, as `interpret` trains them.
    table
        Column ``formula``.

    The result has the column ``member`` and those of `aiida_perovskite.learning.levels.levels_frame`.
    """
    from aiida_perovskite.learning.interpretation import levels_of_members

    try:
        levels = levels_of_members(model.load_level_model(), table.to_frame()["formula"])
    except ValueError as error:
        return ExitCode(ERROR_BAD_TABLE, str(error))
    return CompositionTableData.from_frame(levels, name="levels")


@calcfunction  # type: ignore[untyped-decorator]
def reduce_dimensions(
    table: CompositionTableData, settings: Dict, labels: List | None = None
) -> dict[str, Any] | ExitCode:
    """Project any table of numbers to its principal components.

    Parameters
    ----------
    table
        One row per sample; all columns but ``labels`` (by default ``formula``) are numbers.
    settings
        Of `FamilySettings`: ``components``, ``standardise``.
    labels
        Names of the columns that are no numbers but say what a row is.

    Outputs: ``scores`` (labels, pc1, ...) and ``components`` (explained variance and loadings).
    """
    import pandas as pd

    from aiida_perovskite.learning.families.descriptor import numeric_descriptor
    from aiida_perovskite.learning.families.reduction import reduce_dimensions as reduce
    from aiida_perovskite.learning.families.settings import FamilySettings

    frame, names = table.to_frame(), _labels(labels)
    try:
        chosen = FamilySettings.from_dict(settings.get_dict())
        reduction = reduce(numeric_descriptor(frame, names), chosen.components, chosen.standardise)
    except ValueError as error:
        return ExitCode(ERROR_BAD_TABLE, str(error))
    scores = pd.DataFrame({f"pc{number}": column for number, column in enumerate(reduction.scores.T, start=1)})
    named = frame[[name for name in names if name in frame.columns]]
    return {
        "scores": CompositionTableData.from_frame(named.join(scores), name="scores"),
        "components": CompositionTableData.from_frame(reduction.frame(), name="components"),
    }


@calcfunction  # type: ignore[untyped-decorator]
def cluster(table: CompositionTableData, settings: Dict, labels: List | None = None) -> dict[str, Any] | ExitCode:
    """Cluster the rows of any table of numbers, and say how stable the clusters are.

    Parameters
    ----------
    table
        One row per sample; all columns but ``labels`` (by default ``formula``) are numbers.
    settings
        Of `FamilySettings`.
    labels
        Names of the columns that are no numbers but say what a row is.

    Outputs: ``rows`` (labels, principal components, cluster, silhouette), ``scan`` over the numbers of clusters,
    ``components``, ``stability`` and ``summary``. Some thousand rows take minutes: then lower ``bootstrap_runs``,
    ``seed_runs`` and ``gap_references``, or the daemon's worker does nothing else meanwhile.
    """
    from aiida_perovskite.learning.families import FamilySettings, cluster_table

    try:
        found = cluster_table(table.to_frame(), FamilySettings.from_dict(settings.get_dict()), labels=_labels(labels))
    except ValueError as error:
        return ExitCode(ERROR_BAD_TABLE, str(error))
    names = ("rows", "scan", "components", "stability")
    tables = {name: CompositionTableData.from_frame(getattr(found, name), name=name) for name in names}
    return {**tables, "summary": Dict(found.summary)}


@calcfunction  # type: ignore[untyped-decorator]
def solid_state_baseline(dataset: CompositionTableData, target: Str, settings: Dict) -> dict[str, Any] | ExitCode:
    """Compute gaps from solid-state energies, as tabulated and as fitted to the gaps of the table.

    Parameters
    ----------
    dataset
        Column ``formula`` and the target.
    target
        Column of the gaps, in eV.
    settings
        Of `SseSettings`.

    Outputs: ``gaps`` (by compound), ``energies`` (by ion or, where the
    table has no ion, element), ``errors``.
    """
    import numpy as np
    import pandas as pd

    from aiida_perovskite.chemistry import solid_state_energies
    from aiida_perovskite.learning.levels.sse import SseSettings, fit_solid_state_energies

    frame, table = dataset.to_frame(), solid_state_energies()
    targets = frame[target.value].to_numpy(dtype=float)
    ions = table.element_indices(frame["formula"])
    before = np.append(table.energies_ev, np.nan)  # what the table does not know has the index -1
    chosen = SseSettings(**settings.get_dict())
    try:
        fit = fit_solid_state_energies(ions, targets, before, chosen)
    except ValueError as error:
        return ExitCode(ERROR_BAD_TABLE, str(error))
    gaps = _sse_gaps(ions, before, fit.energies_ev, chosen.threshold_ev)
    present = np.unique(ions[ions >= 0])
    energies = pd.DataFrame(
        {
            "symbol": [table.symbols[ion] for ion in present],
            "cation": before[present] > chosen.threshold_ev,
            "before_ev": before[present],
            "after_ev": fit.energies_ev[present],
            "source": [table.sources[ion] for ion in present],
        }
    )
    gaps = pd.DataFrame({"formula": frame["formula"], "target_ev": targets}).join(gaps)
    return {
        "gaps": CompositionTableData.from_frame(gaps, name="sse-gaps"),
        "energies": CompositionTableData.from_frame(energies, name="sse-energies"),
        "errors": Dict({"n": fit.n, **_sse_errors(gaps)}),
    }


def _sse_gaps(
    ions: np.ndarray[Any, Any], before: np.ndarray[Any, Any], after: np.ndarray[Any, Any], threshold_ev: float
) -> pd.DataFrame:
    """Return before_ev and after_ev of each compound, not below 0, nan (and the reason) where there is none.

    Which ions are cations is what the energies before the fit say.
    """
    import pandas as pd

    from aiida_perovskite.chemistry.solid_state_energy import gaps_of_sites

    cations = before[ions] > threshold_ev
    found = {
        name: gaps_of_sites(energies[ions], is_cation=cations)
        for name, energies in (("before_ev", before), ("after_ev", after))
    }
    columns: dict[str, Any] = {name: gaps.gap_ev.clip(min=0.0) for name, gaps in found.items()}
    return pd.DataFrame(columns).assign(reason=found["before_ev"].reason)


def _sse_errors(gaps: pd.DataFrame) -> dict[str, float]:
    errors = {}
    for name in ("before", "after"):
        difference = (gaps[f"{name}_ev"] - gaps["target_ev"]).dropna()
        errors[f"rmse_{name}_ev"] = float((difference**2).mean() ** 0.5)
        errors[f"mae_{name}_ev"] = float(difference.abs().mean())
    return errors


@calcfunction  # type: ignore[untyped-decorator]
def write_level_settings(settings: Dict, prior_weight: Float) -> SinglefileData:
    """Write the settings file of one training of level networks, refusing settings that do not exist.

    ``settings`` are those of `LevelSettings` and ``prior_weights``, the list of which this is one.
    """
    from aiida_perovskite.learning.levels.settings import LevelSettings

    given = {name: value for name, value in settings.get_dict().items() if name != "prior_weights"}
    chosen = LevelSettings.from_dict({**given, "prior_weight": prior_weight.value})
    return json_file(chosen.to_dict(), filename="settings.json")


@calcfunction  # type: ignore[untyped-decorator]
def write_family_settings(settings: Dict) -> SinglefileData:
    """Write the settings file of an analysis of families, refusing settings that do not exist."""
    from aiida_perovskite.learning.families.settings import FamilySettings

    return json_file(FamilySettings.from_dict(settings.get_dict()).to_dict(), filename="settings.json")


@calcfunction  # type: ignore[untyped-decorator]
def write_reference_levels(reference: CompositionTableData) -> SinglefileData:
    """Write reference levels as the CSV that a training reads."""
    import io

    content = reference.to_frame()[REFERENCE_COLUMNS].to_csv(index=False).encode()
    return SinglefileData(io.BytesIO(content), filename="reference.csv")


@calcfunction  # type: ignore[untyped-decorator]
def write_checkpoint(model: ModelCheckpointData) -> FolderData:
    """Write the files of a checkpoint for a job that is to ask the model."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        model.write_to(Path(folder))
        return FolderData(tree=folder)


def reference_table(levels: dict[str, tuple[float, float]] | None = None, name: str = "") -> CompositionTableData:
    """Return an unstored table of reference levels: a user's own, or the shipped ones with the source of each."""
    from dataclasses import asdict

    import pandas as pd

    from aiida_perovskite.chemistry import load_atomic_levels

    if levels is None:
        frame = pd.DataFrame([asdict(level) for level in load_atomic_levels()])
        return CompositionTableData.from_frame(frame, name="reference-levels")
    rows = [(symbol, homo, lumo) for symbol, (homo, lumo) in levels.items()]
    return CompositionTableData.from_frame(pd.DataFrame(rows, columns=REFERENCE_COLUMNS), name=name)


def _labels(labels: List | None) -> list[str]:
    return ["formula"] if labels is None else labels.get_list()
