"""The search for settings (section 7.4 of the thesis): random draws, fits of each, a choice by training rows alone.

Nothing here can see the truth, as in `selection`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..settings import SettingsError, check_names, check_ranges
from . import generator_type
from .selection import choose, pareto_front, sampling_distance, training_quantities
from .space import GenerativeError
from .table import N_CLASSES, ElpasoliteTable, check_class

if TYPE_CHECKING:
    import pandas as pd

    from .generator import Generator, Progress

__all__ = ["DOMAINS", "Search", "SearchSettings", "summarise", "try_settings"]

_UPDATES = (10_000, 25_000, 50_000, 100_000, 150_000, 200_000)
_SHARED: dict[str, tuple[Any, ...]] = {
    "hidden_layers": (1, 2, 3, 4, 5, 6, 7),  # the thesis counts the layer of the output as well: 2 to 8
    "width": (8, 32, 128, 256, 512, 1024),
    "latent": (2, 3, 4, 5, 6, 8),
    "updates": _UPDATES,
    "batch_size": (10, 100, 250, 500, 1000, 2000),
    "learning_rate": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
}
DOMAINS: dict[str, dict[str, tuple[Any, ...]]] = {
    "vae": _SHARED,
    "gan": _SHARED,
    "rl": {name: values for name, values in _SHARED.items() if name != "latent"}
    | {"updates": tuple(8 * updates for updates in _UPDATES)},
}
"""Table 7.1 of the thesis: generator -> setting -> values that are drawn from."""

_DRAWS_SEED = 1_000  # the samples of the fit with seed n have the seed n plus this
_QUANTITIES = ("training_js_distance", "unique", "rediscovered")


@dataclass(frozen=True)
class SearchSettings:
    """What is searched, and how."""

    model: str = "vae"
    """Kind of generator, of ``GENERATORS``."""
    draws: int = 20
    """Combinations of settings that are drawn. With more of them, the first ones stay what they were."""
    initialisations: int = 3
    """Fits of each, with the seeds `seed`, `seed` + 1, ..."""
    energy_class: int = 1
    """Class that is asked for."""
    samples: int = 10_000
    """Independent draws of each fit."""
    seed: int = 0
    """Of the combinations, and of the first fit of each."""
    most_js_distance: float | None = None
    """Limit of `selection.choose`; if None, the `selection.sampling_distance` of the class."""
    domain: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Setting -> values to draw from, in the place of those in `DOMAINS` or beside them."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that are not drawn, where they differ from the generator's defaults."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                **{name: (getattr(self, name) >= 1, "at least 1") for name in ("draws", "initialisations", "samples")},
                "energy_class": (1 <= self.energy_class <= N_CLASSES, f"1 to {N_CLASSES}"),
                "seed": (self.seed >= 0, "at least 0"),
                "most_js_distance": (self.most_js_distance is None or self.most_js_distance > 0, "above 0, or none"),
            },
        )
        if not self.ranges:
            raise SettingsError(f"There is no range of settings for {self.model}: give the values to draw as domain.")
        for name, values in self.ranges.items():
            if not isinstance(values, list | tuple) or not values:
                raise SettingsError(f"The domain of {name} must be a list of values, not {values!r}.")
        for combination in self.combinations():
            self.settings_of(combination)  # refuses what does not exist, or does not go together

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchSettings:
        """Build settings from a mapping, e.g. parsed JSON; what does not exist or has a wrong type is a ValueError."""
        check_names(cls, values)
        whole = ("draws", "initialisations", "energy_class", "samples", "seed")
        if not all(type(values.get(name, 1)) is int for name in whole):
            raise SettingsError(f"{', '.join(whole)} must be whole numbers.")
        if not isinstance(values.get("most_js_distance"), int | float | None):
            raise SettingsError("most_js_distance must be a number, or none.")
        if not all(isinstance(values.get(name, {}), Mapping) for name in ("domain", "settings")):
            raise SettingsError("domain must map settings to lists of values, settings to one value each.")
        return cls(**values)

    @property
    def ranges(self) -> dict[str, Sequence[Any]]:
        """The values that each setting is drawn from."""
        return {**DOMAINS.get(self.model, {}), **self.domain}

    @property
    def seeds(self) -> list[int]:
        """Of the fits of each draw."""
        return [self.seed + number for number in range(self.initialisations)]

    def combinations(self) -> list[dict[str, Any]]:
        """Return the drawn settings, with replacement.

        Generators that share a setting draw the same place of its range, as in the thesis.
        """
        columns = []
        for name, values in self.ranges.items():
            random = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
            columns.append([values[int(place * len(values))] for place in random.random(self.draws)])
        return [dict(zip(self.ranges, row, strict=True)) for row in zip(*columns, strict=True)]

    def settings_of(self, combination: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of a generator: the drawn ones, the fixed ones, and its defaults."""
        kind = generator_type(self.model).settings_type
        single = {"classes": [self.energy_class]} if "classes" in [one.name for one in fields(kind)] else {}
        return kind.from_dict({**single, **self.settings, **combination}).to_dict()


