"""Figures that compare the compounds of a campaign: stability against gap, efficiency against thickness."""

from __future__ import annotations

from typing import Any

import numpy as np

from aiida_perovskite.report.compounds import pretty
from aiida_perovskite.report.contents import Candidate, value
from aiida_perovskite.report.plot import BLUE, LEGEND, NEUTRAL, SERIES, VERMILION, Figure, energy_axis, figure_of

METASTABLE = -50.0  # meV/atom: compounds above this are known to be made all the same
THICKEST = 5.0  # um
LEADER = 1.15  # of the last thickness: where the name of a line stands
MANY = 12  # compounds from which on a figure needs the whole width of the page
LARGE, SMALL = (1080.0, 430.0), (480.0, 330.0)  # pixels of a plot on an ordinary screen: names are placed for these
NAME, MARK = (70.0, 14.0), (11.0, 11.0)  # pixels of a name and of a mark


def enthalpies(candidates: tuple[Candidate, ...]) -> Figure | None:
    """Decomposition enthalpy against gap: by the stated reaction, and by the most favourable one of all.

    None where no candidate has both.
    """
    names, marks = [], []
    stated, lowest = [], []
    for item in candidates:
        gap, height = value(item.gap, "gap_hse06_soc_ev"), value(item.stability, "binary.mev_per_atom")
        if gap is None or height is None:
            continue
        names.append(pretty(item.formula))
        marks.append("star" if item.reference else "circle")
        stated.append((round(gap, 4), round(height, 2)))
        hull = value(item.stability, "hull.mev_per_atom")
        lowest.append((round(gap, 4), np.nan if hull is None else round(hull, 2)))
    if not names:
        return None
    points, others = np.array(stated), np.array(lowest)
    heights = np.concatenate([points[:, 1], others[:, 1], [METASTABLE, 20.0]])
    ranges = [_widened(points[:, 0], 0.12), _widened(heights, 0.1)]
    free = others[np.isfinite(others[:, 1])]
    return figure_of(
        [
            _drops(points, others),
            _points("into binary halides", names, points, marks, BLUE),
            _points("most favourable decomposition", names, others, ["diamond-open"] * len(names), VERMILION),
        ],
        xaxis=energy_axis("gap, HSE06 with spin-orbit coupling (eV)", range=ranges[0]),
        yaxis=energy_axis("decomposition enthalpy (meV/atom)", range=ranges[1]),
        shapes=_stability_bands(ranges[1][1]),
        annotations=[
            _band_name("stable", 0.0),
            _band_name("metastable", METASTABLE),
            *point_names(names, points, free, ranges),
        ],
        legend=LEGEND,
        showlegend=True,
        hovermode="closest",
    )


def _points(name: str, names: list[str], points: np.ndarray, symbols: list[str], colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "customdata": names,
        "marker": {"color": colour, "symbol": symbols, "size": 10, "line": {"width": 1.5, "color": colour}},
        "hovertemplate": "<b>%{customdata}</b><br>gap %{x:.2f} eV<br>" + name + ": %{y:+.0f} meV/atom<extra></extra>",
    }


