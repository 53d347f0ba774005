"""Periodic tables as heat maps: one per site, with layers to choose from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from aiida_perovskite.report.plot import NEUTRAL, Figure, figure_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS, ROWS = 18, 10  # seven periods, an empty row, lanthanides and actinides
LAST = 103  # the table ends with lawrencium: no compound of the datasets holds more
SITES = ("A", "B", "C", "D")
NAME_AT = (6.5, 0.4)  # in the gap between beryllium and boron
FAINT = "rgba(128,136,144,0.13)"


@cache
def place(symbol: str) -> tuple[int, int] | None:
    """Return column and row of an element in the table, from 0; None for what is no element of it."""
    from pymatgen.core.periodic_table import Element

    if not Element.is_valid_symbol(symbol):
        return None
    element = Element(symbol)
    if element.Z > LAST:
        return None
    if element.is_lanthanoid or element.is_actinoid:
        return 2 + element.Z - (57 if element.is_lanthanoid else 89), 8 if element.is_lanthanoid else 9
    return element.group - 1, element.row - 1


@cache
def by_number() -> dict[str, int]:
    """Return the elements of the table and their numbers."""
    from ase.data import chemical_symbols

    return {symbol: number for number, symbol in enumerate(chemical_symbols[: LAST + 1]) if number}


def ordered(symbols: Iterable[str]) -> list[str]:
    """Return elements by their number; what is no element comes last."""
    return sorted(set(symbols), key=lambda symbol: (by_number().get(symbol, LAST + 1), symbol))


def site_tables(layers: Sequence[pd.DataFrame]) -> Figure:
    """Draw four periodic tables, for A, B, C and D, one layer of them visible at a time.

    The colours of each table run from 0 to its largest share, which stands above it: few elements share C or D, many
    share A and B.

    Parameters
    ----------
    layers
        Of each layer: ``site``, ``element``, ``share`` (0 to 1) and ``text`` (what hovering shows).
    """
    data: list[Any] = [_skeleton(number) for number in range(len(SITES))]
    for index, layer in enumerate(layers):
        for number, site in enumerate(SITES):
            own = layer[layer["site"] == site]
            top = 100 * max(float(own["share"].max()), 1e-9) if len(own) else 1.0
            shown: dict[str, Any] = {"meta": index, "visible": index == 0}
            data.append({**_heat(own, number), **shown, "zmin": 0, "zmax": round(top, 3)})
            data.append({**_caption(f"up to {top:.0f} %", number), **shown})
    layout: dict[str, Any] = {}
    notes = []
    for number, site in enumerate(SITES):
        left, top_edge = 0.51 * (number % 2), 1 - 0.53 * (number // 2)
        suffix = str(number + 1) if number else ""
        bare = {"showgrid": False, "zeroline": False, "showline": False, "showticklabels": False, "ticks": ""}
        layout[f"xaxis{suffix}"] = {
            **bare,
            "domain": [left, left + 0.49],
            "range": [-0.5, COLUMNS - 0.5],
            "constrain": "domain",
        }
        layout[f"yaxis{suffix}"] = {
            **bare,
            "domain": [top_edge - 0.47, top_edge],
            "range": [ROWS - 0.5, -0.5],
            "anchor": f"x{suffix}",
            "scaleanchor": f"x{suffix}",
            "constrain": "domain",
        }
        layout[f"xaxis{suffix}"]["anchor"] = f"y{suffix}"
        notes.append(
            {
                "x": NAME_AT[0],
                "y": NAME_AT[1],
                "xref": f"x{suffix}",
                "yref": f"y{suffix}",
                "text": f"<b>site {site}</b>",
                "showarrow": False,
                "font": {"size": 15},
            }
        )
    return figure_of(data, annotations=notes, showlegend=False, **layout)


def _heat(cells: pd.DataFrame, number: int) -> dict[str, Any]:
    return {
        "type": "heatmap",
        **_grid(cells),
        **_axes(number),
        "x": list(range(COLUMNS)),
        "y": list(range(ROWS)),
        "colorscale": "Cividis",
        "showscale": False,
        "texttemplate": "%{text}",
        "hovertemplate": "%{hovertext}<extra></extra>",
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
    }


def _caption(text: str, number: int) -> dict[str, Any]:
    """Write below the name of the site."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": [NAME_AT[0]],
        "y": [NAME_AT[1] + 1],
        "text": [text],
        "textfont": {"color": NEUTRAL},
        "hoverinfo": "skip",
        **_axes(number),
    }


def _axes(number: int) -> dict[str, Any]:
    suffix = str(number + 1) if number else ""
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}


def _skeleton(number: int) -> dict[str, Any]:
    """Return the faint table of all elements that lies below."""
    cells: list[list[int | None]] = [[None] * COLUMNS for _ in range(ROWS)]
    text = [[""] * COLUMNS for _ in range(ROWS)]
    for symbol in by_number():
        column, row = place(symbol) or (0, 0)
        cells[row][column], text[row][column] = 0, symbol
    return {
        "type": "heatmap",
        "z": cells,
        "text": text,
        **_axes(number),
        "x": list(range(COLUMNS)),
        "y": list(range(ROWS)),
        "colorscale": [[0, FAINT], [1, FAINT]],
        "showscale": False,
        "texttemplate": "%{text}",
        "textfont": {"color": NEUTRAL},
        "hoverinfo": "skip",
        "xgap": 1,
        "ygap": 1,
    }


def _grid(cells: pd.DataFrame) -> dict[str, Any]:
    values: list[list[float | None]] = [[None] * COLUMNS for _ in range(ROWS)]
    text, hover = ([[""] * COLUMNS for _ in range(ROWS)] for _ in range(2))
    for symbol, share, words in zip(cells["element"], cells["share"], cells["text"], strict=True):
        found = place(symbol)
        if found is not None:
            column, row = found
            values[row][column], text[row][column], hover[row][column] = round(100 * float(share), 3), symbol, words
    return {"z": values, "text": text, "hovertext": hover}
