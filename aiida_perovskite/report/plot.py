"""What all figures share: colours, symbols, and how one becomes plotly JSON.

Fonts, grid and background come from the page, so that the figures follow its theme.
Colours follow Okabe and Ito, told apart by the colour-blind (the blue lightened, to be read on dark ground as well);
wherever colour carries meaning a symbol, a line style or a label carries it too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#1F83C4", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
NEUTRAL = "#808890"  # readable on light and dark ground
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
LEGEND = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}

Figure = dict[str, Any]


def figure_of(data: list[Any], **layout: Any) -> Figure:
    """Return traces and layout as plotly's JSON, without a template: the page themes it."""
    import plotly.graph_objects as go

    figure: go.Figure = go.Figure(data=data)
    figure.update_layout(template="none", **layout)
    content: Figure = json.loads(figure.to_json())
    content["layout"].pop("template", None)
    return content


def energy_axis(title: str, **extra: Any) -> dict[str, Any]:
    """Return an axis with a title and no line at zero."""
    return {"title": {"text": title}, "zeroline": False, **extra}
