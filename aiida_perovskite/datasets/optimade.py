"""Structures of competing phases from databases that speak OPTIMADE (https://www.optimade.org).

`pymatgen.ext.optimade.OptimadeRester` gives the short names of the servers. It does not fetch here: it logs a failed
request as an empty answer, pairs species with sites by their order, and takes a disordered site for an ordered one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_perovskite.datasets.tables import DatasetError
from aiida_perovskite.limits import parse_json

if TYPE_CHECKING:
    import requests
    from pymatgen.core import Structure

MOST_ELEMENTS = 6  # every set of them is one question: 63 of six elements
SMALLEST_DISTANCE = 0.5  # Angstrom; atoms that are nearer to each other are a mistake
LARGEST_ENERGY = 20.0  # eV/atom; beyond it lie the numbers that say "not computed", such as -99999
LONGEST_IDENTIFIER = 200  # characters
MOST_BYTES = 64 * 2**20  # of one answer, unpacked; a page of some hundred structures has a few MB
MOST_PAGES = 1000  # of one question; servers give 10 to 1000 entries a page
FIELDS = ("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites", "dimension_types")
ENERGIES = {
    "mp": ("_mp_stability", "gga_gga+u", "formation_energy_per_atom"),
    "oqmd": ("_oqmd_delta_e",),
    "alexandria": ("_alexandria_formation_energy_per_atom",),
    "jarvis": ("_jarvis_formation_energy_peratom",),
}
"""Prefix of a provider -> where its entries hold the formation energy, in eV per atom; always of one functional."""


@dataclass(frozen=True)
class Phase:
    """An ordered crystal of a database.

    Attributes
    ----------
    formula
        As pymatgen reduces it.
    identifier
        Of the entry, in its database.
    structure
        Cell and atoms.
    formation_energy_ev_per_atom
        None where the database gives none.
    """

    formula: str
    identifier: str
    structure: Structure
    formation_energy_ev_per_atom: float | None


@dataclass(frozen=True)
class FoundPhases:
    """What a database has.

    Attributes
    ----------
    provider
        Its OPTIMADE prefix, e.g. ``mp``.
    phases
        The ordered bulk crystals.
    skipped
        Identifier -> why an entry is none of them.
    complete
        False if the database holds more than was asked for.
    """

    provider: str
    phases: list[Phase]
    skipped: dict[str, str]
    complete: bool


def find_phases(
    elements: Sequence[str],
    server: str = "mp",
    *,
    most_atoms: int = 40,
    most_entries: int = 200,
    timeout_s: float = 30.0,
    progress: Callable[[str, int], None] | None = None,
) -> FoundPhases:
    """Ask a database for the ordered bulk crystals made of the given elements and no others.

    Parameters
    ----------
    elements
        Symbols, six at most. Each set of them is asked for on its own, small sets first, in filters that every server
        must understand.
    server
        Short name that pymatgen knows (``mp``, ``oqmd``, ``alexandria``, ...) or base URL.
    most_atoms
        Of a cell.
    most_entries
        Entries that are read before the search ends.
    timeout_s
        How long one answer may take.
    progress
        Called before each question with the elements and the number of entries so far.

    Raises
    ------
    DatasetError
        If the elements or the server are unknown, the server does not answer as it should, or it has no such crystal.
    """
    import requests

    from aiida_perovskite import __version__

    wanted = _check_elements(elements)
    base = _base_url(server)
    phases: list[Phase] = []
    skipped: dict[str, str] = {}
    seen: set[str] = set()
    complete = True
    with requests.Session() as session:
        session.headers["User-Agent"] = f"aiida-perovskite/{__version__}"
        provider = _provider(_get(session, f"{base}/v1/info", timeout_s)) or server
        path = ENERGIES.get(provider, ())
        for chosen in (some for size in range(1, len(wanted) + 1) for some in combinations(wanted, size)):
            if progress is not None:
                progress("-".join(chosen), len(seen))
            listed = ",".join(f'"{element}"' for element in chosen)
            query = {
                "filter": f"elements HAS ALL {listed} AND nelements={len(chosen)} AND nsites<={most_atoms}",
                "response_fields": ",".join((*FIELDS, *path[:1])),
            }
            for entry in _entries(session, f"{base}/v1/structures", query, timeout_s):
                # Printed and written as it is: nothing that moves a cursor or starts a formula in a spreadsheet.
                identifier = re.sub(r"[^\w./:#-]+|^[-]+", "_", str(entry.get("id")))[:LONGEST_IDENTIFIER]
                if identifier in seen:
                    continue
                if len(seen) == most_entries:
                    complete = False
                    break
                seen.add(identifier)
                try:
                    phases.append(_read_phase(identifier, entry, set(chosen), most_atoms, path))
                except ValueError as error:
                    skipped[identifier] = str(error)
            if not complete:
                break
    if not phases:
        also = f"; {len(skipped)} entries will not do, {_first(skipped)}" if skipped else ""
        raise DatasetError(
            f"{server} has no ordered crystal of {', '.join(wanted)} with {most_atoms} atoms or fewer{also}"
        )
    return FoundPhases(provider, phases, skipped, complete)


def write_phases(found: FoundPhases, folder: Path) -> None:
    """Write one CIF file per phase, and ``phases.csv`` with formula, file, provider and id.

    Where the database gives formation energies, they are the column ``formation_energy_ev_per_atom``. The folder
    appears when everything is written.

    Raises
    ------
    DatasetError
        If the folder exists.
    """
    from tempfile import TemporaryDirectory

    import pandas as pd

    if folder.exists():
        raise DatasetError(f"{folder} exists already; give the name of a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        content = Path(temporary) / "phases"
        content.mkdir()
        for phase in found.phases:
            path = _free_name(content, f"{phase.formula}_{phase.identifier}")
            phase.structure.to(filename=str(path), fmt="cif")
            rows.append(
                {
                    "formula": phase.formula,
                    "file": path.name,
                    "provider": found.provider,
                    "id": phase.identifier,
                    "formation_energy_ev_per_atom": phase.formation_energy_ev_per_atom,
                }
            )
        pd.DataFrame(rows).dropna(axis="columns", how="all").to_csv(content / "phases.csv", index=False)
        content.rename(folder)


def _check_elements(elements: Sequence[str]) -> list[str]:
    from aiida_perovskite.chemistry import ELEMENTS

    wanted = list(dict.fromkeys(elements))
    unknown = [element for element in wanted if element not in ELEMENTS]
    if unknown:
        raise DatasetError(f"{', '.join(unknown)}: no such element; write symbols such as Cs Ag Bi Br")
    if not 1 <= len(wanted) <= MOST_ELEMENTS:
        raise DatasetError(f"{len(wanted)} elements: give one to {MOST_ELEMENTS}")
    return wanted


def _base_url(server: str) -> str:
    """Return the address of a server, without the version at its end."""
    from pymatgen.ext.optimade import OptimadeRester

    url = OptimadeRester.aliases.get(server, server)
    if not url.startswith(("http://", "https://")):
        known = ", ".join(sorted(OptimadeRester.aliases))
        raise DatasetError(f"{server!r} is neither a URL nor a server that pymatgen knows: {known}")
    return url.rstrip("/").removesuffix("/v1")


def _provider(info: dict[str, Any]) -> str:
    """Return the prefix under which a server has fields of its own; empty if it does not say."""
    meta = info.get("meta")
    provider = meta.get("provider") if isinstance(meta, dict) else None
    return str(provider.get("prefix") or "") if isinstance(provider, dict) else ""


def _entries(session: requests.Session, url: str, query: dict[str, str], timeout_s: float) -> Iterator[dict[str, Any]]:
    """Yield the entries of an answer, page after page."""
    from urllib.parse import urlencode, urljoin

    following: str | None = f"{url}?{urlencode(query)}"
    visited = set()
    while following:
        if following in visited:
            raise DatasetError(f"{url}: the pages of the answer go round in a circle")
        visited.add(following)
        if len(visited) > MOST_PAGES:
            raise DatasetError(f"{url}: the answer has more than {MOST_PAGES} pages")
        content = _get(session, following, timeout_s)
        data = content.get("data")
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise DatasetError(f"{url} does not answer as an OPTIMADE server does: there is no list of structures")
        yield from data
        links = content.get("links")
        link = links.get("next") if isinstance(links, dict) else None
        address = link.get("href") if isinstance(link, dict) else link
        following = urljoin(following, str(address)) if address else None


def _get(session: requests.Session, url: str, timeout_s: float) -> dict[str, Any]:
    """Return the JSON object at an address."""
    import requests

    place = url.partition("?")[0]
    try:
        with session.get(url, timeout=timeout_s, stream=True) as response:
            body = bytearray()
            for part in response.iter_content(2**16):
                body += part
                if len(body) > MOST_BYTES:
                    raise DatasetError(f"{place} answers with more than {MOST_BYTES // 2**20} MiB: take another server")
    except requests.Timeout as error:
        raise DatasetError(f"{place} did not answer within {timeout_s:g} s") from error
    except requests.RequestException as error:
        raise DatasetError(f"{place} cannot be reached ({type(error).__name__})") from error
    try:
        content = parse_json(bytes(body))
    except ValueError:
        content = None
    if not response.ok:
        raise DatasetError(f"{place} refuses with status {response.status_code}{_detail(content)}")
    if not isinstance(content, dict):
        raise DatasetError(f"{place} does not answer as an OPTIMADE server does: this is no JSON object")
    return content


def _detail(content: Any) -> str:
    """Return what an OPTIMADE error says, as the end of a sentence."""
    try:
        error = content["errors"][0]
        return f": {' '.join(str(error.get('detail') or error['title']).split())}"
    except (AttributeError, IndexError, KeyError, TypeError):
        return ""


def _read_phase(
    identifier: str, entry: dict[str, Any], elements: set[str], most_atoms: int, path: tuple[str, ...]
) -> Phase:
    """Return an entry as an ordered crystal of these elements; raise ValueError with the reason if it is none."""
    import numpy as np
    from pymatgen.core import Lattice, Structure

    from aiida_perovskite.chemistry.phases import reduced_formula

    attributes = entry.get("attributes")
    if not isinstance(attributes, dict):
        raise ValueError("no attributes")
    if attributes.get("dimension_types") not in (None, [1, 1, 1]):
        raise ValueError("not periodic in three directions")
    symbols = _symbols(attributes)
    if set(symbols) != elements:
        raise ValueError(f"made of {', '.join(sorted(set(symbols)))}")
    if len(symbols) > most_atoms:
        raise ValueError(f"{len(symbols)} atoms in the cell")
    try:
        vectors = np.array(attributes["lattice_vectors"], dtype=float)
        positions = np.array(attributes["cartesian_site_positions"], dtype=float)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError("no cell or no positions") from error
    if vectors.shape != (3, 3) or positions.shape != (len(symbols), 3):
        raise ValueError("no cell or no positions")
    if not (np.isfinite(vectors).all() and np.isfinite(positions).all()) or abs(np.linalg.det(vectors)) < 1.0:
        raise ValueError("no cell or no positions")
    structure = Structure(Lattice(vectors), symbols, positions, coords_are_cartesian=True)
    if not structure.is_valid(tol=SMALLEST_DISTANCE):
        raise ValueError(f"atoms less than {SMALLEST_DISTANCE} Angstrom apart")
    return Phase(reduced_formula(structure.composition.formula), identifier, structure, _energy(attributes, path))


def _symbols(attributes: dict[str, Any]) -> list[str]:
    """Return the element of each site; raise ValueError if a site is not fully occupied by one."""
    from aiida_perovskite.chemistry import ELEMENTS

    try:
        species = {kind["name"]: kind for kind in attributes["species"]}
        kinds = [species[name] for name in attributes["species_at_sites"]]
        symbols = [str(kind["chemical_symbols"][0]) for kind in kinds]
        whole = all(len(kind["chemical_symbols"]) == 1 and kind["concentration"] == [1] for kind in kinds)
        attached = any(kind.get("attached") for kind in kinds)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError("no species of the sites") from error
    if not whole:
        raise ValueError("disordered: a site is shared or partly occupied")
    if attached or not symbols or not set(symbols) <= ELEMENTS:
        raise ValueError("atoms without a position or of no known element")
    return symbols


def _energy(attributes: dict[str, Any], path: tuple[str, ...]) -> float | None:
    """Return the formation energy that stands at this place, eV per atom."""
    value: Any = attributes if path else None
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) and abs(value) < LARGEST_ENERGY else None


def _free_name(folder: Path, name: str) -> Path:
    """Return the path of a new CIF file named after the phase, whatever characters its identifier has."""
    stem = re.sub(r"[^A-Za-z0-9-]+", "_", name)[:100].strip("_")
    names = (stem if number == 1 else f"{stem}_{number}" for number in range(1, len(list(folder.iterdir())) + 2))
    return next(path for path in (folder / f"{candidate}.cif" for candidate in names) if not path.exists())


def _first(skipped: dict[str, str]) -> str:
    identifier, why = next(iter(skipped.items()))
    return f"such as {identifier} ({why})"
