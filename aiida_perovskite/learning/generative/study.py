"""What every comparison of generators shares: names of models, fits and where they are kept, the thesis's own rows.

``aiida-perovskite benchmark generative`` and ``benchmarks/generative_class.py`` are made of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from . import generator_type
from .baselines import EnrichmentSettings
from .generator import Generator, GeneratorSettings
from .table import ElpasoliteTable
from .truth import JSON_FILE, Truth, TruthSettings

__all__ = [
    "METRICS",
    "MODELS",
    "NEURAL",
    "SAMPLE_SEED",
    "THESIS_CLASS_COUNTS",
    "Fit",
    "Study",
    "model_settings",
    "model_type",
    "statistics",
    "thesis_rows",
]

METRICS = ("precision", "precision_neighbour", "coverage", "coverage_neighbour", "js_distance", "unique")
"""What a table of generators shows, each with its standard deviation over the fits."""
NEURAL = ("vae", "gan", "rl", "autoregressive")
MODELS = (*NEURAL, "independent", "enrich_25", "enrich_50", "enrich_100", "enumeration", "evolution", "random")
"""Rows of a table. ``enrich_N`` is enrichment with N triples, for any N; the others are named as the generators."""
SAMPLE_SEED = 1_000  # the draws of the fit with seed n have the seed SAMPLE_SEED + n
FITS_TOGETHER_ON_CPU = 1  # the layers of several do not fit into its caches (benchmarks/README.md)

THESIS_CLASS_COUNTS = (86, 270, 984, 4688, 9650, 3446, 1200, 566, 186, 36)
"""Rows of each class in the thesis's training set (SPEC 4.1): by them its table is known."""

_Spread = tuple[float, ...]
# Class and number of samples -> model -> updates, then the first five of METRICS and their standard deviations:
# tables 7.5, 7.6 and 7.7 of the thesis, each row of 50 fits or draws.
_THESIS: dict[tuple[int, int], dict[str, tuple[int, _Spread, _Spread]]] = {
    (1, 10_000): {
        "thesis_vae": (10_000, (0.83, 0.16, 0.54, 0.05, 0.16), (0.01, 0.01, 0.02, 0.00, 0.01)),
        "thesis_gan": (200_000, (0.66, 0.28, 0.62, 0.10, 0.16), (0.02, 0.01, 0.01, 0.01, 0.01)),
        "thesis_rl": (800_000, (0.69, 0.30, 0.53, 0.04, 0.20), (0.08, 0.07, 0.03, 0.01, 0.03)),
        "thesis_enrich_25": (0, (0.41, 0.37, 0.09, 0.02, 0.36), (0.04, 0.03, 0.01, 0.00, 0.03)),
        "thesis_enrich_50": (0, (0.33, 0.35, 0.15, 0.03, 0.34), (0.03, 0.03, 0.01, 0.00, 0.02)),
        "thesis_enrich_100": (0, (0.30, 0.35, 0.25, 0.06, 0.32), (0.02, 0.02, 0.02, 0.00, 0.01)),
    },
    (5, 25_000_000): {
        "thesis_vae": (10_000, (0.58, 0.34, 0.86, 0.82, 0.21), (0.01, 0.01, 0.09, 0.11, 0.01)),
        "thesis_gan": (200_000, (0.54, 0.36, 0.89, 0.85, 0.16), (0.01, 0.01, 0.02, 0.03, 0.01)),
        "thesis_rl": (800_000, (0.87, 0.13, 0.44, 0.09, 0.49), (0.07, 0.07, 0.15, 0.04, 0.14)),
    },
}


def model_type(name: str) -> type[Generator]:
    """Return the generator of a row; raise `GenerativeError` if there is none of that name."""
    return generator_type("enrichment" if _triples(name) is not None else name)


def model_settings(
    name: str, changes: Mapping[str, Any] | None = None, classes: Sequence[int] = ()
) -> GeneratorSettings:
    """Return the settings of a row: the generator's defaults, the number of triples, and on top of them the changes.

    `classes` are those that will be asked for: a generator that learns single ones is trained for them.

    Raises
    ------
    GenerativeError
        If there is no such model.
    SettingsError
        For a setting that it does not have, or a value that will not do.
    """
    n_triples = _triples(name)
    given = {} if n_triples is None else EnrichmentSettings(n_triples=n_triples).to_dict()
    kind = model_type(name).settings_type
    if classes and "classes" in [field.name for field in fields(kind)]:
        given["classes"] = list(classes)
    return kind.from_dict({**given, **(changes or {})})


def _triples(name: str) -> int | None:
    found = re.fullmatch(r"enrich_([1-9]\d{0,4})", name)
    return None if found is None else int(found[1])


