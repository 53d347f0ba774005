"""``aiida-perovskite trace``: where a result is from."""

from __future__ import annotations

import contextlib
import difflib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.campaigns import SCREENING, campaign_group, runs
from aiida_perovskite.cli.common import clear_errors

if TYPE_CHECKING:
    from aiida.orm import Data

NAMED = 12  # keys of a node that an error message names


@dataclass(frozen=True)
class Read:
    """A node and the key of a value in it; without a key, the whole node."""

    node: Data
    key: str
    value: Any = None


@cmd_root.command("trace")
@click.argument("result")
@click.option("-c", "--campaign", help="RESULT is FORMULA[.COLUMN] or FORMULA.OUTPUT[.KEY] of this campaign.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "graph"]),
    default="text",
    show_default=True,
    help="graph is a Graphviz program; with --output FILE.svg it is drawn, which needs Graphviz's `dot`.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@clear_errors
def cmd_trace(result: str, campaign: str | None, form: str, output: Path | None) -> None:
    """Show where RESULT is from: dataset, split, seed, checkpoint, codes, computers, inputs, versions.

    RESULT is the identifier of a node, as reports and tables name it, with or without the key of a value in it. A
    number of a table is followed to the node that it was copied from. Only the graph is asked: it works as well where
    an archive was imported, without codes and daemon.

    \b
      aiida-perovskite trace UUID
      aiida-perovskite trace UUID.gap_hse06_soc_ev
      aiida-perovskite trace Cs2AgBiBr6.slme_percent -c halides
      aiida-perovskite trace Cs2AgBiBr6.stability.binary.mev_per_atom -c halides
      aiida-perovskite trace UUID --format graph -o chain.svg
    """
    from aiida_perovskite.report.trace import content, trace
    from aiida_perovskite.report.trace_text import dot_of, text_of, words

    steps = follow(of_campaign(campaign, result) if campaign is not None else of_node(result))
    last = steps[-1]
    chain = trace(last.node)
    if form == "json":
        read = [{"uuid": step.node.uuid, "pk": step.node.pk, "key": step.key or None} for step in steps]
        what = {**read[-1], "value": last.value, "kind": chain.result.kind, "read_from": read[:-1]}
        write(json.dumps({"result": what, **content(chain)}, indent=1, default=str), output)
        return
    if form == "graph":
        write(dot_of(chain), output)
        return
    lines = [heading(last), f"  in {words(chain.result)}, {chain.result.uuid}, {chain.result.created}"]
    lines += [f"  copied to {step.key} of node {step.node.pk} ({step.node.uuid})" for step in reversed(steps[:-1])]
    write("\n".join([*lines, "", *text_of(chain), ""]), output)


def heading(read: Read) -> str:
    """Return what is traced, a number with its unit."""
    from aiida_perovskite.data.table import unit_of

    if not read.key:
        return "The whole node"
    column = read.key.rsplit(".", 1)[-1]
    unit = "%" if column.endswith("_percent") else unit_of(column) or ""
    return f"{read.key} = {read.value} {unit}".rstrip()


def write(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file; a drawing if the file's name says so."""
    from aiida_perovskite.report.write import write_bytes

    if output is None:
        # Names may be a stranger's: none of them is to steer the terminal.
        click.echo("".join(one if one.isprintable() or one == "\n" else "?" for one in text.rstrip("\n")))
        return
    write_bytes(draw(text) if output.suffix == ".svg" else text.encode(), output)
    echo.echo_success(f"written to {output}")


def draw(program: str) -> bytes:
    """Return a Graphviz program as SVG; ValueError if it is none, or cannot be drawn."""
    if not program.startswith("digraph"):
        raise ValueError("an .svg is drawn with --format graph only")
    try:
        done = subprocess.run(["dot", "-Tsvg"], input=program.encode(), capture_output=True, check=True)
    except FileNotFoundError:
        raise ValueError(
            "drawing needs the program `dot` of Graphviz, which is not installed; give a file name that does not end "
            "in .svg to get its input"
        ) from None
    except subprocess.CalledProcessError as error:
        raise ValueError(f"`dot` cannot draw this chain: {error.stderr.decode(errors='replace').strip()}") from None
    return done.stdout


def of_node(result: str) -> Read:
    """Return what an identifier of a node, with or without a key, stands for.

    Raises
    ------
    ValueError
        If there is no such node, it is no result, or does not hold the key.
    """
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import AbstractCode, Data, ProcessNode, load_node

    identifier, _, key = result.partition(".")
    try:
        node = load_node(identifier)
    except MultipleObjectsError:
        raise ValueError(f"{identifier!r} begins the UUID of more than one node: give more of it") from None
    except (NotExistent, ValueError):
        hint = "; a formula needs --campaign" if identifier[:1].isupper() else ""
        raise ValueError(f"this profile has no node {identifier!r}{hint}") from None
    if isinstance(node, ProcessNode):
        outputs = [f"{link.link_label} ({link.node.pk})" for link in node.base.links.get_outgoing(Data).all()]
        has = f": trace one of its results: {', '.join(outputs)}" if outputs else " and has no results"
        raise ValueError(f"node {identifier} is a process ({node.process_label}){has}")
    if isinstance(node, AbstractCode) or not isinstance(node, Data):
        raise ValueError(f"node {identifier} ({type(node).__name__}) is no result")
    return Read(node, key, value_of(node, key) if key else None)


def of_campaign(campaign: str, result: str) -> Read:
    """Return what a formula, with or without the name of an output or a column, stands for in a campaign.

    Raises
    ------
    ValueError
        If the campaign has not computed the compound, or not this of it.
    """
    from aiida.orm import Data

    from aiida_perovskite.chemistry import Composition
    from aiida_perovskite.report.candidates import candidate_processes

    text, _, key = result.partition(".")
    formula = Composition.parse(text).formula
    campaign_group(campaign)
    candidates = (candidate_processes(run) for run in runs(campaign, SCREENING))
    found = next((processes[formula] for processes in candidates if formula in processes), None)
    if found is None:
        raise ValueError(f"campaign {campaign!r} has not computed {formula}")
    outputs: dict[str, Any] = {link.link_label: link.node for link in found.base.links.get_outgoing(Data).all()}
    label, _, rest = key.removeprefix("relaxed.").partition(".")
    label = f"relaxed__{label}" if key.startswith("relaxed.") else label
    if label in outputs:
        return Read(outputs[label], rest, value_of(outputs[label], rest) if rest else None)
    if "summary" not in outputs:
        raise ValueError(f"{formula} has no results in campaign {campaign!r} yet (process {found.pk})")
    summary = outputs["summary"]
    if key and key not in summary.base.attributes.all:
        near = difflib.get_close_matches(key, summary.base.attributes.all, cutoff=0.4) or ["gap_hse06_soc_ev"]
        raise ValueError(
            f"{formula} has no {key} in campaign {campaign!r}; there are columns such as {', '.join(near)}, and the "
            f"outputs {', '.join(sorted(outputs))}"
        )
    return Read(summary, key, value_of(summary, key) if key else None)


def value_of(node: Data, key: str) -> Any:
    """Return a value in a node: FORMULA.COLUMN or ROW.COLUMN of a table, else a path through the attributes.

    Raises
    ------
    ValueError
        If the node does not hold it.
    """
    from aiida_perovskite.data.table import CompositionTableData

    value: Any = node.base.attributes.all
    if isinstance(node, CompositionTableData) and key.split(".")[0] not in value:
        return cell(node, key)
    for part in key.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            names = [str(name) for name in value][:NAMED] if isinstance(value, dict) else []
            has = f"; there are {', '.join(names)}" if names else ""
            raise ValueError(f"node {node.pk} ({type(node).__name__}) has no {key!r}{has}")
    return value


def cell(table: Any, key: str) -> Any:
    """Return a cell of a table; ValueError if there is none."""
    from aiida_perovskite.chemistry import Composition

    row, _, column = key.rpartition(".")
    frame = table.to_frame()
    if column not in frame.columns or not row:
        raise ValueError(
            f"table {table.pk} has no {key!r}: give FORMULA.COLUMN or ROW.COLUMN; the columns are "
            f"{', '.join(frame.columns[:NAMED])}"
        )
    names = {row}
    with contextlib.suppress(ValueError):
        names.add(Composition.parse(row).formula)
    found = frame[frame["formula"].isin(names)] if "formula" in frame else frame.iloc[:0]
    if not len(found) and row.isdigit() and int(row) < len(frame):
        found = frame.iloc[[int(row)]]
    if not len(found):
        raise ValueError(f"table {table.pk} has no row {row!r}; it has {len(frame)} rows")
    value = found.iloc[0][column]
    return value.item() if hasattr(value, "item") else value


def follow(read: Read) -> list[Read]:
    """Return what was read, then what that was copied from, and so on: from the results to the step's own node."""
    steps = [read]
    while (source := copied_from(steps[-1])) is not None:
        steps.append(source)
    return steps


def copied_from(read: Read) -> Read | None:
    """Return what a number of the results or of a candidate's row was copied from; None if it is nobody's copy."""
    from aiida.common import LinkType

    creator = read.node.creator
    if creator is None or not read.key:
        return None
    inputs = {
        link.link_label: link.node for link in creator.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all()
    }
    # The rows of many candidates come in tables.
    tables = [(label, read.key) for label in inputs if label.startswith("rows_")]
    for label, key in sources(creator.process_label, read.key) + tables:
        if label not in inputs:
            continue
        try:
            value = value_of(inputs[label], key)
        except ValueError:
            continue
        if value == read.value:
            return Read(inputs[label], key, value)
    return None


def sources(process: str, key: str) -> list[tuple[str, str]]:
    """Return the inputs of a process, and their keys, that a value of its output may be a copy of."""
    from aiida_perovskite.calculations.results import COLUMNS

    if process in ("collect_rows", "collect_results"):
        formula, _, column = key.rpartition(".")
        return [
            (f"summary_{formula}", column),
            (f"verdict_{formula}", column),
            ("selection", f"{formula}.{column.removeprefix('predicted_')}"),
        ]
    if process == "summarise_candidate":
        if key == "lattice_angstrom":
            return [("geometry", "a_angstrom")]
        return [COLUMNS[key]] if key in COLUMNS else [("gap", key)]
    return []
