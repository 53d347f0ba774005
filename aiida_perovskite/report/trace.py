"""The chain of a result: everything that it was made from, and why it was computed, read from the graph by queries."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiida import orm
from aiida.common import LinkType

from aiida_perovskite.report.candidates import CANDIDATE
from aiida_perovskite.report.graph import those

MADE = (LinkType.CREATE.value, LinkType.INPUT_CALC.value)
CALLED = (LinkType.CALL_CALC.value, LinkType.CALL_WORK.value)
CHOICE = "selection"  # output of a campaign that says what is computed, and with what model that was decided
SHOWN_FIELDS = ("uuid", "node_type", "process_type", "label", "ctime", "attributes", "extras")


@dataclass(frozen=True)
class ChainNode:
    """A node of a chain.

    Attributes
    ----------
    kind
        Class of data, e.g. ``Dict``; label of a process, e.g. ``GpawGapWorkChain``.
    name
        What tells it from others of its kind: a value, a name, a formula, a file; empty if nothing does.
    detail
        What else is said of it: state, computer, number of rows, ...
    """

    pk: int
    uuid: str
    kind: str
    name: str
    detail: str
    created: str
    is_process: bool
    node_type: str = ""
    process_type: str = ""
    computer: str | None = None
    hostname: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    cached_from: str | None = None


@dataclass(frozen=True)
class ChainLink:
    """A link between two nodes of a chain, by their pks."""

    source: int
    target: int
    label: str
    type: str


@dataclass(frozen=True)
class Chain:
    """Where a result is from.

    Attributes
    ----------
    result
        Its node.
    links
        Data provenance: of the result and, where a campaign chose what to compute, of that choice.
    callers
        The process that made the result, what called that, and so on; the links by which each was called.
    choices
        Selections of the campaigns among the callers, by which it was decided to compute this.
    campaigns
        Labels of the groups that hold one of the callers.
    versions
        Name of a library or package -> its versions among the processes of the chain.
    splits
        pk of a checkpoint -> its split into folds: ``folds``, ``rows`` of each and ``sha256``.
    """

    result: ChainNode
    nodes: dict[int, ChainNode]
    links: tuple[ChainLink, ...]
    callers: tuple[ChainLink, ...]
    choices: tuple[int, ...]
    campaigns: tuple[str, ...]
    versions: dict[str, list[str]]
    splits: dict[int, dict[str, Any]]

    @property
    def creators(self) -> dict[int, ChainLink]:
        """Data node -> the link from what made it."""
        return {link.target: link for link in self.links if link.type == LinkType.CREATE.value}

    def inputs(self, process: int) -> list[ChainLink]:
        """Return the links from the inputs of a process, by their labels."""
        found = [link for link in self.links if link.target == process and link.type == LinkType.INPUT_CALC.value]
        return sorted(found, key=lambda link: link.label)

    def given(self, *kinds: str) -> list[tuple[str, ChainNode]]:
        """Return what nothing in the chain made, each once, with the label under which it went in."""
        made = self.creators
        found: dict[int, str] = {}
        for link in sorted(self.links, key=lambda link: (link.source, link.label)):
            if link.type == LinkType.INPUT_CALC.value and link.source not in made:
                found.setdefault(link.source, link.label)
        if self.result.pk not in made:
            found.setdefault(self.result.pk, "result")
        return [(label, self.nodes[pk]) for pk, label in found.items() if not kinds or self.nodes[pk].kind in kinds]


def trace(node: orm.Data) -> Chain:
    """Return the chain of a data node; the graph is asked level by level, and nothing in it is changed."""
    assert node.pk is not None
    callers = calls_of([link.source for link in links_into([node.pk], (LinkType.CREATE.value,))])
    above = {link.source for link in callers}
    choices = selections(link.source for link in callers if link.label.startswith(CANDIDATE))
    links = upstream([node.pk, *choices])
    nodes = describe({node.pk, *above, *(pk for link in (*links, *callers) for pk in (link.source, link.target))})
    return Chain(
        result=nodes[node.pk],
        nodes=nodes,
        links=tuple(links),
        callers=tuple(callers),
        choices=tuple(choices),
        campaigns=tuple(groups_of(above)),
        versions=versions(nodes.values()),
        splits={pk: split_of(pk) for pk, found in nodes.items() if found.kind == "ModelCheckpointData"},
    )


def links_into(targets: Iterable[int], types: tuple[str, ...]) -> list[ChainLink]:
    """Return the links of these types into some nodes."""
    query = orm.QueryBuilder().append(orm.Node, filters=those(targets), tag="target", project="id")
    query.append(
        orm.Node,
        with_outgoing="target",
        project="id",
        edge_filters={"type": {"in": list(types)}},
        edge_project=["label", "type"],
    )
    return [ChainLink(source, target, label, kind) for target, source, label, kind in query.all()]


def upstream(starts: Iterable[int]) -> list[ChainLink]:
    """Return the data provenance of some nodes: the links CREATE and INPUT_CALC, followed to their beginnings."""
    frontier, seen = set(starts), set(starts)
    found: list[ChainLink] = []
    while frontier:
        links = links_into(frontier, MADE)
        found += links
        frontier = {link.source for link in links} - seen
        seen |= frontier
    return sorted(found, key=lambda link: (link.target, link.label, link.source))


def calls_of(processes: Iterable[int]) -> list[ChainLink]:
    """Return the links by which processes were called, innermost first."""
    frontier = list(processes)
    found: list[ChainLink] = []
    while frontier:
        links = links_into(frontier, CALLED)
        found += links
        frontier = [link.source for link in links]
    return found


def selections(processes: Iterable[int]) -> list[int]:
    """Return the selections that some of these processes handed out."""
    query = orm.QueryBuilder().append(orm.WorkflowNode, filters=those(processes), tag="campaign")
    query.append(orm.Data, with_incoming="campaign", edge_filters={"label": CHOICE}, project="id")
    return sorted(set(query.all(flat=True)))


def groups_of(processes: Iterable[int]) -> list[str]:
    """Return the labels of the users' groups that hold some of these processes."""
    query = orm.QueryBuilder().append(orm.ProcessNode, filters=those(processes), tag="process")
    query.append(orm.Group, with_node="process", filters={"type_string": "core"}, project="label")
    return sorted(set(query.all(flat=True)))


