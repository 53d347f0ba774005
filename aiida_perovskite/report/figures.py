"""Figures of the report as plotly JSON; fonts, grid and background come from the page, so that they follow its theme.

Colours follow Okabe and Ito, told apart by the colour-blind (the blue lightened, to be read on dark ground as well);
wherever colour carries meaning a symbol, a line style or a label carries it too.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_perovskite.report.compounds import POINTS, point_name, pretty, roles, sites
from aiida_perovskite.report.contents import Candidate, Structure, Table

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#1F83C4", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
NEUTRAL = "#808890"  # readable on light and dark ground
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x")
LEGEND = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}
N_NAMED = 6  # compounds named in the parity plot
HALIDE_ORDER = {"F": 0, "Cl": 1, "Br": 2, "I": 3}

Figure = dict[str, Any]


def _json(data: list[Any], **layout: Any) -> Figure:
    import plotly.graph_objects as go

    figure: go.Figure = go.Figure(data=data)
    figure.update_layout(template="none", **layout)
    content: Figure = json.loads(figure.to_json())
    content["layout"].pop("template", None)
    return content


def _energy_axis(title: str, **extra: Any) -> dict[str, Any]:
    return {"title": {"text": title}, "zeroline": False, **extra}


def parity(table: Table) -> Figure:
    """Cross-validated prediction against target, the worst compounds named.

    The table has ``formula``, ``target_ev``, ``gap_ev``, ``lower_ev``, ``upper_ev`` and ``fold``.
    """
    import plotly.graph_objects as go

    frame = table.frame.assign(error=lambda f: f["gap_ev"] - f["target_ev"], label=lambda f: f["formula"].map(pretty))
    frame["halide"] = frame["formula"].map(lambda formula: sites(formula)[3])
    reach = [0.0, float(frame[["target_ev", "gap_ev"]].to_numpy().max()) * 1.04]
    data: list[Any] = [
        go.Scatter(
            x=reach,
            y=reach,
            mode="lines",
            line={"color": NEUTRAL, "dash": "dash", "width": 1},
            hoverinfo="skip",
            name="exact",
            showlegend=False,
        )
    ]
    for index, (halide, part) in enumerate(frame.groupby("halide", sort=False)):
        data.append(_parity_series(part, str(halide), index))
    worst = frame.loc[frame["error"].abs().sort_values(ascending=False).index[:N_NAMED]]
    return _json(
        data,
        xaxis=_energy_axis("target gap (eV)", range=reach, constrain="domain"),
        yaxis=_energy_axis("predicted, held out (eV)", range=reach, scaleanchor="x", constrain="domain"),
        annotations=_names(worst, reach[1]),
        legend=LEGEND,
        hovermode="closest",
    )


def _parity_series(part: pd.DataFrame, name: str, index: int) -> go.Scatter:
    import plotly.graph_objects as go

    bars = {}
    if {"lower_ev", "upper_ev"} <= set(part.columns):
        bars = {
            "type": "data",
            "symmetric": False,
            "array": (part["upper_ev"] - part["gap_ev"]).round(3).tolist(),
            "arrayminus": (part["gap_ev"] - part["lower_ev"]).round(3).tolist(),
            "thickness": 0.7,
            "width": 0,
            "color": "rgba(128,136,144,0.22)",
        }
    fold = part["fold"].astype(str).tolist() if "fold" in part.columns else [""] * len(part)
    return go.Scatter(
        x=part["target_ev"].round(4).tolist(),
        y=part["gap_ev"].round(4).tolist(),
        error_y=bars or None,
        mode="markers",
        name=name,
        marker={"color": SERIES[index % 6], "symbol": SYMBOLS[index % 6], "size": 7, "opacity": 0.85},
        customdata=list(zip(part["label"], part["error"].round(3), fold, strict=True)),
        hovertemplate="<b>%{customdata[0]}</b><br>target %{x:.2f} eV<br>predicted %{y:.2f} eV<br>"
        "error %{customdata[1]:+.2f} eV<br>fold %{customdata[2]}<extra></extra>",
    )


def _names(worst: pd.DataFrame, reach: float) -> list[dict[str, Any]]:
    """Label points towards the middle of the plot, where there is room, stepped apart where they crowd."""
    labels: list[dict[str, Any]] = []
    heights: list[float] = []
    for _, row in worst.sort_values("gap_ev").iterrows():
        side = 1 if row["target_ev"] < 0.5 * reach else -1
        crowded = sum(abs(row["gap_ev"] - height) < 0.06 * reach for height in heights)
        heights.append(row["gap_ev"])
        labels.append(
            {
                "x": round(row["target_ev"], 4),
                "y": round(row["gap_ev"], 4),
                "text": row["label"],
                "showarrow": True,
                "arrowhead": 0,
                "arrowwidth": 0.8,
                "arrowcolor": NEUTRAL,
                "ax": 24 * side,
                "ay": -14 * (1 + 1.2 * crowded),
                "xanchor": "left" if side > 0 else "right",
                "font": {"size": 11},
            }
        )
    return labels


def learning_curve(table: Table) -> Figure:
    """Held-out error against the number of training compounds, one series per size of the ensemble.

    The table has ``n_training``, ``members`` and ``mae_ev``.
    """
    import plotly.graph_objects as go

    data = []
    for index, (members, part) in enumerate(table.frame.groupby("members")):
        name = "one network" if members == 1 else f"{members} networks"
        data.append(
            go.Scatter(
                x=part["n_training"].tolist(),
                y=part["mae_ev"].round(4).tolist(),
                mode="lines+markers",
                name=name,
                line={"color": SERIES[index % 6], "width": 2},
                marker={"size": 9, "symbol": SYMBOLS[index % 6]},
                hovertemplate=f"%{{x}} compounds, {name}: %{{y:.3f}} eV<extra></extra>",
            )
        )
    sizes = sorted({int(size) for size in table.frame["n_training"]})
    return _json(
        data,
        xaxis={
            "title": {"text": "training compounds"},
            "type": "log",
            "tickvals": sizes,
            "ticktext": [str(n) for n in sizes],
        },
        yaxis=_energy_axis("held-out MAE (eV)", rangemode="tozero"),
        legend=LEGEND,
        showlegend=True,
    )


def history(table: Table) -> Figure:
    """Training loss and held-out error by epoch: median over all networks, the loss with its lowest and highest.

    The table has ``epoch``, ``training_loss`` and ``held_out_mae_ev``.
    """
    import plotly.graph_objects as go

    groups = table.frame.groupby("epoch")
    losses, errors = groups["training_loss"], groups["held_out_mae_ev"].median()
    middle, low, high = losses.median(), losses.min(), losses.max()
    epochs = middle.index.tolist()
    clear = {"color": "rgba(0,0,0,0)"}
    data = [
        go.Scatter(x=epochs, y=high.tolist(), line=clear, hoverinfo="skip", showlegend=False),
        go.Scatter(
            x=epochs,
            y=low.tolist(),
            line=clear,
            fill="tonexty",
            fillcolor="rgba(31,131,196,0.2)",
            hoverinfo="skip",
            showlegend=False,
        ),
        go.Scatter(
            x=epochs,
            y=middle.tolist(),
            line={"color": BLUE, "width": 2},
            name="training loss",
            hovertemplate="epoch %{x}: loss %{y:.3f}<extra></extra>",
        ),
        go.Scatter(
            x=epochs,
            y=errors.round(4).tolist(),
            line={"color": ORANGE, "width": 2, "dash": "dash"},
            yaxis="y2",
            name="held-out MAE",
            hovertemplate="epoch %{x}: %{y:.3f} eV<extra></extra>",
        ),
    ]
    return _json(
        data,
        xaxis={"title": {"text": "epoch"}},
        yaxis={"title": {"text": "training loss (scaled)"}, "rangemode": "tozero"},
        yaxis2=_energy_axis(
            "held-out MAE (eV)", overlaying="y", side="right", rangemode="tozero", showgrid=False, tickformat=".1f"
        ),
        legend=LEGEND,
    )


def histogram(table: Table, window: tuple[float, float] | None) -> Figure:
    """Draw the number of compositions by predicted gap; bins of 0.1 eV, those within the window in another colour."""
    import plotly.graph_objects as go

    gaps = table.frame["gap_ev"].to_numpy(dtype=float)
    edges = np.arange(np.floor(gaps.min() * 10), np.ceil(gaps.max() * 10) + 1) / 10
    counts, _ = np.histogram(gaps, edges)
    middle = (edges[:-1] + edges[1:]) / 2
    inside = np.zeros(len(middle), dtype=bool) if window is None else (middle > window[0]) & (middle < window[1])
    bars = go.Bar(
        x=middle.round(3).tolist(),
        y=counts.tolist(),
        width=0.09,
        marker={"color": [ORANGE if hit else BLUE for hit in inside]},
        hovertemplate="%{x:.2f} eV ± 0.05: %{y} compositions<extra></extra>",
    )
    shapes, notes = [], []
    if window is not None:
        shapes = [
            {
                "type": "rect",
                "xref": "x",
                "yref": "paper",
                "x0": window[0],
                "x1": window[1],
                "y0": 0,
                "y1": 1,
                "fillcolor": "rgba(230,159,0,0.14)",
                "line": {"width": 0},
                "layer": "below",
            }
        ]
        notes = [
            {
                "x": window[1],
                "y": 1,
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "top",
                "showarrow": False,
                "text": f" window {window[0]:g}–{window[1]:g} eV",
            }
        ]
    return _json(
        [bars],
        bargap=0,
        showlegend=False,
        shapes=shapes,
        annotations=notes,
        xaxis=_energy_axis("predicted gap (eV)"),
        yaxis={"title": {"text": "compositions"}},
    )


def element_pairs(table: Table) -> tuple[list[str], Figure]:
    """Predicted gap for each pair of A and B, one layer per pair of C and D; only the first layer is visible.

    Returns
    -------
    names
        Of the layers, e.g. ``Cs Br``.
    figure
        One heat map per layer.
    """
    import plotly.graph_objects as go

    frame = table.frame
    parts = np.array([sites(formula) for formula in frame["formula"]])
    gaps = frame["gap_ev"].to_numpy(dtype=float)
    # Elements in the order of the gaps that they make: the map then falls into blocks instead of stripes.
    on_ab = {str(symbol) for symbol in parts[:, :2].flat}
    order = sorted(on_ab, key=lambda symbol: float(np.median(gaps[(parts[:, :2] == symbol).any(axis=1)])))
    place = {symbol: index for index, symbol in enumerate(order)}
    rows, columns = (np.array([place[symbol] for symbol in parts[:, site]]) for site in (0, 1))
    layers = np.char.add(np.char.add(parts[:, 2], " "), parts[:, 3])
    names = sorted(set(layers.tolist()), key=lambda name: (name.split()[0], HALIDE_ORDER.get(name.split()[1], 9)))
    top = float(np.quantile(gaps, 0.98))
    data = []
    for name in names:
        grid = np.full((len(order), len(order)), np.nan)
        here = layers == name
        grid[rows[here], columns[here]] = grid[columns[here], rows[here]] = gaps[here].round(3)
        data.append(
            go.Heatmap(
                x=order,
                y=order,
                z=[[None if np.isnan(v) else v for v in line] for line in grid.tolist()],
                zmin=0,
                zmax=top,
                colorscale="Cividis",
                visible=name == names[0],
                name=name,
                xgap=1,
                ygap=1,
                hoverongaps=False,
                colorbar={"title": {"text": "gap (eV)", "side": "right"}, "thickness": 12, "outlinewidth": 0},
                hovertemplate="%{y}, %{x} with " + name + ": %{z:.2f} eV<extra></extra>",
            )
        )
    axis = {"type": "category", "showgrid": False, "dtick": 1, "tickfont": {"size": 9}}
    return names, _json(
        data,
        xaxis={**axis, "tickangle": -90, "constrain": "domain"},
        yaxis={**axis, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain"},
    )


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
    layout["yaxis"] = _energy_axis("energy above the VBM (eV)", range=[-below, above])
    return _json(data, legend=LEGEND, **layout)


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


def structure(crystal: Structure) -> Figure:
    """Draw the conventional cell with the octahedra around A and B, to be turned by hand.

    The cell starts a quarter of its diagonal before A, so that the eight octahedra of one cell are whole. Of C only
    the atoms in the centre and on the faces are drawn: those on the edges would hide the octahedra.
    """
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors

    atoms = _conventional(crystal)
    a, b, c, d = roles(crystal)
    data: list[Any] = []
    for symbol, colour in ((a, BLUE), (b, ORANGE)):
        data.append(_octahedra(atoms[symbol], atoms[d], symbol, d, colour))
    anions = _near(atoms[d], np.vstack([atoms[a], atoms[b]]))
    for symbol, points in ((a, atoms[a]), (b, atoms[b]), (c, atoms[c]), (d, anions)):
        number = atomic_numbers[symbol]
        red, green, blue = (int(255 * part) for part in jmol_colors[number])
        data.append(
            {
                "type": "scatter3d",
                "mode": "markers",
                "name": symbol,
                "hovertemplate": f"{symbol}<extra></extra>",
                "x": points[:, 0].round(3).tolist(),
                "y": points[:, 1].round(3).tolist(),
                "z": points[:, 2].round(3).tolist(),
                "marker": {
                    "size": round(4 * float(covalent_radii[number]) + 2, 1),
                    "color": f"rgb({red},{green},{blue})",
                    "line": {"color": "rgba(60,60,60,0.8)", "width": 1},
                },
            }
        )
    hidden = {"visible": False}
    camera = {"eye": {"x": 1.5, "y": 0.75, "z": 0.5}}
    scene = {"xaxis": hidden, "yaxis": hidden, "zaxis": hidden, "aspectmode": "data", "camera": camera}
    return _json(
        data, scene=scene, legend={"orientation": "h", "x": 0, "y": 0, "yanchor": "top", "itemsizing": "constant"}
    )


def _conventional(crystal: Structure) -> dict[str, np.ndarray]:
    """Return the atoms of one cubic cell around A and B by element, and the anions of a wider surrounding."""
    primitive = crystal.cell.values
    cubic = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) @ primitive
    a, _, c, d = roles(crystal)
    origin = crystal.positions.values[crystal.symbols.index(a)]
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=3))) @ primitive
    found: dict[str, list[np.ndarray]] = {}
    for symbol, position in zip(crystal.symbols, crystal.positions.values, strict=True):
        images = position - origin + shifts
        fractions = images @ np.linalg.inv(cubic)
        margin = 0.3 if symbol == d else 0.02
        inside = np.all((fractions > -0.25 - margin) & (fractions < 0.75 + margin), axis=1)
        if symbol == c:
            inside &= (np.abs(fractions - 0.25) > 0.48).sum(axis=1) <= 1
        found.setdefault(symbol, []).append(images[inside])
    return {symbol: np.vstack(parts) for symbol, parts in found.items()}


def _near(anions: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the six anions nearest to each centre, each once."""
    distances = np.linalg.norm(anions[None] - centres[:, None], axis=-1)
    chosen: np.ndarray = anions[np.unique(np.argsort(distances, axis=1)[:, :6])]
    return chosen


