"""Figures of the data, of solid-state energies, of the accuracy and of the levels of an interpretation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_perovskite.report.compounds import pretty, sites
from aiida_perovskite.report.contents import Table
from aiida_perovskite.report.figures_model import N_NAMED, names_of_points
from aiida_perovskite.report.interpret_contents import Branch
from aiida_perovskite.report.periodic import ordered, site_tables
from aiida_perovskite.report.plot import BLUE, GREEN, LEGEND, NEUTRAL, ORANGE, PURPLE, Figure, energy_axis, figure_of

if TYPE_CHECKING:
    import pandas as pd

GAP_BIN_EV = 0.25
EDGES = (("homo", "HOMO", BLUE, "circle"), ("lumo", "LUMO", ORANGE, "square"))


def hover_names(formulas: Sequence[str]) -> dict[str, Any]:
    """Return what hovering over a compound's point names it by: its formula, and the elements on A, B, C, D."""
    return {"text": [pretty(name) for name in formulas], "customdata": [" ".join(sites(name)) for name in formulas]}


NAMED = "<b>%{text}</b> (A B C D: %{customdata})<br>"


def data_elements(table: Table) -> Figure:
    """Elements on the sites of the training set, normalised by site (figure 6.2)."""
    return site_tables([site_shares(table.frame)])


