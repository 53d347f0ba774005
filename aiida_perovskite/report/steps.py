"""Read processes into the steps of a report: all of a campaign by a few queries, instead of several for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiida import orm
from aiida.orm.nodes.caching import NodeCaching

from aiida_perovskite.report.contents import Source, Step
from aiida_perovskite.report.graph import CALL, INPUT, those

FEW = 1000  # identifiers in one query: databases have a limit
COLUMNS = {
    "pk": "id",
    "uuid": "uuid",
    "type": "node_type",
    "started": "ctime",
    "changed": "mtime",
    **{
        name: f"attributes.{name}"
        for name in ("process_label", "process_state", "exit_status", "exit_message", "exception", "version")
    },
    "cached_from": f"extras.{NodeCaching.CACHED_FROM_KEY}",
}


def step(process: orm.ProcessNode, link_label: str) -> Step:
    """Describe a process."""
    return read_steps({process.pk or 0: link_label})[process.pk or 0]


def steps_below(process: orm.ProcessNode, prefix: str = "") -> tuple[Step, ...]:
    """Return everything that a process called, at any depth, as it was called."""
    return all_steps_below([process.pk or 0], prefix)[process.pk or 0]


def all_steps_below(pks: Iterable[int], prefix: str = "") -> dict[int, tuple[Step, ...]]:
    """Return pk of each of some processes -> everything that it called, at any depth, as it was called."""
    roots = list(pks)
    calls = calls_below(roots)
    paths = {root: dict(walk(root, calls, prefix)) for root in roots}
    found = read_steps({pk: path for below in paths.values() for pk, path in below.items()})
    return {root: tuple(found[pk] for pk in below) for root, below in paths.items()}


def calls_below(roots: Iterable[int]) -> dict[int, list[tuple[int, str]]]:
    """Return pk of each process that called others -> pk and name of those, for some processes and all below them."""
    calls: dict[int, list[tuple[int, str]]] = defaultdict(list)
    level = list(roots)
    while level:
        callers, level = level, []
        for few in portions(callers):
            query = orm.QueryBuilder().append(orm.ProcessNode, filters=those(few), tag="caller", project="id")
            query.append(
                orm.ProcessNode,
                with_incoming="caller",
                project=["id", "attributes.process_label"],
                edge_filters={"type": {"in": [kind.value for kind in CALL]}},
                edge_project="label",
            )
            for caller, pk, name, label in query.all():
                calls[caller].append((pk, name if label == "CALL" else label))  # a default that many share
                level.append(pk)
    return calls


def walk(pk: int, calls: Mapping[int, list[tuple[int, str]]], prefix: str) -> Iterator[tuple[int, str]]:
    """Yield pk and path of what is below a process, oldest first, each before what is below it."""
    for child, name in sorted(calls.get(pk, [])):
        path = f"{prefix} / {name}".lstrip(" /")
        yield child, path
        yield from walk(child, calls, path)


def read_steps(paths: Mapping[int, str]) -> dict[int, Step]:
    """Return pk -> step of the processes with these pks; what is given for each is how it was called."""
    steps: dict[int, Step] = {}
    for few in portions(list(paths)):
        query = orm.QueryBuilder().append(orm.ProcessNode, filters=those(few), project=list(COLUMNS.values()))
        codes, computers = codes_of(few), computers_of(few)
        for values in query.all():
            row = dict(zip(COLUMNS, values, strict=True))
            pk = row["pk"]
            code, its_computer = codes.get(pk, (None, None))
            steps[pk] = described(row, paths[pk], code, computers.get(pk, its_computer))
    return steps


def codes_of(pks: list[int]) -> dict[int, tuple[str, str | None]]:
    """Return pk of each process that was given a code -> labels of the code and of its computer."""
    query = orm.QueryBuilder().append(orm.ProcessNode, filters=those(pks), tag="process", project="id")
    given = {"label": "code", "type": {"in": [kind.value for kind in INPUT]}}
    query.append(orm.AbstractCode, with_outgoing="process", edge_filters=given, tag="code", project="label")
    query.append(orm.Computer, with_node="code", outerjoin=True, project="label")
    return {pk: (code, computer) for pk, code, computer in query.all()}


def computers_of(pks: list[int]) -> dict[int, str]:
    """Return pk of each process that ran on a computer -> label of the computer."""
    query = orm.QueryBuilder().append(orm.ProcessNode, filters=those(pks), tag="process", project="id")
    return dict(query.append(orm.Computer, with_node="process", project="label").all())


def described(row: Mapping[str, Any], path: str, code: str | None, computer: str | None) -> Step:
    """Return the step of a process from what a query says of it."""
    kind = row["type"].split(".")[-2]
    state = row["process_state"] or "created"
    failed = state == "finished" and row["exit_status"] != 0
    return Step(
        source=Source(row["uuid"], row["pk"], kind, path),
        name=row["process_label"] or kind,
        state="failed" if failed else state,
        exit_status=row["exit_status"],
        message=row["exit_message"] or "".join((row["exception"] or "").strip().splitlines()[-1:]),
        started=row["started"],
        changed=row["changed"],
        code=code,
        computer=computer,
        cached_from=row["cached_from"],
        versions={key: str(value) for key, value in (row["version"] or {}).items()},
    )


def portions(pks: list[int]) -> Iterator[list[int]]:
    """Yield the list in parts that a query can take."""
    for start in range(0, len(pks), FEW):
        yield pks[start : start + FEW]
