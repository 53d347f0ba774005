"""Figures of a benchmark of generators: metrics, saturation, energies, elements, distances of classes, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_perovskite.report.benchmark_contents import THESIS, label
from aiida_perovskite.report.periodic import place
from aiida_perovskite.report.plot import (
    BLUE,
    DASHES,
    GREEN,
    LEGEND,
    NEUTRAL,
    ORANGE,
    PURPLE,
    SERIES,
    SKY,
    SYMBOLS,
    Figure,
    figure_of,
)

if TYPE_CHECKING:
    import pandas as pd

METRICS = (
    ("precision", "precision (%)", 100),
    ("coverage", "coverage (%)", 100),
    ("js_distance", "JS distance", 1),
)
SITES = ("A", "B", "C", "D")
GROUPS, PERIODS = 8, 6
_GAP = 0.05  # between panels, of the width of a figure


def metrics(frame: pd.DataFrame) -> Figure:
    """Precision, coverage and JS distance of each model, the thesis's beside them (tables 7.5 to 7.7)."""
    models = list(dict.fromkeys(label(model) for model in frame["model"]))
    thesis = frame["model"].str.startswith(THESIS)
    data: list[Any] = []
    layout: dict[str, Any] = {}
    for number, (metric, title, factor) in enumerate(METRICS):
        for name, rows, colour, symbol in (
            ("here", frame[~thesis], BLUE, "circle"),
            ("thesis", frame[thesis], ORANGE, "diamond-open"),
        ):
            rows = rows[rows[metric].notna()]
            if not len(rows):
                continue
            spread = factor * rows[f"{metric}_std"].fillna(0)
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": name,
                    "legendgroup": name,
                    "showlegend": number == 0,
                    "x": (factor * rows[metric]).round(4).tolist(),
                    "y": [label(model) for model in rows["model"]],
                    "error_x": {"array": spread.round(4).tolist(), "color": colour, "thickness": 1.5, "width": 4},
                    "customdata": [
                        f" ± {value:.3g}" if value == value else "" for value in factor * rows[f"{metric}_std"]
                    ],
                    "marker": {"color": colour, "symbol": symbol, "size": 9, "line": {"width": 2}},
                    "hovertemplate": f"<b>%{{y}}</b>, {name}<br>{title} %{{x:.3g}}%{{customdata}}<extra></extra>",
                    **_axes(number),
                }
            )
        layout |= _panel(number, title, {"rangemode": "tozero", "zeroline": False})
        layout[f"yaxis{_suffix(number)}"] |= {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": models[::-1],
            "range": [-0.5, len(models) - 0.5],
            "showticklabels": number == 0,
            "dtick": 1,
        }
    return figure_of(data, legend=LEGEND, hovermode="closest", **layout)


PARTS = (
    ("novel, right class", BLUE, lambda row: row["novel_right"]),
    ("novel, neighbouring class", SKY, lambda row: row["novel_neighbour"]),
    (
        "novel, other classes",
        PURPLE,
        lambda row: row["novel"] - row["novel_right"] - row["novel_neighbour"],
    ),
    ("rediscoveries", GREEN, lambda row: row["rediscovered"]),
    ("repetitions", NEUTRAL, lambda row: row["repeated"]),
)


def saturation(frame: pd.DataFrame, models: list[str]) -> Figure:
    """Kinds of samples as the sample grows, added up (figures 7.4 and 7.7); a layer per model."""
    data = []
    for index, model in enumerate(models):
        rows = frame[frame["model"] == model]
        for name, colour, count in PARTS:
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": name,
                    "x": [0, *rows["n_valid"].tolist()],
                    "y": [0, *count(rows).round(2).tolist()],
                    "stackgroup": str(index),
                    "line": {"color": colour, "width": 1},
                    "meta": index,
                    "visible": index == 0,
                    "hovertemplate": f"%{{y:,.0f}} {name}<extra></extra>",
                }
            )
    return figure_of(
        data,
        hovermode="x unified",
        legend=LEGEND,
        xaxis={
            "title": {"text": f"samples of {label(models[0])}" if len(models) == 1 else "samples"},
            "zeroline": False,
        },
        yaxis={"title": {"text": "samples, by kind"}, "zeroline": False},
    )