def _octahedra(centres: np.ndarray, anions: np.ndarray, cation: str, anion: str, colour: str) -> Figure:
    points: list[np.ndarray] = []
    faces: list[tuple[int, int, int]] = []
    for centre in centres:
        corners = anions[np.argsort(np.linalg.norm(anions - centre, axis=1))[:6]] - centre
        opposite = np.argmin(corners @ corners.T, axis=1)
        pairs = sorted({tuple(sorted((i, int(j)))) for i, j in enumerate(opposite)})
        if len(pairs) != 3:  # too distorted to be drawn as an octahedron
            continue
        start = len(points)
        faces += [tuple(start + i for i in face) for face in itertools.product(*pairs)]  # type: ignore[misc]
        points += list(corners + centre)
    grid = np.array(points).reshape(-1, 3).round(3)
    i, j, k = np.array(faces, dtype=int).reshape(-1, 3).T
    return {
        "type": "mesh3d",
        "x": grid[:, 0].tolist(),
        "y": grid[:, 1].tolist(),
        "z": grid[:, 2].tolist(),
        "i": i.tolist(),
        "j": j.tolist(),
        "k": k.tolist(),
        "color": colour,
        "opacity": 0.55,
        "flatshading": True,
        "hoverinfo": "skip",
        "name": f"{cation}{anion}6 octahedra",
        "showlegend": True,
    }
