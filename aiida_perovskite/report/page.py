"""What every page of this room is made with: templates, and how numbers, names and nodes become HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aiida_perovskite.report.compounds import pretty
from aiida_perovskite.report.contents import Array, Number, Record, Source, Step, walk
from aiida_perovskite.report.downloads import array_values, columns, csv_link, frame_links


def report_data(report: Any, kind: str) -> dict[str, Any]:
    """Return every number of a report with the UUID of the node that holds it, and what these nodes are.

    Parameters
    ----------
    report
        A dataclass with a ``name`` and the ``step`` that it is about.
    kind
        What it is a report of: the key of its name.
    """
    data: dict[str, Any] = {"schema": 1, kind: report.name, "numbers": {}, "arrays": {}, "tables": {}}
    sources: dict[str, Source] = {report.step.source.uuid: report.step.source}
    for path, part in walk(report):
        sources.setdefault(part.source.uuid, part.source)
        if isinstance(part, Number):
            data["numbers"][path] = {"value": part.value, "source": part.source.uuid, "key": part.key}
        elif isinstance(part, Array):
            data["arrays"][path] = {"values": array_values(part), "source": part.source.uuid, "key": part.key}
        else:
            data["tables"][path] = {"columns": columns(part), "source": part.source.uuid}
    data["sources"] = {
        uuid: {"pk": one.pk, "kind": one.kind, "link_label": one.link_label} for uuid, one in sources.items()
    }
    return data


def software(top: Step, records: Iterable[Record | None], steps: Iterable[Step]) -> dict[str, str]:
    """Return name -> version of all software that nodes and processes name; several versions are listed together.

    Parameters
    ----------
    top
        The process that the report is about; it names the version of this package.
    records
        Nodes with ``versions`` among their values.
    steps
        Everything that was called; each names the version of aiida-core.
    """
    found: dict[str, set[str]] = {}
    for record in records:
        for name, version in ((record.content.get("versions") or {}) if record else {}).items():
            found.setdefault(str(name).replace("_", "-"), set()).add(str(version))
    for step in (top, *steps):
        if "core" in step.versions:
            found.setdefault("aiida-core", set()).add(step.versions["core"])
    found.setdefault("aiida-perovskite", set()).update({top.versions.get("plugin", "")} - {""})
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items()) if values}


def number(item: Number | None, form: str = ".2f", unit: str = "", factor: float = 1) -> Markup:
    """Return a number as HTML that names its node; a dash where there is none.

    ``factor`` turns the unit of the node, whose value stays in the HTML, into the one shown.
    """
    if item is None or item.value is None:
        return Markup('<span class="none">–</span>')
    text = format(item.value * factor if factor != 1 else item.value, form)
    text = text.replace("-", "−").replace("%", "\N{NO-BREAK SPACE}%")
    tip = f"{item.source.kind} {item.source.uuid}: {item.key}"
    unit = f"\N{NO-BREAK SPACE}{unit}" if unit else ""
    return Markup('<data value="{}" data-source="{}" title="{}">{}{}</data>').format(
        item.value, item.source.uuid, tip, text, unit
    )


def formula(text: str) -> Markup:
    """Return the chemist's spelling with lowered digits."""
    parts = [Markup("<sub>{}</sub>").format(part) if part.isdigit() else escape(part) for part in pretty(text)]
    return Markup("").join(parts)


def uuid(source: Source | str) -> Markup:
    """Return a button with the short UUID that copies the whole one."""
    text = source if isinstance(source, str) else source.uuid
    return Markup('<button type="button" class="uuid" data-uuid="{0}" title="{0} (click to copy)">{1}</button>').format(
        text, text[:8]
    )


def moment(when: datetime) -> str:
    """Return a time as text, to the minute and with its zone."""
    return when.strftime("%Y-%m-%d %H:%M %Z").strip()


def duration(seconds: float) -> str:
    """Return a duration in the largest sensible units."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def flat(content: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the leaves of nested settings; lists of plain values stay together."""
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from flat(value, f"{path}.{key}".lstrip("."))
    else:
        text = ", ".join(map(str, content)) if isinstance(content, list) else "–" if content is None else str(content)
        yield path, text


def environment(*functions: Callable[..., Any]) -> Environment:
    """Return where the templates are found, with what they may call: the names of this module and ``functions``."""
    found = Environment(
        loader=PackageLoader("aiida_perovskite.report"),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
    )
    # `tojson` writes < as \u003c, so that no text of a node can end the script element it stands in.
    found.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    shown = (number, formula, uuid, csv_link, frame_links, moment, duration)
    found.globals.update({function.__name__: function for function in (*shown, *functions)})
    found.globals.update(css=asset("page.css"), page_js=asset("page.js"), plotly=plotly)
    found.filters.update(flat=flat, pretty=pretty, log_share=log_share)
    return found


def log_share(count: float, largest: float) -> float:
    """Return the length of a bar in percent on a logarithmic scale that starts at 0."""
    return round(100 * math.log1p(count) / math.log1p(max(largest, 1)), 2)


def asset(name: str) -> Markup:
    """Return a file of the templates as it is."""
    return Markup((resources.files("aiida_perovskite.report") / "templates" / name).read_text(encoding="utf-8"))


@cache
def plotly() -> Markup:
    """Return the library that draws the figures, once per process."""
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())
