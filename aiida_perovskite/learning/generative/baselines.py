"""Generators without a network: what a model must beat (SPEC 4.3).

They learn from the training table alone. Two of them use a regression; it is fitted on that table, and none of them
sees the truth.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .base_settings import GeneratorSettings
from .distributions import site_distribution
from .generator import Generator, Progress
from .kernel_ridge import KernelRidge
from .space import N_ELEMENTS, SITES, encode, in_space, join, space_codes
from .table import N_CLASSES, ElpasoliteTable

__all__ = [
    "Enrichment",
    "EnrichmentSettings",
    "Enumeration",
    "EnumerationSettings",
    "Evolution",
    "EvolutionSettings",
    "IndependentSites",
    "NoSettings",
    "RandomGenerator",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_ABSENT = 0.1  # stands for no occurrence in other classes, equation 7.8
_TRIPLES = [(1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)]
"""Sites that NBC2D6, ANC2D6, ABN2D6, ABC2N6 prescribe; the other one is N."""
_KEY_STEPS: Ints = (N_ELEMENTS + 1) ** np.arange(len(SITES) - 1, -1, -1, dtype=np.int64)


class Baseline(Generator):
    """A generator that is fitted in one step."""

    @classmethod
    def _fit_many(
        cls,
        tables: Sequence[ElpasoliteTable],
        settings: Any,
        seeds: Sequence[int],
        progress: Progress | None,
        workdir: Path | None,
        device: str,
    ) -> list[Self]:
        fitted: list[Self] = []
        for number, (table, seed) in enumerate(zip(tables, seeds, strict=True), start=1):
            generator = cls._blank(table, settings, seed)
            generator._learn(table, fitted[-1] if fitted and fitted[-1].data_sha256 == table.sha256 else None)
            fitted.append(generator)
            if progress is not None:
                progress(f"{cls.name}: {number} of {len(seeds)} fitted")
        return fitted

    @abstractmethod
    def _learn(self, table: ElpasoliteTable, previous: Self | None) -> None:
        """Learn from a table; `previous` has learned from the same one, with another seed."""


@dataclass(frozen=True)
class NoSettings(GeneratorSettings):
    """Nothing to tune."""


class RandomGenerator(Baseline):
    """Any composition of the space with the same probability, whatever the class."""

    name = "random"
    settings_type = NoSettings

    def _learn(self, table: ElpasoliteTable, previous: Self | None) -> None:
        pass

    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        return join(random.integers(0, N_ELEMENTS, (n, len(SITES))))

    def _tensors(self) -> dict[str, Tensor]:
        return {}

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        pass


class IndependentSites(Baseline):
    """Each site drawn on its own, with the shares that the elements have there in the class's training rows."""

    name = "independent"
    settings_type = NoSettings
    shares: Floats

    def _learn(self, table: ElpasoliteTable, previous: Self | None) -> None:
        rows = [table.codes[table.classes == number] for number in range(1, N_CLASSES + 1)]
        self.shares = np.stack([site_distribution(codes) for codes in rows])

    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        columns = [random.choice(N_ELEMENTS, n, p=share / share.sum()) for share in self.shares[energy_class - 1]]
        return join(np.stack(columns, axis=1))

    def _tensors(self) -> dict[str, Tensor]:
        return {"shares": torch.from_numpy(self.shares)}

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        self.shares = tensors["shares"].numpy()


@dataclass(frozen=True)
class EnrichmentSettings(GeneratorSettings):
    """How many triples are taken."""

    n_triples: int = 100
    """Of each class, those with the highest enrichment; the thesis compares 25, 50 and 100."""

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return what will do, as `GeneratorSettings` asks."""
        return {"n_triples": (self.n_triples >= 1, "at least 1")}


class Enrichment(Baseline):
    """Completions of the triples of elements that a class has more often than the other classes (equation 7.8).

    A triple prescribes three of the sites. Its score is its share of the class's rows over its share of the other rows;
    where it is absent from these it counts as 0.1 rows. Among triples of one score the seed decides.

    Attributes
    ----------
    triples
        Per class, shape (10, n_triples, 4): the elements on the sites, -1 for the free one; rows of -1 where a class
        has fewer triples.
    """

    name = "enrichment"
    settings_type = EnrichmentSettings
    triples: Ints

    def _learn(self, table: ElpasoliteTable, previous: Self | None) -> None:
        wanted = cast(EnrichmentSettings, self.settings).n_triples
        self.triples = np.full((N_CLASSES, wanted, len(SITES)), -1, dtype=np.int64)
        for number in np.flatnonzero(table.counts) + 1:
            triples, _, _, scores = triple_scores(table, int(number))
            random = np.random.default_rng([self.seed, int(number)])
            order = np.lexsort((random.random(len(triples)), -scores))[:wanted]
            self.triples[number - 1, : len(order)] = triples[order]

    def completions(self, energy_class: int) -> Ints:
        """Return the 36 completions of each of the class's triples; what completes two of them is there twice."""
        triples = self.triples[energy_class - 1]
        triples = triples[(triples >= 0).any(axis=1)]
        elements = np.where(triples[:, None] < 0, np.arange(N_ELEMENTS)[:, None], triples[:, None])
        codes = join(elements).ravel()
        return codes[in_space(codes)]

    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        return random.choice(self.completions(energy_class), n)

    def _tensors(self) -> dict[str, Tensor]:
        return {"triples": torch.from_numpy(self.triples)}

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        self.triples = tensors["triples"].numpy()


