"""Figures of the families of an interpretation: what they attend to, hold and span; attention against gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida_perovskite.report.contents import Record, Table
from aiida_perovskite.report.interpret_figures import GAP_BIN_EV, element_axis, gap_counts
from aiida_perovskite.report.periodic import ordered, site_tables
from aiida_perovskite.report.plot import BLUE, LEGEND, NEUTRAL, ORANGE, SERIES, Figure, energy_axis, figure_of

if TYPE_CHECKING:
    import pandas as pd

SITES = ("a", "b", "c", "d")
NAMES = ["A", "B", "C", "D"]
BANDS = (("vbm", "valence band", BLUE), ("cbm", "conduction band", ORANGE))


def attention_layers(families: pd.DataFrame) -> list[str]:
    """Return the beginnings of the columns of attention that a table of families has: the mean, and each layer."""
    layers = [f"attention_{number}" for number in range(1, 100) if f"attention_{number}_aa" in families.columns]
    return ["attention", *layers]


def attention(families: pd.DataFrame, row: pd.Series[Any]) -> Figure:
    """Mean attention of a family: rows are updated, by the sites in the columns (figures 6.10, 6.18, 6.25)."""
    data = []
    for index, prefix in enumerate(attention_layers(families)):
        columns = [f"{prefix}_{i}{j}" for i in SITES for j in SITES]
        grid = row[columns].to_numpy(dtype=float).reshape(4, 4).round(3).tolist()
        data.append(
            {
                "type": "heatmap",
                "meta": index,
                "visible": index == 0,
                "x": NAMES,
                "y": NAMES,
                "z": grid,
                "zmin": 0,
                "zmax": 1,
                "colorscale": "Cividis",
                "showscale": False,
                "texttemplate": "%{z:.2f}",
                "xgap": 2,
                "ygap": 2,
                "hovertemplate": "%{y} is updated by %{x}: %{z:.3f}<extra></extra>",
            }
        )
    axis = {"type": "category", "showgrid": False, "constrain": "domain"}
    return figure_of(
        data,
        xaxis={**axis, "title": {"text": "by the site"}},
        yaxis={**axis, "title": {"text": "updated site"}, "autorange": "reversed", "scaleanchor": "x"},
    )


def edge_weights(row: pd.Series[Any]) -> Figure:
    """Softmax weights of the sites in both band edges of a family (figures 6.10, 6.18, 6.25)."""
    data = [
        {
            "type": "bar",
            "name": name,
            "x": NAMES,
            "y": [round(float(row[f"{edge}_weight_{site}"]), 4) for site in SITES],
            "marker": {"color": colour, "pattern": {"shape": "" if edge == "vbm" else "/"}},
            "hovertemplate": f"%{{x}} in the {name}: %{{y:.3f}}<extra></extra>",
        }
        for edge, name, colour in BANDS
    ]
    return figure_of(
        data,
        barmode="group",
        legend=LEGEND,
        xaxis={"type": "category", "title": {"text": "site"}},
        yaxis={"title": {"text": "mean weight"}, "range": [0, 1], "zeroline": False},
    )


def family_gaps(members: pd.DataFrame, family: int) -> Figure:
    """Gaps of a family, each compound once, beside those of all compounds (figures 6.14, 6.22, 6.29)."""
    everything = members.drop_duplicates("formula")["gap_ev"].to_numpy(dtype=float)
    own = members[members["family"] == family].drop_duplicates("formula")["gap_ev"].to_numpy(dtype=float)
    middle, counts = gap_counts(own, float(everything.max()))
    _, totals = gap_counts(everything, float(everything.max()))
    data = [
        {
            "type": "bar",
            "name": "family",
            "x": middle,
            "y": (100 * counts / max(len(own), 1)).round(2).tolist(),
            "customdata": counts.tolist(),
            "marker": {"color": SERIES[(family - 1) % len(SERIES)]},
            "hovertemplate": f"%{{x:.3f}} eV ± {GAP_BIN_EV / 2}: %{{customdata}} compounds, %{{y:.1f}} %"
            "<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "all compounds",
            "x": middle,
            "y": (100 * totals / max(len(everything), 1)).round(2).tolist(),
            "line": {"color": NEUTRAL, "shape": "hvh", "width": 1.5},
            "hovertemplate": "all compounds, %{x:.3f} eV: %{y:.1f} %<extra></extra>",
        },
    ]
    return figure_of(
        data, bargap=0.06, legend=LEGEND, xaxis=energy_axis("gap (eV)"), yaxis={"title": {"text": "% of compounds"}}
    )


def element_weights(elements: pd.DataFrame, family: int) -> Figure:
    """Mean softmax weights of each element of a family, on whichever site (figures 6.13, 6.21)."""
    own = elements[(elements["family"] == family) & (elements["site"] == "all")].set_index("element")
    own = own.loc[ordered(own.index)]
    data = [
        {
            "type": "bar",
            "name": name,
            "x": own.index.tolist(),
            "y": own[f"{edge}_weight"].round(4).tolist(),
            "customdata": own["n"].tolist(),
            "marker": {"color": colour, "pattern": {"shape": "" if edge == "vbm" else "/"}},
            "hovertemplate": f"<b>%{{x}}</b> in the {name}: %{{y:.3f}}<br>%{{customdata:g}} occurrences<extra></extra>",
        }
        for edge, name, colour in BANDS
    ]
    return figure_of(
        data,
        barmode="group",
        legend=LEGEND,
        xaxis=element_axis(),
        yaxis={"title": {"text": "mean weight"}, "rangemode": "tozero", "zeroline": False},
    )


def element_layers(elements: pd.DataFrame) -> tuple[list[str], Figure]:
    """Elements on each site of each family, normalised both ways (figures 6.11, 6.12, 6.19, 6.20).

    Returns
    -------
    names
        Of the layers: families, first by share of the site, then by share of the element.
    figure
        One layer per name; the first is visible.
    """
    names, layers = [], []
    own = elements[elements["site"] != "all"]
    own = own.assign(text=_element_words(own))
    for column, words in (("share_of_site", "share of the site"), ("share_of_element", "share of the element")):
        for family, part in own.groupby("family", sort=True):
            names.append(f"family {family}, {words}")
            layers.append(part.rename(columns={column: "share"})[["site", "element", "share", "text"]])
    return names, site_tables(layers)


def _element_words(elements: pd.DataFrame) -> list[str]:
    return [
        f"<b>{row['element']}</b> on {row['site']}, family {row['family']}: {row['n']:g} compounds<br>"
        f"{100 * row['share_of_site']:.1f} % of {row['site']} in this family<br>"
        f"{100 * row['share_of_element']:.1f} % of all {row['element']} on {row['site']}<br>"
        f"weight {row['vbm_weight']:.2f} in the valence, {row['cbm_weight']:.2f} in the conduction band"
        for row in elements.to_dict(orient="records")
    ]


def attention_against_gradients(score: Record) -> Figure | None:
    """Agreement of attention with integrated gradients, beside what shuffled attributions give."""
    measures = [name for name in ("spearman", "same_top") if f"{name}_sites_null" in score.content]
    if not measures:
        return None
    titles = {"spearman": "rank correlation of the sites", "same_top": "same first site"}
    series = [
        (
            "found",
            [score.content["spearman_mean" if name == "spearman" else "same_top_share"] for name in measures],
            BLUE,
        ),
        ("sites shuffled", [score.content[f"{name}_sites_null"] for name in measures], NEUTRAL),
        ("other compounds'", [score.content[f"{name}_compounds_null"] for name in measures], ORANGE),
    ]
    data = [
        {
            "type": "bar",
            "name": name,
            "x": [titles[measure] for measure in measures],
            "y": [round(value, 4) for value in values],
            "marker": {"color": colour, "pattern": {"shape": shape}},
            "hovertemplate": f"{name}: %{{y:.3f}}<extra></extra>",
        }
        for (name, values, colour), shape in zip(series, ("", "/", "x"), strict=True)
    ]
    return figure_of(
        data,
        barmode="group",
        legend=LEGEND,
        xaxis={"type": "category"},
        yaxis={"zeroline": True, "zerolinecolor": NEUTRAL},
    )


def shares_of_sites(table: Table) -> Figure:
    """Mean share of each site in the gap, by attention and by integrated gradients."""
    data = [
        {
            "type": "bar",
            "name": name,
            "x": NAMES,
            "y": [round(float(table.frame[f"{kind}_{site}"].mean()), 4) for site in SITES],
            "marker": {"color": colour, "pattern": {"shape": shape}},
            "hovertemplate": f"%{{x}}: %{{y:.3f}} by {name}<extra></extra>",
        }
        for kind, name, colour, shape in (("attention", "attention", BLUE, ""), ("gradient", "gradients", ORANGE, "/"))
    ]
    return figure_of(
        data,
        barmode="group",
        legend=LEGEND,
        xaxis={"type": "category", "title": {"text": "site"}},
        yaxis={"title": {"text": "mean share"}, "rangemode": "tozero", "zeroline": False},
    )


def rank_correlations(table: Table) -> Figure:
    """Rank correlation of the four sites, attention against gradients, over the compounds."""
    values = table.frame["spearman"].dropna()
    counts = values.round(1).value_counts().sort_index()
    bars = {
        "type": "bar",
        "x": counts.index.tolist(),
        "y": counts.tolist(),
        "width": 0.08,
        "marker": {"color": BLUE},
        "hovertemplate": "rank correlation %{x}: %{y} compounds<extra></extra>",
    }
    return figure_of(
        [bars],
        showlegend=False,
        xaxis={"title": {"text": "rank correlation of a compound's sites"}, "range": [-1.1, 1.1], "zeroline": False},
        yaxis={"title": {"text": "compounds"}},
    )
