"""The path of a process through the provenance graph, as a small inline SVG."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from aiida_perovskite.report.compounds import pretty
from aiida_perovskite.report.contents import CampaignReport, Source
from aiida_perovskite.report.interpret_contents import InterpretationReport

WIDTH, HEIGHT, GAP_X, GAP_Y = 138, 46, 34, 14  # pixels of a box and between boxes
SHOWN = 4  # candidates drawn; more are counted in one box


@dataclass(frozen=True)
class Box:
    """A node of the diagram in its column; ``process`` tells calculations from data."""

    label: str
    detail: str
    column: int
    row: float
    process: bool = False

    @property
    def left(self) -> float:
        """Left edge, pixels."""
        return self.column * (WIDTH + GAP_X)

    @property
    def top(self) -> float:
        """Upper edge, pixels."""
        return self.row * (HEIGHT + GAP_Y)


def provenance_diagram(report: CampaignReport) -> str:
    """Return the SVG: what was given on the left, what came out of it on the right."""
    boxes, links = _layout(report)
    label = "Flow: dataset and settings, training, checkpoint, predictions, selection, candidates, results"
    return draw_diagram(boxes, links, label)


def draw_diagram(boxes: dict[str, Box], links: list[tuple[str, str]], label: str) -> str:
    """Return boxes by their key, and the links between those that exist, as SVG."""
    height = max(box.top for box in boxes.values()) + HEIGHT + 2
    width = max(box.left for box in boxes.values()) + WIDTH + 2
    parts = [_link(boxes[start], boxes[end]) for start, end in links if start in boxes and end in boxes]
    parts += [_box(box) for box in boxes.values()]
    return Markup(
        '<svg class="diagram" viewBox="-1 -1 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        "{content}</svg>"
    ).format(w=round(width), h=round(height), label=label, content=Markup("").join(parts))


def _layout(report: CampaignReport) -> tuple[dict[str, Box], list[tuple[str, str]]]:
    chosen = [item for item in report.candidates if not item.reference]
    names = [item.formula for item in chosen[:SHOWN]]
    middle = max(len(names) - 1, 2) / 2
    boxes: dict[str, Box] = {}

    def add(key: str, label: str, source: Source | None, column: int, row: float, process: bool = False) -> None:
        if source is not None:
            boxes[key] = Box(label, source.uuid[:8], column, row, process)

    training = report.settings.get("training")
    add("dataset", report.datasets[0].name if report.datasets else "", _first_source(report), 0, middle - 1)
    add("training", "training settings", training.source if training else None, 0, middle)
    space = report.settings.get("space")
    add("space", "space", space.source if space else None, 0, middle + 1)
    add("train", "training job", report.training[-1].source if report.training else None, 1, middle - 0.5, process=True)
    add("model", "checkpoint", report.model.source if report.model else None, 2, middle - 0.5)
    add("predictions", "predictions", report.predictions.source if report.predictions else None, 3, middle)
    add("selection", "selection", report.selection.source if report.selection else None, 4, middle)
    for row, item in enumerate(chosen[:SHOWN]):
        source = item.step.source if item.step else None
        add(item.formula, pretty(item.formula), source, 5, row + middle - (len(names) - 1) / 2, process=True)
    if len(chosen) > SHOWN:
        more = len(chosen) - SHOWN
        boxes["more"] = Box(f"{more} more candidates", "below", 5, SHOWN + middle - (len(names) - 1) / 2, True)
        names.append("more")
    add("results", "results", report.results.source if report.results else None, 6, middle)
    links = [("dataset", "train"), ("training", "train"), ("train", "model"), ("model", "predictions")]
    links += [("space", "predictions"), ("predictions", "selection")]
    links += [link for name in names for link in (("selection", name), (name, "results"))]
    return boxes, links


def interpretation_diagram(report: InterpretationReport) -> str:
    """Return the SVG: table, settings and reference levels on the left, one row per weight of the prior."""
    boxes: dict[str, Box] = {}
    links = []

    def add(key: str, label: str, source: Source | None, column: int, row: float, process: bool = False) -> None:
        if source is not None:
            boxes[key] = Box(label, source.uuid[:8], column, row, process)

    given = {"dataset": _first_source(report), **{label: one.source for label, one in report.settings.items()}}
    given["reference"] = report.reference.source if report.reference else None
    names = {"dataset": report.datasets[0].name if report.datasets else "", "reference": "reference levels"}
    later = given.pop("analysis", None)  # it enters where the others have long been used
    for row, (key, source) in enumerate(given.items()):
        add(key, names.get(key, key.replace("_", " ")), source, 0, row)
    add("analysis", "analysis settings", later, 3, len(report.branches))
    for row, branch in enumerate(report.branches):
        first = branch.steps[0] if branch.steps else None
        weight = branch.prior_weight.value if branch.prior_weight else None
        label = "training" if weight is None else f"training, λ = {weight:g}"
        chain = [
            (label, first.source if first else None),
            ("checkpoint", branch.model.source if branch.model else None),
            ("levels", branch.compounds.source if branch.compounds else None),
            ("families", branch.families.source if branch.families else None),
        ]
        keys = [f"{branch.name} {column}" for column in range(len(chain))]
        for column, (key, (text, source)) in enumerate(zip(keys, chain, strict=True), start=1):
            add(key, text, source, column, row, process=column == 1)
        links += [(key, keys[0]) for key in ("dataset", "settings", "reference")]
        links += [(one, other) for place, other in enumerate(keys) for one in keys[:place][-1:]]
        links.append(("analysis", keys[3]))
    if report.sse_gaps is not None:
        add("sse", "solid-state energies", report.sse_gaps.source, 1, len(report.branches))
        links.append(("dataset", "sse"))
    label = "Flow: table, settings and reference levels, training, checkpoint, levels, families"
    return draw_diagram(boxes, links, label)


def _first_source(report: CampaignReport | InterpretationReport) -> Source | None:
    return report.datasets[0].n_rows.source if report.datasets else None


def _box(box: Box) -> Markup:
    return Markup(
        '<g class="{kind}"><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{r}"/>'
        '<text x="{cx}" y="{y1}">{label}</text><text class="small" x="{cx}" y="{y2}">{detail}</text></g>'
    ).format(
        kind="process" if box.process else "data",
        x=round(box.left),
        y=round(box.top, 1),
        w=WIDTH,
        h=HEIGHT,
        r=3 if box.process else 14,
        cx=round(box.left + WIDTH / 2),
        y1=round(box.top + 20, 1),
        y2=round(box.top + 36, 1),
        label=box.label if len(box.label) <= 22 else box.label[:21] + "…",
        detail=box.detail,
    )


def _link(start: Box, end: Box) -> Markup:
    x1, y1, x2, y2 = start.left + WIDTH, start.top + HEIGHT / 2, end.left, end.top + HEIGHT / 2
    bend = (x1 + x2) / 2 if end.column - start.column == 1 else x2 - GAP_X / 2
    return Markup('<path d="M{} {} C{} {} {} {} {} {}"/>').format(
        *(round(part, 1) for part in (x1, y1, bend, y1, bend, y2, x2, y2))
    )