def triple_scores(table: ElpasoliteTable, energy_class: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Return the different triples of a class, their rows in the class and in the others, and their scores.

    Triples have shape (N, 4), with -1 on the free site; rows and scores have shape (N,).
    """
    right = table.classes == energy_class
    keys = _triple_keys(table.codes)
    present, in_class = np.unique(keys[right], return_counts=True)
    others, in_others = np.unique(keys[~right], return_counts=True)
    place = np.minimum(np.searchsorted(others, present), max(len(others) - 1, 0))
    rest = np.where(others[place] == present, in_others[place], 0) if len(others) else np.zeros(len(present), np.int64)
    n_class, n_others = int(right.sum()), max(int((~right).sum()), 1)
    scores = (in_class / n_class) / (np.where(rest == 0, _ABSENT, rest) / n_others)
    triples = present[:, None] // _KEY_STEPS % (N_ELEMENTS + 1) - 1
    return triples, in_class, rest, scores


def _triple_keys(codes: Ints) -> Ints:
    """Return numbers, shape (N, 4), of the triples of each composition: base 40, where 0 is the free site."""
    elements = encode(codes) + 1
    keys = []
    for sites in _TRIPLES:
        kept = np.zeros_like(elements)
        kept[:, sites] = elements[:, sites]
        keys.append(kept @ _KEY_STEPS)
    return np.stack(keys, axis=1)


@dataclass(frozen=True)
class RegressionSettings(GeneratorSettings):
    """The kernel ridge regression that a baseline fits to the training table."""

    sigma: float = 16.0
    """Length of the Laplacian kernel, in rows or groups of the periodic table."""
    regularisation: float = 0.003
    """Added to the diagonal of the kernel matrix."""

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return what will do, as `GeneratorSettings` asks."""
        return {
            "sigma": (self.sigma > 0, "above 0"),
            "regularisation": (self.regularisation > 0, "above 0"),
        }


class RegressionBaseline(Baseline):
    """A generator that a regression guides, fitted on the training compounds alone.

    It is of the family that the truth of this benchmark was made with. So where both saw the same rows, what it says is
    nearly the truth, and its marks say little about other problems.
    """

    regression: KernelRidge

    def _learn(self, table: ElpasoliteTable, previous: Self | None) -> None:
        settings = cast(RegressionSettings, self.settings)
        if previous is not None:
            self.regression = previous.regression
            return
        rows = table.one_order  # `symmetric` stands for the others
        self.regression = KernelRidge.fit(
            table.codes[rows],
            table.energies_ev_per_atom[rows],
            settings.sigma,
            settings.regularisation,
            symmetric=table.both_orders,
        )

    def distance(self, energy_class: int) -> Floats:
        """Return how far each code's predicted energy is outside a class, in eV/atom, shape (39^4,).

        It is 0 in the class, and inf where a code has repeated elements.
        """
        energies, (low, high) = self.regression.space, self.edges[energy_class - 1 : energy_class + 1]
        distance = np.full(len(energies), np.inf)
        codes = space_codes()
        below = low - energies[codes] if energy_class > 1 else 0.0
        above = energies[codes] - high if energy_class < N_CLASSES else 0.0
        distance[codes] = np.maximum(np.maximum(below, above), 0.0)
        return distance

    def _tensors(self) -> dict[str, Tensor]:
        return {"codes": torch.from_numpy(self.regression.codes), "weights": torch.from_numpy(self.regression.weights)}

    def _notes(self) -> dict[str, Any]:
        return {"offset_ev_per_atom": self.regression.offset_ev_per_atom, "symmetric": self.regression.symmetric}

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        settings = cast(RegressionSettings, self.settings)
        self.regression = KernelRidge(
            tensors["codes"].numpy(),
            tensors["weights"].numpy(),
            notes["offset_ev_per_atom"],
            settings.sigma,
            notes["symmetric"],
        )


@dataclass(frozen=True)
class EnumerationSettings(RegressionSettings):
    """A regression, and how many compositions are taken where it finds few."""

    at_least: int = 100
    """If fewer are predicted to be in a class, the nearest ones outside make up this number."""

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return what will do, as `GeneratorSettings` asks."""
        return super().ranges() | {"at_least": (self.at_least >= 1, "at least 1")}


class Enumeration(RegressionBaseline):
    """A regression ranks the whole space; draws are from the compositions that it puts into the class."""

    name = "enumeration"
    settings_type = EnumerationSettings

    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        distance = self.distance(energy_class)
        candidates = np.flatnonzero(distance == 0)
        at_least = cast(EnumerationSettings, self.settings).at_least
        if len(candidates) < at_least:
            candidates = np.argsort(distance, kind="stable")[:at_least]
        return random.choice(candidates, n)


@dataclass(frozen=True)
class EvolutionSettings(RegressionSettings):
    """A regression, and the search that it guides."""

    population: int = 250
    """Compositions of one search; different searches share nothing."""
    generations: int = 20
    """Rounds of variation and selection."""
    crossover: float = 0.5
    """Chance that a child has a site from its second parent."""
    mutation: float = 0.25
    """Chance that a site of a child gets any element instead."""

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return what will do, as `GeneratorSettings` asks."""
        return super().ranges() | {
            "population": (self.population >= 2, "at least 2"),
            "generations": (self.generations >= 1, "at least 1"),
            "crossover": (0 <= self.crossover <= 1, "from 0 to 1"),
            "mutation": (0 < self.mutation <= 1, "above 0, to 1"),
        }


class Evolution(RegressionBaseline):
    """An evolutionary search that a regression guides: its last populations are the samples.

    Each population starts from training rows of the class. In a round each member has a child with a random partner,
    and of parents and children together those are kept whose predicted energies are nearest to the class, at random
    among equals, each composition once. (Predictions are looked up, since
    those of the whole space cost one matrix product.)
    """

    name = "evolution"
    settings_type = EvolutionSettings

    def _learn(self, table: ElpasoliteTable, previous: Self | None) -> None:
        super()._learn(table, previous)
        self.first_codes, self.first_classes = table.codes, table.classes

    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        settings = cast(EvolutionSettings, self.settings)
        distance = self.distance(energy_class)
        first = self.first_codes[self.first_classes == energy_class]
        members = random.choice(first, (-(-n // settings.population), settings.population))
        for _ in range(settings.generations):
            members = self._select(np.concatenate([members, self._children(members, random)], axis=1), distance, random)
        return random.permutation(members.ravel())[:n]

    def _children(self, members: Ints, random: np.random.Generator) -> Ints:
        settings = cast(EvolutionSettings, self.settings)
        partners = np.take_along_axis(members, random.integers(0, members.shape[1], members.shape), axis=1)
        elements = encode(members)
        crossed = random.random(elements.shape) < settings.crossover
        elements = np.where(crossed, encode(partners), elements)
        mutated = random.random(elements.shape) < settings.mutation
        children = join(np.where(mutated, random.integers(0, N_ELEMENTS, elements.shape), elements))
        return np.where(in_space(children), children, members)

    @staticmethod
    def _select(pool: Ints, distance: Floats, random: np.random.Generator) -> Ints:
        pool = np.sort(pool, axis=1)
        badness = distance[pool]
        badness[:, 1:][pool[:, 1:] == pool[:, :-1]] = np.inf
        order = np.lexsort((random.random(pool.shape), badness), axis=1)
        return np.take_along_axis(pool, order[:, : pool.shape[1] // 2], axis=1)

    def _tensors(self) -> dict[str, Tensor]:
        first = {"first_codes": self.first_codes, "first_classes": self.first_classes}
        return super()._tensors() | {name: torch.from_numpy(array) for name, array in first.items()}

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        super()._restore(tensors, notes)
        self.first_codes, self.first_classes = tensors["first_codes"].numpy(), tensors["first_classes"].numpy()
