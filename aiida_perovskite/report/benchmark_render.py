"""Turn the files of a benchmark of generators into one HTML page that needs nothing else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from aiida_perovskite.report import benchmark_figures as figures
from aiida_perovskite.report.benchmark_contents import FRAMES, THESIS, BenchmarkReport, label, read_benchmark
from aiida_perovskite.report.downloads import plain, rounded
from aiida_perovskite.report.page import environment
from aiida_perovskite.report.plot import Figure
from aiida_perovskite.report.write import write_page

if TYPE_CHECKING:
    import pandas as pd

TABLES = (*FRAMES, "sizes")


def write_benchmark(folder: str | Path, path: str | Path, sizes: str | Path | None = None) -> Path:
    """Write the report of a benchmark of generators as one HTML file.

    Parameters
    ----------
    folder
        Where the benchmark wrote its files.
    path
        Where to write; an existing report is replaced in one step.
    sizes
        A CSV of metrics by training-set size, as ``benchmarks/generative_class.py --sizes`` writes it.

    Returns
    -------
    path
        Of the report, absolute.

    Raises
    ------
    ValueError
        If a file is missing or damaged.
    OSError
        If the page cannot be written; nothing is left behind then.
    """
    return write_page(render_benchmark(read_benchmark(Path(folder), None if sizes is None else Path(sizes))), path)


def render_benchmark(report: BenchmarkReport) -> str:
    """Return the page."""
    tables = {name: getattr(report, name) for name in TABLES if getattr(report, name) is not None}
    page: str = (
        environment(table_button, label, share, distance, decimal, whole, is_thesis)
        .get_template("benchmark.html.j2")
        .render(
            report=report,
            figures=draw(report),
            data={"schema": 1, "summary": report.summary, "tables": {k: as_columns(one) for k, one in tables.items()}},
            tables=tables,
            sources=sources(report),
            drawn=drawn_models(report),
            js=Markup(""),
            shown_data={
                name: [round(one, 4) for one in value] if name == "class_edges_ev_per_atom" else value
                for name, value in report.summary["data"].items()
            },
        )
    )
    return page


def draw(report: BenchmarkReport) -> dict[str, Figure]:
    """Return the figures by their id on the page."""
    drawn = {"js": figures.js_matrix(report.js_matrix)}
    edges = report.summary["data"]["class_edges_ev_per_atom"]
    for number in report.classes:
        models = drawn_models(report)[number]
        if models:
            drawn[f"metrics/{number}/"] = figures.metrics(report.of_class(report.metrics, number))
            curves = report.of_class(report.saturation, number)
            drawn[f"saturation/{number}/"] = figures.saturation(curves, models)
            drawn[f"coverage/{number}/"] = figures.coverage(curves, models)
        energies = report.of_class(report.energies, number)
        drawn[f"energies/{number}/"] = figures.energies(energies, models, (edges[number - 1], edges[number]))
        drawn[f"elements/{number}/"] = figures.elements(
            report.of_class(report.elements, number), sources(report)[number]
        )
    if report.sizes is not None:
        drawn["sizes"] = figures.sizes(report.sizes, report.models)
    return drawn


def drawn_models(report: BenchmarkReport) -> dict[int, list[str]]:
    """Return by class the models of which at least one fit gave samples."""
    found = {}
    for number in report.classes:
        rows = report.of_class(report.metrics, number)
        good = set(rows.loc[rows["fits"] > 0, "model"])
        found[number] = [model for model in report.models if model in good]
    return found


def sources(report: BenchmarkReport) -> dict[int, list[str]]:
    """Return by class what is drawn beside the full space."""
    return {number: ["training", *models] for number, models in drawn_models(report).items()}


def share(mean: float, std: float) -> str:
    """Return a share and its spread in percent."""
    return "–" if _none(mean) else f"{100 * mean:.1f}" + ("" if _none(std) else f" ± {100 * std:.1f}")


def distance(mean: float, std: float) -> str:
    """Return a distance and its spread."""
    return "–" if _none(mean) else f"{mean:.3f}" + ("" if _none(std) else f" ± {std:.3f}")


def decimal(mean: float, std: float) -> str:
    """Return a number of moderate size and its spread."""
    return "–" if _none(mean) else f"{mean:.1f}" + ("" if _none(std) else f" ± {std:.1f}")


def whole(mean: float, std: float) -> str:
    """Return a mean count and its spread."""
    return "–" if _none(mean) else f"{mean:,.0f}" + ("" if _none(std) else f" ± {std:,.0f}")


def is_thesis(model: str) -> bool:
    """Tell whether a row is the thesis's."""
    return model.startswith(THESIS)


def table_button(name: str) -> Markup:
    """Return a button that saves a table of the page's data as CSV."""
    return Markup('<button type="button" class="download" data-table="{0}">{0}.csv</button>').format(name)


def as_columns(frame: pd.DataFrame) -> dict[str, Any]:
    """Return a table as JSON can hold it."""
    return {"columns": {str(name): [plain(one) for one in values] for name, values in rounded(frame).items()}}


def _none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
