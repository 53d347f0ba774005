"""``verdi data perovskite.species``: look at species defaults of FHI-aims and write them to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.commands.cmd_data import verdi_data
from aiida.cmdline.params import arguments, options, types
from aiida.cmdline.utils import decorators, echo

from aiida_perovskite.cli.common import clear_errors

if TYPE_CHECKING:
    from aiida_perovskite.data.species import SpeciesDefaultsData

DATUM = arguments.DATUM(type=types.DataParamType(sub_classes=("aiida.data:perovskite.species",)))


@verdi_data.group("perovskite.species")
def cmd_species_data() -> None:
    """Look at species defaults of FHI-aims (SpeciesDefaultsData); `aiida-perovskite setup species` stores them."""


@cmd_species_data.command("list")
@options.RAW(help="Print without headers.")
@decorators.with_dbenv()
def species_list(raw: bool) -> None:
    """List the species of the profile, and the families that they belong to."""
    from aiida.orm import QueryBuilder

    from aiida_perovskite.data.species import SpeciesDefaultsData, SpeciesFamily

    columns = ["id", "attributes.element", "attributes.level", "attributes.sha256"]
    query = QueryBuilder().append(SpeciesDefaultsData, project=columns, tag="species")
    query.append(SpeciesFamily, with_node="species", project="label", outerjoin=True)
    families: dict[tuple[int, str, str, str], list[str]] = {}
    for *species, family in query.all():
        families.setdefault(tuple(species), []).extend(filter(None, [family]))
    rows = [
        [pk, element, level, digest[:12], ", ".join(sorted(labels))]
        for (pk, element, level, digest), labels in sorted(families.items(), key=lambda item: item[0][1:3])
    ]
    if raw:
        for row in rows:
            click.echo("\t".join(map(str, row)))
    else:
        echo.echo_tabulate(rows, headers=["PK", "Element", "From", "SHA-256", "Families"])


@cmd_species_data.command("show")
@DATUM
@decorators.with_dbenv()
def species_show(datum: SpeciesDefaultsData) -> None:
    """Show where a species is from, its checksum, and the basis functions in use."""
    shown = ["element", "nucleus_charge", "level", "sha256", "tiers"]
    echo.echo_dictionary({key: datum.base.attributes.get(key) for key in shown})


@cmd_species_data.command("export")
@DATUM
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File; standard output otherwise."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@clear_errors
@decorators.with_dbenv()
def species_export(datum: SpeciesDefaultsData, output: Path | None, overwrite: bool) -> None:
    """Write the species block, verbatim."""
    from aiida_perovskite.learning.checkpoint import atomic_path

    if output is None:
        click.echo(datum.text, nl=False)
        return
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists; --overwrite replaces it")
    with atomic_path(output) as temporary:
        temporary.write_text(datum.text, encoding="utf-8")
    echo.echo_success(f"species of {datum.element} written to {output}")
