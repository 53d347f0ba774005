"""Figures of the electrons of one compound: levels, bands along a path beside densities of states."""

from __future__ import annotations

from typing import Any

import numpy as np

from aiida_perovskite.report.compounds import POINTS, point_name
from aiida_perovskite.report.contents import Arrays, BandPath, Candidate
from aiida_perovskite.report.plot import (
    BLUE,
    GREEN,
    LEGEND,
    NEUTRAL,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Figure,
    energy_axis,
    figure_of,
)

BELOW, ABOVE = 5.0, 6.0  # energies around the VBM that the bands and densities are drawn for, eV
# Lines of the largest projected densities, none of them like those of the bands.
PROJECTED = (
    (GREEN, "solid"),
    (ORANGE, "dash"),
    (PURPLE, "dot"),
    (SKY, "dashdot"),
    (BLUE, "longdash"),
    (VERMILION, "longdashdot"),
)
TOUCHING = 0.02  # a band that rises no further above the VBM than this counts as occupied, eV


def levels(candidate: Candidate, below: float = 3.0, above: float = 6.0) -> Figure:
    """Eigenvalues of each method at the k-points that were computed, as levels: nothing is drawn between the points.

    Energies are relative to the highest occupied level of the same method, as the nodes hold them.
    """
    import plotly.graph_objects as go

    data: list[Any] = []
    layout: dict[str, Any] = {}
    gap = candidate.gap.content if candidate.gap else {}
    for column, level in enumerate(candidate.levels):
        suffix = "" if column == 0 else str(column + 1)
        by_point: dict[str, set[float]] = {}
        for index, kpoint in enumerate(level.kpoints.values):
            energies = np.unique(level.energies.values[:, index, :].round(3))
            shown = energies[(energies > -below) & (energies < above)]
            by_point.setdefault(point_name(kpoint), set()).update(shown.tolist())
        names = [name for name in POINTS if name in by_point] + sorted(set(by_point) - set(POINTS))
        for occupied, colour, name in ((True, BLUE, "occupied"), (False, VERMILION, "empty")):
            x, y, text = _segments(by_point, names, occupied)
            data.append(
                go.Scatter(
                    x=x,
                    y=y,
                    text=text,
                    mode="lines",
                    line={"color": colour, "width": 2 if occupied else 1.6, "dash": "solid" if occupied else "4px,1px"},
                    name=name,
                    legendgroup=name,
                    showlegend=column == 0,
                    xaxis=f"x{suffix}",
                    yaxis="y",
                    hovertemplate="%{text}: %{y:.2f} eV<extra></extra>",
                )
            )
        width = 1 / len(candidate.levels)
        key = level.method.lower().replace("+", "_")
        value = gap.get(f"gap_{key}_ev")
        layout[f"xaxis{suffix}"] = {
            "domain": [column * width + 0.01, (column + 1) * width - 0.01],
            "anchor": "y",
            "showgrid": False,
            "zeroline": False,
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "range": [-0.6, len(names) - 0.4],
            "title": {"text": level.method + (f"<br>gap {value:.2f} eV" if value is not None else "")},
        }
    layout["yaxis"] = energy_axis("energy above the VBM (eV)", range=[-below, above])
    return figure_of(data, legend=LEGEND, **layout)


def _segments(
    by_point: dict[str, set[float]], names: list[str], occupied: bool
) -> tuple[list[float | None], list[float | None], list[str | None]]:
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    for place, name in enumerate(names):
        for energy in sorted(by_point[name]):
            # The highest occupied level is at 0 by construction; rounding leaves it there.
            if (energy <= 1e-3) == occupied:
                x += [place - 0.36, place + 0.36, None]
                y += [energy, energy, None]
                text += [name, name, None]
    return x, y, text