def describe(pks: Iterable[int]) -> dict[int, ChainNode]:
    """Read some nodes, with the computers that they belong to."""
    query = orm.QueryBuilder().append(orm.Node, filters=those(pks), tag="node", project=["id", *SHOWN_FIELDS])
    query.append(orm.Computer, with_node="node", outerjoin=True, project=["label", "hostname"])
    return {row[0]: chain_node(*row) for row in query.all()}


def chain_node(
    pk: int,
    uuid: str,
    node_type: str,
    process_type: str | None,
    label: str,
    ctime: Any,
    attributes: dict[str, Any],
    extras: dict[str, Any],
    computer: str | None,
    hostname: str | None,
) -> ChainNode:
    """Describe a node from what was asked of it."""
    is_process = node_type.startswith("process.")
    class_name = node_type.rstrip(".").rsplit(".", 1)[-1]
    kind = str(attributes.get("process_label") or class_name) if is_process else class_name
    name, detail = ("", state(attributes)) if is_process else data_words(kind, label, attributes)
    if computer and "Code" in kind:
        name = f"{name}@{computer}"
    return ChainNode(
        pk=pk,
        uuid=uuid,
        kind=kind,
        name=name,
        detail=f"{detail} on {computer}" if is_process and computer else detail,
        created=ctime.isoformat(timespec="seconds"),
        is_process=is_process,
        node_type=node_type,
        process_type=process_type or "",
        computer=computer,
        hostname=hostname,
        attributes=attributes,
        cached_from=extras.get("_aiida_cached_from"),
    )


def state(attributes: Mapping[str, Any]) -> str:
    """Return how a process ended."""
    word, status = str(attributes.get("process_state", "created")), attributes.get("exit_status")
    return f"{word}, exit status {status}" if status else word


def data_words(kind: str, label: str, attributes: Mapping[str, Any]) -> tuple[str, str]:
    """Return a name and a detail of a data node."""
    if kind == "CompositionTableData":
        return str(attributes.get("name", label)), f"{attributes.get('n_rows')} rows"
    if kind == "ModelCheckpointData":
        return str(attributes.get("architecture")), f"of {attributes.get('target')}, seed {attributes.get('seed')}"
    if kind == "SpeciesDefaultsData":
        return f"{attributes.get('element')} {attributes.get('level')}", ""
    if kind == "StructureData":
        return cell_formula(attributes), ""
    if kind in ("Str", "Int", "Float", "Bool"):
        return str(attributes.get("value")), ""
    return label or str(attributes.get("filename") or ""), ""


def cell_formula(attributes: Mapping[str, Any]) -> str:
    """Return the content of a cell, elements in alphabetical order."""
    symbols = {kind["name"]: "".join(kind["symbols"]) for kind in attributes.get("kinds", [])}
    counts: dict[str, int] = defaultdict(int)
    for site in attributes.get("sites", []):
        counts[symbols.get(site["kind_name"], "?")] += 1
    return "".join(f"{name}{count if count > 1 else ''}" for name, count in sorted(counts.items()))