def coverage(frame: pd.DataFrame, models: list[str]) -> Figure:
    """Coverage of the class as the sample grows."""
    data = []
    for index, model in enumerate(models):
        rows = frame[frame["model"] == model]
        data.append(
            {
                **_line(index, label(model)),
                "x": [0, *rows["n_valid"].tolist()],
                "y": [0, *(100 * rows["coverage"]).round(3).tolist()],
                "hovertemplate": f"<b>{label(model)}</b><br>%{{x:,}} samples: %{{y:.3g}} %<extra></extra>",
            }
        )
    return figure_of(
        data,
        hovermode="closest",
        legend=LEGEND,
        xaxis={"title": {"text": "samples"}, "zeroline": False},
        yaxis={"title": {"text": "coverage of the class (%)"}, "zeroline": False, "rangemode": "tozero"},
    )


def energies(frame: pd.DataFrame, models: list[str], window: tuple[float, float]) -> Figure:
    """Energies of the different compositions that were proposed, beside the training set's (figure 7.5)."""
    data = []
    shown = frame[frame["share"] > 0]
    low, high = float(shown["lower_ev_per_atom"].min()), float(shown["upper_ev_per_atom"].max())
    sources = [("training", NEUTRAL, "dash"), ("truth", NEUTRAL, "dot")]
    for source, colour, dash in sources:
        data.append(
            _steps(frame[frame["source"] == source], label(source), {"color": colour, "dash": dash, "width": 2})
        )
    for index, model in enumerate(models):
        rows = frame[frame["source"] == model]
        if len(rows):
            line = {
                "color": SERIES[index % len(SERIES)],
                "dash": DASHES[index // len(SERIES) % len(DASHES)],
                "width": 2,
            }
            data.append(_steps(rows, label(model), line))
    band = {
        "type": "rect",
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "x0": window[0],
        "x1": window[1],
        "fillcolor": "rgba(230,159,0,0.13)",
        "line": {"width": 0},
        "layer": "below",
    }
    return figure_of(
        data,
        shapes=[band],
        hovermode="closest",
        legend=LEGEND,
        xaxis={"title": {"text": "formation energy (eV/atom)"}, "zeroline": False, "range": [low - 0.1, high + 0.1]},
        yaxis={"title": {"text": "different compositions (%)"}, "zeroline": False, "rangemode": "tozero"},
    )


def _steps(rows: pd.DataFrame, name: str, line: dict[str, Any]) -> dict[str, Any]:
    middle = (rows["lower_ev_per_atom"] + rows["upper_ev_per_atom"]) / 2
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": middle.round(3).tolist(),
        "y": (100 * rows["share"]).round(3).tolist(),
        "line": {**line, "shape": "hvh"},
        "hovertemplate": f"<b>{name}</b><br>%{{x:.1f}} ± 0.1 eV/atom: %{{y:.3g}} %<extra></extra>",
    }


def elements(frame: pd.DataFrame, sources: list[str]) -> Figure:
    """Shares of the elements on the sites: the full space above, one of the sources below (figure 7.6).

    Colours go by the square root of the share, up to the largest one of the site in the full space: one element may
    hold nearly all of D, and the others would not be seen beside it.
    """
    truth = frame[frame["source"] == "truth"]
    data: list[Any] = []
    layout: dict[str, Any] = {}
    notes: list[Any] = []
    for number, site in enumerate(SITES):
        top = float(np.sqrt(truth.loc[truth["site"] == site, "share"].max() or 1))
        data.append({**_table(truth[truth["site"] == site], "full space", top), **_axes(number)})
        data.append({**_caption("full space"), **_axes(number)})
        for index, source in enumerate(sources):
            rows = frame[(frame["source"] == source) & (frame["site"] == site)]
            shown = {"meta": index, "visible": index == 0}
            data.append({**_table(rows, label(source), top), **shown, **_axes(number + len(SITES))})
            data.append({**_caption(label(source)), **shown, **_axes(number + len(SITES))})
        for row, (bottom, height) in enumerate(((0.53, 0.43), (0.0, 0.43))):
            suffix = _suffix(number + row * len(SITES))
            bare = {"showgrid": False, "zeroline": False, "showline": False, "showticklabels": False, "ticks": ""}
            left = number * 0.255
            layout[f"xaxis{suffix}"] = {
                **bare,
                "domain": [left, left + 0.235],
                "range": [-0.5, GROUPS - 0.5],
                "anchor": f"y{suffix}",
            }
            layout[f"yaxis{suffix}"] = {
                **bare,
                "domain": [bottom, bottom + height],
                "range": [PERIODS - 0.5, -0.5],
                "anchor": f"x{suffix}",
            }
        notes.append(_note(f"<b>site {site}</b>", number * 0.255 + 0.1175, 1.0, "bottom"))
    return figure_of(data, annotations=notes, showlegend=False, **layout)


