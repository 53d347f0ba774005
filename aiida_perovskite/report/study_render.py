"""Turn the files of a search for settings, or of a study of training-set sizes, into one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from aiida_perovskite.limits import MAX_JSON, parse_json, read_frame, read_text
from aiida_perovskite.report import benchmark_figures as figures
from aiida_perovskite.report.benchmark_contents import label, with_orders
from aiida_perovskite.report.benchmark_render import as_columns, table_button
from aiida_perovskite.report.page import environment
from aiida_perovskite.report.write import write_page

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "summary.json"
TABLES = {"search": ("draws", "fits"), "sizes": ("metrics",)}


def write_study(folder: str | Path, path: str | Path) -> Path:
    """Write the report of a search or of a study of sizes as one HTML file.

    Parameters
    ----------
    folder
        Where `benchmark search` or `benchmark sizes` wrote their files.
    path
        Where to write; an existing report is replaced in one step.

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
    return write_page(render_study(Path(folder)), path)


def render_study(folder: Path) -> str:
    """Return the page."""
    try:
        summary = parse_json(read_text(folder / SUMMARY, MAX_JSON))
        tables = {name: read_frame(folder / f"{name}.csv") for name in TABLES[summary["kind"]]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder} does not hold the files of a search or a study of sizes: {error}") from None
    search = summary["kind"] == "search"
    page: str = (
        environment(table_button, cell, shown)
        .get_template("study.html.j2")
        .render(
            search=search,
            all_far=search and not near(summary, tables),
            name=folder.resolve().name,
            summary=summary,
            figures={"study": draw(search, summary, tables)},
            data={"schema": 1, "summary": summary, "tables": {key: as_columns(one) for key, one in tables.items()}},
            tables=tables,
            models=[label(summary["settings"]["model"])] if search else [label(m) for m in tables["metrics"]["model"]],
            js=Markup(""),
        )
    )
    return page


def near(summary: dict[str, Any], tables: dict[str, pd.DataFrame]) -> bool:
    """Return whether a draw is as near to the training rows as is wanted."""
    return bool((tables["draws"]["training_js_distance"] <= summary["result"]["most_js_distance"]).any())


def draw(search: bool, summary: dict[str, Any], tables: dict[str, pd.DataFrame]) -> figures.Figure:
    """Return the figure of the page."""
    if search:
        return figures.pareto(tables["draws"], summary["result"]["most_js_distance"])
    frame = with_orders(tables["metrics"])
    return figures.sizes(frame, list(dict.fromkeys(frame["model"])))


def shown(frame: pd.DataFrame) -> list[str]:
    """Return the columns that the page shows; the figure has the extremes, and the downloads everything."""
    return [str(name) for name in frame if not str(name).endswith(("_min", "_max", "_neighbour", "_neighbour_std"))]


def cell(value: Any) -> str:
    """Return a value of a table as text: a dash for none, few digits."""
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
