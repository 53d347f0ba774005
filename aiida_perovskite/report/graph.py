"""Read single nodes of the provenance graph into the parts of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from aiida import orm
from aiida.common import LinkType, NotExistent

from aiida_perovskite.report.contents import Number, Record, Source, Table

Part = TypeVar("Part")

INPUT, OUTPUT = (LinkType.INPUT_WORK, LinkType.INPUT_CALC), (LinkType.RETURN, LinkType.CREATE)
CALL = (LinkType.CALL_WORK, LinkType.CALL_CALC)


def maybe(read: Callable[[Any, str], Part], nodes: Mapping[str, Any], label: str) -> Part | None:
    """Read the node of that label where there is one."""
    return read(nodes[label], label) if label in nodes else None


def linked(node: orm.ProcessNode, types: tuple[LinkType, ...]) -> dict[str, Any]:
    """Return label -> data node of the inputs or the outputs of a process, in the order of their labels."""
    links = node.base.links
    triples = links.get_incoming(link_type=types) if types is INPUT else links.get_outgoing(link_type=types)
    return {link.link_label: link.node for link in sorted(triples.all(), key=lambda link: str(link.link_label))}


def called(node: orm.ProcessNode, prefix: str | tuple[str, ...] = "") -> list[tuple[str, orm.ProcessNode]]:
    """Return link label and process of what a process called, oldest first; many share the default label ``CALL``."""
    links: list[Any] = sorted(node.base.links.get_outgoing(link_type=CALL).all(), key=lambda link: link.node.pk or 0)
    return [(link.link_label, link.node) for link in links if link.link_label.startswith(prefix)]


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
    content, origin = attributes_of(node), source(node, link_label)
    return Record(origin, content, numbers(content, origin))


def record(node: orm.Dict, link_label: str) -> Record:
    """Read a Dict node."""
    origin = source(node, link_label)
    content = node.get_dict()
    return Record(origin, content, numbers(content, origin))


def table(node: Any, link_label: str) -> Table:
    """Read a table node."""
    return Table(node.to_frame(), source(node, link_label))


def attributes_of(node: orm.Node | None) -> dict[str, Any]:
    """Return the attributes of a node; nothing where there is no node."""
    return dict(node.base.attributes.all) if node is not None else {}


def text_of(node: orm.Data | None) -> str:
    """Return the value of a node as text; nothing where there is none."""
    try:
        return str(node.value) if node is not None else ""
    except (AttributeError, NotExistent):
        return ""


def those(pks: Iterable[int]) -> dict[str, Any]:
    """Return a filter that leaves the nodes with these pks; AiiDA refuses an empty list, and no pk is negative."""
    return {"id": {"in": list(pks) or [-1]}}
