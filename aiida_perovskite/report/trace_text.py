"""A chain as text for a terminal, and as a drawing for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiida_perovskite.report.trace import CALLED, Chain, ChainNode, facts

SMALL = ("Str", "Int", "Float", "Bool", "List", "Dict", "SinglefileData", "SpeciesDefaultsData")
DIGITS = 12  # of a digest, enough to tell two apart
COLOURS = {"process": "#d7e8f7", "data": "#f3f3f3", "given": "#fbeecb", "result": "#cdeccd"}


def text_of(chain: Chain) -> Iterator[str]:
    """Yield the lines: what is asked for most, what called it, then the trees of the result and of the choice."""
    yield from glance(chain)
    if chain.callers:
        yield ""
        yield "Called by"
        yield from called(chain)
    drawn: set[int] = set()
    yield ""
    yield "Made from"
    yield from tree(chain, chain.result, "", "", "", drawn)
    for pk in chain.choices:
        yield ""
        yield "Chosen by"
        yield from tree(chain, chain.nodes[pk], "", "", "", drawn)


def glance(chain: Chain) -> Iterator[str]:
    """Yield the facts, one line each."""
    found = facts(chain)
    for item in found["datasets"]:
        yield row("dataset", f"{item['name']}, {item['n_rows']} rows, sha256 {short(item['sha256'])}, {item['uuid']}")
        for name in ("citation", "licence"):
            if item[name]:
                yield row("", f"{name}: {item[name]}")
    for item in found["checkpoints"]:
        yield row("checkpoint", f"{item['architecture']} of {item['target']}, {item['uuid']}")
        yield row("", f"{item['n_training']} rows, sha256 {short(item['data_sha256'])}; seed {item['seed']}")
        if item["split"]:
            sizes = ", ".join(str(size) for size in item["split"]["rows"].values())
            yield row("", f"split: {item['split']['folds']} folds of {sizes}, sha256 {short(item['split']['sha256'])}")
    for item in found["seeds"]:
        yield row("seed", f"{item['seed']} in {item['as']}, {item['uuid']}")
    for item in found["codes"]:
        yield row("code", f"{item['label']} ({item['executable']})" if item["executable"] else item["label"])
    for item in found["computers"]:
        yield row("computer", f"{item['label']} ({item['hostname']})")
    for name in ("species", "structures"):
        if found[name]:
            yield row(name, ", ".join(str(item.get("name") or item.get("formula")) for item in found[name]))
    if found["scripts"]:
        yield row("scripts", ", ".join(sorted({item["name"] for item in found["scripts"]})))
    yield row("versions", ", ".join(f"{name} {'/'.join(values)}" for name, values in chain.versions.items()))


def row(name: str, what: str) -> str:
    """Return a line of the facts."""
    return f"{name:<12}{what}".rstrip()


def short(digest: Any) -> str:
    """Return the beginning of a digest."""
    return str(digest)[:DIGITS]


def called(chain: Chain) -> Iterator[str]:
    """Yield the callers, the outermost first."""
    for depth, link in enumerate(reversed(chain.callers)):
        indent = "   " * depth
        if depth == 0:
            campaign = f", campaign {', '.join(chain.campaigns)}" if chain.campaigns else ""
            yield f"{words(chain.nodes[link.source])}{campaign}"
        yield f"{indent}└─ {link.label}: {words(chain.nodes[link.target])}"


def words(node: ChainNode) -> str:
    """Return a node in one line."""
    parts = [node.kind, node.name, f"({node.pk})"]
    line = " ".join(part for part in parts if part)
    more = [node.detail] if node.detail else []
    if node.cached_from:
        more.append(f"from the cache: {node.cached_from}")
    return ", ".join([line, *more])


def tree(chain: Chain, node: ChainNode, label: str, first: str, rest: str, drawn: set[int]) -> Iterator[str]:
    """Yield a data node, what made it, and the trees of what went into that; what was drawn before is named only."""
    start = f"{first}{label}: " if label else first
    creator = chain.creators.get(node.pk)
    if creator is None:
        yield f"{start}{words(node)}, given"
        return
    if node.pk in drawn or creator.source in drawn:
        yield f"{start}{words(node)}, {creator.label} of {creator.source} as above"
        return
    drawn |= {node.pk, creator.source}
    yield f"{start}{words(node)}"
    yield f"{rest}└─ {creator.label} of {words(chain.nodes[creator.source])}"
    rest += "   "
    inputs = chain.inputs(creator.source)
    small = [link for link in inputs if is_small(chain, link.source)]
    others = [link for link in inputs if link not in small]
    if small:
        given = ", ".join(f"{link.label} {brief(chain.nodes[link.source])}" for link in small)
        yield f"{rest}{'├' if others else '└'}─ given: {given}"
    for link in others:
        last = link is others[-1]
        start, below = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from tree(chain, chain.nodes[link.source], link.label, rest + start, rest + below, drawn)


def is_small(chain: Chain, pk: int) -> bool:
    """Tell whether an input was given and needs no line of its own."""
    kind = chain.nodes[pk].kind
    return pk not in chain.creators and (kind in SMALL or "Code" in kind)


def brief(node: ChainNode) -> str:
    """Return the value or the name of a small node, else its pk."""
    return f"{node.name} ({node.pk})" if node.name and len(node.name) <= 60 else f"({node.pk})"


def dot_of(chain: Chain) -> str:
    """Return the chain as a Graphviz program; time goes from left to right, calls are dashed."""
    made = chain.creators
    lines = ["digraph provenance {", '  rankdir="LR"; node [fontname="sans-serif", fontsize=10];']
    for node in chain.nodes.values():
        kind = "process" if node.is_process else "data" if node.pk in made else "given"
        fill = COLOURS["result" if node.pk == chain.result.pk else kind]
        shape = "box" if node.is_process else "ellipse"
        label = "\n".join(part for part in (node.kind, node.name, f"{node.uuid[:8]} ({node.pk})") if part)
        lines.append(f'  N{node.pk} [shape="{shape}", style="filled", fillcolor="{fill}", label={quoted(label)}];')
    for link in dict.fromkeys((*chain.links, *chain.callers)):
        style = "dashed" if link.type in CALLED else "solid"
        lines.append(f'  N{link.source} -> N{link.target} [style="{style}", fontsize=8, label={quoted(link.label)}];')
    return "\n".join([*lines, "}", ""])


def quoted(text: str) -> str:
    """Return a text as a quoted Graphviz identifier: nothing in it can end the quotes or begin an escape."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(character for character in safe if character.isprintable()) + '"'
