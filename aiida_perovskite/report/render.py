"""Turn a collected campaign into one HTML page that needs nothing else: no network, no profile, no other file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from markupsafe import Markup

from aiida_perovskite.report import (
    figures_cells,
    figures_crystal,
    figures_electrons,
    figures_model,
    figures_results,
)
from aiida_perovskite.report.compounds import point_name
from aiida_perovskite.report.contents import CampaignReport, Candidate, Number, Record, Table, value, walk
from aiida_perovskite.report.diagram import provenance_diagram
from aiida_perovskite.report.downloads import structure_links
from aiida_perovskite.report.page import asset, environment, report_data, software
from aiida_perovskite.report.plot import Figure
from aiida_perovskite.report.results import (
    comparisons,
    doubtful,
    masses,
    masses_by_direction,
    pick,
    results_frame,
    rise,
    rows,
    space_group,
)

METHODS = (("PBE", "pbe"), ("PBE+SOC", "pbe_soc"), ("HSE06", "hse06"), ("HSE06+SOC", "hse06_soc"))
BASELINES = {
    "mean": "mean of the training set",
    "ridge": "ridge regression",
    "gradient_boosting": "gradient boosting",
    "extremely_randomised_trees": "extremely randomised trees",
}
FAILED = ("failed", "excepted", "killed")
PARTS = {
    "structure": "the structure",
    "gap": "the band gap",
    "band_structure": "bands along a path",
    "densities": "densities of states",
    "stability": "the decomposition enthalpy",
    "absorption": "the absorption coefficient",
    "efficiency": "the efficiency",
    "masses": "effective masses",
    "relaxed": "values after the unconstrained relaxation",
}
NOT_TRUSTED = "This hybrid gap starts from a metallic PBE state and is not to be trusted."


def render(report: CampaignReport) -> str:
    """Return the page.

    Parameters
    ----------
    report
        From :func:`aiida_perovskite.report.collect.collect_campaign`.
    """
    drawn, layers = draw(report)
    page: str = (
        environment(structure_links, *TOLD)
        .get_template("campaign.html.j2")
        .render(
            report=report,
            figures=drawn,
            layers=layers,
            window=window(report),
            data=report_data(report, "campaign"),
            tables={path: table for path, table in walk(report) if isinstance(table, Table)},
            js=asset("campaign.js"),
            diagram=Markup(provenance_diagram(report)),
            baselines=baseline_rows(report.metrics),
            coverage=coverage(report.metrics),
            best=best(report),
            versions=versions(report),
            methods=METHODS,
            rows=rows(report),
            results_frame=results_frame(report),
            not_trusted=NOT_TRUSTED,
        )
    )
    return page


def draw(report: CampaignReport) -> tuple[dict[str, Figure], list[str]]:
    """Return the figures by their id on the page, and the names of the layers of the element-pair map."""
    drawn: dict[str, Figure | None] = {}
    layers: list[str] = []
    simple: list[tuple[str, Table | None, Callable[[Table], Figure]]] = [
        ("parity", report.cross_validation, figures_model.parity),
        ("learning-curve", report.learning_curve, figures_model.learning_curve),
        ("history", report.history, figures_model.history),
        ("histogram", report.predictions, lambda table: figures_model.histogram(table, window(report))),
    ]
    for name, table, function in simple:
        if table is not None and len(table.frame):
            drawn[name] = function(table)
    if report.predictions is not None and len(report.predictions.frame):
        layers, drawn["pairs"] = figures_model.element_pairs(report.predictions)
    drawn["enthalpies"] = figures_results.enthalpies(report.candidates)
    drawn["efficiencies"] = figures_results.efficiencies(report.candidates)
    for candidate in report.candidates:
        drawn |= {f"{kind}-{candidate.formula}": figure for kind, figure in draw_candidate(candidate).items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}, layers


def draw_candidate(candidate: Candidate) -> dict[str, Figure | None]:
    """Return the figures of a candidate's card by their kind; None where a node does not hold what it takes."""
    drawn: dict[str, Figure | None] = {}
    if candidate.structure is not None:
        drawn["structure"] = figures_crystal.structure(candidate.structure)
    if candidate.levels:
        drawn["levels"] = figures_electrons.levels(candidate)
    drawn["bands"] = figures_electrons.bands_and_densities(candidate.band_structure, candidate.densities)
    if candidate.absorption is not None:
        drawn["absorption"] = figures_cells.absorption(candidate.absorption, candidate.optics)
    if candidate.efficiency_curves is not None:
        drawn["current"] = figures_cells.current_voltage(candidate.efficiency_curves)
    return drawn


def window(report: CampaignReport) -> tuple[float, float] | None:
    """Return the window of gaps that the campaign looked for, eV."""
    for record in (report.settings.get("selection"), report.settings.get("prediction")):
        if record is not None and record.content.get("window_ev"):
            low, high = record.content["window_ev"]
            return float(low), float(high)
    return None


