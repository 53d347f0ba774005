"""The truth of the benchmark: formation energies of the whole space, from a regression on all stored rows (SPEC 4.1).

Generators and the choice of their settings must not see it; import-linter holds them to that.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointError, atomic_path, read_json, write_json
from .base_settings import GeneratorSettings
from .distributions import js_distance, site_distribution
from .kernel_ridge import KernelRidge
from .space import ELEMENTS, N_CODES, GenerativeError, in_space, space_codes
from .table import N_CLASSES, ElpasoliteTable, energy_classes

__all__ = ["ARRAY_FILE", "JSON_FILE", "Truth", "TruthSettings"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ARRAY_FILE = "truth.npz"
JSON_FILE = "truth.json"
_FORMAT = 1


@dataclass(frozen=True)
class TruthSettings(GeneratorSettings):
    """The regression that makes the truth.

    SPEC 4.1 allows sigma 16 to 20 and regularisation 0.001 to 0.003; ``benchmarks/elpasolite_truth.py`` compares them
    by cross-validation, and the default is the best.
    """

    sigma: float = 16.0
    """Length of the Laplacian kernel, in rows or groups of the periodic table."""
    regularisation: float = 0.003
    """Added to the diagonal of the kernel matrix."""
    cross_validate: bool = True
    """Whether to compute the leave-one-out error, for half of the time again."""

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return what will do, as `GeneratorSettings` asks."""
        return {
            "sigma": (self.sigma > 0, "above 0"),
            "regularisation": (self.regularisation > 0, "above 0"),
        }


@dataclass(frozen=True, eq=False)
class Truth:
    """Energies and classes of all compositions. Make one with `Truth.fit` or `Truth.load`.

    Attributes
    ----------
    energies
        Formation energies in eV/atom by code, float32 of shape (39^4,); nan where a code has repeated elements.
    classes
        Energy classes 1 to 10 by code, int8 of shape (39^4,); 0 where a code has repeated elements. Energies beyond the
        training range are in classes 1 and 10.
    edges
        Of the classes in eV/atom, shape (11,): those of the training table.
    settings
        Of the regression.
    cross_validated_mae_ev_per_atom
        Mean absolute leave-one-out error on the stored rows, or None if it was not asked for.
    data_sha256
        Hash of the training table.
    """

    energies: NDArray[np.float32]
    classes: NDArray[np.int8]
    edges: Floats
    settings: TruthSettings
    cross_validated_mae_ev_per_atom: float | None
    data_sha256: str

    @classmethod
    def fit(cls, table: ElpasoliteTable, settings: TruthSettings | None = None) -> Truth:
        """Fit the regression on the rows as stored, and predict the whole space; A and B stay apart."""
        settings = settings or TruthSettings()
        codes, energies = table.rows_as_stored
        mae = None
        if settings.cross_validate:
            model, errors = KernelRidge.fit_with_errors(codes, energies, settings.sigma, settings.regularisation)
            mae = float(np.abs(errors).mean())
        else:
            model = KernelRidge.fit(codes, energies, settings.sigma, settings.regularisation)
        return cls._from_energies(model.space, table, settings, mae)

    @classmethod
    def _from_energies(
        cls, energies: Floats, table: ElpasoliteTable, settings: TruthSettings, mae: float | None
    ) -> Truth:
        outside = ~in_space(np.arange(N_CODES))
        classes = energy_classes(energies, table.edges).astype(np.int8)
        classes[outside] = 0
        stored = energies.astype(np.float32)
        stored[outside] = np.nan
        return cls(stored, classes, table.edges, settings, mae, table.sha256)

    @cached_property
    def counts(self) -> Ints:
        """Compositions in each class, shape (10,)."""
        return np.bincount(self.classes, minlength=N_CLASSES + 1)[1:]

    def codes_of_class(self, energy_class: int) -> Ints:
        """Return the codes of a class, ascending."""
        return np.flatnonzero(self.classes == energy_class)

    def element_distribution(self, energy_class: int) -> Floats:
        """Return the share of each element on each site in a class, shape (4, 39)."""
        return site_distribution(self.codes_of_class(energy_class))

    def js_matrix(self) -> Floats:
        """Return the Jensen-Shannon distances between all classes, shape (10, 10); nan for an empty class."""
        spreads = [self.element_distribution(number) for number in range(1, N_CLASSES + 1)]
        return np.array([[js_distance(p, q) for q in spreads] for p in spreads])

    def save(self, folder: str | Path) -> None:
        """Write `truth.npz` and `truth.json` into a folder, which is made if need be."""
        folder = Path(folder)
        codes = space_codes()
        with atomic_path(folder / ARRAY_FILE) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, energies=self.energies[codes], classes=self.classes[codes], edges=self.edges)
        write_json(
            folder / JSON_FILE,
            {
                "format": _FORMAT,
                "elements": list(ELEMENTS),
                "settings": self.settings.to_dict(),
                "cross_validated_mae_ev_per_atom": self.cross_validated_mae_ev_per_atom,
                "data_sha256": self.data_sha256,
                "counts": self.counts.tolist(),
            },
        )

    @classmethod
    def load(cls, folder: str | Path) -> Truth:
        """Read what `save` wrote.

        Raises
        ------
        CheckpointError
            If a file is missing or damaged, the two do not belong together, or they are of another space.
        """
        folder = Path(folder)
        content = read_json(folder / JSON_FILE)
        if content.get("format") != _FORMAT or content.get("elements") != list(ELEMENTS):
            raise CheckpointError(f"{folder} holds no truth of this space and version: compute it again.")
        arrays = _read_arrays(folder / ARRAY_FILE)
        codes = space_codes()
        energies = np.full(N_CODES, np.nan, dtype=np.float32)
        classes = np.zeros(N_CODES, dtype=np.int8)
        try:
            energies[codes], classes[codes] = arrays["energies"], arrays["classes"]
            truth = cls(
                energies,
                classes,
                arrays["edges"],
                TruthSettings.from_dict(content["settings"]),
                content["cross_validated_mae_ev_per_atom"],
                content["data_sha256"],
            )
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"{folder} does not hold a truth of this version ({error}).") from None
        if truth.counts.tolist() != content.get("counts"):
            raise CheckpointError(f"{ARRAY_FILE} and {JSON_FILE} in {folder} are not of the same truth.")
        return truth

    def check_table(self, table: ElpasoliteTable) -> None:
        """Raise `GenerativeError` if a table's classes have other edges than the truth's."""
        if not np.array_equal(self.edges, table.edges):
            raise GenerativeError(
                "The energy classes of the table have other edges than those of the truth: take `subset` of the table "
                "of which the truth was made, or give its edges."
            )


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise CheckpointError(f"There is no file {path}.") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error}): compute the truth again.") from None
