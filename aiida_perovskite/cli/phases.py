"""Structures of competing phases: ``aiida-perovskite phases`` fetches, ``screen --phase-structures`` reads them."""

from __future__ import annotations

import json
import re
import warnings
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.common import clear_errors

if TYPE_CHECKING:
    from aiida.orm import StructureData
    from ase import Atoms

FORMATS = {".cif": "cif", ".vasp": "vasp", ".poscar": "vasp", ".extxyz": "extxyz", ".xyz": "extxyz"}
"""Suffix of a structure file -> what ASE calls the format; files with another one are passed over."""

SHOWN = 5  # skipped entries that are named before the rest is counted


@cmd_root.command("phases")
@click.argument("elements", nargs=-1)
@click.option("--compound", help="Take the elements of this compound, e.g. Cs2AgBiBr6.")
@click.option(
    "--url", default="mp", show_default=True, help="OPTIMADE server: mp, oqmd, alexandria, ... or its base URL."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="New folder for CIF files and their list phases.csv.",
)
@click.option("--max-atoms", type=click.IntRange(min=1), default=40, show_default=True, help="Atoms in a cell.")
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="Entries that are read.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=30, show_default=True, help="Seconds to wait for an answer."
)
@clear_errors
def cmd_phases(
    elements: tuple[str, ...],
    compound: str | None,
    url: str,
    output: Path,
    max_atoms: int,
    limit: int,
    timeout: float,
) -> None:
    """Fetch the known crystals made of some ELEMENTS from a database that speaks OPTIMADE.

    Ordered bulk crystals of all or some of the elements, for `screen --phase-structures`. Where the database gives
    formation energies (mp, oqmd, alexandria), the list serves `screen --known-phases` as well.

    \b
      aiida-perovskite phases Cs Ag Bi Br -o phases
      aiida-perovskite phases --compound Cs2AgBiBr6 --url oqmd -o phases
      aiida-perovskite screen --phase-structures phases --dry-run
    """
    from aiida_perovskite.chemistry.phases import atom_counts
    from aiida_perovskite.datasets.optimade import find_phases, write_phases

    if bool(elements) == bool(compound):
        raise ValueError("give either elements, such as Cs Ag Bi Br, or --compound")
    if output.exists():
        raise ValueError(f"{output} exists already; give the name of a new folder")
    found = find_phases(
        list(atom_counts(compound)) if compound else elements,
        url,
        most_atoms=max_atoms,
        most_entries=limit,
        timeout_s=timeout,
        progress=lambda system, count: echo.echo_report(f"{count} entries; asking {url} for {system}", err=True),
    )
    write_phases(found, output)
    for identifier, why in list(found.skipped.items())[:SHOWN]:
        echo.echo_warning(f"{identifier} left out: {why}", err=True)
    if len(found.skipped) > SHOWN:
        echo.echo_warning(f"{len(found.skipped) - SHOWN} more left out", err=True)
    if not found.complete:
        echo.echo_warning(f"{url} has more than {limit} entries: raise --limit to have them all", err=True)
    echo.echo_success(f"{len(found.phases)} structures written to {output}")
    without = sum(phase.formation_energy_ev_per_atom is None for phase in found.phases)
    if without == 0:
        echo.echo_report(f"all have a formation energy: {output / 'phases.csv'} serves --known-phases as well")
    elif without < len(found.phases):
        echo.echo_report(f"{without} have no formation energy: --known-phases takes phases.csv without these rows")


def phase_structures(folder: Path) -> dict[str, StructureData]:
    """Return label -> unstored structure of every structure file of a folder.

    Raises
    ------
    ValueError
        If there is none, or one cannot be read or is no ordered crystal.
    """
    from aiida.orm import StructureData

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS and path.is_file())
    if not paths:
        raise ValueError(f"{folder} has no structure file: names must end with {', '.join(FORMATS)}")
    files: dict[str, Path] = {}
    structures = {}
    for path in paths:
        label = _label(path)
        if label in files:
            raise ValueError(f"{files[label]} and {path} would both be called {label}: rename one")
        files[label] = path
        structures[label] = StructureData(ase=_read_crystal(path), label=label)
    return structures


def stored_structure(node: StructureData) -> StructureData:
    """Return the structure of this label and content that the profile already holds, or store this one."""
    from aiida.orm import QueryBuilder

    content = _content(node)
    for (other,) in QueryBuilder().append(type(node), filters={"label": node.label}).iterall():
        if _content(other) == content:
            same: StructureData = other
            return same
    return node.store()


def _content(node: StructureData) -> str:
    return json.dumps(node.base.attributes.all, sort_keys=True)


def _label(path: Path) -> str:
    """Return a name for AiiDA's link: letters, digits and single underscores, none at the ends.

    A word is put in front of what Python takes for no name, and of the names of the other inputs of the calcfunction
    that takes the structures.
    """
    label = re.sub(r"[^A-Za-z0-9]+", "_", path.stem).strip("_")
    taken = iskeyword(label) or label in ("formula", "metadata", "parameters", "settings")
    return label if label.isidentifier() and not taken else f"phase_{label}".rstrip("_")


def _read_crystal(path: Path) -> Atoms:
    """Return the crystal that a file holds: elements, positions and cell, nothing else.

    Raises
    ------
    ValueError
        If it holds none, or several, or is not periodic, or has sites that are not occupied by one element.
    """
    from ase import Atoms
    from ase.io import read

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images = read(path, index=":", format=FORMATS[path.suffix.lower()])
    except Exception as error:  # each reader of ASE fails in its own way
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read as a structure: {why}") from error
    if len(images) != 1:
        raise ValueError(f"{path} holds {len(images) or 'no'} structures: each file must hold one")
    (atoms,) = images
    occupancies = atoms.info.get("occupancy", {}).values()
    if any(len(site) != 1 or set(site.values()) != {1} for site in occupancies):
        raise ValueError(f"{path} is disordered: each site must be fully occupied by one element")
    if not len(atoms) or not atoms.numbers.all():
        raise ValueError(f"{path} has no atoms, or atoms of no known element")
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise ValueError(f"{path} is not periodic in three directions")
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