def versions(nodes: Iterable[ChainNode]) -> dict[str, list[str]]:
    """Return the versions of AiiDA, of the plugins and of the libraries that the jobs and the checkpoints name."""
    found = list(nodes)
    query = orm.QueryBuilder().append(
        orm.ProcessNode, filters=those(node.pk for node in found if node.is_process), tag="process"
    )
    query.append(
        orm.Dict,
        with_incoming="process",
        edge_filters={"type": LinkType.CREATE.value},
        filters={"attributes": {"has_key": "versions"}},
        project="attributes.versions",
    )
    rows = [(node.node_type, node.process_type, node.attributes) for node in found]
    return versions_of([*rows, *(("", "", {"versions": said}) for said in query.all(flat=True))])


def versions_of(rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Return name -> versions of what processes, results of jobs and checkpoints name.

    Parameters
    ----------
    rows
        Type, type of process and attributes of nodes.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for node_type, process_type, attributes in rows:
        said = attributes.get("version" if node_type.startswith("process.") else "versions")
        if not isinstance(said, dict):
            continue
        if node_type.startswith("process."):
            said = {"aiida-core": said.get("core"), plugin_of(process_type): said.get("plugin")}
        for name, version in said.items():
            if version:
                found[name].add(str(version))
    return {name: sorted(values) for name, values in sorted(found.items())}


def plugin_of(process_type: str) -> str:
    """Return the package that a process is from."""
    if "perovskite" in process_type:
        return "aiida-perovskite"
    return "aiida-shell" if process_type.endswith(":core.shell") else "plugin of " + (process_type or "the process")


def split_of(pk: int) -> dict[str, Any]:
    """Return the split of the training rows that a checkpoint holds: folds, rows of each, and a digest."""
    node = orm.load_node(pk)
    split = node.checkpoint.get("split")
    if not isinstance(split, dict):
        return {}
    rows: dict[str, int] = defaultdict(int)
    for fold in split.values():
        rows[str(fold)] += 1
    text = json.dumps(split, sort_keys=True)
    return {
        "folds": len(rows),
        "rows": dict(sorted(rows.items())),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def content(chain: Chain) -> dict[str, Any]:
    """Return the chain as plain values; nodes are named by their UUIDs, which hold in every profile."""
    nodes = chain.nodes

    def plain(link: ChainLink) -> dict[str, str]:
        return {
            "source": nodes[link.source].uuid,
            "target": nodes[link.target].uuid,
            "label": link.label,
            "type": link.type,
        }

    shown = ("pk", "kind", "name", "detail", "created", "computer", "hostname", "process_type", "cached_from")
    return {
        "facts": facts(chain),
        "campaigns": list(chain.campaigns),
        "called_by": [plain(link) for link in chain.callers],
        "chosen_by": [nodes[pk].uuid for pk in chain.choices],
        "nodes": {node.uuid: {name: getattr(node, name) for name in shown} for node in nodes.values()},
        "links": [plain(link) for link in chain.links],
    }


def facts(chain: Chain) -> dict[str, Any]:
    """Return what is asked for most: datasets, checkpoints with seed and split, codes, computers, inputs, versions."""
    checkpoints = [node for node in chain.nodes.values() if node.kind == "ModelCheckpointData"]
    codes = [node for _, node in chain.given() if "Code" in node.kind]
    computers = {node.computer: node.hostname for node in chain.nodes.values() if node.computer}
    settings = chain.given("Dict")
    return {
        "datasets": [
            {
                "uuid": node.uuid,
                "as": label,
                **{name: node.attributes.get(name) for name in ("name", "n_rows", "sha256")},
                **{name: (node.attributes.get("origin") or {}).get(name) for name in ("citation", "licence")},
            }
            for label, node in chain.given("CompositionTableData")
        ],
        "checkpoints": [
            {
                "uuid": node.uuid,
                **{
                    name: node.attributes.get(name)
                    for name in ("architecture", "target", "seed", "n_members", "n_training", "data_sha256")
                },
                "mae_ev": (node.attributes.get("metrics") or {}).get("mae_ev"),
                "split": chain.splits.get(node.pk),
            }
            for node in checkpoints
        ],
        "seeds": [
            {"uuid": node.uuid, "as": label, "seed": node.attributes["seed"]}
            for label, node in settings
            if "seed" in node.attributes
        ],
        "codes": [
            {"uuid": node.uuid, "label": node.name, "executable": node.attributes.get("filepath_executable")}
            for node in codes
        ],
        "computers": [{"label": label, "hostname": host} for label, host in sorted(computers.items())],
        "settings": [{"uuid": node.uuid, "as": label} for label, node in settings],
        "species": [
            {"uuid": node.uuid, "name": node.name, "sha256": node.attributes.get("sha256")}
            for _, node in chain.given("SpeciesDefaultsData")
        ],
        "structures": [
            {"uuid": node.uuid, "as": label, "formula": node.name} for label, node in chain.given("StructureData")
        ],
        "scripts": [{"uuid": node.uuid, "name": node.name} for _, node in chain.given("SinglefileData")],
        "versions": chain.versions,
    }
