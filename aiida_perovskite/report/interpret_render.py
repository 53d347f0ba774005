"""Turn a collected interpretation into one HTML page that needs nothing else."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from aiida_perovskite.report import interpret_figures as figures
from aiida_perovskite.report import interpret_figures_clusters as cluster_figures
from aiida_perovskite.report import interpret_figures_families as family_figures
from aiida_perovskite.report.contents import Number, Table, walk
from aiida_perovskite.report.diagram import interpretation_diagram
from aiida_perovskite.report.interpret_contents import Branch, InterpretationReport
from aiida_perovskite.report.page import asset, environment, report_data, software
from aiida_perovskite.report.plot import Figure

SITES = ("a", "b", "c", "d")
KINDS = cluster_figures.KINDS
SAME, ALIKE = 0.9, 0.65
"""Adjusted Rand indices from which on two clusterings are called the same, or alike (D. Steinley, Psychol. Methods 9,
386, 2004: excellent above 0.90, poor below 0.65)."""
SHELLS = {"open_d": "an open d shell", "open_f": "an open f shell", "halides": "halides", "zero_gap": "no gap"}


def render_interpretation(report: InterpretationReport) -> str:
    """Return the page.

    Parameters
    ----------
    report
        From :func:`aiida_perovskite.report.interpret_collect.collect_interpretation`.
    """
    drawn, layers = draw(report)
    page: str = (
        environment(table_button, *TOLD)
        .get_template("interpretation.html.j2")
        .render(
            report=report,
            figures=drawn,
            layers=layers,
            data=report_data(report, "interpretation"),
            tables={path: table for path, table in walk(report) if isinstance(table, Table)},
            js=asset("interpretation.js"),
            diagram=Markup(interpretation_diagram(report)),
            best=best(report),
            versions=software(
                report.step,
                [branch.model for branch in report.branches],
                [step for branch in report.branches for step in branch.steps],
            ),
            kinds=KINDS,
        )
    )
    return page


def draw(report: InterpretationReport) -> tuple[dict[str, Figure], dict[str, list[str]]]:
    """Return the figures by their id on the page, and the names of the layers of those that have some."""
    drawn: dict[str, Figure | None] = {}
    layers: dict[str, list[str]] = {}
    if report.compounds is not None and len(report.compounds.frame):
        drawn["data/elements"] = figures.data_elements(report.compounds)
        drawn["data/gaps"] = figures.data_gaps(report.compounds)
    if report.sse_gaps is not None:
        drawn["sse"] = figures.solid_state(report.sse_gaps)
    if report.reference is not None:
        drawn["reference"] = figures.reference_levels(report.reference)
    if any(branch.cross_validation is not None for branch in report.branches):
        drawn["accuracy"] = figures.accuracy(report.branches)
    for branch in report.branches:
        own, names = draw_branch(branch, report.reference)
        drawn |= {f"{kind}/{branch.name}/{part}": figure for (kind, part), figure in own.items()}
        layers |= {f"{kind}/{branch.name}": words for kind, words in names.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}, layers


def draw_branch(
    branch: Branch, reference: Table | None
) -> tuple[dict[tuple[str, str], Figure | None], dict[str, list[str]]]:
    """Return the figures of one weight of the prior by kind and part, and the names of their layers."""
    drawn: dict[tuple[str, str], Figure | None] = {}
    layers: dict[str, list[str]] = {}
    if branch.cross_validation is not None:
        drawn["parity", ""] = figures.parity(branch.cross_validation)
    if branch.element_levels is not None:
        drawn["levels", ""] = figures.element_levels(branch.element_levels, reference)
    if branch.scan is not None:
        drawn |= {("scan", measure): cluster_figures.scan(branch.scan, measure) for measure in cluster_figures.SCANS}
    if branch.members is not None:
        for part, axis in (("2d", "pc2"), ("3d", "pc3")):  # settings may ask for fewer components
            if axis in branch.members.frame.columns:
                drawn["pca", part] = cluster_figures.principal_components(branch, branch.members, part == "3d")
        drawn["silhouettes", ""] = cluster_figures.silhouettes(branch.members)
    if branch.components is not None:
        drawn["components", ""] = cluster_figures.loadings(branch.components)
    if branch.elements is not None and len(branch.elements.frame):
        layers["elements"], drawn["elements", ""] = family_figures.element_layers(branch.elements.frame)
    if branch.stability is not None and len(branch.stability.frame):
        drawn["stability", ""] = cluster_figures.agreement_of_runs(branch.stability)
        if k := chosen_k(branch):
            drawn["numbers", ""] = cluster_figures.chosen_numbers(branch.stability, k)
    if branch.agreement is not None:
        drawn["agreement", ""] = family_figures.attention_against_gradients(branch.agreement)
    if branch.attributions is not None:
        drawn["sites", ""] = family_figures.shares_of_sites(branch.attributions)
        drawn["correlations", ""] = family_figures.rank_correlations(branch.attributions)
    if branch.families is not None:
        layers["attention"] = attention_names(branch.families)
        drawn |= draw_families(branch, branch.families)
    return drawn, layers


def draw_families(branch: Branch, families: Table) -> dict[tuple[str, str], Figure | None]:
    """Return the figures of each family by kind and number."""
    drawn: dict[tuple[str, str], Figure | None] = {}
    for _, row in families.frame.iterrows():
        number = int(row["family"])
        drawn["attention", str(number)] = family_figures.attention(families.frame, row)
        drawn["weights", str(number)] = family_figures.edge_weights(row)
        if branch.members is not None:
            drawn["gaps", str(number)] = family_figures.family_gaps(branch.members.frame, number)
        if branch.elements is not None:
            drawn["by-element", str(number)] = family_figures.element_weights(branch.elements.frame, number)
    return drawn


def attention_names(families: Table) -> list[str]:
    """Name the layers of the figures of attention."""
    prefixes = family_figures.attention_layers(families.frame)
    return ["mean of the layers", *(f"layer {prefix.removeprefix('attention_')}" for prefix in prefixes[1:])]


def chosen_k(branch: Branch) -> int | None:
    """Return the number of clusters that was chosen."""
    frame = branch.scan.frame if branch.scan is not None else None
    return None if frame is None else next((int(k) for k in frame.loc[frame["chosen"].astype(bool), "k"]), None)


def best(report: InterpretationReport) -> Branch | None:
    """Return the branch whose networks err least on compounds that they had not seen."""
    known = [(number.value, branch) for branch in report.branches if (number := pick(branch, "metrics", "mae_ev"))]
    return min(known, key=lambda item: float(item[0] or 0), default=(None, None))[1]


def pick(branch: Branch | None, part: str, key: str) -> Number | None:
    """Return a number of a record of a branch; None where there is no such record or number."""
    record = getattr(branch, part) if branch is not None else None
    return record.numbers.get(key) if record is not None else None


def state(branch: Branch) -> str:
    """Return what a branch is at: ``finished``, or the state of its first step that has not ended well."""
    top = [step for step in branch.steps if " / " not in step.source.link_label]
    return next((step.state for step in top if step.state != "finished"), "finished")


def messages(branch: Branch) -> list[str]:
    """Return why steps of a branch failed."""
    return list(
        dict.fromkeys(
            step.message for step in branch.steps if step.state in ("failed", "excepted", "killed") and step.message
        )
    )


def notes(branch: Branch) -> list[str]:
    """Return what the analysis itself warns of."""
    return list(branch.summary.content.get("notes") or ()) if branch.summary is not None else []


def missing(branch: Branch) -> str:
    """Say what a branch does not have; nothing where it has everything."""
    parts = {
        "cross_validation": "held-out predictions",
        "compounds": "levels",
        "families": "families",
        "stability": "their stability",
        "attributions": "integrated gradients",
    }
    absent = [words for name, words in parts.items() if getattr(branch, name) is None]
    if not absent:
        return ""
    listed = ", ".join(absent[:-1]) + " and " + absent[-1] if len(absent) > 1 else absent[0]
    failed = state(branch) in ("failed", "excepted", "killed")
    return f"{'Missing, because a step failed' if failed else 'Not there yet'}: {listed}."


def explained(branch: Branch) -> list[Number]:
    """Return the shares of variance of the principal components."""
    numbers = branch.summary.numbers if branch.summary is not None else {}
    return [one for key, one in numbers.items() if key.startswith("explained_variance.")]


def verdicts(branch: Branch) -> list[tuple[str, dict[str, Number], str]]:
    """Return, for each kind of repetition, its name, its numbers, and in words whether the clusters come back."""
    content = branch.summary.content.get("stability", {}) if branch.summary is not None else {}
    found = []
    for kind in content:
        names = ("n_runs", "ari_mean", "ari_min", "same_k")
        numbers = {name: number for name in names if (number := pick(branch, "summary", f"stability.{kind}.{name}"))}
        mean = numbers["ari_mean"].value if "ari_mean" in numbers else None
        words = "–"
        if mean is not None:
            words = "the same clusters" if mean >= SAME else "similar clusters" if mean >= ALIKE else "other clusters"
        found.append((KINDS.get(kind, kind), numbers, words))
    return found


def claims(branch: Branch, family: int) -> list[dict[str, Any]]:
    """Return what is claimed of a family: statistic in words, its mean there and in all compounds, p-value."""
    if branch.claims is None:
        return []
    frame = branch.claims.frame
    rows = frame[(frame["family"] == family) & frame["claimed"].astype(bool)]
    named = rows.assign(words=[statistic_words(name) for name in rows["statistic"]])
    found: list[Any] = named.to_dict(orient="records")
    return found


def statistic_words(name: str) -> str:
    """Say in words what a statistic of a family is."""
    if found := re.fullmatch(r"([vc])bm_weight_([abcd])", name):
        return f"weight of {found[2].upper()} in the {'valence' if found[1] == 'v' else 'conduction'} band"
    if found := re.fullmatch(r"attention_to_([abcd])", name):
        return f"attention on {found[1].upper()}"
    if found := re.fullmatch(r"class_([abcd])=(.+)", name):
        return found[2] if found[1] == "d" else f"{found[2]} on {found[1].upper()}"
    return SHELLS.get(name, "mean gap (eV)" if name == "gap_ev" else name)


def table_button(path: str, name: str) -> Markup:
    """Return a button that saves a table of the page's data as CSV: large tables are in the page once only."""
    return Markup('<button type="button" class="download" data-table="{}">{}.csv</button>').format(path, name)


def short(value: Any, digits: int = 2) -> str:
    """Return a number of a table's cell."""
    return f"{value:.{digits}f}".replace("-", "−") if isinstance(value, int | float) and value == value else "–"


TOLD = (pick, state, messages, notes, missing, explained, verdicts, claims, short, figures.weight_name)
"""What the templates of an interpretation may call."""