def _drops(points: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    """Return thin lines from each compound's one value to its other."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [x for gap in points[:, 0].tolist() for x in (gap, gap, None)],
        "y": [y for top, low in np.stack([points[:, 1], others[:, 1]], axis=1).tolist() for y in (top, low, None)],
        "line": {"color": NEUTRAL, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _widened(values: np.ndarray, share: float) -> list[float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = share * ((high - low) or 1.0)
    return [round(low - margin, 4), round(high + margin, 4)]


def _stability_bands(top: float) -> list[dict[str, Any]]:
    shape = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "line": {"width": 0}, "layer": "below"}
    zero = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "layer": "below"}
    return [
        {**shape, "y0": METASTABLE, "y1": 0, "fillcolor": "rgba(230,159,0,0.16)"},
        {**shape, "y0": 0, "y1": top, "fillcolor": "rgba(0,158,115,0.12)"},
        {**zero, "line": {"color": NEUTRAL, "width": 1}},
    ]


def _band_name(text: str, height: float) -> dict[str, Any]:
    place = {"xref": "paper", "x": 1, "xanchor": "right", "y": height, "yanchor": "bottom"}
    return {**place, "text": f"<i>{text}</i>", "showarrow": False, "bgcolor": "rgba(0,0,0,0)"}


def point_names(names: list[str], points: np.ndarray, others: np.ndarray, ranges: list[list[float]]) -> list[Any]:
    """Name points where the least of points, marks and names placed before is covered, with a line where that is far.

    Parameters
    ----------
    names, points
        Of n points, (n, 2) in units of the axes.
    others
        Marks to keep free as well, (m, 2).
    ranges
        Of both axes.
    """
    low, high = np.array(ranges).T
    pixels = np.array(LARGE if len(names) > MANY else SMALL)
    spots = (points - low) / (high - low) * pixels
    taken = [(*spot, *MARK) for spot in (*spots, *((others - low) / (high - low) * pixels))]
    turns = np.linspace(0, 2 * np.pi, 16, endpoint=False) + np.pi / 2
    shifts = [
        (np.cos(turn) * (0.5 * NAME[0] + reach), np.sin(turn) * (0.5 * NAME[1] + reach), reach)
        for reach in (6, 16, 28, 42, 58, 76)
        for turn in turns
    ]
    notes = []
    for name, point, spot in zip(names, points, spots, strict=True):
        costs = [_covered(spot + np.array([dx, dy]), np.array(taken), pixels) + reach for dx, dy, reach in shifts]
        dx, dy, reach = shifts[int(np.argmin(costs))]
        taken.append((spot[0] + dx, spot[1] + dy, *NAME))
        notes.append(_point_name(name, point, (round(dx, 1), round(-dy, 1)), far=reach > 6))
    return notes


def _covered(centre: np.ndarray, taken: np.ndarray, pixels: np.ndarray) -> float:
    """Return the area of boxes that a name at ``centre`` would cover, much more where it would leave the plot."""
    overlap = 0.5 * (np.array(NAME) + taken[:, 2:]) - np.abs(taken[:, :2] - centre)
    outside = np.clip(0.5 * np.array(NAME) - np.minimum(centre, pixels - centre), 0, None).sum()
    return float(np.prod(np.clip(overlap, 0, None), axis=1).sum() + 100 * outside)


def _point_name(name: str, point: np.ndarray, shift: tuple[float, float], far: bool) -> dict[str, Any]:
    arrow = {"arrowhead": 0, "arrowwidth": 0.7, "arrowcolor": NEUTRAL if far else "rgba(0,0,0,0)", "standoff": 4}
    place = {"x": float(point[0]), "y": float(point[1]), "ax": shift[0], "ay": shift[1], "showarrow": True}
    return {**place, **arrow, "name": "point", "text": name, "font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)"}


def efficiencies(candidates: tuple[Candidate, ...]) -> Figure | None:
    """SLME against thickness of every candidate, named at the end of its line; the references as grey dashes.

    None where no candidate has a curve.
    """
    lines: list[dict[str, Any]] = []
    index = 0
    for item in candidates:
        curves = item.efficiency_curves.columns if item.efficiency_curves else {}
        columns = {name: part.values for name, part in curves.items()}
        if not {"thickness_um", "slme_percent"} <= set(columns):
            continue
        thickness = columns["thickness_um"]
        shown = (thickness > 0) & (thickness <= THICKEST * 1.001) & np.isfinite(columns["slme_percent"])
        colour = NEUTRAL if item.reference else SERIES[index % len(SERIES)]
        dash = "dash" if item.reference else ("solid", "dot", "dashdot", "longdashdot")[index // len(SERIES) % 4]
        index += not item.reference
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": pretty(item.formula) + (" (ref.)" if item.reference else ""),
                "x": [float(f"{um:.4g}") for um in thickness[shown]],
                "y": columns["slme_percent"][shown].round(3).tolist(),
                "line": {"color": colour, "dash": dash, "width": 3 if item.reference else 2},
                "hovertemplate": "%{x:.3g} µm: %{y:.1f} %",
            }
        )
    lines = [line for line in lines if line["x"]]
    if not lines:
        return None
    start = min(line["x"][0] for line in lines)
    low, high = float(np.log10(start)), float(np.log10(THICKEST))
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if tick >= 0.99 * start]
    top = 1.06 * max(30.0, *(max(line["y"]) for line in lines))
    heights = spread([line["y"][-1] for line in lines], top, len(lines) > MANY)
    return figure_of(
        [*lines, _leaders(lines, heights)],
        xaxis={
            "title": {"text": "thickness (µm)"},
            "type": "log",
            "range": [low, high + (0.15 if len(lines) > MANY else 0.32) * (high - low)],
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
        },
        yaxis={"title": {"text": "SLME (%)"}, "range": [-0.02 * top, round(top, 1)], "zeroline": False},
        annotations=[_line_name(line, height) for line, height in zip(lines, heights, strict=True)],
        showlegend=False,
        hovermode="closest",
    )


def spread(heights: list[float], top: float, large: bool) -> list[float]:
    """Move heights apart so that the names there do not cover each other, within the plot where they find room."""
    step = top * (NAME[1] + 1) / (LARGE if large else SMALL)[1]
    order = np.argsort(heights, kind="stable")
    ramp = step * np.arange(len(heights))
    slack = np.array(heights, dtype=float)[order] - ramp
    upwards = np.maximum.accumulate(slack)
    downwards = np.minimum.accumulate(slack[::-1])[::-1]
    places = np.empty(len(heights))
    # Any mean of two placements that keep the distance keeps it; so do the bounds, themselves a step apart.
    places[order] = np.clip(0.5 * (upwards + downwards) + ramp, ramp, top - ramp[::-1])
    return [float(place) for place in places.round(3)]


def _leaders(lines: list[dict[str, Any]], heights: list[float]) -> dict[str, Any]:
    """Return thin lines from the end of each line to its name."""
    ends = list(zip(lines, heights, strict=True))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [x for line, _ in ends for x in (line["x"][-1], round(LEADER * line["x"][-1], 3), None)],
        "y": [y for line, height in ends for y in (line["y"][-1], height, None)],
        "line": {"color": NEUTRAL, "width": 0.7},
        "hoverinfo": "skip",
    }


def _line_name(line: dict[str, Any], height: float) -> dict[str, Any]:
    place = {"x": float(np.log10(LEADER * line["x"][-1])), "y": height, "xanchor": "left", "xshift": 2}
    font = {"size": 11, "color": line["line"]["color"]}
    return {**place, "text": line["name"], "showarrow": False, "font": font, "bgcolor": "rgba(0,0,0,0)"}
