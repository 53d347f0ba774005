"""``aiida-perovskite setup species``: take the species files of an FHI-aims distribution into the profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli.common import JSON, clear_errors, echo_json
from aiida_perovskite.cli.setup import cmd_setup

if TYPE_CHECKING:
    from aiida_perovskite.data.species import SpeciesDefaultsData, SpeciesFamily


@cmd_setup.command("species")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--label", help="Name of the family; the last two parts of DIR if not given.")
@click.option("--elements", help="Take only these, comma-separated; every file of DIR if not given.")
@click.option("--dry-run", is_flag=True, help="Read the files and say what would be stored.")
@JSON()
@clear_errors
def cmd_species(folder: Path, label: str | None, elements: str | None, dry_run: bool, as_json: bool) -> None:
    """Install species defaults for FHI-aims, from the folder DIR of your own distribution.

    Each file NN_El_default becomes a node that calculations have as an input; together they are a family that never
    changes. Running this again with the same files changes nothing.

    \b
      aiida-perovskite setup species FHIaims/species_defaults/defaults_2020/light
      aiida-perovskite setup species .../defaults_2020/tight --elements Cs,Ag,Bi,Br --label thesis/tight
    """
    from aiida_perovskite.data.species import SpeciesFamily, species_of_folder

    # Resolved: `.` has no name, and a link's name says less than where it leads.
    label = label or "/".join(folder.resolve().parts[-2:])
    chosen = [element.strip() for element in elements.split(",") if element.strip()] if elements else None
    nodes = species_of_folder(folder, label, chosen)
    family = SpeciesFamily.find(label)
    if family is not None and family.checksums != {node.element: node.sha256 for node in nodes}:
        raise ValueError(f"the species family {label!r} exists with other content: {_differences(family, nodes)}")
    created = family is None
    if created and not dry_run:
        family = SpeciesFamily.create(label, nodes)
    if as_json:
        echo_json(_record(label, family, nodes, created=created, dry_run=dry_run))
        return
    names = ", ".join(node.element for node in nodes)
    if not created:
        echo.echo_success(f"species family {label!r} is already there with the same {len(nodes)} species: {names}")
    elif dry_run:
        echo.echo_report(f"would make species family {label!r} of {len(nodes)} species: {names}; nothing was stored")
    else:
        echo.echo_success(f"species family {label!r} is ready with {len(nodes)} species: {names}")


def _differences(family: SpeciesFamily, nodes: list[SpeciesDefaultsData]) -> str:
    """Return in words how a folder differs from the family of its label, and what to do."""
    here, there = {node.element: node.sha256 for node in nodes}, family.checksums
    parts = {
        "only there": sorted(there.keys() - here.keys()),
        "only in the folder": sorted(here.keys() - there.keys()),
        "different": sorted(element for element in here.keys() & there.keys() if here[element] != there[element]),
    }
    found = "; ".join(f"{', '.join(elements)} {how}" for how, elements in parts.items() if elements)
    return f"{found}. Families never change: give another --label"


def _record(
    label: str, family: SpeciesFamily | None, nodes: list[SpeciesDefaultsData], *, created: bool, dry_run: bool
) -> dict[str, Any]:
    """Return the answer for other programs; the nodes of a dry run have no identifiers."""
    stored = family.species if family is not None else {}
    species = {
        node.element: {
            "sha256": node.sha256,
            "uuid": stored[node.element].uuid if node.element in stored else None,
        }
        for node in nodes
    }
    return {"label": label, "created": created and not dry_run, "dry_run": dry_run, "species": species}