def bands_and_densities(path: BandPath | None, densities: Arrays | None) -> Figure | None:
    """Draw bands along the path beside the projected densities of states, on one axis of energy; None without either.

    The bands are relative to their own valence band maximum (with spin-orbit coupling), the densities to theirs.
    """
    if densities is not None and "energy_ev" not in densities.columns:
        densities = None
    if path is None and densities is None:
        return None
    data: list[Any] = []
    layout: dict[str, Any] = {}
    split = 0.62 if path and densities else 1.0 if path else 0.0
    if path:
        data += _band_traces(path)
        layout["xaxis"] = {**_path_axis(path), "domain": [0, split], "anchor": "y"}
    if densities:
        data += _density_traces(densities, "x2" if path else "x")
        layout["xaxis2" if path else "xaxis"] = {
            "domain": [split + 0.04 if path else 0, 1],
            "anchor": "y",
            "title": {"text": "states per eV and cell"},
            "rangemode": "tozero",
            "nticks": 4,
        }
    layout["yaxis"] = energy_axis("energy above the VBM (eV)", range=[-BELOW, ABOVE], domain=[0, 1])
    return figure_of(data, legend=LEGEND, hovermode="closest", **layout)


def _path_axis(path: BandPath) -> dict[str, Any]:
    """Return the axis along the path: its corners named, each place once."""
    names: dict[float, str] = {}
    for index, label in path.labels:
        place = round(float(path.distances.values[index]), 4)
        name = label.replace("GAMMA", "Γ").replace("G", "Γ")
        names[place] = name if names.get(place, name) == name else f"{names[place]}|{name}"
    return {
        "tickvals": list(names),
        "ticktext": list(names.values()),
        "range": [0, round(float(path.distances.values[-1]), 4)],
        "zeroline": False,
        "title": {"text": "k-point"},
    }


def _band_traces(path: BandPath) -> list[Any]:
    """Return the bands within the drawn energies, pairs of equal ones once, as one trace per occupation."""
    places = path.distances.values.round(4).tolist()
    bands = np.unique(np.concatenate(list(path.energies.values), axis=1).round(3).T, axis=0)
    bands = bands[(bands.max(axis=1) > -BELOW) & (bands.min(axis=1) < ABOVE)]
    filled = bands.max(axis=1) <= TOUCHING
    traces: list[Any] = []
    for chosen, colour, name in ((filled, BLUE, "occupied"), (~filled, VERMILION, "empty")):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": [*places, None] * int(chosen.sum()),
                "y": [value for band in bands[chosen].tolist() for value in (*band, None)],
                "line": {"color": colour, "width": 1.6, "dash": "solid" if name == "occupied" else "6px,1px"},
                "hovertemplate": name + ": %{y:.2f} eV<extra></extra>",
            }
        )
    return traces


def _density_traces(densities: Arrays, axis: str) -> list[Any]:
    """Return the total density of states as a filled ground, and the largest projected ones as lines."""
    columns = {name: part.values for name, part in densities.columns.items()}
    energies = columns["energy_ev"]
    shown = (energies > -BELOW) & (energies < ABOVE)
    y = energies[shown].round(3).tolist()
    parts = {name.removeprefix("dos_"): values[shown] for name, values in columns.items() if name.startswith("dos_")}
    traces: list[Any] = []
    if "total" in parts:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "total",
                "x": parts.pop("total").round(3).tolist(),
                "y": y,
                "xaxis": axis,
                "fill": "tozerox",
                "fillcolor": "rgba(128,136,144,0.18)",
                "line": {"color": NEUTRAL, "width": 1},
                "hovertemplate": "total: %{x:.2f} at %{y:.2f} eV<extra></extra>",
            }
        )
    largest = sorted(parts, key=lambda name: -float(parts[name].sum()))[: len(PROJECTED)]
    for (colour, dash), name in zip(PROJECTED, largest, strict=False):
        label = name.replace("_", " ")
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": label,
                "x": parts[name].round(3).tolist(),
                "y": y,
                "xaxis": axis,
                "line": {"color": colour, "width": 1.7, "dash": dash},
                "hovertemplate": label + ": %{x:.2f} at %{y:.2f} eV<extra></extra>",
            }
        )
    return traces