def site_shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Count the elements on each site; A and B are alike, so both are counted on either, by halves."""
    import pandas as pd

    parts = np.array([sites(name) for name in frame["formula"]]).reshape(-1, 4)
    rows = []
    for site, columns in (("A", (0, 1)), ("B", (0, 1)), ("C", (2,)), ("D", (3,))):
        symbols, counts = np.unique(parts[:, columns], return_counts=True)
        for symbol, count in zip(symbols.tolist(), (counts / len(columns)).tolist(), strict=True):
            share = count / len(parts)
            text = f"<b>{symbol}</b> on {site}: {count:g} compounds<br>{100 * share:.1f} % of the site"
            rows.append({"site": site, "element": symbol, "share": share, "text": text})
    return pd.DataFrame(rows, columns=["site", "element", "share", "text"])


def gap_counts(gaps: np.ndarray, highest: float) -> tuple[list[float], np.ndarray]:
    """Return the middles of bins of gaps and how many gaps are in each."""
    edges = np.arange(0, np.ceil(max(highest, GAP_BIN_EV) / GAP_BIN_EV) + 1) * GAP_BIN_EV
    counts, _ = np.histogram(np.clip(gaps, 0, edges[-1]), edges)
    return ((edges[:-1] + edges[1:]) / 2).tolist(), counts


def data_gaps(table: Table) -> Figure:
    """Distribution of the gaps of the training set (figure 6.2)."""
    gaps = table.frame["target_ev"].to_numpy(dtype=float)
    middle, counts = gap_counts(gaps, float(gaps.max()))
    bars = {
        "type": "bar",
        "x": middle,
        "y": counts.tolist(),
        "marker": {"color": BLUE},
        "hovertemplate": f"%{{x:.3f}} eV ± {GAP_BIN_EV / 2}: %{{y}} compounds<extra></extra>",
    }
    return figure_of(
        [bars], bargap=0.06, showlegend=False, xaxis=energy_axis("gap (eV)"), yaxis={"title": {"text": "compounds"}}
    )


def solid_state(table: Table) -> Figure:
    """Gaps from solid-state energies against those of the table, before and after the fit (figure 6.1)."""
    frame = table.frame.dropna(subset=["before_ev", "after_ev", "target_ev"])
    high = float(frame[["target_ev", "before_ev", "after_ev"]].to_numpy().max(initial=1.0)) * 1.04
    data = [diagonal(high)]
    for column, name, colour, symbol in (
        ("before_ev", "tabulated energies", NEUTRAL, "circle"),
        ("after_ev", "fitted energies", ORANGE, "diamond"),
    ):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": frame["target_ev"].round(3).tolist(),
                "y": frame[column].round(3).tolist(),
                **hover_names(frame["formula"].tolist()),
                "marker": {"color": colour, "symbol": symbol, "size": 5, "opacity": 0.6},
                "hovertemplate": NAMED + f"computed %{{x:.2f}} eV<br>{name} %{{y:.2f}} eV<extra></extra>",
            }
        )
    return figure_of(
        data,
        hovermode="closest",
        legend=LEGEND,
        **square_axes("computed gap (eV)", "gap from solid-state energies (eV)", high),
    )


def diagonal(high: float) -> dict[str, Any]:
    """Return the line on which prediction and computation agree."""
    return {
        "type": "scatter",
        "x": [0, high],
        "y": [0, high],
        "mode": "lines",
        "line": {"color": NEUTRAL, "dash": "dash", "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def square_axes(x: str, y: str, high: float) -> dict[str, Any]:
    """Return two axes of one scale."""
    span = {"range": [-0.02 * high, high], "constrain": "domain"}
    return {"xaxis": energy_axis(x, **span), "yaxis": energy_axis(y, **span, scaleanchor="x")}


def reference_levels(table: Table) -> Figure:
    """Draw the reference levels by element (figure 6.4)."""
    frame = table.frame.set_index("symbol")
    frame = frame.loc[ordered(frame.index)]
    data = []
    for kind, name, colour, symbol in EDGES:
        details = [_reference_words(row, kind) for _, row in frame.iterrows()]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": frame.index.tolist(),
                "y": frame[f"{kind}_ev"].round(3).tolist(),
                "text": details,
                "marker": {"color": colour, "symbol": symbol, "size": 7},
                "hovertemplate": f"<b>%{{x}}</b> {name} %{{y:.2f}} eV%{{text}}<extra></extra>",
            }
        )
    return figure_of(
        data, legend=LEGEND, xaxis=element_axis(), yaxis=energy_axis("reference level (eV)"), hovermode="closest"
    )


def _reference_words(row: Any, kind: str) -> str:
    """Return orbital, oxidation state and source of a level, where the table tells."""
    parts = []
    if "oxidation_state" in row and row["oxidation_state"] == row["oxidation_state"]:
        parts.append(f"oxidation state {int(row['oxidation_state']):+d}")
    parts += [str(row[f"{kind}_{name}"]) for name in ("orbital", "source") if row.get(f"{kind}_{name}")]
    return "<br>" + ", ".join(parts) if parts else ""


def element_axis(**extra: Any) -> dict[str, Any]:
    """Return an axis of elements, each with its name."""
    return {"type": "category", "dtick": 1, "tickangle": -90, "tickfont": {"size": 9}, "showgrid": False, **extra}


def accuracy(branches: Sequence[Branch]) -> Figure:
    """Held-out errors against the weight of the prior, with their spread over the folds (figure 6.5)."""
    known = [(branch, errors_by_fold(branch)) for branch in branches if branch.cross_validation is not None]
    data = []
    for name, colour in (("MAE", BLUE), ("RMSE", ORANGE)):
        values = [(float(errors[name].mean()), float(errors[name].std(ddof=0))) for _, errors in known]
        data.append(
            {
                "type": "bar",
                "name": name,
                "x": [weight_name(branch) for branch, _ in known],
                "y": [round(mean, 4) for mean, _ in values],
                "error_y": {"type": "data", "array": [round(spread, 4) for _, spread in values], "color": NEUTRAL},
                "marker": {"color": colour},
                "hovertemplate": f"%{{x}}: {name} %{{y:.3f}} ± %{{error_y.array:.3f}} eV over the folds<extra></extra>",
            }
        )
    return figure_of(
        data, barmode="group", legend=LEGEND, xaxis={"type": "category"}, yaxis=energy_axis("held-out error (eV)")
    )


def errors_by_fold(branch: Branch) -> pd.DataFrame:
    """Return MAE and RMSE of each fold in eV; a gap below 0 counts as none."""
    import pandas as pd

    assert branch.cross_validation is not None
    frame = branch.cross_validation.frame
    errors = frame["gap_ev"].clip(lower=0) - frame["target_ev"]
    fold = frame["fold"] if "fold" in frame.columns else 0 * errors
    return pd.DataFrame({"MAE": errors.abs().groupby(fold).mean(), "RMSE": (errors**2).groupby(fold).mean() ** 0.5})


def weight_name(branch: Branch) -> str:
    """Return how a branch is called: by its lambda."""
    weight = branch.prior_weight.value if branch.prior_weight else None
    return "λ unknown" if weight is None else f"λ = {weight:g}"


def parity(table: Table) -> Figure:
    """Held-out prediction against computed gap, the worst compounds named (figure 6.6)."""
    frame = table.frame.assign(gap_ev=table.frame["gap_ev"].clip(lower=0))
    frame = frame.assign(error=frame["gap_ev"] - frame["target_ev"], label=frame["formula"].map(pretty))
    high = float(frame[["target_ev", "gap_ev"]].to_numpy().max(initial=1.0)) * 1.04
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": frame["target_ev"].round(3).tolist(),
        "y": frame["gap_ev"].round(3).tolist(),
        **hover_names(frame["formula"].tolist()),
        "marker": {"color": BLUE, "size": 5, "opacity": 0.6},
        "hovertemplate": NAMED + "computed %{x:.2f} eV<br>predicted %{y:.2f} eV<extra></extra>",
    }
    worst = frame.loc[frame["error"].abs().sort_values(ascending=False).index[:N_NAMED]]
    return figure_of(
        [diagonal(high), points],
        hovermode="closest",
        showlegend=False,
        annotations=names_of_points(worst, high),
        **square_axes("computed gap (eV)", "predicted, held out (eV)", high),
    )


def element_levels(table: Table, reference: Table | None) -> Figure:
    """Mean levels of each element, their spread, the prior, and how far they are from it (figures 6.7, 6.15, 6.23)."""
    frame = table.frame.set_index("symbol")
    frame = frame.loc[ordered(frame.index)]
    known = reference.frame.set_index("symbol")[["homo_ev", "lumo_ev"]] if reference is not None else None
    data: list[dict[str, Any]] = []
    for kind, name, colour, symbol in EDGES:
        mean, spread = frame[f"{kind}_mean_ev"], frame[f"{kind}_std_ev"]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": frame.index.tolist(),
                "y": mean.round(3).tolist(),
                "error_y": {"type": "data", "array": spread.round(3).tolist(), "thickness": 1, "width": 2},
                "customdata": frame["n"].tolist(),
                "marker": {"color": colour, "symbol": symbol, "size": 7},
                "hovertemplate": f"<b>%{{x}}</b> {name} %{{y:.2f}} ± %{{error_y.array:.2f}} eV<br>"
                "%{customdata} occurrences<extra></extra>",
            }
        )
        if known is None:
            continue
        prior = known[f"{kind}_ev"].reindex(frame.index)
        data.append(_prior(prior, name, symbol))
        data.append(_shift(mean - prior, name, PURPLE if kind == "homo" else GREEN, symbol))
    upper = [0.0, 1.0] if known is None else [0.42, 1.0]
    return figure_of(
        data,
        legend=LEGEND,
        hovermode="closest",
        xaxis=element_axis(
            anchor="y2" if known is not None else "y", categoryorder="array", categoryarray=frame.index.tolist()
        ),
        yaxis=energy_axis("level (eV)", domain=upper),
        **(
            {}
            if known is None
            else {
                "yaxis2": {
                    "title": {"text": "minus prior (eV)"},
                    "domain": [0, 0.34],
                    "zeroline": True,
                    "zerolinecolor": NEUTRAL,
                }
            }
        ),
    )


def _prior(levels: pd.Series[float], name: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{name}, prior",
        "x": levels.index.tolist(),
        "y": _finite(levels),
        "marker": {"color": NEUTRAL, "symbol": f"{symbol}-open", "size": 8, "line": {"width": 1.4}},
        "hovertemplate": f"<b>%{{x}}</b> {name}, prior: %{{y:.2f}} eV<extra></extra>",
    }


def _shift(difference: pd.Series[float], name: str, colour: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"Δ{name}",
        "yaxis": "y2",
        "x": difference.index.tolist(),
        "y": _finite(difference),
        "marker": {"color": colour, "symbol": symbol, "size": 6},
        "hovertemplate": f"<b>%{{x}}</b> {name} moved by %{{y:+.2f}} eV<extra></extra>",
    }


def _finite(values: pd.Series[float]) -> list[float | None]:
    return [round(float(value), 3) if np.isfinite(value) else None for value in values]
