"""Read a campaign out of the provenance graph, from the node of its ScreeningWorkChain alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from aiida import orm
from aiida.common import LinkType, NotExistent

from aiida_perovskite.report.compounds import bond_length, roles
from aiida_perovskite.report.contents import (
    Array,
    CampaignReport,
    Candidate,
    Dataset,
    Levels,
    Number,
    Record,
    Source,
    Stage,
    Step,
    Structure,
    Table,
)

Part = TypeVar("Part")

CANDIDATE = "candidate_"  # link label of a candidate's WorkChain: this and its formula
METHODS = {"bands_pbe": "PBE", "bands_hse06": "HSE06", "bands_hse06_soc": "HSE06+SOC"}
INPUT, OUTPUT = (LinkType.INPUT_WORK, LinkType.INPUT_CALC), (LinkType.RETURN, LinkType.CREATE)
FAILED = ("failed", "excepted", "killed")
CALL = (LinkType.CALL_WORK, LinkType.CALL_CALC)


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
    computed = tuple(candidates(node, selection))
    predictions = maybe(table, found, "predictions")
    return CampaignReport(
        name=campaign_name(node),
        description=node.description,
        step=step(node, "screening"),
        datasets=tuple(datasets(given)),
        target=_text(given.get("target")) or _attributes(model).get("target", ""),
        settings={label: record(data, label) for label, data in given.items() if isinstance(data, orm.Dict)},
        engines={label.split("__")[0]: _text(data) for label, data in inputs.items() if label.endswith("__engine")},
        funnel=tuple(funnel(outputs["funnel"])) if "funnel" in outputs else (),
        candidates=computed,
        counts=counts(source(node, "screening"), computed, predictions),
        training=tuple(steps_below(made_by, "train")) if made_by else (),
        model=attributes(model, "model") if model is not None else None,
        metrics=metrics(found.get("metrics"), model),
        cross_validation=maybe(table, found, "cross_validation"),
        history=maybe(table, found, "history"),
        learning_curve=maybe(table, found, "learning_curve"),
        predictions=predictions,
        selection=selection,
        results=maybe(table, found, "results"),
    )


def maybe(read: Callable[[Any, str], Part], nodes: Mapping[str, Any], label: str) -> Part | None:
    """Read the node of that label where there is one."""
    return read(nodes[label], label) if label in nodes else None


def linked(node: orm.ProcessNode, types: tuple[LinkType, ...]) -> dict[str, Any]:
    """Return label -> data node of the inputs or the outputs of a process, in the order of their labels."""
    links = node.base.links
    triples = links.get_incoming(link_type=types) if types is INPUT else links.get_outgoing(link_type=types)
    return {link.link_label: link.node for link in sorted(triples.all(), key=lambda link: str(link.link_label))}


def called(node: orm.ProcessNode, prefix: str = "") -> list[tuple[str, orm.ProcessNode]]:
    """Return link label and process of what a process called, oldest first; many share the default label ``CALL``."""
    links: list[Any] = sorted(node.base.links.get_outgoing(link_type=CALL).all(), key=lambda link: link.node.pk or 0)
    return [(link.link_label, link.node) for link in links if link.link_label.startswith(prefix)]


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


def campaign_name(node: orm.ProcessNode) -> str:
    """Return the label of the group that holds the campaign, else of the node, else a name from its pk."""
    query = orm.QueryBuilder().append(orm.Node, filters={"id": node.pk}, tag="campaign")
    query.append(orm.Group, with_node="campaign", filters={"type_string": "core"}, project="label")
    labels = sorted(query.all(flat=True))
    return labels[0] if labels else node.label or f"screening {node.pk}"


def source(node: orm.Node, link_label: str) -> Source:
    """Describe a node as the source of something."""
    return Source(node.uuid, node.pk or 0, type(node).__name__, link_label)


def numbers(content: Any, origin: Source, path: str = "") -> dict[str, Number]:
    """Return every number within nested dicts and lists by its dotted path."""
    if isinstance(content, bool) or content is None:
        return {}
    if isinstance(content, int | float):
        return {path: Number(content if np.isfinite(content) else None, origin, path)}
    items: Any = ()
    if isinstance(content, Mapping):
        items = content.items()
    elif isinstance(content, list | tuple):
        items = enumerate(content)
    return {
        name: number
        for key, value in items
        for name, number in numbers(value, origin, f"{path}.{key}".lstrip(".")).items()
    }


def attributes(node: orm.Data, link_label: str) -> Record:
    """Read the attributes of a node."""
    content, origin = _attributes(node), source(node, link_label)
    return Record(origin, content, numbers(content, origin))


def record(node: orm.Dict, link_label: str) -> Record:
    """Read a Dict node."""
    origin = source(node, link_label)
    content = node.get_dict()
    return Record(origin, content, numbers(content, origin))


def metrics(node: orm.Dict | None, model: orm.Data | None) -> Record | None:
    """Read the errors of the model from their own node, or from the checkpoint where that is all there is."""
    if node is not None:
        return record(node, "metrics")
    content = _attributes(model).get("metrics")
    if model is None or not content:
        return None
    origin = source(model, "model")
    inner = numbers(content, origin, "metrics")
    return Record(origin, content, {name.removeprefix("metrics."): number for name, number in inner.items()})


def table(node: Any, link_label: str) -> Table:
    """Read a table node."""
    return Table(node.to_frame(), source(node, link_label))


def datasets(given: Mapping[str, Any]) -> Iterator[Dataset]:
    """Describe the tables among the inputs, each once: what was trained on, then the others."""
    tables = {label: node for label, node in given.items() if label == "dataset" or label.startswith("known__")}
    seen: set[str] = set()
    for label, node in sorted(tables.items(), key=lambda item: item[0] != "dataset"):
        if node.uuid in seen:
            continue
        seen.add(node.uuid)
        content = _attributes(node)
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


def candidates(node: orm.ProcessNode, selection: Table | None) -> Iterator[Candidate]:
    """Read the candidates in the order of their rank, those that have not been submitted yet included."""
    processes = {label.removeprefix(CANDIDATE): process for label, process in called(node, CANDIDATE)}
    chosen: list[str] = []
    if selection is not None and "chosen" in selection.frame:
        chosen = selection.frame.loc[selection.frame["chosen"].astype(bool), "formula"].tolist()
    for formula in chosen + [formula for formula in processes if formula not in chosen]:
        yield candidate(formula, processes.get(formula), row_of(selection, formula))


def row_of(selection: Table | None, formula: str) -> dict[str, Number]:
    """Return the numbers of a compound's row of the selection."""
    rows = [] if selection is None else selection.frame[selection.frame["formula"] == formula].to_dict("records")
    if selection is None or not rows:
        return {}
    return {
        str(name): Number(float(value) if np.isfinite(value) else None, selection.source, f"{formula}.{name}")
        for name, value in rows[0].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def candidate(formula: str, process: orm.ProcessNode | None, predicted: dict[str, Number]) -> Candidate:
    """Read one candidate; without a process it waits for its turn."""
    if process is None:
        return Candidate(formula, step=None, predicted=predicted)
    outputs = linked(process, OUTPUT)
    crystal, gap = maybe(structure, outputs, "structure"), maybe(record, outputs, "gap")
    return Candidate(
        formula=formula,
        step=step(process, CANDIDATE + formula),
        predicted=predicted,
        deviation=deviation(gap, predicted),
        bonds=bonds(crystal) if crystal else {},
        steps=tuple(steps_below(process)),
        structure=crystal,
        levels=tuple(levels(outputs[label], label) for label in METHODS if label in outputs),
        gap=gap,
        geometry=maybe(record, outputs, "geometry"),
        verdict=maybe(record, outputs, "verdict"),
    )


def deviation(gap: Record | None, predicted: Mapping[str, Number]) -> Number | None:
    """Return the computed minus the predicted gap, eV."""
    found = gap.numbers.get("gap_hse06_soc_ev") if gap else None
    expected = predicted.get("gap_ev")
    if found is None or expected is None or found.value is None or expected.value is None:
        return None
    return Number(found.value - expected.value, found.source, "gap_hse06_soc_ev minus the predicted gap_ev")


def bonds(crystal: Structure) -> dict[str, Number]:
    """Return the shortest distances from A and from B to the anion, Angstrom."""
    a, b, _, d = roles(crystal)
    origin = crystal.positions.source
    return {f"{ion}-{d}": Number(bond_length(crystal, ion), origin, f"distance {ion}-{d}") for ion in sorted((a, b))}


def counts(origin: Source, computed: tuple[Candidate, ...], predictions: Table | None) -> dict[str, Number]:
    """Count what the campaign has done."""
    numbers_found = {
        "chosen": len(computed),
        "computed": sum(item.gap is not None for item in computed),
        "in_window": sum(bool(item.verdict and item.verdict.content.get("passed")) for item in computed),
        "failed": sum(item.step is not None and item.step.state in FAILED for item in computed),
    }
    found = {name: Number(value, origin, f"number of candidates {name}") for name, value in numbers_found.items()}
    if predictions is not None:
        found["ranked"] = Number(len(predictions.frame), predictions.source, "number of rows")
    return found


def structure(node: orm.StructureData, link_label: str) -> Structure:
    """Read a structure."""
    origin = source(node, link_label)
    return Structure(
        symbols=tuple(node.get_kind(site.kind_name).symbol for site in node.sites),
        positions=Array(np.array([site.position for site in node.sites]), origin, "sites.position"),
        cell=Array(np.array(node.cell), origin, "cell"),
    )


def levels(node: orm.BandsData, label: str) -> Levels:
    """Read eigenvalues; a single spin channel gets the axis of the spins that the node leaves out."""
    origin = source(node, label)
    energies = np.asarray(node.get_bands(), dtype=float)
    energies = energies if energies.ndim == 3 else energies[np.newaxis]
    return Levels(METHODS[label], Array(node.get_kpoints(), origin, "kpoints"), Array(energies, origin, "bands"))


def steps_below(process: orm.ProcessNode, prefix: str = "") -> Iterator[Step]:
    """Yield everything that a process called, at any depth, as it was called."""
    for label, child in called(process):
        name = child.process_label if label == "CALL" else label
        path = f"{prefix} / {name}".lstrip(" /")
        yield step(child, path)
        yield from steps_below(child, path)


def step(node: orm.ProcessNode, link_label: str) -> Step:
    """Describe a process."""
    state = node.process_state.value if node.process_state else "created"
    code = linked(node, INPUT).get("code")
    computer = node.computer or (code.computer if isinstance(code, orm.AbstractCode) else None)
    message = node.exit_message or (node.exception or "").strip().splitlines()[-1:] or ""
    return Step(
        source=source(node, link_label),
        name=node.process_label or type(node).__name__,
        state="failed" if node.is_failed else state,
        exit_status=node.exit_status,
        message=message if isinstance(message, str) else message[0],
        started=node.ctime,
        changed=node.mtime,
        code=code.label if isinstance(code, orm.AbstractCode) else None,
        computer=computer.label if computer else None,
        cached_from=node.base.caching.get_cache_source(),
        versions={key: str(value) for key, value in (node.base.attributes.get("version", None) or {}).items()},
    )


def _attributes(node: orm.Node | None) -> dict[str, Any]:
    return dict(node.base.attributes.all) if node is not None else {}


def _text(node: orm.Data | None) -> str:
    try:
        return str(node.value) if node is not None else ""
    except (AttributeError, NotExistent):
        return ""
