"""Figures of one compound as a solar cell: absorption, and current against voltage."""

from __future__ import annotations

from typing import Any

import numpy as np

from aiida_perovskite.report.contents import Arrays, Record, value
from aiida_perovskite.report.plot import (
    BLUE,
    DASHES,
    LEGEND,
    NEUTRAL,
    ORANGE,
    SERIES,
    VERMILION,
    Figure,
    energy_axis,
    figure_of,
)

PER_SQUARE_CENTIMETRE = 0.1  # A/m2 to mA/cm2, W/m2 to mW/cm2
BRIGHTEST = 4.5  # eV: sunlight has next to nothing above


def absorption(spectrum: Arrays, optics: Record | None) -> Figure | None:
    """Absorption coefficient on a logarithmic axis, with marks at the gap and at the direct allowed gap.

    The three directions are drawn apart where they differ. None where the node lacks a spectrum.
    """
    columns = {name: part.values for name, part in spectrum.columns.items()}
    if not {"energy_ev", "mean_absorption_per_cm"} <= set(columns):
        return None
    shown = (columns["energy_ev"] >= 0) & (columns["energy_ev"] <= BRIGHTEST)
    energies = columns["energy_ev"][shown].round(4).tolist()
    mean = columns["mean_absorption_per_cm"][shown]
    data = [_spectrum("mean", energies, mean, BLUE, "solid")]
    directions = columns.get("absorption_per_cm", np.empty((0, 0)))[shown] if "absorption_per_cm" in columns else None
    if directions is not None and np.ptp(directions, axis=1).max(initial=0) > 0.01 * mean.max(initial=1):
        for name, column, colour, dash in zip("xyz", directions.T, SERIES[1:4], DASHES[1:4], strict=True):
            data.append(_spectrum(name, energies, column, colour, dash))
    marks = (("gap", "gap_ev", NEUTRAL), ("direct allowed", "direct_allowed_gap_ev", ORANGE))
    found = [(name, at, colour) for name, key, colour in marks if (at := value(optics, key)) is not None]
    return figure_of(
        data,
        xaxis=energy_axis("photon energy (eV)", range=[0, BRIGHTEST]),
        yaxis={
            "title": {"text": "absorption coefficient (1/cm)"},
            "type": "log",
            "range": [2, 6.4],
            "tickvals": [10**power for power in range(2, 7)],
            "ticktext": [f"10{digit}" for digit in "²³⁴⁵⁶"],
        },
        shapes=[_mark(energy, colour) for _, energy, colour in found],
        annotations=[_mark_name(name, energy, row) for row, (name, energy, _) in enumerate(found)],
        legend=LEGEND,
        showlegend=len(data) > 1,
        hovermode="closest",
    )


def _spectrum(name: str, energies: list[float], values: np.ndarray, colour: str, dash: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": energies,
        "y": [float(f"{one:.4g}") if one >= 1 else None for one in values.tolist()],
        "line": {"color": colour, "dash": dash, "width": 2},
        "hovertemplate": name + ": %{y:.3~g} 1/cm at %{x:.2f} eV<extra></extra>",
    }


def _mark(energy: float, colour: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1.5, "dash": "dash"}
    return {"type": "line", "x0": energy, "x1": energy, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _mark_name(name: str, energy: float, row: int) -> dict[str, Any]:
    """Return the name of a mark: the first to its left, the second lower and to its right where there is room."""
    side = "right" if row == 0 or energy > 0.6 * BRIGHTEST else "left"
    place = {"x": round(energy, 4), "xanchor": side, "yref": "paper", "y": 1 - 0.1 * row, "yanchor": "top"}
    return {**place, "text": f" {name} {energy:.2f} ", "showarrow": False, "font": {"size": 11}}


def current_voltage(curves: Arrays) -> Figure | None:
    """Draw current density and power density against voltage, the maximum power point marked; None without power."""
    columns = {name: part.values for name, part in curves.columns.items()}
    names = ("voltage_v", "current_density_a_per_m2", "power_density_w_per_m2")
    if not set(names) <= set(columns) or not (columns["power_density_w_per_m2"] > 0).any():
        return None
    voltages, currents, powers = columns[names[0]], *(PER_SQUARE_CENTIMETRE * columns[name] for name in names[1:])
    best = int(np.nanargmax(powers))
    shown = currents > -0.15 * np.nanmax(currents)
    x = voltages[shown].round(4).tolist()
    series = (
        ("current", "J", "mA/cm²", currents, BLUE, "solid"),
        ("power", "P", "mW/cm²", powers, ORANGE, "dash"),
    )
    data: list[Any] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{name} {short}",
            "x": x,
            "y": values[shown].round(3).tolist(),
            "line": {"color": colour, "dash": dash, "width": 2},
            "hovertemplate": f"{short} = %{{y:.2f}} {unit} at %{{x:.3f}} V<extra></extra>",
        }
        for name, short, unit, values, colour, dash in series
    ]
    point = {"x": round(float(voltages[best]), 4), "y": round(float(currents[best]), 3)}
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "maximum power",
            "x": [point["x"]] * 2,
            "y": [point["y"], round(float(powers[best]), 3)],
            "marker": {"color": VERMILION, "symbol": "diamond", "size": 10},
            "hovertemplate": f"maximum power {powers[best]:.2f} mW/cm² at %{{x:.3f}} V<extra></extra>",
        }
    )
    corner = {"type": "rect", "x0": 0, "x1": point["x"], "y0": 0, "y1": point["y"], "layer": "below"}
    return figure_of(
        data,
        xaxis={"title": {"text": "voltage (V)"}, "range": [0, round(1.04 * max(x), 4)], "zeroline": False},
        yaxis={
            "title": {"text": "J (mA/cm²), P (mW/cm²)"},
            "range": [0, round(1.1 * max(float(np.nanmax(currents)), float(powers[best])), 2)],
        },
        shapes=[{**corner, "line": {"color": NEUTRAL, "width": 1, "dash": "dot"}}],
        legend=LEGEND,
        hovermode="closest",
    )
