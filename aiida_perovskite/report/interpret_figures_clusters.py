"""Figures of the clusters of an interpretation: how their number was chosen, where they lie, whether they come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_perovskite.report.contents import Table
from aiida_perovskite.report.interpret_contents import Branch
from aiida_perovskite.report.interpret_figures import NAMED, hover_names
from aiida_perovskite.report.plot import BLUE, LEGEND, NEUTRAL, ORANGE, SERIES, SYMBOLS, Figure, energy_axis, figure_of

if TYPE_CHECKING:
    import pandas as pd

SITES = ("a", "b", "c", "d")
SPATIAL_SYMBOLS = ("circle", "diamond", "square", "cross")  # what plotly has in three dimensions
VIEW = {"aspectmode": "data", "camera": {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}}}
SCANS = {
    "silhouette": "mean silhouette",
    "inertia": "sum of squared distances",
    "gap_statistic": "gap statistic",
}
KINDS = {"seed": "other seeds", "bootstrap": "resampled compounds", "member": "other networks"}


def scan(table: Table, measure: str) -> Figure:
    """One measure against the number of clusters, the chosen one marked (figures 6.8, 6.16, 6.24)."""
    frame = table.frame.sort_values("k")
    chosen = frame["chosen"].astype(bool).tolist()
    spread = frame["gap_statistic_std"].round(5).tolist() if measure == "gap_statistic" else None
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": frame["k"].tolist(),
        "y": frame[measure].round(5).tolist(),
        "error_y": {"type": "data", "array": spread, "thickness": 1} if spread else None,
        "line": {"color": BLUE, "width": 2},
        "marker": {
            "color": [ORANGE if hit else BLUE for hit in chosen],
            "symbol": ["diamond" if hit else "circle" for hit in chosen],
            "size": [14 if hit else 7 for hit in chosen],
        },
        "hovertemplate": f"%{{x}} clusters: {SCANS[measure]} %{{y:.3f}}<extra></extra>",
    }
    return figure_of(
        [line],
        showlegend=False,
        xaxis={"title": {"text": "clusters"}, "dtick": 1, "zeroline": False},
        yaxis={"title": {"text": SCANS[measure]}, "zeroline": False},
    )


def component_titles(branch: Branch) -> list[str]:
    """Return the names of the principal components with the share of variance that each explains."""
    shares = branch.components.frame["explained_variance"].tolist() if branch.components is not None else []
    return [f"PC{number} ({100 * share:.0f} %)" for number, share in enumerate(shares, start=1)] or [
        "PC1",
        "PC2",
        "PC3",
    ]


def clusters(members: pd.DataFrame) -> Iterator[tuple[int, int, pd.DataFrame]]:
    """Yield family, cluster and rows of each cluster, those of a family together."""
    pairs = members[["family", "cluster"]].drop_duplicates().sort_values(["family", "cluster"])
    for family, cluster in pairs.to_numpy().tolist():
        yield family, cluster, members[(members["family"] == family) & (members["cluster"] == cluster)]


def principal_components(branch: Branch, members: Table, spatial: bool) -> Figure:
    """Compounds in the space of the principal components, by family (figures 6.9, 6.17).

    The clusters of a family, a mirror pair, share its colour and differ in their symbols.
    """
    axes = [name for name in ("pc1", "pc2", "pc3") if name in members.frame.columns][: 3 if spatial else 2]
    data = []
    for family, cluster, part in clusters(members.frame):
        first = part["cluster"].iloc[0] == members.frame.loc[members.frame["family"] == family, "cluster"].min()
        symbols = SPATIAL_SYMBOLS if spatial else SYMBOLS
        data.append(
            {
                "type": "scatter3d" if spatial else "scatter",
                "mode": "markers",
                "name": f"family {family}, cluster {cluster}",
                **{name: part[axis].round(4).tolist() for name, axis in zip("xyz", axes, strict=False)},
                **_written(part),
                "marker": {
                    "color": SERIES[(family - 1) % len(SERIES)],
                    "symbol": symbols[(family - 1) % len(symbols)] + ("" if first else "-open"),
                    "size": 3 if spatial else 5,
                    "opacity": 0.75,
                },
                "hovertemplate": NAMED + f"family {family}, cluster {cluster}<extra></extra>",
            }
        )
    titles = component_titles(branch)
    legend = {**LEGEND, "itemsizing": "constant"}
    if spatial:
        scene = {f"{name}axis": {"title": {"text": title}} for name, title in zip("xyz", titles, strict=False)}
        return figure_of(data, scene={**scene, **VIEW}, legend={**legend, "y": 0, "yanchor": "top"})
    names = dict(zip(("xaxis", "yaxis"), titles, strict=False))
    return figure_of(
        data, legend=legend, hovermode="closest", **{key: energy_axis(title) for key, title in names.items()}
    )


def _written(part: pd.DataFrame) -> dict[str, Any]:
    """Name points by their compounds, with the elements in the order of A and B that each row is written in."""
    names = hover_names(part["formula"].tolist())
    if set(SITES) <= set(part.columns):
        names["customdata"] = [" ".join(row) for row in part[list(SITES)].to_numpy()]
    return names


def silhouettes(members: Table) -> Figure:
    """Silhouette of every row, cluster by cluster (figures 6.9, 6.17)."""
    data, start = [], 0
    frame = members.frame
    for family, cluster, part in clusters(frame):
        values = np.sort(part["silhouette"].to_numpy(dtype=float))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"family {family}, cluster {cluster}",
                "x": values.round(3).tolist(),
                "y0": start,
                "dy": 1,
                "fill": "tozerox",
                "line": {"color": SERIES[(family - 1) % len(SERIES)], "width": 1},
                "hovertemplate": f"cluster {cluster}: silhouette %{{x:.2f}}<extra></extra>",
            }
        )
        start += len(part) + max(len(frame) // 80, 1)
    mean = float(frame["silhouette"].mean())
    line = {
        "type": "line",
        "x0": mean,
        "x1": mean,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": NEUTRAL, "dash": "dash", "width": 1},
    }
    return figure_of(
        data,
        legend=LEGEND,
        showlegend=True,
        shapes=[line],
        xaxis={"title": {"text": "silhouette"}, "zeroline": True, "zerolinecolor": NEUTRAL},
        yaxis={
            "title": {"text": "rows by cluster"},
            "showticklabels": False,
            "ticks": "",
            "showgrid": False,
            "zeroline": False,
        },
    )


def loadings(table: Table) -> Figure:
    """Show what the principal components are made of: one column per number of the descriptor."""
    frame = table.frame
    names = [name for name in frame.columns if name not in ("component", "explained_variance")]
    grid = frame[names].to_numpy(dtype=float)
    top = float(np.abs(grid).max(initial=1e-9))
    heat = {
        "type": "heatmap",
        "x": names,
        "y": [f"PC{number}" for number in frame["component"]],
        "z": grid.round(4).tolist(),
        "zmin": -top,
        "zmax": top,
        "colorscale": [[0, BLUE], [0.5, "rgba(128,136,144,0.1)"], [1, ORANGE]],
        "colorbar": {"title": {"text": "loading", "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "hovertemplate": "%{y}, %{x}: %{z:.3f}<extra></extra>",
    }
    axis = {"type": "category", "showgrid": False}
    return figure_of(
        [heat],
        xaxis={**axis, "tickangle": -90, "tickfont": {"size": 9}, "dtick": 1},
        yaxis={**axis, "autorange": "reversed"},
    )


def agreement_of_runs(table: Table) -> Figure:
    """Draw the adjusted Rand index of each repetition with the clusters shown, by kind."""
    data = [
        {
            "type": "box",
            "name": KINDS.get(str(kind), str(kind)),
            "y": part["ari"].round(4).tolist(),
            "text": part["run"].astype(str).tolist(),
            "customdata": part["k"].tolist(),
            "boxpoints": "all",
            "jitter": 0.5,
            "pointpos": 0,
            "fillcolor": "rgba(128,136,144,0.15)",
            "line": {"color": NEUTRAL, "width": 1},
            "marker": {"color": SERIES[index % len(SERIES)], "size": 6},
            "hovertemplate": "%{text}: adjusted Rand index %{y:.3f}, chooses %{customdata} clusters<extra></extra>",
        }
        for index, (kind, part) in enumerate(table.frame.groupby("kind", sort=False))
    ]
    return figure_of(
        data,
        showlegend=False,
        hovermode="closest",
        xaxis={"type": "category"},
        yaxis={"title": {"text": "adjusted Rand index"}, "range": [-0.08, 1.08], "zeroline": False},
    )


def chosen_numbers(table: Table, k: int) -> Figure:
    """How many repetitions choose which number of clusters."""
    frame = table.frame
    numbers = list(range(int(min(frame["k"].min(), k)), int(max(frame["k"].max(), k)) + 1))
    data = [
        {
            "type": "bar",
            "name": KINDS.get(str(kind), str(kind)),
            "x": [str(number) for number in numbers],
            "y": [int((part["k"] == number).sum()) for number in numbers],
            "marker": {"color": SERIES[index % len(SERIES)]},
            "hovertemplate": f"%{{x}} clusters: %{{y}} of {len(part)} runs<extra></extra>",
        }
        for index, (kind, part) in enumerate(frame.groupby("kind", sort=False))
    ]
    here = {"x": str(k), "y": 1, "yref": "paper", "yanchor": "bottom", "text": "chosen here", "showarrow": False}
    return figure_of(
        data,
        barmode="stack",
        legend={**LEGEND, "y": 1.09},
        annotations=[here],
        xaxis={"type": "category", "title": {"text": "clusters"}},
        yaxis={"title": {"text": "repetitions"}},
    )