def try_settings(
    table: ElpasoliteTable,
    model: str,
    settings: Mapping[str, Any],
    seed: int,
    energy_class: int,
    samples: int,
    *,
    progress: Progress | None = None,
    workdir: Path | None = None,
    device: str = "cpu",
) -> tuple[Generator | None, dict[str, Any]]:
    """Fit a generator, and say what the training set can tell of its samples of a class.

    Returns
    -------
    tuple
        The generator, and its `selection.training_quantities`. Of a training that diverges, or ends with hardly
        anything valid, None and the reason as ``error``: for a search that is a result.

    Raises
    ------
    GenerativeError
        If the class is empty.
    """
    check_class(energy_class, table.counts)
    kind = generator_type(model)
    chosen = kind.settings_type.from_dict(settings)
    try:
        fitted = kind.fit(table, chosen, seed, progress=progress, workdir=workdir, device=device)
        codes = fitted.sample(energy_class, samples, _DRAWS_SEED + seed)
    except GenerativeError as error:
        return None, {"error": str(error)}
    return fitted, training_quantities(codes, table, energy_class)


@dataclass(frozen=True)
class Search:
    """What came out of a search.

    Attributes
    ----------
    fits
        A row per fit: ``draw`` (from 1), ``seed``, training_js_distance, unique, rediscovered, ``error``.
    draws
        A row per draw: its settings, ``fits``, ``fits_failed``, the medians of the quantities, with ``_min`` and
        ``_max`` of the first two, ``on_front``, ``chosen``, and the first ``error``. A failed fit counts in the medians
        as infinitely far and without compositions; where the median is such a fit, the draw cannot be chosen.
    limit
        Distance within which the most unique compositions were looked for.
    chosen
        ``draw``, ``seed`` (of its fit with the median distance) and ``settings``; None if every draw failed.
    """

    fits: pd.DataFrame
    draws: pd.DataFrame
    limit: float
    chosen: dict[str, Any] | None


def summarise(
    settings: SearchSettings, table: ElpasoliteTable, found: Mapping[tuple[int, int], Mapping[str, Any]]
) -> Search:
    """Put the fits of a search together, and choose.

    Parameters
    ----------
    settings, table
        Of the search.
    found
        (draw from 1, seed) -> what `try_settings` said of the fit, or the ``error`` for which it said nothing.
    """
    import pandas as pd

    combinations = settings.combinations()
    empty: dict[str, Any] = {**dict.fromkeys(_QUANTITIES, np.nan), "error": None}
    numbers = range(1, settings.draws + 1)
    places = [(draw, seed) for draw in numbers for seed in settings.seeds]
    fits = pd.DataFrame([{"draw": draw, "seed": seed, **empty, **found[draw, seed]} for draw, seed in places])
    draws = pd.DataFrame(
        [
            {"draw": draw, **combination, **_medians(fits[fits["draw"] == draw])}
            for draw, combination in zip(numbers, combinations, strict=True)
        ]
    )
    points = draws["training_js_distance"].tolist(), draws["unique"].tolist()
    front = pareto_front(*points)
    draws["on_front"] = draws.index.isin(front)
    limit = settings.most_js_distance or sampling_distance(table, settings.energy_class)
    best = choose(*points, limit) if front else None
    draws["chosen"] = draws.index == best
    draws["error"] = draws.pop("error")  # at the end, where it can be long
    chosen = None
    if best is not None:
        own = fits[(fits["draw"] == best + 1) & fits["error"].isna()].sort_values("training_js_distance")
        seed = int(own["seed"].iloc[(len(own) - 1) // 2])
        chosen = {"draw": best + 1, "seed": seed, "settings": settings.settings_of(combinations[best])}
    return Search(fits, draws, limit, chosen)


def _medians(fits: pd.DataFrame) -> dict[str, Any]:
    """Return what the row of a draw says of its fits."""
    failed = fits["error"].notna()
    worst = {"training_js_distance": np.inf, "unique": 0, "rediscovered": 0}
    medians = {name: float(fits[name].fillna(value).median()) for name, value in worst.items()}
    lost = not np.isfinite(medians["training_js_distance"])
    row: dict[str, Any] = {"fits": int((~failed).sum()), "fits_failed": int(failed.sum())}
    for name in _QUANTITIES:
        row[name] = np.nan if lost else medians[name]
        if name != "rediscovered":
            row |= {f"{name}_min": float(fits[name].min()), f"{name}_max": float(fits[name].max())}
    return row | {"error": fits.loc[failed, "error"].iloc[0] if failed.any() else None}
