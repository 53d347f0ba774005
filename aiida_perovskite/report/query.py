"""Computed compounds of a profile, by what was found for them.

Everything is found through columns that AiiDA keeps an index of: the type of the candidates' process, and the links to
and from it. What the filters ask for stands in the attributes of one small node per compound, the ``summary``. Nothing
has to be written for it: a node that was computed before, or imported, is found as well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from aiida import orm

from aiida_perovskite.report.candidates import TAKEN
from aiida_perovskite.report.graph import those

if TYPE_CHECKING:
    import pandas as pd

CANDIDATE_TYPE = "aiida.workflows:perovskite.candidate"
GAP, SLME = "gap_hse06_soc_ev", "slme_percent"
ENTHALPY, HULL_ENTHALPY = "decomposition_enthalpy_mev_per_atom", "decomposition_enthalpy_hull_mev_per_atom"
RELAXED = {GAP: "relaxed_gap_ev", **{name: f"relaxed_{name}" for name in (SLME, ENTHALPY, HULL_ENTHALPY)}}
FIRST = ("formula", "campaign", "engine", "stage", "passed", "reason", GAP, ENTHALPY, HULL_ENTHALPY, SLME)
LAST = ("date", "process_pk", "process", "summary")
Window = tuple[float, float]
FEW = 500  # candidates
LARGE = 1e300  # a number that a database knows, where infinity is none


@dataclass(frozen=True)
class Filters:
    """What a compound must fulfil; everything that is given must hold.

    Attributes
    ----------
    windows
        Column of the results -> lowest and highest value, infinite where there is no bound.
    above
        Column -> value that it must exceed.
    contains, excludes
        Symbols of elements.
    engines
        Step (``gap``, ``relax``, ...) -> name of the engine that did it.
    since
        When the calculation of the compound was begun at the earliest.
    campaign
        Label of a campaign's group.
    """

    windows: Mapping[str, Window] = field(default_factory=dict)
    above: Mapping[str, float] = field(default_factory=dict)
    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    engines: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    campaign: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no compound could fulfil."""
        for column, (low, high) in self.windows.items():
            if not low <= high:
                raise ValueError(f"the window {low:g} to {high:g} of {column} is empty: give the lower value first")
        if both := sorted(set(self.contains) & set(self.excludes)):
            raise ValueError(f"{', '.join(both)} cannot be both contained and excluded")


def find_compounds(filters: Filters, limit: int | None = None) -> tuple[pd.DataFrame, int]:
    """Return the compounds that fulfil the filters, one row for each time that one was computed, the oldest first.

    Parameters
    ----------
    limit
        Read no more than the first so many.

    Returns
    -------
    table, found
        The rows, and how many there are without the limit. Columns are ``formula``, ``campaign``, ``engine`` of the
        gap, the verdict, every column of the results table, the ``date`` on which the calculation was begun, and the
        identifiers of its process and of its ``summary`` node.
    """
    import pandas as pd

    formulas = matching(filters)
    chosen = list(formulas)[:limit]
    if not chosen:
        return pd.DataFrame(columns=[*FIRST, *LAST]), 0
    # A long list of pks costs more than the conditions that lead to it.
    ask = Ask(filters, chosen if len(chosen) <= FEW else None)
    rows: dict[int, dict[str, Any]] = {pk: {"formula": formulas[pk], "process_pk": pk} for pk in chosen}
    found = ask.nodes(orm.Str, "gap__engine", ["attributes.value"], with_outgoing="candidate")
    details = [({"engine": engine}, pk) for pk, engine in found]
    verdict = ("stage", "passed", "reason")
    found = ask.nodes(orm.Dict, "verdict", [f"attributes.{name}" for name in verdict], with_incoming="candidate")
    details += [(dict(zip(verdict, values, strict=True)), pk) for pk, *values in found]
    details += [({"campaign": label}, pk) for pk, label in ask.campaigns().items()]
    details += [
        ({**row, "date": date, "process": uuid, "summary": summary}, pk) for pk, uuid, date, summary, row in ask.all()
    ]
    for values, pk in details:
        if pk in rows:
            rows[pk] |= values
    frame = pd.DataFrame(list(rows.values()))
    frame = frame.reindex(columns=[*FIRST, *[name for name in frame if name not in (*FIRST, *LAST)], *LAST])
    for name in frame:
        if str(name).endswith(("_ev", "_mev_per_atom", "_percent")):
            frame[name] = frame[name].astype(float)
    return frame, len(formulas)


def matching(filters: Filters) -> dict[int, str]:
    """Return pk and formula of the candidates that fulfil the filters, the oldest first: pks are no order of time."""
    query = Ask(filters).query("ctime", "id")
    query.append(orm.Str, with_outgoing="candidate", edge_filters={"label": "formula"}, project="attributes.value")
    return {pk: formula for _, pk, formula in sorted(query.all()) if has_elements(formula, filters)}


