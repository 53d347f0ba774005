"""From each number of a report back to the dataset, the split, the seed and the checkpoint, by the links of the graph.

``assert_numbers_lead_back`` takes any report's data and any campaign: tests of the report and of the whole job use it.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

# A path from the root of a disk with at least two parts. Not one: what follows a scheme or a word ("https://a/b",
# "eV/Angstrom/atom"), and a first line that lets the system find an interpreter ("#!/usr/bin/env python").
PATH = re.compile(r"(?<![\w./:<>#!*-])(?:~|file://|[A-Z]:\\)?/(?:[\w.+-]+/)+[\w.+-]+|(?<!\w)[A-Z]:\\[\w.+-]+")
BINARY_PATH = re.compile(rb"/(?:home|root|Users|tmp|var|mnt|opt|work|scratch|workspace|data)/[\w.+-]+")
LEARNED = ("metrics", "cross_validation", "history", "learning_curve", "predictions", "selection", "funnel", "model")


def upstream(node: Any, data_provenance_only: bool = False) -> dict[str, Any]:
    """Return UUID -> node of everything that a node stems from, itself included."""
    from aiida.common import LinkType

    types = (LinkType.CREATE, LinkType.INPUT_CALC) if data_provenance_only else ()
    found, queue = {node.uuid: node}, [node]
    while queue:
        for link in queue.pop().base.links.get_incoming(link_type=types).all():
            if link.node.uuid not in found:
                found[link.node.uuid] = link.node
                queue.append(link.node)
    return found


def absolute_paths(nodes: Any) -> list[str]:
    """Return the absolute paths that data nodes hold, as ``node: path``; where programs lie is not among the data."""
    from aiida import orm

    found = []
    for node in nodes:
        if not isinstance(node, orm.Data) or isinstance(node, orm.AbstractCode):
            continue
        hits = [
            hit
            for text in texts_of(node.base.attributes.all)
            for hit in ([text] if text.startswith("/") else PATH.findall(text))
        ]
        for name in files_of(node):
            content = node.base.repository.get_object_content(name, mode="rb")
            try:
                hits += PATH.findall(content.decode())
            except UnicodeDecodeError:
                hits += [hit.decode() for hit in BINARY_PATH.findall(content)]
        found += [f"{type(node).__name__} {node.uuid}: {hit}" for hit in hits]
    return found


def texts_of(content: Any) -> list[str]:
    """Return every text in nested lists and mappings, keys included."""
    if isinstance(content, dict):
        content = [*content, *content.values()]
    if isinstance(content, list | tuple):
        return [text for part in content for text in texts_of(part)]
    return [content] if isinstance(content, str) else []


def files_of(node: Any) -> list[str]:
    """Return the names of all files in the repository of a node."""
    return [str(folder / name) for folder, _, names in node.base.repository.walk() for name in names]


def assert_numbers_lead_back(data: dict[str, Any], campaign: Any) -> None:
    """Check that each number of a report comes from where it says, and leads back to what it was made from.

    Parameters
    ----------
    data
        The ``report-data`` of the page.
    campaign
        The node of the ScreeningWorkChain, finished.
    """
    from aiida import orm

    model = campaign.outputs.model
    training = upstream(model, data_provenance_only=True).values()
    datasets = {node.uuid for node in training if node.node_type.startswith("data.perovskite.table")}
    seeds = {node.uuid for node in training if isinstance(node, orm.Dict) and "seed" in node.get_dict()}
    assert datasets, "the checkpoint has no dataset"
    assert seeds, "the checkpoint has no settings with a seed"
    given = {link.node.uuid for link in campaign.base.links.get_incoming().all()}

    # Hundreds of numbers have a few dozen sources.
    trail_of = functools.cache(lambda uuid: upstream(orm.load_node(uuid)))
    made_of = functools.cache(lambda uuid: set(upstream(orm.load_node(uuid), data_provenance_only=True)))
    parts = {**data["numbers"], **data["arrays"], **data["tables"]}
    assert {part["source"] for part in parts.values()} <= set(data["sources"])
    seen: dict[str, Any] = {}
    for name, part in parts.items():
        uuid = part["source"]
        seen |= (trail := trail_of(uuid))
        if uuid in given:  # a setting or a table that the campaign was given: here the trail begins
            continue
        assert datasets <= set(trail), f"{name} does not lead back to the dataset"
        assert seeds <= set(trail), f"{name} does not lead back to the settings with seed and split"
        assert leads_to(model, trail), f"{name} does not lead back to the checkpoint"
        if name.split(".")[0] in LEARNED:
            made_from = made_of(uuid)
            assert datasets <= made_from, f"{name}: the data provenance alone does not reach the dataset"
            assert seeds <= made_from, f"{name}: the data provenance alone does not reach seed and split"
    assert (paths := absolute_paths(seen.values())) == [], f"absolute paths among the inputs: {paths}"


def leads_to(model: Any, trail: dict[str, Any]) -> bool:
    """Tell whether the checkpoint is upstream, or was made by a process that is (errors come from the same job)."""
    return model.uuid in trail or any(link.node.uuid in trail for link in model.base.links.get_incoming().all())


def report_data(page: str) -> dict[str, Any]:
    """Return the data embedded in a page."""
    match = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    data: dict[str, Any] = json.loads(match[1])
    return data
