"""Compositions for a target: a generator proposes them, and what predicts its training rows best ranks them.

Nothing here knows the truth of the benchmark; it is what a user with a table of energies can do.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base_settings import GeneratorSettings
from .diversity import charge_neutral
from .energies import best_energies
from .space import ELEMENTS, N_COMPOSITIONS, GenerativeError, encode, formula_of, swap
from .table import N_CLASSES, ElpasoliteTable

if TYPE_CHECKING:
    import pandas as pd

    from .generator import Generator

__all__ = ["Design", "DesignSettings", "EnergyTarget", "design"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
_TARGET = re.compile(
    rf"\s*formation energy\s*(?:(<=|>=|<|>)\s*{_NUMBER}|between\s+{_NUMBER}\s+and\s+{_NUMBER})\s*(?:eV/atom)?\s*",
    re.IGNORECASE | re.ASCII,
)
_EXAMPLES = "'formation energy < -2.3 eV/atom' or 'formation energy between -2.5 and -2 eV/atom'"


@dataclass(frozen=True)
class EnergyTarget:
    """An interval of formation energies.

    Attributes
    ----------
    low, high
        In eV/atom; infinite where the target has no bound.
    closed
        Whether the bounds themselves are in it.
    """

    low: float
    high: float
    closed: bool

    @classmethod
    def parse(cls, text: str) -> EnergyTarget:
        """Read a target such as ``formation energy < -2.3 eV/atom``.

        Its operators are <, <=, >, >= and ``between ... and ...``, which includes both ends; the unit may be left out.

        Raises
        ------
        GenerativeError
            If the text is anything else, or its interval is empty.
        """
        found = _TARGET.fullmatch(text)
        if found is None:
            raise GenerativeError(f"The target {text!r} is not understood: write it like {_EXAMPLES}.")
        operator, number, *ends = found.groups()
        if operator is None:
            low, high = map(float, ends)
        elif operator.startswith("<"):
            low, high = -np.inf, float(number)
        else:
            low, high = float(number), np.inf
        bounds = [low, high] if operator is None else [float(number)]
        if not (np.isfinite(bounds).all() and low < high):
            raise GenerativeError(f"The target {text!r} holds no energy: give finite numbers, the lower one first.")
        return cls(low, high, operator not in ("<", ">"))

    def holds(self, energies_ev_per_atom: ArrayLike) -> NDArray[np.bool_]:
        """Say of each energy whether it is in the interval."""
        energies = np.asarray(energies_ev_per_atom, dtype=np.float64)
        if self.closed:
            return (energies >= self.low) & (energies <= self.high)
        return (energies > self.low) & (energies < self.high)

    def classes(self, edges: ArrayLike, counts: ArrayLike) -> list[int]:
        """Return the energy classes that overlap with the interval and hold training rows.

        Parameters
        ----------
        edges
            Of the classes in eV/atom, shape (11,).
        counts
            Training rows of each class, shape (10,).

        Raises
        ------
        GenerativeError
            If the interval is outside of the training energies, or only overlaps with empty classes.
        """
        edges, counts = np.asarray(edges, dtype=np.float64), np.asarray(counts)
        if self.high < edges[0] or self.low > edges[-1]:
            raise GenerativeError(
                f"The target is outside of the training energies, {edges[0]:.2f} to {edges[-1]:.2f} eV/atom: choose "
                "one that overlaps with them."
            )
        overlaps = (self.low <= edges[1:]) & (self.high >= edges[:-1])
        if not self.closed:
            overlaps = (self.low < edges[1:]) & (self.high > edges[:-1])
        chosen = [number for number in range(1, N_CLASSES + 1) if overlaps[number - 1] and counts[number - 1]]
        if not chosen:
            raise GenerativeError(
                "The energy classes of the target are empty in the training table: choose a wider one."
            )
        return chosen


@dataclass(frozen=True)
class DesignSettings(GeneratorSettings):
    """How compositions are drawn and ranked."""

    draws: int = 20_000
    """Samples of one round, shared out over the energy classes of the target."""
    most_draws: int = 1_000_000
    """Rounds end here, if not enough compounds have been found before."""
    seed: int = 0
    """Of the draws."""
    confidence: float = 0.9
    """Share of energies that the intervals are to hold."""
    neighbours: int = 200
    """Training rows, at most, whose errors make an interval: those with the nearest predictions."""
    sigma: float = 16.0
    """Length of the Laplacian kernel of the regression, in rows or groups of the periodic table."""
    regularisation: float = 0.003
    """Added to the diagonal of its kernel matrix."""
    charge_balanced: bool = False
    """Whether to keep only compounds that known oxidation states make neutral."""

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return what will do, as `GeneratorSettings` asks."""
        return {
            "draws": (self.draws >= N_CLASSES, f"at least {N_CLASSES}"),
            "most_draws": (self.most_draws >= self.draws, "at least as many as draws"),
            "seed": (self.seed >= 0, "at least 0"),
            "confidence": (0 < self.confidence < 1, "between 0 and 1"),
            "neighbours": (self.neighbours >= 1, "at least 1"),
            "sigma": (self.sigma > 0, "above 0"),
            "regularisation": (self.regularisation > 0, "above 0"),
        }


