"""``verdi data perovskite.table``: look at tables of compositions and write them to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.commands.cmd_data import verdi_data
from aiida.cmdline.params import arguments, options, types
from aiida.cmdline.utils import decorators, echo

from aiida_perovskite.cli.common import clear_errors

if TYPE_CHECKING:
    from aiida_perovskite.data.table import CompositionTableData

FORMATS = ("csv", "json", "parquet")
DATUM = arguments.DATUM(type=types.DataParamType(sub_classes=("aiida.data:perovskite.table",)))


@verdi_data.group("perovskite.table")
def cmd_table() -> None:
    """Manipulate tables of compositions (CompositionTableData)."""


@cmd_table.command("list")
@options.RAW(help="Print without headers.")
@decorators.with_dbenv()
def table_list(raw: bool) -> None:
    """List the tables of the profile."""
    from aiida.orm import QueryBuilder

    from aiida_perovskite.data.table import CompositionTableData

    query = QueryBuilder().append(CompositionTableData, project=["id", "attributes.name", "attributes.n_rows", "ctime"])
    rows = [[pk, name, count, f"{created:%Y-%m-%d %H:%M}"] for pk, name, count, created in query.all()]
    if raw:
        for row in rows:
            click.echo("\t".join(map(str, row)))
    else:
        echo.echo_tabulate(rows, headers=["PK", "Name", "Rows", "Created"])


@cmd_table.command("show")
@DATUM
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to print.")
@decorators.with_dbenv()
def table_show(datum: CompositionTableData, limit: int) -> None:
    """Show the first rows, and what the columns are."""
    click.echo(datum.to_frame().head(limit).to_string(index=False))
    units = [
        f"{column['name']} [{column['unit']}]" for column in datum.base.attributes.get("columns") if column["unit"]
    ]
    echo.echo_report(f"{min(limit, datum.n_rows)} of {datum.n_rows} rows of {datum.name}; units: {', '.join(units)}")


@cmd_table.command("export")
@DATUM
@click.option("-F", "--format", "fmt", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File; standard output otherwise."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@clear_errors
@decorators.with_dbenv()
def table_export(datum: CompositionTableData, fmt: str, output: Path | None, overwrite: bool) -> None:
    """Write a table as CSV, JSON or Parquet."""
    frame = datum.to_frame()
    if fmt == "parquet":
        content = datum.content
    elif fmt == "json":
        content = frame.to_json(orient="records", indent=1).encode()
    else:
        content = frame.to_csv(index=False).encode()
    if output is None:
        click.get_binary_stream("stdout").write(content)
        return
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists; --overwrite replaces it")
    temporary = output.with_name(f".{output.name}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, output)
    echo.echo_success(f"{datum.n_rows} rows written to {output}")
