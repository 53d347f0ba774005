"""What a campaign report holds: plain dataclasses in which every number knows the node that it was read from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Source:
    """The node that something was read from.

    Attributes
    ----------
    uuid, pk
        Identifiers of the node; the pk holds in one profile only.
    kind
        Class of the node, e.g. ``Dict`` or ``BandsData``.
    link_label
        Label of the link by which the report reached it, e.g. ``predictions``.
    """

    uuid: str
    pk: int
    kind: str
    link_label: str


@dataclass(frozen=True)
class Number:
    """One number, and where in which node it stands.

    Attributes
    ----------
    value
        The number; None where the node says that there is none.
    key
        Path within the node, e.g. ``baselines.ridge.mae_ev``.
    """

    value: float | int | None
    source: Source
    key: str


@dataclass(frozen=True)
class Array:
    """Several numbers of one node: positions (Angstrom), eigenvalues (eV), ..."""

    values: np.ndarray
    source: Source
    key: str


@dataclass(frozen=True)
class Table:
    """A table node."""

    frame: pd.DataFrame
    source: Source


@dataclass(frozen=True)
class Record:
    """A node that holds named values: a Dict, or the attributes of a checkpoint.

    Attributes
    ----------
    content
        The values as they stand in the node.
    numbers
        Every number among them, by its dotted path.
    """

    source: Source
    content: dict[str, Any]
    numbers: dict[str, Number]


@dataclass(frozen=True)
class Step:
    """A process of the campaign.

    Attributes
    ----------
    state
        ``finished``, ``failed``, ``running``, ``waiting``, ``excepted``, ``killed`` or ``created``.
    cached_from
        UUID of the process whose results AiiDA's cache gave back; None where it really ran.
    versions
        Of aiida-core and of the plugin that ran it.
    """

    source: Source
    name: str
    state: str
    exit_status: int | None
    message: str
    started: datetime
    changed: datetime
    code: str | None = None
    computer: str | None = None
    cached_from: str | None = None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One stage of the funnel: how many compounds are left once its rule is applied."""

    name: str
    label: str
    note: str
    count: Number


@dataclass(frozen=True)
class Structure:
    """A crystal structure: ``symbols`` of n atoms, ``positions`` (n, 3) and ``cell`` (3, 3), Angstrom."""

    symbols: tuple[str, ...]
    positions: Array
    cell: Array


@dataclass(frozen=True)
class Levels:
    """Eigenvalues of one method: ``kpoints`` (nk, 3) in fractions, ``energies`` (spins, nk, bands) in eV."""

    method: str
    kpoints: Array
    energies: Array


@dataclass(frozen=True)
class Arrays:
    """An array node, e.g. an absorption spectrum: name -> values, the unit at the end of the name."""

    source: Source
    columns: dict[str, Array]


@dataclass(frozen=True)
class BandPath:
    """Bands along a path: ``distances`` (nk,) along it, ``energies`` (spins, nk, bands) above the VBM in eV.

    Attributes
    ----------
    labels
        Index of a k-point and its name, for the corners of the path.
    """

    distances: Array
    energies: Array
    labels: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Relaxed:
    """What was computed again after the relaxation without any symmetry constraint."""

    structure: Structure | None = None
    geometry: Record | None = None
    gap: Record | None = None
    optics: Record | None = None
    efficiency: Record | None = None
    stability: Record | None = None


@dataclass(frozen=True)
class Candidate:
    """A compound that the funnel sent to be computed; what is not there yet, or failed, is None.

    Attributes
    ----------
    reference
        Whether it was computed to compare with, instead of having come through the funnel.
    predicted
        Its row of the selection: ``gap_ev``, ``lower_ev``, ``upper_ev``, ``probability_in_window``, ...
    deviation
        Computed minus predicted gap, eV.
    bonds
        Shortest distances from A and from B to the anion, Angstrom, e.g. ``Ag-Br``.
    """

    formula: str
    step: Step | None
    reference: bool = False
    predicted: dict[str, Number] = field(default_factory=dict)
    deviation: Number | None = None
    bonds: dict[str, Number] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    structure: Structure | None = None
    levels: tuple[Levels, ...] = ()
    gap: Record | None = None
    geometry: Record | None = None
    verdict: Record | None = None
    stability: Record | None = None
    optics: Record | None = None
    absorption: Arrays | None = None
    efficiency: Record | None = None
    efficiency_curves: Arrays | None = None
    masses: Record | None = None
    band_structure: BandPath | None = None
    densities: Arrays | None = None
    relaxed: Relaxed | None = None


@dataclass(frozen=True)
class Dataset:
    """A table that entered the campaign: its name, checksum, size and what its card says."""

    name: str
    role: str
    sha256: str
    n_rows: Number
    card: dict[str, Any]


@dataclass(frozen=True)
class CampaignReport:
    """Everything that a report shows. Tables and records that the campaign has not produced (yet) are None.

    Attributes
    ----------
    counts
        ``ranked`` compositions and candidates ``chosen``, ``computed``, ``in_window`` and ``failed``; once enthalpies
        are there, ``stable`` and ``metastable``. References are not among them.
    engines
        Step (``relax``, ``gap``) -> name of the engine.
    """

    name: str
    description: str
    step: Step
    datasets: tuple[Dataset, ...]
    target: str
    settings: dict[str, Record]
    engines: dict[str, str]
    funnel: tuple[Stage, ...]
    candidates: tuple[Candidate, ...]
    counts: dict[str, Number]
    training: tuple[Step, ...] = ()
    model: Record | None = None
    metrics: Record | None = None
    cross_validation: Table | None = None
    history: Table | None = None
    learning_curve: Table | None = None
    predictions: Table | None = None
    selection: Table | None = None
    results: Table | None = None


def value(record: Record | None, key: str) -> float | None:
    """Return a number of a record as it is; None where there is none."""
    found = record.numbers.get(key) if record else None
    return float(found.value) if found is not None and found.value is not None else None


def walk(part: Any, path: str = "") -> Iterator[tuple[str, Number | Array | Table]]:
    """Yield every number, array and table of a report with its dotted path, so that none can be left out."""
    if isinstance(part, Number | Array | Table):
        yield path, part
    elif is_dataclass(part):
        for item in fields(part):
            yield from walk(getattr(part, item.name), f"{path}.{item.name}".lstrip("."))
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from walk(value, f"{path}.{key}")
    elif isinstance(part, tuple):
        for index, value in enumerate(part):
            yield from walk(value, f"{path}.{getattr(value, 'formula', None) or getattr(value, 'name', index)}")
