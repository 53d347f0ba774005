"""The datasets that the package knows: what each is, who made it, and how to get and check it.

Two tables are shipped. The others are not ours to ship: a file is fetched where an address exists, or the user gives a
copy, and the checksum decides whether it is the table that results were published with.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from aiida_perovskite.datasets.tables import SHOWN, DatasetError, canonical, read_file

if TYPE_CHECKING:
    import pandas as pd

MATERIALS_PROJECT = "A. Jain et al., APL Materials 1, 011002 (2013); materials data of the Materials Project, CC BY 4.0"
GET_FROM_MATERIALS_PROJECT = (
    "query the Materials Project with mp-api and your own key (quaternary 1:1:2:6 entries in space group 225, fields "
    "material_id, formula_pretty, structure, band_gap, formation_energy_per_atom, energy_above_hull) and write the "
    "columns A, B, C, D, band_gap_eV, lowest_of_duplicates (1 for one entry per compound) as CSV"
)


@dataclass(frozen=True)
class DatasetCard:
    """What a dataset is and where it is from.

    Attributes
    ----------
    title, citation, licence
        For people.
    sha256
        Of the file.
    verified
        False once another file than the registered one has been accepted; title and citation may not hold for it.
    url
        Where it can be fetched; None if there is no such place.
    how_to_get
        What to do where there is none.
    """

    title: str
    citation: str
    licence: str
    sha256: str
    how_to_get: str
    url: str | None = None
    verified: bool = True


@dataclass(frozen=True)
class Dataset:
    """A table that has been read and checked.

    Attributes
    ----------
    name
        As in the registry.
    frame
        One row per compound: canonical ``formula``, sites ``a`` to ``d``, and columns with units in their names. (The
        competing phases are not ABC2D6: they have pymatgen's reduced ``formula`` and no sites.)
    target
        The column one trains on unless told otherwise.
    card
        What the dataset is; ``card.sha256`` is that of the file that was read.
    """

    name: str
    frame: pd.DataFrame
    target: str
    card: DatasetCard


@dataclass(frozen=True)
class _Entry:
    card: DatasetCard
    target: str
    read: Callable[[Path], pd.DataFrame]
    shipped: str | None = None


def list_datasets() -> dict[str, DatasetCard]:
    """Return name -> card of every dataset that the registry knows."""
    return {name: entry.card for name, entry in REGISTRY.items()}


def environment_variable(name: str) -> str:
    """Return the name of the environment variable that may hold the path of a dataset's file."""
    return f"AIIDA_PEROVSKITE_{name.upper().replace('-', '_')}"


def load_dataset(name: str, file: Path | str | None = None, *, verify: bool = True) -> Dataset:
    """Read a dataset.

    Parameters
    ----------
    name
        As `list_datasets` names it.
    file
        The user's copy, for a dataset that is not shipped; else the environment variable
        ``AIIDA_PEROVSKITE_<NAME>`` is asked.
    verify
        Refuse a file whose checksum is not the registered one. Without it another snapshot is accepted; the card
        of the result then says ``verified=False`` and carries the checksum of what was read.

    Raises
    ------
    DatasetError
        If the name is unknown, there is no file, the checksum differs, or the content will not do.
    """
    if name not in REGISTRY:
        raise DatasetError(f"there is no dataset {name!r}; choose from {', '.join(REGISTRY)}")
    path, card = _checked_file(name, file, verify=verify)
    return Dataset(name, REGISTRY[name].read(path), REGISTRY[name].target, card)


def load_elpasolites_as_stored(
    file: Path | str | None = None, *, name: str = "elpasolite-prl2016", verify: bool = True
) -> Dataset:
    """Read all rows of a table of elpasolites as they are in its file, which inverse design needs.

    `load_dataset` puts A and B into alphabetical order and keeps one row of each compound. Here nothing is dropped or
    exchanged.

    Parameters
    ----------
    file, verify
        As for `load_dataset`.
    name
        ``elpasolite-prl2016`` or ``elpasolites-chgnet-demo``.

    Returns
    -------
    Dataset
        Its frame has the columns a, b, c, d and formation_energy_ev_per_atom (nan where there is no number), and
        computed_by where the file says what computed the energies.

    Raises
    ------
    DatasetError
        If there is no file, the checksum differs, or a column or an element is missing.
    """
    import pandas as pd

    stored = "formation_energy_eV_per_atom"
    path, card = _checked_file(name, file, verify=verify)
    frame = _read_sites(path, [stored])
    rows = frame[[*"ABCD"]].astype(str).rename(columns=str.lower)
    target = REGISTRY[name].target
    rows = rows.assign(**{target: pd.to_numeric(frame[stored], errors="coerce")})
    return Dataset(name, rows.assign(**{by: frame[by] for by in ("computed_by",) if by in frame}), target, card)


def _checked_file(name: str, file: Path | str | None, *, verify: bool) -> tuple[Path, DatasetCard]:
    """Return the path of a dataset's file, checked as `load_dataset` says, and its card with what was found."""
    from dataclasses import replace

    import pooch

    entry = REGISTRY[name]
    if entry.shipped is not None:
        # A file of the package is not refused: who changes it changes the package. The card tells.
        verify = False
        path = Path(str(resources.files("aiida_perovskite.datasets") / "shipped" / entry.shipped))
    else:
        path = _locate(name, entry.card, file)
    found = pooch.file_hash(str(path))
    same = found == entry.card.sha256
    if verify and not same:
        raise DatasetError(
            f"{path.name} is not the registered file of {name}: its SHA-256 begins with {found[:12]}, expected "
            f"{entry.card.sha256[:12]}; to get it, {entry.card.how_to_get}; verify=False accepts another "
            "snapshot"
        )
    return path, replace(entry.card, sha256=found, verified=same)


def _locate(name: str, card: DatasetCard, file: Path | str | None) -> Path:
    """Return the path of a dataset that is not shipped: given, from the environment, or fetched and cached."""
    import pooch

    variable = environment_variable(name)
    given = file or os.environ.get(variable)
    if given is not None:
        path = Path(given)
        if not path.is_file():
            raise DatasetError(f"there is no file {path} for dataset {name}")
        return path
    if card.url is None:
        raise DatasetError(
            f"dataset {name} is not shipped and has no address to fetch it from: {card.how_to_get}; then give the file "
            f"with --file or the environment variable {variable}"
        )
    return Path(pooch.retrieve(card.url, known_hash=card.sha256, path=pooch.os_cache("aiida-perovskite")))


def _read_shipped_gaps(path: Path) -> pd.DataFrame:
    return canonical(read_file(path), required=["gap_hse06_soc_ev"])


def _read_first_gaps(path: Path) -> pd.DataFrame:
    """Read the gaps that were known before the first campaign: the others are what a screening may then find."""
    table = _read_shipped_gaps(path)
    return table[table["computed_by"].str.startswith("gap_dataset.py")].reset_index(drop=True)


def _read_sites(path: Path, values: list[str]) -> pd.DataFrame:
    """Read a file with columns A to D, the elements that make the canonical formula, and the columns ``values``."""
    frame = read_file(path)
    missing = [column for column in [*"ABCD", *values] if column not in frame.columns]
    if missing:
        raise DatasetError(f"{path.name} has no column {', '.join(missing)}")
    sites = frame[[*"ABCD"]]
    if sites.isna().any(axis=None):
        empty = ", ".join(str(row + 2) for row in sites.index[sites.isna().any(axis=1)][:SHOWN])
        raise DatasetError(f"{path.name} names no element in A, B, C or D in row {empty}")
    rows = sites.astype(str).itertuples(index=False)
    return frame.assign(formula=["".join(sorted((a, b))) + f"{c}2{d}6" for a, b, c, d in rows])


def _read_materials_project(path: Path) -> pd.DataFrame:
    """Read a table of Fm-3m entries: of each compound the entry lowest above the hull.

    The column ``in_halide_space`` says which rows belong to `halide_space`.
    """
    from aiida_perovskite.chemistry import halide_space

    frame = _read_sites(path, ["band_gap_eV", "lowest_of_duplicates"])
    frame = frame[frame["lowest_of_duplicates"] == 1]
    columns = {
        "formula": "formula",
        "mp_id": "mp_id",
        "band_gap_eV": "gap_pbe_ev",
        "formation_energy_eV_per_atom": "formation_energy_ev_per_atom",
        "energy_above_hull_eV_per_atom": "energy_above_hull_ev_per_atom",
        "a_conventional_A": "a_angstrom",
    }
    present = {old: new for old, new in columns.items() if old in frame.columns}
    table = canonical(frame[list(present)].rename(columns=present), required=["gap_pbe_ev"])
    space = {composition.formula for composition in halide_space()}
    return table.assign(in_halide_space=table["formula"].isin(space))


def _read_elpasolites(path: Path) -> pd.DataFrame:
    """Read the formation energies; where a compound is there with A and B both ways (34 are), the lower one stays."""
    energies = {f"formation_energy_eV_per_{unit}": f"formation_energy_ev_per_{unit}" for unit in ("atom", "cell")}
    frame = _read_sites(path, list(energies))[["formula", *energies]].rename(columns=energies)
    lowest_first = frame.sort_values("formation_energy_ev_per_cell", kind="stable")
    return canonical(lowest_first.drop_duplicates("formula").sort_index(), required=list(energies.values()))


def _read_demo_elpasolites(path: Path) -> pd.DataFrame:
    energies = {"formation_energy_eV_per_atom": "formation_energy_ev_per_atom"}
    return canonical(_read_sites(path, list(energies)).rename(columns=energies), required=list(energies.values()))


def _read_competing_phases(path: Path) -> pd.DataFrame:
    """Read the formation energies of halides of any stoichiometry: of each formula the lowest polymorph.

    Returns the columns ``formula`` (as pymatgen reduces it), ``n_atoms`` (of that formula), ``n_entries`` and
    ``formation_energy_ev_per_atom``.
    """
    import numpy as np
    import pandas as pd

    from aiida_perovskite.chemistry.phases import atom_counts, reduced_formula

    frame = read_file(path)
    columns = {"ef_min_eV_per_atom": "formation_energy_ev_per_atom", "n_entries": "n_entries"}
    missing = [column for column in ["reduced_formula", *columns] if column not in frame.columns]
    if missing:
        raise DatasetError(f"{path.name} has no column {', '.join(missing)}")
    energies = pd.to_numeric(frame["ef_min_eV_per_atom"], errors="coerce")
    bad = frame.index[~np.isfinite(energies)]
    if len(bad):
        rows = ", ".join(str(row + 2) for row in bad[:SHOWN])
        raise DatasetError(f"{path.name} has no finite energy in row {rows}")
    try:
        formulas = [reduced_formula(str(text)) for text in frame["reduced_formula"]]
    except ValueError as error:
        raise DatasetError(f"{path.name}: {error}") from error
    table = frame[list(columns)].rename(columns=columns)
    table.insert(0, "formula", formulas)
    table.insert(1, "n_atoms", [sum(atom_counts(formula).values()) for formula in formulas])
    return table.sort_values(columns["ef_min_eV_per_atom"], kind="stable").drop_duplicates("formula").sort_index()


def _shipped_checksum(name: str) -> str:
    """Return the SHA-256 of a shipped file, which `tools/extend_dataset.py` writes whenever it adds rows."""
    lines = (resources.files("aiida_perovskite.datasets") / "shipped" / "SHA256SUMS").read_text(encoding="utf-8")
    return {file: checksum for checksum, file in map(str.split, lines.splitlines())}[name]


def _own_card(title: str, file: str) -> DatasetCard:
    """Return the card of a table that is shipped."""
    return DatasetCard(
        title=title,
        citation="the aiida-perovskite developers (2026), shipped with aiida-perovskite",
        licence="CC BY 4.0",
        sha256=_shipped_checksum(file),
        how_to_get="it is shipped with the package",
    )


REGISTRY: dict[str, _Entry] = {
    "halide-gaps-gpaw": _Entry(
        _own_card(
            "HSE06 + spin-orbit band gaps of closed-shell halide double perovskites, by CHGNet and GPAW",
            "halide_gaps_gpaw.csv",
        ),
        target="gap_hse06_soc_ev",
        read=_read_shipped_gaps,
        shipped="halide_gaps_gpaw.csv",
    ),
    "halide-gaps-gpaw-first": _Entry(
        _own_card(
            "The part of halide-gaps-gpaw that was known before the first campaign, for demonstrations",
            "halide_gaps_gpaw.csv",
        ),
        target="gap_hse06_soc_ev",
        read=_read_first_gaps,
        shipped="halide_gaps_gpaw.csv",
    ),
    "mp-abc2d6-legacy2023": _Entry(
        DatasetCard(
            title="PBE band gaps of 2,103 Fm-3m compounds ABC2D6, Materials Project snapshot of 2023",
            citation=f"{MATERIALS_PROJECT}; selection of E. T. Chenebuah et al., npj Comput. Mater. 10, 198 (2024)",
            licence="CC BY 4.0",
            sha256="115d9001e059e0f802a08e3976553865c5d846d7a2b02f707de3ad8c0cd72af7",
            how_to_get=GET_FROM_MATERIALS_PROJECT,
        ),
        target="gap_pbe_ev",
        read=_read_materials_project,
    ),
    "mp-abc2d6-2026": _Entry(
        DatasetCard(
            title="PBE band gaps of 2,609 Fm-3m compounds ABC2D6, Materials Project snapshot of 2026",
            citation=MATERIALS_PROJECT,
            licence="CC BY 4.0",
            sha256="c4dc9a143d4adc768b51aa1185b303037ab377c61e03aa60f6c03420c0e96211",
            how_to_get=GET_FROM_MATERIALS_PROJECT,
        ),
        target="gap_pbe_ev",
        read=_read_materials_project,
    ),
    "elpasolite-prl2016": _Entry(
        DatasetCard(
            title="DFT formation energies of 10,556 elpasolites of main-group elements",
            citation="F. Faber, A. Lindmaa, O. A. von Lilienfeld, R. Armiento, Phys. Rev. Lett. 117, 135502 (2016)",
            licence="none stated for the data",
            sha256="dea6ab840e3ab7a05c879fb93810bd05c3d16df99cd748837a6605f0665c1a51",
            how_to_get=(
                "take the training set that the authors published with the paper (ABC2D6-16) and write the columns A, "
                "B, C, D, formation_energy_eV_per_cell, formation_energy_eV_per_atom as CSV"
            ),
        ),
        target="formation_energy_ev_per_atom",
        read=_read_elpasolites,
    ),
    "elpasolites-chgnet-demo": _Entry(
        _own_card(
            "CHGNet, not DFT: formation energies of elpasolites of main-group elements, to try out",
            "elpasolites_chgnet_demo.csv",
        ),
        target="formation_energy_ev_per_atom",
        read=_read_demo_elpasolites,
        shipped="elpasolites_chgnet_demo.csv",
    ),
    "competing-phases-halides": _Entry(
        DatasetCard(
            title="PBE formation energies of 4,716 halides of 44 metals, Materials Project snapshot of 2019",
            citation=f"{MATERIALS_PROJECT}; matbench_mp_e_form of A. Dunn et al., npj Comput. Mater. 6, 138 (2020)",
            licence="CC BY 4.0",
            sha256="a96acd2d8db4f7ae81e9ea9ac4200872eab6477cec6c0bb99bfce0c726cbd03d",
            how_to_get=(
                "take matbench_mp_e_form, keep the compositions of metals with one of F, Cl, Br, I, and write the "
                "columns reduced_formula, ef_min_eV_per_atom (over polymorphs), n_entries as CSV"
            ),
        ),
        target="formation_energy_ev_per_atom",
        read=_read_competing_phases,
    ),
}