def baseline_rows(metrics: Record | None) -> list[dict[str, Any]]:
    """Return the network and the baselines, each with its errors, the smallest mean absolute error first."""
    if metrics is None or "mae_ev" not in metrics.numbers:
        return []
    rows = [
        {"name": "CNN ensemble", "ours": True, "mae": metrics.numbers["mae_ev"], "rmse": metrics.numbers.get("rmse_ev")}
    ]
    for name in metrics.content.get("baselines") or {}:
        mae = metrics.numbers.get(f"baselines.{name}.mae_ev")
        if mae is not None:
            rmse = metrics.numbers.get(f"baselines.{name}.rmse_ev")
            rows.append({"name": BASELINES.get(name, name.replace("_", " ")), "ours": False, "mae": mae, "rmse": rmse})
    return sorted(rows, key=lambda row: math.inf if row["mae"].value is None else row["mae"].value)


def coverage(metrics: Record | None) -> Number | None:
    """Return the share of held-out compounds within their 90 % interval."""
    names = ("interval_coverage_90", "interval_coverage")
    return next((metrics.numbers[name] for name in names if metrics and name in metrics.numbers), None)


def best(report: CampaignReport) -> Candidate | None:
    """Return the most efficient candidate that passed; where none has an efficiency, the highest-ranked."""
    passed = [item for item in report.candidates if item.verdict and item.verdict.content.get("passed")]
    own = [item for item in passed if not item.reference]
    # `max` keeps the first of equals, and candidates stand in the order of their rank.
    return max(own, key=lambda item: value(item.efficiency, "slme_percent") or -1.0, default=None)


def versions(report: CampaignReport) -> dict[str, str]:
    """Return name -> version of all software that the campaign's nodes name."""
    records = [report.model, *(part for item in report.candidates for part in (item.gap, item.geometry))]
    steps = [*report.training, *(step for item in report.candidates for step in item.steps)]
    return software(report.step, records, steps)


def status(candidate: Candidate) -> tuple[str, str]:
    """Return a short name for the state of a candidate, for styles, and what the reader is told."""
    if candidate.step is None:
        return "waiting", "waiting for its turn"
    if candidate.step.state in FAILED:
        return "failed", candidate.step.state
    if candidate.verdict is not None:
        passed = bool(candidate.verdict.content.get("passed"))
        words = "in the window" if candidate.verdict.content.get("stage", "gap") == "gap" else "passed"
        return ("passed", words) if passed else ("left", "left the funnel")
    if candidate.step.state == "finished":
        return "finished", "computed"
    return "running", candidate.step.state


def missing(candidate: Candidate) -> str:
    """Return a sentence that says what a candidate does not have, and why; nothing where it has everything."""
    absent = [words for name, words in PARTS.items() if getattr(candidate, name) is None]
    if not absent or candidate.step is None:
        return ""
    reasons = {
        "failed": "Missing, because the computation failed",
        "left": "Not computed, because the compound had left the funnel",
        "running": "Not there yet",
    }
    listed = ", ".join(absent[:-1]) + " and " + absent[-1] if len(absent) > 1 else absent[0]
    return f"{reasons.get(status(candidate)[0], 'Not part of what was computed')}: {listed}."


def edge_name(record: Record, edge: str, method: str) -> str:
    """Return the k-point of a band edge: its label where the engine gave one, else a name from its coordinates."""
    suffix = "" if method == "hse06_soc" else f"_{method}"
    label = record.content.get(f"{edge}_label{suffix}")
    if label:
        return str(label).replace("G", "Γ")
    place = record.content.get(f"{edge}_k{suffix}")
    if not place:
        return ""
    parts = place.split() if isinstance(place, str) else place
    return point_name(np.array([float(part) for part in parts]))


def warnings(candidate: Candidate) -> list[str]:
    """Return what a reader must know before believing the numbers of a candidate."""
    gap = candidate.gap.content if candidate.gap else {}
    notes = [str(note) for note in gap.get("warnings") or []]
    if doubtful(candidate):
        notes = [NOT_TRUSTED] + [note for note in notes if not note.startswith("PBE has no gap")]
    if candidate.deviation is not None and not inside_interval(candidate):
        notes.append("The computed gap lies outside the interval that the network gave.")
    return notes


def inside_interval(candidate: Candidate) -> bool | None:
    """Tell whether the computed gap lies in the predicted interval; None where one of them is missing."""
    parts = [candidate.predicted.get(name) for name in ("lower_ev", "upper_ev")]
    found = candidate.gap.numbers.get("gap_hse06_soc_ev") if candidate.gap else None
    values = [part.value if part is not None else None for part in (*parts, found)]
    low, high, value = values
    return None if low is None or high is None or value is None else low <= value <= high


TOLD = (
    *(status, missing, edge_name, warnings, inside_interval),
    *(pick, masses, masses_by_direction, space_group, comparisons, rise, doubtful),
)
"""What the templates of a campaign may call."""
