"""Read a campaign out of the provenance graph, from the node of its ScreeningWorkChain alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiida import orm

from aiida_perovskite.report.candidates import candidates
from aiida_perovskite.report.contents import CampaignReport, Candidate, Dataset, Number, Record, Source, Stage, Table
from aiida_perovskite.report.graph import (
    INPUT,
    OUTPUT,
    attributes,
    attributes_of,
    called,
    linked,
    maybe,
    numbers,
    record,
    source,
    table,
    text_of,
)
from aiida_perovskite.report.steps import step, steps_below

FAILED = ("failed", "excepted", "killed")


def collect_campaign(node: orm.ProcessNode) -> CampaignReport:
    """Collect what a campaign has produced so far.

    Parameters
    ----------
    node
        The ScreeningWorkChain, finished or still running.

    Raises
    ------
    ValueError
        If ``node`` has neither the inputs nor the outputs of a screening.
    """
    inputs, outputs = linked(node, INPUT), linked(node, OUTPUT)
    if "selection" not in inputs and "predictions" not in outputs:
        raise ValueError(f"node {node.pk} ({node.process_label}) is not a screening: give the node of a campaign")
    model = outputs.get("model") or inputs.get("model")
    made_by = training_process(model) or next((child for _, child in called(node, "train")), None)
    trained = linked(made_by, OUTPUT) if made_by else {}
    found = {**trained, **outputs}
    given = {**(training_inputs(made_by) if made_by else {}), **inputs}
    selection = maybe(table, found, "selection")
    references = inputs["references"].get_list() if "references" in inputs else []
    computed = tuple(candidates(node, selection, references))
    predictions = maybe(table, found, "predictions")
    return CampaignReport(
        name=campaign_name(node),
        description=node.description,
        step=step(node, "screening"),
        datasets=tuple(datasets(given)),
        target=text_of(given.get("target")) or attributes_of(model).get("target", ""),
        settings={label: record(data, label) for label, data in given.items() if isinstance(data, orm.Dict)},
        engines={label.split("__")[0]: text_of(data) for label, data in inputs.items() if label.endswith("__engine")},
        funnel=tuple(funnel(outputs["funnel"])) if "funnel" in outputs else (),
        candidates=computed,
        counts=counts(source(node, "screening"), computed, predictions),
        training=steps_below(made_by, "train") if made_by else (),
        model=attributes(model, "model") if model is not None else None,
        metrics=metrics(found.get("metrics"), model),
        cross_validation=maybe(table, found, "cross_validation"),
        history=maybe(table, found, "history"),
        learning_curve=maybe(table, found, "learning_curve"),
        predictions=predictions,
        selection=selection,
        results=maybe(table, found, "results"),
    )


def training_inputs(node: orm.ProcessNode) -> dict[str, Any]:
    """Return the inputs of a training under the labels that the screening has for them."""
    names = {"settings": "training"}
    return {names.get(label, label): data for label, data in linked(node, INPUT).items()}


def training_process(model: orm.Data | None) -> orm.ProcessNode | None:
    """Return what trained a model: the WorkChain that called its job, or the job itself if nothing called it."""
    creator = model.creator if model is not None else None
    if creator is None:
        return None
    # A calcfunction called by the screening itself has the screening as caller: then it is the training.
    caller = creator.caller
    return caller if caller is not None and "settings" in linked(caller, INPUT) else creator


def campaign_name(node: orm.ProcessNode, kind: str = "screening") -> str:
    """Return the label of the group that holds the campaign, else of the node, else a name from its pk."""
    query = orm.QueryBuilder().append(orm.Node, filters={"id": node.pk}, tag="campaign")
    query.append(orm.Group, with_node="campaign", filters={"type_string": "core"}, project="label")
    labels = sorted(query.all(flat=True))
    return labels[0] if labels else node.label or f"{kind} {node.pk}"


def metrics(node: orm.Dict | None, model: orm.Data | None) -> Record | None:
    """Read the errors of the model from their own node, or from the checkpoint where that is all there is."""
    if node is not None:
        return record(node, "metrics")
    content = attributes_of(model).get("metrics")
    if model is None or not content:
        return None
    origin = source(model, "model")
    inner = numbers(content, origin, "metrics")
    return Record(origin, content, {name.removeprefix("metrics."): number for name, number in inner.items()})


def datasets(given: Mapping[str, Any]) -> Iterator[Dataset]:
    """Describe the tables among the inputs, each once: what was trained on, then the others."""
    tables = {label: node for label, node in given.items() if label == "dataset" or label.startswith("known__")}
    seen: set[str] = set()
    for label, node in sorted(tables.items(), key=lambda item: item[0] != "dataset"):
        if node.uuid in seen:
            continue
        seen.add(node.uuid)
        content = attributes_of(node)
        yield Dataset(
            name=content.get("name") or node.label or "table",
            role="training" if label == "dataset" else "known compounds",
            sha256=content.get("sha256", ""),
            n_rows=Number(content.get("n_rows"), source(node, label), "n_rows"),
            card=dict(content.get("origin") or {}),
        )


def funnel(node: orm.Dict) -> Iterator[Stage]:
    """Read the stages of the funnel."""
    origin = source(node, "funnel")
    for index, stage in enumerate(node.get_dict()["stages"]):
        count = Number(stage["count"], origin, f"stages.{index}.count")
        yield Stage(stage["name"], stage.get("label") or stage["name"], stage.get("note") or "", count)


def counts(origin: Source, computed: tuple[Candidate, ...], predictions: Table | None) -> dict[str, Number]:
    """Count what the campaign has done; the references do not count."""
    own = [item for item in computed if not item.reference]
    verdicts = [(item.stability.content.get("binary") or {}).get("verdict") for item in own if item.stability]
    numbers_found = {
        "chosen": len(own),
        "computed": sum(item.gap is not None for item in own),
        "in_window": sum(gap_in_window(item) for item in own),
        "failed": sum(item.step is not None and item.step.state in FAILED for item in own),
    }
    if verdicts:
        numbers_found |= {name: verdicts.count(name) for name in ("stable", "metastable")}
    found = {name: Number(value, origin, f"number of candidates {name}") for name, value in numbers_found.items()}
    if predictions is not None:
        found["ranked"] = Number(len(predictions.frame), predictions.source, "number of rows")
    return found


def gap_in_window(item: Candidate) -> bool:
    """Tell whether a candidate passed the rule on its gap; one that left at a later stage did."""
    if item.verdict is None:
        return False
    return bool(item.verdict.content.get("passed")) or item.verdict.content.get("stage", "gap") != "gap"
