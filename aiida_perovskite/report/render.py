"""Turn a collected campaign into one HTML page that needs nothing else: no network, no profile, no other file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aiida_perovskite.report import (
    figures_cells,
    figures_crystal,
    figures_electrons,
    figures_model,
    figures_results,
)
from aiida_perovskite.report.compounds import point_name, pretty
from aiida_perovskite.report.contents import (
    Array,
    CampaignReport,
    Candidate,
    Number,
    Record,
    Source,
    Table,
    value,
    walk,
)
from aiida_perovskite.report.diagram import provenance_diagram
from aiida_perovskite.report.downloads import array_values, columns, csv_link, frame_links, structure_links
from aiida_perovskite.report.plot import Figure
from aiida_perovskite.report.results import comparisons, masses, pick, results_frame, rows, space_group

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
        _environment()
        .get_template("campaign.html.j2")
        .render(
            report=report,
            figures=drawn,
            layers=layers,
            window=window(report),
            data=report_data(report),
            tables={path: table for path, table in walk(report) if isinstance(table, Table)},
            css=_asset("campaign.css"),
            js=_asset("campaign.js"),
            plotly=_plotly(),
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


def report_data(report: CampaignReport) -> dict[str, Any]:
    """Return every number of the report with the UUID of the node that holds it, and what these nodes are."""
    data: dict[str, Any] = {"schema": 1, "campaign": report.name, "numbers": {}, "arrays": {}, "tables": {}}
    sources: dict[str, Source] = {report.step.source.uuid: report.step.source}
    for path, part in walk(report):
        sources.setdefault(part.source.uuid, part.source)
        if isinstance(part, Number):
            data["numbers"][path] = {"value": part.value, "source": part.source.uuid, "key": part.key}
        elif isinstance(part, Array):
            data["arrays"][path] = {"values": array_values(part), "source": part.source.uuid, "key": part.key}
        else:
            data["tables"][path] = {"columns": columns(part), "source": part.source.uuid}
    data["sources"] = {
        uuid: {"pk": one.pk, "kind": one.kind, "link_label": one.link_label} for uuid, one in sources.items()
    }
    return data


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
    """Return name -> version of all software that the campaign's nodes name; several versions are listed together."""
    records = [report.model, *(part for item in report.candidates for part in (item.gap, item.geometry))]
    found: dict[str, set[str]] = {}
    for record in records:
        for name, version in ((record.content.get("versions") or {}) if record else {}).items():
            found.setdefault(str(name).replace("_", "-"), set()).add(str(version))
    steps = [report.step, *report.training, *(step for item in report.candidates for step in item.steps)]
    for step in steps:
        if "core" in step.versions:
            found.setdefault("aiida-core", set()).add(step.versions["core"])
    found.setdefault("aiida-perovskite", set()).update({report.step.versions.get("plugin", "")} - {""})
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items()) if values}


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
    if gap.get("pbe_gapless"):
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


def number(item: Number | None, form: str = ".2f", unit: str = "", factor: float = 1) -> Markup:
    """Return a number as HTML that names its node; a dash where there is none.

    ``factor`` turns the unit of the node, whose value stays in the HTML, into the one shown.
    """
    if item is None or item.value is None:
        return Markup('<span class="none">–</span>')
    text = format(item.value * factor if factor != 1 else item.value, form)
    text = text.replace("-", "−").replace("%", "\N{NO-BREAK SPACE}%")
    tip = f"{item.source.kind} {item.source.uuid}: {item.key}"
    unit = f"\N{NO-BREAK SPACE}{unit}" if unit else ""
    return Markup('<data value="{}" data-source="{}" title="{}">{}{}</data>').format(
        item.value, item.source.uuid, tip, text, unit
    )


def formula(text: str) -> Markup:
    """Return the chemist's spelling with lowered digits."""
    parts = [Markup("<sub>{}</sub>").format(part) if part.isdigit() else escape(part) for part in pretty(text)]
    return Markup("").join(parts)


def uuid(source: Source | str) -> Markup:
    """Return a button with the short UUID that copies the whole one."""
    text = source if isinstance(source, str) else source.uuid
    return Markup('<button type="button" class="uuid" data-uuid="{0}" title="{0} (click to copy)">{1}</button>').format(
        text, text[:8]
    )


def moment(when: datetime) -> str:
    """Return a time as text, to the minute and with its zone."""
    return when.strftime("%Y-%m-%d %H:%M %Z").strip()


def duration(seconds: float) -> str:
    """Return a duration in the largest sensible units."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _flat(content: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the leaves of nested settings; lists of plain values stay together."""
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _flat(value, f"{path}.{key}".lstrip("."))
    else:
        text = ", ".join(map(str, content)) if isinstance(content, list) else "–" if content is None else str(content)
        yield path, text


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("aiida_perovskite.report"),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
    )
    # `tojson` writes < as \u003c, so that no text of a node can end the script element it stands in.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    shown = (number, formula, uuid, csv_link, frame_links, structure_links, moment, duration)
    told = (status, missing, edge_name, warnings, inside_interval, pick, masses, space_group, comparisons)
    environment.globals.update({function.__name__: function for function in (*shown, *told)})
    environment.filters.update(flat=_flat, pretty=pretty, log_share=_log_share)
    return environment


def _log_share(count: float, largest: float) -> float:
    """Return the length of a bar in percent on a logarithmic scale that starts at 0."""
    return round(100 * math.log1p(count) / math.log1p(max(largest, 1)), 2)


def _asset(name: str) -> Markup:
    """Return a file of the templates as it is."""
    return Markup((resources.files("aiida_perovskite.report") / "templates" / name).read_text(encoding="utf-8"))


@cache
def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())
