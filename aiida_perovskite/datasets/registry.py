"""The datasets that the package knows: what each is, who made it, and how to get and check it.

One table is shipped. The others are not ours to ship: a file is fetched where an address exists, or the user gives a
copy, and the checksum decides whether it is the table that results were published with.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from aiida_perovskite.datasets.tables import DatasetError, canonical

if TYPE_CHECKING:
    import pandas as pd

MATERIALS_PROJECT = "A. Jain et al., APL Materials 1, 011002 (2013); materials data of the Materials Project, CC BY 4.0"
GET_FROM_MATERIALS_PROJECT = (
    "query the Materials Project with mp-api and your own key (quaternary 1:1:2:6 entries in space group 225, fields "
    "material_id, formula_pretty, structure, band_gap, formation_energy_per_atom, energy_above_hull) and write the "
    "columns A, B, C, D, band_gap_eV, lowest_of_duplicates, in_thesis_7056_space as CSV"
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


@dataclass(frozen=True)
class Dataset:
    """A table that has been read and checked.

    Attributes
    ----------
    name
        As in the registry.
    frame
        One row per compound: canonical ``formula``, sites ``a`` to ``d``, and columns with units in their names.
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
        Refuse a file whose checksum is not the registered one. Without it another snapshot is accepted, and the card
        of the result carries the checksum of what was read.

    Raises
    ------
    DatasetError
        If the name is unknown, there is no file, the checksum differs, or the content will not do.
    """
    from dataclasses import replace

    import pooch

    if name not in REGISTRY:
        raise DatasetError(f"there is no dataset {name!r}; choose from {', '.join(REGISTRY)}")
    entry = REGISTRY[name]
    if entry.shipped is not None:
        with resources.as_file(resources.files("aiida_perovskite.datasets") / "shipped" / entry.shipped) as path:
            return Dataset(name, entry.read(path), entry.target, replace(entry.card, sha256=pooch.file_hash(str(path))))
    path = _locate(name, entry.card, file)
    found = pooch.file_hash(str(path))
    if verify and found != entry.card.sha256:
        raise DatasetError(
            f"{path.name} is not the registered file of {name}: its SHA-256 begins with {found[:12]}, expected "
            f"{entry.card.sha256[:12]}; to get it, {entry.card.how_to_get}"
        )
    return Dataset(name, entry.read(path), entry.target, replace(entry.card, sha256=found))


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
    import pandas as pd

    return canonical(pd.read_csv(path), required=["gap_hse06_soc_ev"])


def _read_materials_project(path: Path) -> pd.DataFrame:
    """Read a table of Fm-3m entries: of each compound the entry lowest above the hull."""
    import pandas as pd

    frame = pd.read_csv(path)
    needed = ["A", "B", "C", "D", "band_gap_eV", "lowest_of_duplicates", "in_thesis_7056_space"]
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise DatasetError(f"{path.name} has no column {', '.join(missing)}")
    frame = frame[frame["lowest_of_duplicates"] == 1]
    frame = frame.assign(formula=frame["A"] + frame["B"] + frame["C"] + "2" + frame["D"] + "6")
    columns = {
        "formula": "formula",
        "mp_id": "mp_id",
        "band_gap_eV": "gap_pbe_ev",
        "formation_energy_eV_per_atom": "formation_energy_ev_per_atom",
        "energy_above_hull_eV_per_atom": "energy_above_hull_ev_per_atom",
        "a_conventional_A": "a_angstrom",
        "in_thesis_7056_space": "in_halide_space",
    }
    present = {old: new for old, new in columns.items() if old in frame.columns}
    frame = frame[list(present)].rename(columns=present)
    frame["in_halide_space"] = frame["in_halide_space"].astype(bool)
    return canonical(frame, required=["gap_pbe_ev"])


def _read_elpasolites(path: Path) -> pd.DataFrame:
    """Read the formation energies as stored: A and B are ordered here, and swapped duplicates are kept."""
    import pandas as pd

    frame = pd.read_csv(path)
    frame["formula"] = frame["A"] + frame["B"] + frame["C"] + "2" + frame["D"] + "6"
    return frame.rename(
        columns={
            "A": "a",
            "B": "b",
            "C": "c",
            "D": "d",
            "formation_energy_eV_per_atom": "formation_energy_ev_per_atom",
            "formation_energy_eV_per_cell": "formation_energy_ev_per_cell",
        }
    )[["formula", "a", "b", "c", "d", "formation_energy_ev_per_atom", "formation_energy_ev_per_cell"]]


REGISTRY: dict[str, _Entry] = {
    "halide-gaps-gpaw": _Entry(
        DatasetCard(
            title="HSE06 + spin-orbit band gaps of closed-shell halide double perovskites, by CHGNet and GPAW",
            citation="the aiida-perovskite developers (2026), shipped with aiida-perovskite",
            licence="CC BY 4.0",
            sha256="",
            how_to_get="it is shipped with the package",
        ),
        target="gap_hse06_soc_ev",
        read=_read_shipped_gaps,
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
            title="DFT formation energies of 10,590 elpasolites of main-group elements",
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
}