def _caption(text: str) -> dict[str, Any]:
    """Write into the gap between hydrogen and helium."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": [(GROUPS - 1) / 2],
        "y": [0],
        "text": [text],
        "textfont": {"color": NEUTRAL},
        "hoverinfo": "skip",
    }


def _table(rows: pd.DataFrame, source: str, top: float) -> dict[str, Any]:
    """Return a heat map of the main groups, eight columns wide."""
    values: list[list[float | None]] = [[None] * GROUPS for _ in range(PERIODS)]
    text, hover = ([[""] * GROUPS for _ in range(PERIODS)] for _ in range(2))
    for symbol, share, spread in zip(rows["element"], rows["share"], rows["share_std"], strict=True):
        found = place(symbol)
        if found is None:
            continue
        column, row = found[0] if found[0] < 2 else found[0] - 10, found[1]
        values[row][column], text[row][column] = round(float(np.sqrt(share)), 5), symbol
        spread_words = f" ± {100 * spread:.2g}" if spread == spread else ""
        hover[row][column] = f"<b>{symbol}</b>, {source}<br>{100 * share:.3g}{spread_words} %"
    return {
        "type": "heatmap",
        "z": values,
        "text": text,
        "hovertext": hover,
        "texttemplate": "%{text}",
        "hovertemplate": "%{hovertext}<extra></extra>",
        "hoverongaps": False,
        "colorscale": "Cividis",
        "zmin": 0,
        "zmax": round(top, 5),
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }


def js_matrix(frame: pd.DataFrame) -> Figure:
    """JS distances of the classes of the training set, and of the full space, to those of the full space (7.2)."""
    columns = [name for name in frame.columns if name.startswith("truth_class_")]
    classes = [name.removeprefix("truth_class_") for name in columns]
    values = frame[columns].to_numpy(dtype=float)
    top = float(np.nanmax(values, initial=0.01))
    data: list[Any] = []
    layout: dict[str, Any] = {}
    notes: list[Any] = []
    for number, (name, title) in enumerate((("training", "training set"), ("truth", "full space"))):
        grid = frame.loc[frame["set"] == name, columns].to_numpy(dtype=float)
        cells = [[None if np.isnan(one) else round(float(one), 4) for one in row] for row in grid]
        data.append(
            {
                "type": "heatmap",
                "z": cells,
                "x": classes,
                "y": frame.loc[frame["set"] == name, "class"].astype(str).tolist(),
                "zmin": 0,
                "zmax": round(top, 4),
                "colorscale": "Cividis",
                "showscale": number == 1,
                "colorbar": {"title": {"text": "JS distance", "side": "right"}, "thickness": 12},
                "text": [["" if one is None else f"{one:.2f}" for one in row] for row in cells],
                "texttemplate": "%{text}",
                "textfont": {"size": 10},
                "hovertemplate": (
                    f"class %{{y}} of the {title},<br>class %{{x}} of the full space: %{{z:.3f}}<extra></extra>"
                ),
                **_axes(number),
            }
        )
        suffix, left = _suffix(number), 0.53 * number
        axis = {"type": "category", "showgrid": False, "dtick": 1}
        layout[f"xaxis{suffix}"] = {
            **axis,
            "title": {"text": "class of the full space"},
            "domain": [left, left + 0.47],
            "anchor": f"y{suffix}",
        }
        layout[f"yaxis{suffix}"] = {
            **axis,
            "title": {"text": f"class of the {title}"},
            "autorange": "reversed",
            "anchor": f"x{suffix}",
        }
        notes.append(_note(f"<b>{title}</b>", left + 0.235, 1.0, "bottom"))
    return figure_of(data, annotations=notes, showlegend=False, **layout)


def sizes(frame: pd.DataFrame, models: list[str]) -> Figure:
    """Metrics by size of the training set (figure 7.9); `models` keep the colours of the other figures."""
    data: list[Any] = []
    layout: dict[str, Any] = {}
    present = set(frame["model"])
    for number, (metric, title, factor) in enumerate(METRICS):
        for index, model in enumerate(dict.fromkeys([*models, *frame["model"]])):
            if model not in present:
                continue
            rows = frame[(frame["model"] == model) & frame[metric].notna()].sort_values("training_rows")
            column = f"{metric}_std"
            spread = factor * rows[column].fillna(0) if column in rows else 0 * rows[metric]
            line = _line(index, label(model))
            data.append(
                {
                    **line,
                    "mode": "lines+markers",
                    "legendgroup": model,
                    "showlegend": number == 0,
                    "marker": {**line["marker"], "size": 6},
                    "x": rows["training_rows"].tolist(),
                    "y": (factor * rows[metric]).round(4).tolist(),
                    "error_y": {"array": spread.round(4).tolist(), "thickness": 1, "width": 2},
                    "customdata": [f" ± {one:.2g}" if one else "" for one in spread],
                    "hovertemplate": (
                        f"<b>{label(model)}</b>, %{{x:,}} rows<br>{title} %{{y:.3g}}%{{customdata}}<extra></extra>"
                    ),
                    **_axes(number),
                }
            )
        ticks = sorted(set(frame["training_rows"].tolist()))
        words = [f"{one / 1000:.0f}k" if one >= 1000 else str(one) for one in ticks]
        axis = {"type": "log", "zeroline": False, "tickvals": ticks, "ticktext": words, "tickangle": 0}
        layout |= _panel(number, "training rows", axis)
        layout[f"yaxis{_suffix(number)}"] |= {"title": {"text": title}, "rangemode": "tozero", "zeroline": False}
    return figure_of(data, legend=LEGEND, hovermode="closest", **layout)


def pareto(draws: pd.DataFrame, limit: float) -> Figure:
    """Draws of a search by what the training rows say of them (figure 7.3): the front, the limit, and the choice."""
    found = draws[draws["training_js_distance"].notna()].sort_values("training_js_distance")
    front = found[found["on_front"]]
    data: list[Any] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "Pareto front",
            "x": front["training_js_distance"].round(4).tolist(),
            "y": front["unique"].tolist(),
            "line": {"color": BLUE, "width": 2, "dash": "dot"},
            "hoverinfo": "skip",
        }
    ]
    for name, rows, colour, symbol, size in (
        ("draws", found[~found["on_front"]], NEUTRAL, "circle", 8),
        ("on the front", front[~front["chosen"]], BLUE, "square", 9),
        ("chosen", found[found["chosen"]], ORANGE, "diamond", 14),
    ):
        spreads = [
            {
                "array": (rows[f"{key}_max"] - rows[key]).round(4).tolist(),
                "arrayminus": (rows[key] - rows[f"{key}_min"]).round(4).tolist(),
                "symmetric": False,
                "thickness": 1,
                "width": 0,
            }
            for key in ("training_js_distance", "unique")
        ]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": rows["training_js_distance"].round(4).tolist(),
                "y": rows["unique"].tolist(),
                "error_x": spreads[0],
                "error_y": spreads[1],
                "text": [f"draw {number}" for number in rows["draw"]],
                "marker": {"color": colour, "symbol": symbol, "size": size},
                "hovertemplate": "<b>%{text}</b><br>JS distance %{x:.3f}, %{y:,.0f} different<extra></extra>",
            }
        )
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": limit, "x1": limit}
    return figure_of(
        data,
        shapes=[{**line, "line": {"color": NEUTRAL, "width": 1, "dash": "dash"}}],
        hovermode="closest",
        legend=LEGEND,
        xaxis={"title": {"text": "JS distance to the training rows of the class"}, "zeroline": False},
        yaxis={"title": {"text": "different compositions"}, "zeroline": False, "rangemode": "tozero"},
    )


def _line(index: int, name: str) -> dict[str, Any]:
    colour = SERIES[index % len(SERIES)]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "line": {"color": colour, "width": 2, "dash": DASHES[index // len(SERIES) % len(DASHES)]},
        "marker": {"color": colour, "symbol": SYMBOLS[index % len(SYMBOLS)]},
    }


def _suffix(number: int) -> str:
    return str(number + 1) if number else ""


def _axes(number: int) -> dict[str, Any]:
    return {"xaxis": f"x{_suffix(number)}", "yaxis": f"y{_suffix(number)}"}


def _panel(number: int, title: str, x: dict[str, Any]) -> dict[str, Any]:
    """Return the axes of one of three panels side by side."""
    suffix, width = _suffix(number), (1 - 2 * _GAP) / 3
    left = number * (width + _GAP)
    return {
        f"xaxis{suffix}": {**x, "title": {"text": title}, "domain": [left, left + width], "anchor": f"y{suffix}"},
        f"yaxis{suffix}": {"anchor": f"x{suffix}"},
    }


def _note(text: str, x: float, y: float, yanchor: str) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "center",
        "yanchor": yanchor,
        "text": text,
        "showarrow": False,
        "font": {"size": 14},
    }
