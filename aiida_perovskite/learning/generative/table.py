"""The training table of inverse design: formation energies of elpasolites, and the ten classes made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .space import GenerativeError, code_of, swap

__all__ = ["N_CLASSES", "ElpasoliteTable", "Rows", "check_class", "class_edges", "energy_classes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_CLASSES = 10
_SHOWN = 5  # rows that a message names


class Rows(NamedTuple):
    """Codes (N,) and formation energies (N,) in eV/atom, in the order of the file."""

    codes: Ints
    energies_ev_per_atom: Floats


@dataclass(frozen=True, eq=False)
class ElpasoliteTable:
    """What generators are trained on (SPEC 4.1). Make one with `from_rows`.

    Attributes
    ----------
    codes
        Compositions, shape (N,): each compound once, then, if both orders were asked for, each with A and B exchanged.
    energies_ev_per_atom
        Their formation energies, shape (N,).
    edges
        The 11 edges, in eV/atom, of the energy classes 1 (lowest) to 10.
    classes
        Class of each row, shape (N,).
    rows_as_stored
        The rows of the file, duplicates included, with A and B as they came: on them the truth is fitted.
    """

    codes: Ints
    energies_ev_per_atom: Floats
    edges: Floats
    classes: Ints
    rows_as_stored: Rows

    @classmethod
    def from_rows(
        cls,
        a: Iterable[str],
        b: Iterable[str],
        c: Iterable[str],
        d: Iterable[str],
        energies_ev_per_atom: ArrayLike,
        *,
        edges: ArrayLike | None = None,
        both_orders: bool = True,
    ) -> ElpasoliteTable:
        """Make the table from the columns of a file.

        Parameters
        ----------
        a, b, c, d
            Symbols of the elements on the sites.
        energies_ev_per_atom
            Formation energies.
        edges
            Of the classes; by default ten of equal width from the lowest to the highest energy.
        both_orders
            Whether each compound is there with A and B exchanged as well, as the generative models need it.

        Returns
        -------
        ElpasoliteTable
            Of a compound that came more than once, A and B exchanged or not, the lowest energy is kept.

        Raises
        ------
        GenerativeError
            Naming the rows (the first is 1) with an element that is not of the space or on two sites, or without
            energy.
        """
        sites = [list(column) for column in (a, b, c, d)]
        energies = np.array(energies_ev_per_atom, dtype=np.float64).ravel()
        if {len(column) for column in sites} != {len(energies)}:
            lengths = ", ".join(str(len(column)) for column in sites)
            raise GenerativeError(f"The columns A, B, C, D have {lengths} rows, the energies {len(energies)}.")
        stored = Rows(_read_codes(sites), energies)
        if len(missing := np.flatnonzero(~np.isfinite(energies))):
            rows = ", ".join(str(row + 1) for row in missing[:_SHOWN])
            raise GenerativeError(
                f"{len(missing)} rows have no formation energy, the first are {rows} (the header not counted): remove "
                "them."
            )
        return cls.from_stored(stored, edges, both_orders=both_orders)

    @classmethod
    def from_stored(cls, stored: Rows, edges: ArrayLike | None = None, *, both_orders: bool = True) -> ElpasoliteTable:
        """Make the table from codes and energies that are known to be of the space; `from_rows` says the rest."""
        edges = class_edges(stored.energies_ev_per_atom) if edges is None else np.array(edges, dtype=np.float64)
        compounds = np.minimum(stored.codes, swap(stored.codes))
        order = np.lexsort((np.arange(len(compounds)), stored.energies_ev_per_atom, compounds))
        first = np.ones(len(order), dtype=bool)
        first[1:] = compounds[order][1:] != compounds[order][:-1]
        kept = np.sort(order[first])
        codes, energies = stored.codes[kept], stored.energies_ev_per_atom[kept]
        if both_orders:
            codes, energies = np.concatenate([codes, swap(codes)]), np.concatenate([energies, energies])
        return cls(codes, energies, edges, energy_classes(energies, edges), stored)

    @property
    def both_orders(self) -> bool:
        """Whether each compound is there with A and B exchanged as well."""
        return self.n_compounds < len(self.codes)

    @property
    def n_compounds(self) -> int:
        """Number of compounds, A and B being equivalent."""
        return len(np.unique(np.minimum(self.codes, swap(self.codes))))

    @property
    def one_order(self) -> NDArray[np.bool_]:
        """Which rows hold each compound once, shape (N,)."""
        return self.codes < swap(self.codes) if self.both_orders else np.ones(len(self.codes), dtype=bool)

    @property
    def counts(self) -> Ints:
        """Rows in each class, shape (10,)."""
        return np.bincount(self.classes, minlength=N_CLASSES + 1)[1:]

    @property
    def sha256(self) -> str:
        """Hash of rows and edges: which data a generator was trained on."""
        digest = hashlib.sha256()
        for array in (self.codes, self.energies_ev_per_atom, self.edges):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def codes_of_class(self, energy_class: int) -> Ints:
        """Return the codes of a class; raise `GenerativeError` if there is no such class or it is empty."""
        check_class(energy_class, self.counts)
        codes: Ints = self.codes[self.classes == energy_class]
        return codes

    def subset(self, n_compounds: int, seed: int) -> ElpasoliteTable:
        """Draw compounds at random; the edges of the classes stay those of this table."""
        compounds = np.minimum(self.rows_as_stored.codes, swap(self.rows_as_stored.codes))
        present = np.unique(compounds)
        if not 0 < n_compounds <= len(present):
            raise GenerativeError(f"{n_compounds} compounds cannot be drawn: the table holds {len(present)}.")
        drawn = np.random.default_rng(seed).choice(present, n_compounds, replace=False)
        rows = np.isin(compounds, drawn)
        stored = Rows(self.rows_as_stored.codes[rows], self.rows_as_stored.energies_ev_per_atom[rows])
        return self.from_stored(stored, self.edges, both_orders=self.both_orders)

    def with_shuffled_energies(self, seed: int) -> ElpasoliteTable:
        """Deal the energies out to the compounds at random: nothing can be learned from such a table."""
        compounds, row_compound = np.unique(np.minimum(self.codes, swap(self.codes)), return_inverse=True)
        energies = np.empty(len(compounds))
        energies[row_compound] = self.energies_ev_per_atom
        dealt = np.random.default_rng(seed).permutation(energies)[row_compound]
        rows = self.one_order
        return replace(
            self,
            energies_ev_per_atom=dealt,
            classes=energy_classes(dealt, self.edges),
            rows_as_stored=Rows(self.codes[rows], dealt[rows]),
        )


def class_edges(energies_ev_per_atom: ArrayLike) -> Floats:
    """Return the edges, shape (11,), of ten classes of equal width from the lowest to the highest energy."""
    energies = np.asarray(energies_ev_per_atom, dtype=np.float64)
    if energies.size == 0 or energies.min() == energies.max():
        raise GenerativeError("Energy classes need at least two rows with different formation energies.")
    return np.linspace(energies.min(), energies.max(), N_CLASSES + 1)


def energy_classes(energies_ev_per_atom: ArrayLike, edges: ArrayLike) -> Ints:
    """Return the class, 1 to 10, of each energy; below the first edge it is 1, above the last 10."""
    edges = np.asarray(edges, dtype=np.float64)
    if edges.shape != (N_CLASSES + 1,) or not (np.diff(edges) > 0).all():
        raise GenerativeError(f"The edges of the energy classes must be {N_CLASSES + 1} ascending numbers in eV/atom.")
    return np.clip(np.searchsorted(edges, energies_ev_per_atom, side="right"), 1, N_CLASSES).astype(np.int64)


def check_class(energy_class: int, counts: ArrayLike) -> None:
    """Raise `GenerativeError` if a class is not one of 1 to 10, or holds nothing according to `counts` (10,)."""
    if isinstance(energy_class, bool) or not isinstance(energy_class, (int, np.integer)):
        raise GenerativeError(f"The energy class {energy_class!r} must be a whole number from 1 to {N_CLASSES}.")
    if not 1 <= energy_class <= N_CLASSES:
        raise GenerativeError(f"There is no energy class {energy_class}: choose from 1 (lowest) to {N_CLASSES}.")
    present = np.flatnonzero(np.asarray(counts)) + 1
    if energy_class not in present:
        raise GenerativeError(
            f"The energy class {energy_class} is empty in the training table: choose from "
            f"{', '.join(map(str, present))}, or train on more rows."
        )


def _read_codes(sites: list[list[Any]]) -> Ints:
    codes, faults = np.empty(len(sites[0]), dtype=np.int64), dict[int, str]()
    for row, symbols in enumerate(zip(*sites, strict=True)):
        try:
            codes[row] = code_of(*symbols)
        except GenerativeError as error:
            faults[row + 1] = str(error)
    if faults:
        first, *others = faults
        more = f" (and {len(others)} more)" if others else ""
        raise GenerativeError(f"Row {first}{more} of the table, the header not counted, will not do: {faults[first]}")
    return codes
