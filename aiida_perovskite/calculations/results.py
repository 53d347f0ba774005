"""Calcfunctions that put what was computed into rows and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_perovskite.data.table import CompositionTableData

# Column of the results -> node and key of a candidate; those of table 5.3 are found after the unconstrained relaxation.
COLUMNS = {
    "decomposition_enthalpy_mev_per_atom": ("stability", "binary.mev_per_atom"),
    "decomposition_enthalpy_hull_mev_per_atom": ("stability", "hull.mev_per_atom"),
    "energy_ev_per_atom": ("stability", "energy_ev_per_atom"),
    "gap_kind": ("optics", "gap_kind"),
    "absorption_onset_ev": ("optics", "direct_allowed_gap_ev"),
    "slme_percent": ("efficiency", "slme_percent"),
    "slme_cut_percent": ("efficiency", "slme_cut_percent"),
    "relaxed_space_group": ("relaxed__geometry", "space_group"),
    "relaxed_same_structure": ("relaxed__geometry", "same_structure"),
    "relaxed_gap_ev": ("relaxed__gap", "gap_hse06_soc_ev"),
    "relaxed_absorption_onset_ev": ("relaxed__optics", "direct_allowed_gap_ev"),
    "relaxed_slme_percent": ("relaxed__efficiency", "slme_percent"),
    "relaxed_slme_cut_percent": ("relaxed__efficiency", "slme_cut_percent"),
    "relaxed_decomposition_enthalpy_mev_per_atom": ("relaxed__stability", "binary.mev_per_atom"),
    "relaxed_decomposition_enthalpy_hull_mev_per_atom": ("relaxed__stability", "hull.mev_per_atom"),
    "relaxed_energy_ev_per_atom": ("relaxed__stability", "energy_ev_per_atom"),
}


@calcfunction  # type: ignore[untyped-decorator]
def summarise_candidate(**nodes: Dict) -> Dict:
    """Collect the numbers of one candidate's row; ``nodes`` are its outputs, joined by ``__`` where nested."""
    found = {label: node.get_dict() for label, node in nodes.items()}
    row: dict[str, Any] = {}
    if "geometry" in found:
        row["lattice_angstrom"] = found["geometry"].get("a_angstrom")
    row |= _scalars(found.get("gap", {}))
    for column, (label, path) in COLUMNS.items():
        value: Any = found.get(label)
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            row[column] = value
    if "masses" in found:
        row |= mass_columns(found["masses"]["rows"])
    return Dict(row)


def mass_columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the masses as the thesis prints them: two directions for holes and for electrons, one mass each.

    Of bands that are degenerate at the edge the heaviest counts; where one of them is too flat to have a mass there is
    no number.
    """
    columns: dict[str, Any] = {}
    for carrier in ("hole", "electron"):
        own = [row for row in rows if row["carrier"] == carrier and row["direction"]]
        for index, direction in enumerate(dict.fromkeys(row["direction"] for row in own), start=1):
            masses = [row["mass"] for row in own if row["direction"] == direction]
            columns[f"{carrier}_direction_{index}"] = direction
            if None not in masses:
                columns[f"{carrier}_mass_{index}"] = max(masses, key=abs)
    return columns


@calcfunction  # type: ignore[untyped-decorator]
def collect_rows(**candidates: Dict) -> CompositionTableData:
    """Put the rows of some candidates into a table: ``summary_<formula>`` and ``verdict_<formula>`` of each."""
    import pandas as pd

    return CompositionTableData.from_frame(pd.DataFrame(_rows(candidates)), name="rows")


@calcfunction  # type: ignore[untyped-decorator]
def collect_results(
    selection: CompositionTableData, failures: Dict, **candidates: Dict | CompositionTableData
) -> CompositionTableData:
    """Join predictions and computed numbers into the campaign's results: one row per candidate.

    Parameters
    ----------
    selection
        The ranked table of `select_candidates`.
    failures
        Formula -> what went wrong.
    candidates
        ``summary_<formula>`` and ``verdict_<formula>`` of each, or tables of `collect_rows`, ``rows_<number>``.

    References, which are in no selection, come without a prediction.
    """
    import pandas as pd

    rows = {row["formula"]: row for row in _rows(candidates)}
    for formula, why in sorted(failures.items()):
        rows.setdefault(formula, {"formula": formula}).update({"passed": False, "stage": "failed", "reason": why})
    computed: pd.DataFrame = pd.DataFrame([rows[formula] for formula in sorted(rows)])
    predicted = selection.to_frame()[["formula", "gap_ev", "lower_ev", "upper_ev", "probability_in_window"]]
    predicted = predicted.rename(
        columns={"gap_ev": "predicted_gap_ev", "lower_ev": "predicted_lower_ev", "upper_ev": "predicted_upper_ev"}
    )
    joined = predicted.merge(computed, on="formula", how="right", sort=False)
    rank = {formula: index for index, formula in enumerate(predicted["formula"])}
    order = joined["formula"].map(rank).fillna(len(rank)).sort_values(kind="stable").index
    return CompositionTableData.from_frame(joined.loc[order].reset_index(drop=True), name="results")


def _rows(candidates: Mapping[str, Dict | CompositionTableData]) -> list[dict[str, Any]]:
    """Return the rows of candidates, of each what is known of it."""
    import pandas as pd

    rows: dict[str, dict[str, Any]] = {}
    for label, node in sorted(candidates.items()):
        if isinstance(node, CompositionTableData):
            for row in node.to_frame().to_dict("records"):
                rows[row["formula"]] = {str(name): value for name, value in row.items() if not pd.isna(value)}
        else:
            _, formula = label.split("_", 1)
            rows.setdefault(formula, {"formula": formula}).update(node.get_dict())
    return list(rows.values())


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, str | int | float | bool)}
