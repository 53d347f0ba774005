"""Read an interpretation out of the provenance graph, from the node of its InterpretWorkChain alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiida import orm

from aiida_perovskite.report.collect import campaign_name, datasets
from aiida_perovskite.report.contents import Number, Table
from aiida_perovskite.report.graph import (
    INPUT,
    OUTPUT,
    attributes,
    called,
    linked,
    maybe,
    record,
    source,
    table,
    text_of,
)
from aiida_perovskite.report.interpret_contents import Branch, InterpretationReport
from aiida_perovskite.report.steps import step, steps_below

if TYPE_CHECKING:
    import pandas as pd

SITES = ("a", "b", "c", "d")
PAIRS = tuple(i + j for i in SITES for j in SITES)
TABLES = (
    "cross_validation",
    "members",
    "scan",
    "families",
    "elements",
    "claims",
    "components",
    "stability",
    "attributions",
)
RECORDS = ("metrics", "summary", "agreement")
FAMILY_NUMBERS = ("n_compounds", "gap_mean_ev", "gap_std_ev", "zero_gap_share", "confirmed_share")
STEPS = ("train_", "families_")  # how the links to the steps of one weight of the prior begin
DIGITS = {"ev": 3, "attention": 3, "weight": 4}
"""Digits after the point that are kept of what is drawn of each compound."""


def collect_interpretation(node: orm.ProcessNode) -> InterpretationReport:
    """Collect what an interpretation has produced so far.

    Parameters
    ----------
    node
        The InterpretWorkChain, finished, failed or still running.

    Raises
    ------
    ValueError
        If ``node`` has neither the inputs nor the outputs of an interpretation.
    """
    inputs, outputs = linked(node, INPUT), linked(node, OUTPUT)
    if not {"dataset", "target", "reference"} <= set(inputs):
        raise ValueError(f"node {node.pk} ({node.process_label}) is no InterpretWorkChain: give the node of one")
    branches = sorted((read_branch(*found) for found in find_branches(node, outputs)), key=by_weight)
    target = text_of(inputs["target"])
    return InterpretationReport(
        name=campaign_name(node, "interpretation"),
        description=node.description,
        step=step(node, "interpretation"),
        datasets=tuple(datasets(inputs)),
        target=target,
        settings={label: record(data, label) for label, data in inputs.items() if isinstance(data, orm.Dict)},
        compounds=compounds(inputs["dataset"], target),
        reference=maybe(table, inputs, "reference"),
        branches=tuple(branches),
        sse_gaps=maybe(table, outputs, "sse__gaps"),
        sse_errors=maybe(record, outputs, "sse__errors"),
    )


def by_weight(branch: Branch) -> float:
    """Sort branches by the weight of the prior."""
    return float(branch.prior_weight.value or 0) if branch.prior_weight else 0.0


def compounds(dataset: Any, target: str) -> Table | None:
    """Return formula and target of the compounds that have one; None where the table lacks the column."""
    frame = dataset.to_frame()
    if not {"formula", target} <= set(frame.columns):
        return None
    known = frame[["formula", target]].rename(columns={target: "target_ev"}).dropna()
    return Table(known.reset_index(drop=True), source(dataset, "dataset"))


def find_branches(
    node: orm.ProcessNode, outputs: Mapping[str, Any]
) -> Iterator[tuple[str, list[orm.ProcessNode], dict[str, Any]]]:
    """Yield, for each weight of the prior, its key, its steps (the training first), and name -> node of its results.

    What the WorkChain has not handed out yet is taken from the step that made it.
    """
    steps: dict[str, list[orm.ProcessNode]] = {}
    found: dict[str, dict[str, Any]] = {}
    for prefix in STEPS:
        for label, child in called(node, prefix):
            key = label.removeprefix(prefix)
            steps.setdefault(key, []).append(child)
            found.setdefault(key, {}).update(linked(child, OUTPUT))
    for label, data in outputs.items():
        namespace, _, rest = label.partition("__")
        key, _, name = rest.partition("__")
        if namespace == "networks":
            found.setdefault(key, {})[name] = data
    for key, nodes in found.items():
        yield key, steps.get(key, []), nodes


def read_branch(key: str, processes: list[orm.ProcessNode], nodes: Mapping[str, Any]) -> Branch:
    """Read the nodes of one weight of the prior."""
    parts: dict[str, Any] = {name: maybe(table, nodes, name) for name in TABLES}
    parts |= {name: maybe(record, nodes, name) for name in RECORDS}
    if "levels" in nodes:
        parts |= read_levels(nodes["levels"])
    if parts["families"] is not None:
        parts["family_numbers"] = family_numbers(parts["families"])
    steps = [
        one
        for process in processes
        for one in (step(process, process.process_label or key), *steps_below(process, process.process_label or key))
    ]
    return Branch(
        name=key.replace("_", "-"),
        prior_weight=prior_weight(processes, nodes.get("model")),
        steps=tuple(steps),
        model=maybe(attributes, nodes, "model"),
        **parts,
    )


def family_numbers(families: Table) -> dict[str, Number]:
    """Return the numbers of single families that the page shows outside of tables and figures."""
    return {
        f"{row['family']}.{name}": Number(
            row[name] if math.isfinite(row[name]) else None, families.source, f"row of family {row['family']}: {name}"
        )
        for row in families.frame.to_dict(orient="records")
        for name in FAMILY_NUMBERS
        if name in row
    }


def prior_weight(processes: list[orm.ProcessNode], model: Any) -> Number | None:
    """Return the weight of the prior: the input of the training, else what the checkpoint says."""
    given = next((data for one in processes if (data := linked(one, INPUT).get("prior_weight")) is not None), None)
    if given is not None:
        return Number(given.value, source(given, "prior_weight"), "value")
    if model is None:
        return None
    weight = model.checkpoint.get("settings", {}).get("prior_weight")
    return Number(weight, source(model, "model"), "settings.prior_weight")


def read_levels(node: Any) -> dict[str, Table]:
    """Return what is drawn of the table of levels: that of the first network, on which the families rest."""
    frame = node.to_frame()
    origin = source(node, "levels")
    if "member" in frame.columns:
        frame = frame[frame["member"] == frame["member"].iloc[0]].reset_index(drop=True)
    return {
        "compounds": Table(levels_by_compound(frame), origin),
        "element_levels": Table(levels_by_element(frame), origin),
    }


def levels_by_compound(levels: pd.DataFrame) -> pd.DataFrame:
    """Return one row per compound, the attention averaged over layers and heads, rounded."""
    names = ["formula", *SITES, "target_ev", "gap_ev", "vbm_ev", "cbm_ev"]
    names += [f"{kind}_{site}_ev" for kind in ("homo", "lumo") for site in SITES]
    names += [f"{kind}_weight_{site}" for kind in ("vbm", "cbm") for site in SITES]
    frame = levels[[name for name in names if name in levels.columns]].copy()
    for pair in PAIRS:
        own = [name for name in levels.columns if name.startswith("attention_") and name.endswith(f"_{pair}")]
        frame[f"attention_{pair}"] = levels[own].mean(axis=1)
    for part, digits in DIGITS.items():
        numeric = [name for name in frame.columns if part in name.split("_")]
        frame[numeric] = frame[numeric].astype(float).round(digits)
    return frame


def levels_by_element(levels: pd.DataFrame) -> pd.DataFrame:
    """Average the levels of each element over all sites and compounds, as figure 6.7 of the thesis does."""
    import pandas as pd

    names = {"homo_{}_ev": "homo_ev", "lumo_{}_ev": "lumo_ev"}
    parts = [
        levels[[site, *(name.format(site) for name in names)]].set_axis(["symbol", *names.values()], axis=1)
        for site in SITES
    ]
    grouped = pd.concat(parts, ignore_index=True).groupby("symbol")
    frame = pd.DataFrame({"n": grouped.size()})
    for name in names.values():
        kind = name.removesuffix("_ev")
        frame[f"{kind}_mean_ev"] = grouped[name].mean()
        frame[f"{kind}_std_ev"] = grouped[name].std(ddof=0)
    return frame.reset_index()
