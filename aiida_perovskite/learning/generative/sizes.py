"""The study of training-set sizes (figure 7.9 of the thesis): which benchmarks it is made of.

Each size is learned with A and B of every compound in both orders, and as the table has them: as many rows are twice as
many compounds then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..settings import SettingsError, check_names, check_ranges
from .benchmark import BenchmarkSettings
from .table import ElpasoliteTable, check_class

__all__ = ["MODELS", "SizesSettings", "StudyPart"]

MODELS = ("vae", "independent", "autoregressive")
"""Compared if none are named: those of the package's benchmark whose fit takes minutes or less."""


@dataclass(frozen=True)
class StudyPart:
    """One model at one size."""

    model: str
    training_rows: int | None
    permuted: bool
    settings: BenchmarkSettings

    @property
    def label(self) -> str:
        """A name that links of the provenance graph can have."""
        return f"{self.model}_{self.training_rows or 'all'}_{'both_orders' if self.permuted else 'one_order'}"

    def row(self, table: ElpasoliteTable) -> dict[str, Any]:
        """Return what a table of results says of this part."""
        whole = len(table.codes) if self.permuted else table.n_compounds
        return {"model": self.model, "training_rows": self.training_rows or whole, "permuted": self.permuted}


@dataclass(frozen=True)
class SizesSettings:
    """What is compared."""

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As `BenchmarkSettings` has them; `MODELS` if there are none."""
    sizes: tuple[int | None, ...] = (500, 1000, 2000, 5000, 10_000, None)
    """Rows that are learned, drawn at random for each fit; None for all."""
    permuted: tuple[bool, ...] = (True, False)
    """Whether each compound is there with A and B exchanged as well."""
    fits: int = 10
    """Of each model and size, on subsets of their own."""
    energy_class: int = 1
    """Class that is asked for."""
    samples: int = 10_000
    """Independent draws per fit."""
    seed: int = 0
    """Of the first fit, and of its subset."""

    def __post_init__(self) -> None:
        for name in ("sizes", "permuted"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))
        rows = [size for size in self.sizes if size is not None]
        check_ranges(
            self,
            {
                "sizes": (
                    bool(self.sizes) and all(type(size) is int and size >= 2 for size in rows),
                    "whole numbers of at least 2, or none for all rows",
                ),
                "permuted": (bool(self.permuted) and set(self.permuted) <= {True, False}, "true, false or both"),
            },
        )
        object.__setattr__(self, "models", self.models or {name: {} for name in MODELS})
        list(self.parts())  # refuses models and settings that do not exist

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SizesSettings:
        """Build settings from a mapping, e.g. parsed JSON; what does not exist or has a wrong type is a ValueError."""
        check_names(cls, values)
        if not all(isinstance(values.get(name, []), list | tuple) for name in ("sizes", "permuted")):
            raise SettingsError("sizes and permuted must be lists.")
        return cls(**values)

    def parts(self) -> Iterator[StudyPart]:
        """Yield each model at each size."""
        for permuted in self.permuted:
            for size in self.sizes:
                for model, changes in self.models.items():
                    settings = {
                        "models": {model: changes},
                        "classes": [self.energy_class],
                        "training_rows": size,
                        "both_orders": permuted,
                        **{name: getattr(self, name) for name in ("fits", "samples", "seed")},
                    }
                    yield StudyPart(model, size, permuted, BenchmarkSettings.from_dict(settings))

    def check(self, table: ElpasoliteTable) -> None:
        """Raise a ValueError if the class is empty in the table, or a size is larger than it."""
        check_class(self.energy_class, table.counts)
        for part in self.parts():
            largest = len(table.codes) if part.permuted else table.n_compounds
            if part.training_rows is not None and part.training_rows > largest:
                orders = "in both orders" if part.permuted else "in one order"
                raise SettingsError(
                    f"{part.training_rows} rows cannot be drawn: the table holds {largest}, each compound {orders}."
                )