@dataclass(frozen=True)
class Design:
    """What came of a target.

    Attributes
    ----------
    compositions
        One row per compound, lowest predicted energy first: ``formula``, ``pretty``, ``formation_energy_ev_per_atom``
        (predicted) with ``lower_ev_per_atom`` and ``upper_ev_per_atom``, ``target_probability`` (that the energy is in
        the target), ``known`` (a training row; empty without a table) with its ``known_energy_ev_per_atom``, ``toxic``,
        and charges and tolerance factors as `aiida_perovskite.chemistry.describe` gives them.
    summary
        Counts, energy classes of the target, error of the regression.
    """

    compositions: pd.DataFrame
    summary: dict[str, Any]


def design(
    generator: Generator,
    table: ElpasoliteTable | None,
    target: EnergyTarget,
    n: int,
    settings: DesignSettings | None = None,
    *,
    exclude: Collection[str] = (),
) -> Design:
    """Propose compounds for a target, and rank them by predicted energy.

    The generator draws from the energy classes that overlap with the target. Of the different compounds that come,
    those are kept that hold no excluded element, are neutral if that is asked for, and whose predicted energy is in the
    target. The generator's own networks or a regression on its training rows predict, whichever errs less on rows that
    it did not see (`energies.best_energies`).

    Parameters
    ----------
    generator
        Trained on `table`.
    table
        Training rows; None for a generator that can predict without them (`ClassEnergies`), such as the shipped one.
        Nobody knows then which compounds are in them.
    target
        Wanted energies.
    n
        Number of compounds; there are fewer if the draws do not give them.
    settings
        How to draw and rank.
    exclude
        Symbols of elements that are not wanted.

    Raises
    ------
    GenerativeError
        If nothing is found, `n` will not do, or the generator was trained on other rows.
    """
    settings = settings or DesignSettings()
    if not 1 <= n <= N_COMPOSITIONS // 2:
        raise GenerativeError(f"{n} compounds cannot be given: ask for 1 to {N_COMPOSITIONS // 2}, all of the space.")
    if table is not None and generator.data_sha256 != table.sha256:
        raise GenerativeError("The generator was trained on other rows than this table's: give the table it learned.")
    chosen = target.classes(generator.edges, generator.class_counts)
    energies = best_energies(generator, table, settings)
    allowed = np.array([symbol not in set(exclude) for symbol in ELEMENTS])
    distinct, drawn = np.empty(0, dtype=np.int64), 0
    right = distinct
    while drawn < settings.most_draws and len(right) < n:
        seed = int(np.random.SeedSequence([settings.seed, drawn]).generate_state(1)[0])
        share = settings.draws // len(chosen)
        codes = np.concatenate([distinct, *(generator.sample(number, share, seed) for number in chosen)])
        distinct, drawn = np.unique(np.minimum(codes, swap(codes))), drawn + share * len(chosen)
        wanted = distinct[allowed[encode(distinct)].all(axis=1)]
        wanted = wanted[charge_neutral()[wanted]] if settings.charge_balanced else wanted
        right = wanted[target.holds(energies.predict(wanted))] if len(wanted) else wanted
    if len(right) == 0:
        raise GenerativeError(
            f"None of {len(distinct)} compounds in {drawn} draws has a predicted energy in the target and "
            "is allowed: choose a wider target, exclude less, or draw more."
        )
    predicted = energies.predict(right)
    order = np.argsort(predicted, kind="stable")[:n]
    lower, upper, chance = energies.uncertainty(predicted[order], target, settings.confidence)
    columns = {
        "formation_energy_ev_per_atom": predicted[order],
        "lower_ev_per_atom": lower,
        "upper_ev_per_atom": upper,
        "target_probability": chance,
    }
    frame = _described(right[order], columns, table)
    summary = {
        "energy_classes": chosen,
        "draws": drawn,
        "different_compounds": len(distinct),
        "in_target": len(right),
        "n_requested": n,
        "n_compositions": len(frame),
        "n_known": None if table is None else int(frame["known"].sum()),
        "n_charge_balanced": int(frame["charge_balanced"].sum()),
        **energies.summary(),
        "confidence": settings.confidence,
    }
    return Design(frame, summary)


def _described(codes: Ints, columns: dict[str, Floats], table: ElpasoliteTable | None) -> pd.DataFrame:
    """Return the table of a design: names, what is predicted, what the training rows and chemistry say."""
    import pandas as pd

    from aiida_perovskite.chemistry import TOXIC_ELEMENTS, Composition, describe

    compositions = [Composition.parse(formula_of(code)) for code in codes]
    known: dict[int, float] = {}
    if table is not None:
        compounds = np.minimum(table.codes, swap(table.codes)).tolist()
        known = dict(zip(compounds, table.energies_ev_per_atom.tolist(), strict=True))
    head = {
        "formula": [composition.formula for composition in compositions],
        "pretty": [composition.pretty for composition in compositions],
        **columns,
        "known": [None if table is None else code in known for code in codes.tolist()],
        "known_energy_ev_per_atom": [known.get(code, np.nan) for code in codes.tolist()],
        "toxic": [not TOXIC_ELEMENTS.isdisjoint(composition.elements) for composition in compositions],
    }
    return pd.DataFrame(head).merge(pd.DataFrame(describe(compositions)), on="formula", validate="one_to_one")
