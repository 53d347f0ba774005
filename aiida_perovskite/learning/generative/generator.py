"""What all generators of compositions share: training, sampling by energy class, and files.

A new generator derives from `Generator`, gives `name`, `settings_type` and four methods, takes the tests of
`aiida_perovskite.learning.generative.testing`, and is entered in ``GENERATORS`` of this package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..checkpoint import CheckpointError, read_json, read_tensors, require_network, versions, write_json, write_tensors
from ..training import Progress
from .base_settings import GeneratorSettings
from .space import ELEMENTS, N_COMPOSITIONS, GenerativeError, in_space
from .table import ElpasoliteTable, check_class

__all__ = ["JSON_FILE", "TENSOR_FILE", "Generator", "GeneratorSettings", "Progress"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

JSON_FILE = "generator.json"
TENSOR_FILE = "generator.safetensors"
_FORMAT = 1
_CHUNK = 500_000  # samples drawn at a time: some 100 MB of intermediates
_SMALLEST_PROPOSAL = 1024
_LEAST_VALID = 0.001  # share of valid ones among half a million; with fewer a model has not learned the space


class Generator(ABC):
    """A trained generator: compositions of an energy class, as independent draws.

    Make one with `fit`, `fit_many` or `load`.

    Attributes
    ----------
    settings
        How it was trained.
    seed
        Of its training.
    class_counts
        Rows of each class, shape (10,), in the table that it was trained on.
    edges
        Edges of the classes in eV/atom, shape (11,).
    data_sha256
        Hash of that table.
    versions
        Of this package and of the libraries that trained it; empty if its file does not say.
    calibration
        What `energies.ClassEnergies` needs to predict without the table; empty if nobody measured it.
    """

    name: ClassVar[str]
    """How tables and commands call the generator."""
    settings_type: ClassVar[type[GeneratorSettings]]

    def __init__(
        self, settings: GeneratorSettings, seed: int, class_counts: Ints, edges: Floats, data_sha256: str
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.class_counts = class_counts
        self.edges = edges
        self.data_sha256 = data_sha256
        self.versions = versions()
        self.calibration: dict[str, Any] = {}

    @classmethod
    def fit(
        cls,
        table: ElpasoliteTable,
        settings: GeneratorSettings | None = None,
        seed: int = 0,
        *,
        progress: Progress | None = None,
        workdir: str | Path | None = None,
        device: str = "cpu",
    ) -> Self:
        """Train a generator. The same table, settings and seed give the same generator.

        Parameters
        ----------
        table
            What to learn from.
        settings
            How; the defaults of `settings_type` if None.
        seed
            Of all random choices.
        progress
            Called with a line of text now and then.
        workdir
            Folder in which a long training keeps its state: called again after a kill, it resumes there.
        device
            Where networks are trained, as torch names it.
        """
        return cls.fit_many(table, settings, [seed], progress=progress, workdir=workdir, device=device)[0]

    @classmethod
    def fit_many(
        cls,
        tables: ElpasoliteTable | Sequence[ElpasoliteTable],
        settings: GeneratorSettings | None,
        seeds: Sequence[int],
        *,
        progress: Progress | None = None,
        workdir: str | Path | None = None,
        device: str = "cpu",
    ) -> list[Self]:
        """Train a generator per seed, on one table or each on its own; networks train together where they can.

        Raises
        ------
        GenerativeError
            If there are not as many tables as seeds, or the settings are of another generator.
        """
        settings = cls.settings_type() if settings is None else settings
        if not isinstance(settings, cls.settings_type):
            raise GenerativeError(
                f"The generator {cls.name} takes {cls.settings_type.__name__}, not {type(settings).__name__}."
            )
        tables = [tables] * len(seeds) if isinstance(tables, ElpasoliteTable) else list(tables)
        if len(tables) != len(seeds):
            raise GenerativeError(
                f"There are {len(tables)} tables for {len(seeds)} seeds: give one table, or one each."
            )
        folder = None if workdir is None else Path(workdir)
        return cls._fit_many(tables, settings, list(seeds), progress, folder, device)

    def chunks(self, energy_class: int, n: int, seed: int) -> Iterator[Ints]:
        """Yield `n` samples of a class in arrays of at most half a million codes; `sample` says more."""
        check_class(energy_class, self.class_counts)
        if n < 0:
            raise GenerativeError(f"The number of samples must not be negative, as {n} is.")
        for start in range(0, n, _CHUNK):
            random = np.random.default_rng([seed, energy_class, start])
            yield self._valid(energy_class, min(_CHUNK, n - start), random)

    def sample(self, energy_class: int, n: int, seed: int) -> Ints:
        """Draw compositions.

        Parameters
        ----------
        energy_class
            From 1 (lowest energies) to 10.
        n
            Number of samples.
        seed
            Of the draws: the same seed gives the same samples.

        Returns
        -------
        numpy.ndarray
            Codes, shape (n,), each in the space. They are independent draws: some occur more than once.

        Raises
        ------
        GenerativeError
            If the class is not one of 1 to 10, was empty in the training, or the model yields hardly anything valid.
        """
        return np.concatenate([np.empty(0, dtype=np.int64), *self.chunks(energy_class, n, seed)])

    def sample_unique(self, energy_class: int, n: int, seed: int, *, most_draws: int = 25_000_000) -> Ints:
        """Draw until `n` different compositions have come; return them in the order in which they came first.

        Raises
        ------
        GenerativeError
            If the space does not hold so many, or they have not come after `most_draws` draws.
        """
        if n > N_COMPOSITIONS:
            raise GenerativeError(
                f"{n} different compositions cannot be drawn: the space holds {N_COMPOSITIONS}; ask for fewer."
            )
        check_class(energy_class, self.class_counts)
        found = np.empty(0, dtype=np.int64)
        drawn = 0
        while drawn < most_draws:
            size = min(_CHUNK, max(2 * (n - len(found)), _SMALLEST_PROPOSAL))
            random = np.random.default_rng([seed, energy_class, drawn, 1])
            found = _unique_in_order(np.concatenate([found, self._valid(energy_class, size, random)]))
            drawn += size
            if len(found) >= n:
                return found[:n]
        raise GenerativeError(
            f"{drawn} draws of class {energy_class} gave {len(found)} different compositions, not {n}: ask for fewer."
        )

    def save(self, folder: str | Path) -> None:
        """Write `generator.safetensors` and `generator.json` into a folder, which is made if need be."""
        folder = Path(folder)
        tensors = self._tensors()
        write_tensors(folder / TENSOR_FILE, tensors, {"data_sha256": self.data_sha256, "name": self.name})
        write_json(
            folder / JSON_FILE,
            {
                "format": _FORMAT,
                "name": self.name,
                "elements": list(ELEMENTS),
                "edges_ev_per_atom": self.edges.tolist(),
                "class_counts": self.class_counts.tolist(),
                "settings": self.settings.to_dict(),
                "seed": self.seed,
                "data_sha256": self.data_sha256,
                "versions": self.versions,
                "calibration": self.calibration,
                "notes": self._notes(),
            },
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a generator that `save` wrote.

        Raises
        ------
        CheckpointError
            If a file is missing or damaged, the two do not belong together, or they are of another kind of generator or
            of another space.
        """
        folder = Path(folder)
        content = read_json(folder / JSON_FILE)
        _check_checkpoint(content, cls.name, folder)
        tensors, metadata = read_tensors(folder / TENSOR_FILE)
        if metadata != {"data_sha256": str(content.get("data_sha256")), "name": cls.name}:
            raise CheckpointError(f"{TENSOR_FILE} and {JSON_FILE} in {folder} are not of the same generator.")
        try:
            generator = cls(
                cls.settings_type.from_dict(content["settings"]),
                content["seed"],
                np.array(content["class_counts"], dtype=np.int64),
                np.array(content["edges_ev_per_atom"], dtype=np.float64),
                content["data_sha256"],
            )
            generator.versions = dict(content.get("versions", {}))
            generator.calibration = dict(content.get("calibration", {}))
            require_network(tensors, {})
            generator._restore(tensors, content["notes"])
        except (KeyError, TypeError, RuntimeError, AttributeError, OverflowError, ValueError) as error:
            raise CheckpointError(f"{folder} does not hold a generator of this version ({error}).") from None
        return generator

    @classmethod
    def _blank(cls, table: ElpasoliteTable, settings: GeneratorSettings, seed: int) -> Self:
        """Return the generator without what it is to learn."""
        return cls(settings, seed, table.counts, table.edges, table.sha256)

    @classmethod
    @abstractmethod
    def _fit_many(
        cls,
        tables: Sequence[ElpasoliteTable],
        settings: Any,
        seeds: Sequence[int],
        progress: Progress | None,
        workdir: Path | None,
        device: str,
    ) -> list[Self]:
        """Train a generator per table and seed."""

    @abstractmethod
    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        """Draw about `n` codes of a class; what is not in the space (e.g. -1) will be left out."""

    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]:
        """Return what was learned."""

    @abstractmethod
    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Take back what `_tensors` and `_notes` returned."""

    def _notes(self) -> dict[str, Any]:
        """Return what else is worth keeping, as values that JSON can hold."""
        return {}

    def _valid(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        """Draw exactly `n` codes of the space."""
        parts: list[Ints] = []
        found = proposed = 0
        while found < n:
            if proposed >= _CHUNK and found < _LEAST_VALID * proposed:
                raise GenerativeError(
                    f"The generator {self.name} gave {found} valid compositions in {proposed} draws of class "
                    f"{energy_class}: train it longer, or on more rows."
                )
            share = max(found, 1) / proposed if proposed else 1.0
            size = int(min(max(1.05 * (n - found) / share, _SMALLEST_PROPOSAL), _CHUNK))
            codes = self._propose(energy_class, size, random)
            parts.append(codes[in_space(codes)])
            proposed += size
            found += len(parts[-1])
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])[:n]


def _check_checkpoint(content: Mapping[str, Any], name: str, folder: Path) -> None:
    """Raise `CheckpointError` unless the content of a `generator.json` is of a generator `name` of this space."""
    if content.get("format") != _FORMAT:
        raise CheckpointError(f"{folder} holds no generator of format {_FORMAT}: train it again with this version.")
    if content.get("elements") != list(ELEMENTS):
        raise CheckpointError(
            f"{folder} holds a generator of another space of compositions than the {len(ELEMENTS)} main-group elements "
            "from H to Bi: train one on this space."
        )
    if content.get("name") != name:
        raise CheckpointError(f"{folder} holds a generator of the kind {content.get('name')}, not {name}.")


def _unique_in_order(codes: Ints) -> Ints:
    _, first = np.unique(codes, return_index=True)
    return codes[np.sort(first)]
