"""Figures of the model and of the space it ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_perovskite.report.compounds import pretty, sites
from aiida_perovskite.report.contents import Table
from aiida_perovskite.report.plot import BLUE, LEGEND, NEUTRAL, ORANGE, SERIES, SYMBOLS, Figure, energy_axis, figure_of

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

N_NAMED = 6  # compounds named in the parity plot
HALIDE_ORDER = {"F": 0, "Cl": 1, "Br": 2, "I": 3}


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
    return figure_of(
        data,
        xaxis=energy_axis("target gap (eV)", range=reach, constrain="domain"),
        yaxis=energy_axis("predicted, held out (eV)", range=reach, scaleanchor="x", constrain="domain"),
        annotations=names_of_points(worst, reach[1]),
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


def names_of_points(worst: pd.DataFrame, reach: float) -> list[dict[str, Any]]:
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
    return figure_of(
        data,
        xaxis={
            "title": {"text": "training compounds"},
            "type": "log",
            "tickvals": sizes,
            "ticktext": [str(n) for n in sizes],
        },
        yaxis=energy_axis("held-out MAE (eV)", rangemode="tozero"),
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
    return figure_of(
        data,
        xaxis={"title": {"text": "epoch"}},
        yaxis={"title": {"text": "training loss (scaled)"}, "rangemode": "tozero"},
        yaxis2=energy_axis(
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
    return figure_of(
        [bars],
        bargap=0,
        showlegend=False,
        shapes=shapes,
        annotations=notes,
        xaxis=energy_axis("predicted gap (eV)"),
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
    for index, name in enumerate(names):
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
                visible=index == 0,
                meta=index,
                name=name,
                xgap=1,
                ygap=1,
                hoverongaps=False,
                colorbar={"title": {"text": "gap (eV)", "side": "right"}, "thickness": 12, "outlinewidth": 0},
                hovertemplate="%{y}, %{x} with " + name + ": %{z:.2f} eV<extra></extra>",
            )
        )
    axis = {"type": "category", "showgrid": False, "dtick": 1, "tickfont": {"size": 9}}
    return names, figure_of(
        data,
        xaxis={**axis, "tickangle": -90, "constrain": "domain"},
        yaxis={**axis, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain"},
    )
