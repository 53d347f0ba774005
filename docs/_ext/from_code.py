"""Directives that write reference pages from the code itself, so that the pages cannot fall behind it.

- ``command-help``: the help of a click command and of everything below it
- ``process``: inputs, outputs and exit codes of a WorkChain
- ``handlers``: what a WorkChain that restarts its job does about each exit status
- ``dataset-cards``: what the registry knows of each dataset
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar

import click
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


def load(target: str) -> Any:
    """Return the object that ``module:name`` stands for."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


class CommandHelp(SphinxDirective):
    """``command-help`` with ``module:command`` and the option ``prog``, the name that users type."""

    required_arguments = 1
    option_spec: ClassVar = {"prog": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return one section per command."""
        return list(self.sections(load(self.arguments[0]), self.options["prog"], None))

    def sections(self, command: click.Command, name: str, parent: click.Context | None) -> Iterator[nodes.Node]:
        """Yield the section of a command, with those of its own commands inside."""
        context = click.Context(command, info_name=name.rsplit(" ", 1)[-1], parent=parent, max_content_width=100)
        context.terminal_width = 100
        section = nodes.section(ids=[nodes.make_id(name)], names=[nodes.fully_normalize_name(name)])
        section += nodes.title("", "", nodes.literal(text=name))
        text = command.get_help(context)
        section += nodes.literal_block(text, text, language="text")
        self.state.document.note_explicit_target(section)
        if isinstance(command, click.Group):
            for below in command.commands:
                section += list(self.sections(command.commands[below], f"{name} {below}", context))
        yield section


class Process(SphinxDirective):
    """``process`` with ``module:class``: what the spec of a WorkChain says."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return three tables."""
        spec = load(self.arguments[0]).spec()
        lines = ["**Inputs**", "", "| port | type | |", "|---|---|---|"]
        lines += sorted(self.ports(spec.inputs))
        lines += ["", "**Outputs**", "", "| port | type | |", "|---|---|---|"]
        lines += sorted(self.ports(spec.outputs))
        lines += ["", "**Exit codes**", "", "| status | label | message |", "|---|---|---|"]
        codes = sorted((code.status, label, code.message) for label, code in spec.exit_codes.items())
        lines += [f"| {status} | `{label}` | {message} |" for status, label, message in codes if status >= FIRST_OWN]
        return self.parse_text_to_nodes("\n".join(lines))

    def ports(self, namespace: Any, prefix: str = "") -> Iterator[str]:
        """Yield one row per port, those of namespaces with a dot."""
        from plumpy.ports import PortNamespace

        for name, port in namespace.items():
            if name == "metadata":
                continue
            if isinstance(port, PortNamespace) and port:
                yield from self.ports(port, f"{prefix}{name}.")
                continue
            types = port.valid_type if isinstance(port.valid_type, tuple) else (port.valid_type,)
            names = " or ".join(f"`{kind.__name__}`" for kind in types if kind not in (None, type(None)))
            optional = "" if port.required else "*optional.* "
            yield f"| `{prefix}{name}` | {names} | {optional}{port.help or ''} |"


class Handlers(SphinxDirective):
    """``handlers`` with ``module:class``: the process handlers of a restarting WorkChain, the first asked first."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return one row per handler: exit statuses and docstring."""
        members = inspect.getmembers(load(self.arguments[0]))
        found = [(name, member) for name, member in members if hasattr(member, "priority")]
        lines = ["| exit status | handler | what it does, and why |", "|---|---|---|"]
        for name, handler in sorted(found, key=lambda item: -item[1].priority):
            codes = inspect.getclosurevars(handler._self_wrapper).nonlocals["exit_codes"]
            statuses = ", ".join(str(code.status) for code in codes or []) or "any other"
            text = " ".join((handler.__doc__ or "").split())
            lines.append(f"| {statuses} | `{name}` | {text} |")
        return self.parse_text_to_nodes("\n".join(lines))


FIRST_OWN = 300  # below are AiiDA's own


class DatasetCards(SphinxDirective):
    """``dataset-cards``: the registry."""

    def run(self) -> list[nodes.Node]:
        """Return a definition list per dataset."""
        from aiida_perovskite.datasets import list_datasets
        from aiida_perovskite.datasets.registry import REGISTRY, environment_variable

        lines = []
        for name, card in list_datasets().items():
            lines += [f"`{name}`", f": {card.title}.", "", f"  - Cite: {card.citation}", f"  - Licence: {card.licence}"]
            lines += [f"  - Trained on unless told otherwise: `{REGISTRY[name].target}`"]
            lines += [f"  - To get it: {card.how_to_get}"]
            if REGISTRY[name].shipped is None:
                lines += [f"  - Environment variable: `{environment_variable(name)}`"]
            lines += [f"  - SHA-256: `{card.sha256}`", ""]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Any) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("command-help", CommandHelp)
    app.add_directive("process", Process)
    app.add_directive("handlers", Handlers)
    app.add_directive("dataset-cards", DatasetCards)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