def has_elements(formula: str, filters: Filters) -> bool:
    """Tell whether a formula has the elements that it must have and none that it must not."""
    elements = set(re.findall("[A-Z][a-z]?", formula))
    return elements.issuperset(filters.contains) and elements.isdisjoint(filters.excludes)


def taken(runs: dict[str, Any]) -> dict[int, set[str]]:
    """Return pk of each candidate that runs took from earlier ones -> labels of the campaigns of those runs."""
    query = orm.QueryBuilder().append(orm.WorkChainNode, filters=runs, tag="run", project=f"extras.{TAKEN}")
    query.append(orm.Group, with_node="run", filters={"type_string": "core"}, project="label")
    labels: dict[str, set[str]] = defaultdict(set)
    for uuids, label in query.all():
        for uuid in (uuids or {}).values():
            labels[uuid].add(label)
    query = orm.QueryBuilder().append(orm.WorkChainNode, filters={"uuid": {"in": list(labels)}}, project=["id", "uuid"])
    return {pk: labels[uuid] for pk, uuid in query.all()} if labels else {}


def conditions(filters: Filters) -> dict[str, Any]:
    """Return what the summary of a compound must hold."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for column, (low, high) in filters.windows.items():
        # A bound at infinity still asks for a number: what was not computed is in no window.
        found[column] += [{">=": low if isfinite(low) else -LARGE}, {"<=": high if isfinite(high) else LARGE}]
    for column, value in filters.above.items():
        found[column].append({">": value})
    return {f"attributes.{column}": {"and": parts} for column, parts in found.items()}


@dataclass(frozen=True)
class Ask:
    """Queries that begin at the candidates with these pks or, if none are given, at all that fulfil the filters."""

    filters: Filters
    pks: Sequence[int] | None = None

    def query(self, *project: str) -> orm.QueryBuilder:
        """Return a query with the tags ``candidate`` and ``summary``, and what is to be told of the candidate."""
        if self.pks is not None:
            query = orm.QueryBuilder().append(
                orm.WorkChainNode, filters=those(self.pks), tag="candidate", project=list(project)
            )
            return query.append(orm.Dict, with_incoming="candidate", edge_filters={"label": "summary"}, tag="summary")
        own: dict[str, Any] = {"process_type": CANDIDATE_TYPE}
        if self.filters.campaign is not None:
            own |= those(self.of_campaign())
        if self.filters.since is not None:
            own["ctime"] = {">=": self.filters.since}
        query = orm.QueryBuilder().append(orm.WorkChainNode, filters=own, tag="candidate", project=list(project))
        must = conditions(self.filters)
        query.append(
            orm.Dict, with_incoming="candidate", edge_filters={"label": "summary"}, filters=must, tag="summary"
        )
        for step, engine in self.filters.engines.items():
            label, wanted = {"label": f"{step}__engine"}, {"attributes.value": engine}
            query.append(orm.Str, with_outgoing="candidate", edge_filters=label, filters=wanted)
        return query

    def of_campaign(self) -> set[int]:
        """Return the candidates that the campaign's runs called or took from earlier ones."""
        query = orm.QueryBuilder().append(orm.Group, filters={"label": self.filters.campaign}, tag="campaign")
        runs: list[int] = query.append(orm.WorkChainNode, with_group="campaign", project="id").all(flat=True)
        query = orm.QueryBuilder().append(orm.WorkChainNode, filters=those(runs), tag="run")
        own = {"process_type": CANDIDATE_TYPE}
        called = query.append(orm.WorkChainNode, with_incoming="run", filters=own, project="id").all(flat=True)
        return {*called, *taken(those(runs))}

    def all(self) -> list[Any]:
        """Return pk, UUID and date of each candidate, UUID and content of its summary."""
        query = self.query("id", "uuid", "ctime")
        query.add_projection("summary", ["uuid", "attributes"])
        found: list[Any] = query.all()
        return found

    def nodes(self, kind: type[orm.Data], label: str, project: list[str], **direction: Any) -> list[Any]:
        """Return the pk of each candidate and something of a node that is linked to it."""
        query = self.query("id").append(kind, edge_filters={"label": label}, project=project, **direction)
        found: list[Any] = query.all()
        return found

    def campaigns(self) -> dict[int, str]:
        """Return pk of each candidate that a campaign called -> label of that, or labels with commas."""
        query = self.query("id").append(orm.WorkChainNode, with_outgoing="candidate", project="id")
        called = dict(query.all())
        query = orm.QueryBuilder().append(
            orm.WorkChainNode, filters=those(set(called.values())), tag="run", project="id"
        )
        query.append(orm.Group, with_node="run", filters={"type_string": "core"}, project="label")
        labels: dict[int, set[str]] = defaultdict(set)
        for run, label in query.all():
            labels[run].add(label)
        later = taken({"extras": {"has_key": TAKEN}})
        return {pk: ", ".join(sorted(labels[run].union(later.get(pk, ())))) for pk, run in called.items()}