def thesis_rows(energy_class: int, samples: int) -> list[dict[str, Any]]:
    """Return the thesis's own numbers as rows of a table: none, where it has none for this class and sample size."""
    rows = []
    for model, (updates, means, stds) in _THESIS.get((energy_class, samples), {}).items():
        row: dict[str, Any] = {"model": model, "fits": 50, "updates": updates}
        for metric, mean, std in zip(METRICS, [*means, np.nan], [*stds, np.nan], strict=True):
            row |= {metric: mean, f"{metric}_std": std}
        rows.append(row)
    return rows


def statistics(found: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> dict[str, float]:
    """Return mean and standard deviation of each metric over the fits that have it."""
    row = {}
    for metric in metrics:
        values = [one[metric] for one in found if metric in one]
        row[metric] = float(np.mean(values)) if values else float("nan")
        row[f"{metric}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return row


@dataclass(frozen=True)
class Fit:
    """One fit: which model, with which settings, on how many rows (None: all), with which seed of fit and subset.

    Without ``both_orders``, each compound is learned once, A and B as the table has them.
    """

    model: str
    settings: GeneratorSettings
    size: int | None
    seed: int
    both_orders: bool = True

    @property
    def key(self) -> str:
        """A name for the files of what came out."""
        digest = hashlib.sha256(json.dumps(self.settings.to_dict(), sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.model}-{digest}-{self.rows}-{self.seed}"

    @property
    def rows(self) -> str:
        """What the key says of the training rows."""
        return str(self.size or "all") + ("" if self.both_orders else "-one-order")


class Study:
    """A table, its truth, and what trains and keeps fits.

    Parameters
    ----------
    table
        What is learned.
    folder
        Where what is finished is kept, for each table and device apart: on a GPU random numbers are others than on a
        CPU, and what another table gave is not taken for this.
    device
        Where networks are trained, as torch names it.
    say
        Called with lines of progress.
    together
        Fits of a network that are trained at once; by default all on a GPU, and one on a CPU.
    """

    def __init__(
        self,
        table: ElpasoliteTable,
        folder: Path,
        *,
        device: str = "cpu",
        say: Callable[[str], None] = print,
        together: int | None = None,
    ) -> None:
        self.table, self.device, self.say, self.together = table, device, say, together
        self.work = folder / f"{table.sha256[:8]}-{device}"
        self.truth = self._kept_truth()
        self.say(f"truth: {self.truth.counts.tolist()}")

    def _kept_truth(self) -> Truth:
        folder = self.work / "truth"
        if not (folder / JSON_FILE).exists():
            self.say("truth: a regression on all rows, and the whole space by it")
            Truth.fit(self.table, TruthSettings(cross_validate=False)).save(folder)
        return Truth.load(folder)

    def train(
        self,
        fits: Sequence[Fit],
        keep: Callable[[Fit, Generator, ElpasoliteTable], None],
        *,
        resume: bool = False,
    ) -> None:
        """Train fits of one model, many at once, and hand each over.

        Parameters
        ----------
        fits
            What is missing.
        keep
            Called with each fit, its generator and the rows that it learned.
        resume
            Whether a training keeps its state in the folder, to go on there after a kill.
        """
        together = self.together or (len(fits) if self.device != "cpu" else FITS_TOGETHER_ON_CPU)
        for start in range(0, len(fits), max(together, 1)):
            part = fits[start : start + together]
            tables = [self.training_table(fit) for fit in part]
            digest = hashlib.sha256(" ".join(fit.key for fit in part).encode()).hexdigest()[:8]
            workdir = self.work / f"training-{digest}" if resume else None
            fitted = model_type(part[0].model).fit_many(
                tables,
                part[0].settings,
                [fit.seed for fit in part],
                progress=self.say,
                device=self.device,
                workdir=workdir,
            )
            for fit, table, generator in zip(part, tables, fitted, strict=True):
                keep(fit, generator, table)
            if workdir is not None:
                shutil.rmtree(workdir, ignore_errors=True)
            self.say(f"{part[0].model}: {start + len(part)} of {len(fits)} fits done")

    def training_table(self, fit: Fit) -> ElpasoliteTable:
        """Return what a fit learns from; all models have the same subsets."""
        table, per_compound = self.table, 2
        if not fit.both_orders:
            table, per_compound = ElpasoliteTable.from_stored(table.rows_as_stored, table.edges, both_orders=False), 1
        return table if fit.size is None else table.subset(fit.size // per_compound, seed=fit.seed)

    def path(self, name: str) -> Path:
        """Return where something of a fit is kept; names begin with its key."""
        return self.work / "fits" / name

    def kept(self, fit: Fit) -> dict[str, Any]:
        """Return the metrics of a fit, of the file `KEY.json`."""
        return dict(json.loads(self.path(f"{fit.key}.json").read_text(encoding="utf-8")))
