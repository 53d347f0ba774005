"""The benchmark of generators: each fitted several times, asked for energy classes, and held against the truth.

What is finished is kept in a folder, trained generators too: with more fits, classes or models only what is missing
is computed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..checkpoint import CheckpointError, atomic_path, read_json, versions, write_json
from ..settings import SettingsError, check_names
from .distributions import js_distance, site_distribution
from .generator import JSON_FILE, Generator, GeneratorSettings
from .metrics import SampleCounter
from .saturation import saturation_curve
from .space import ELEMENTS, SITES, GenerativeError
from .study import (
    METRICS,
    MODELS,
    SAMPLE_SEED,
    THESIS_CLASS_COUNTS,
    Fit,
    Study,
    model_settings,
    model_type,
    statistics,
    thesis_rows,
)
from .table import N_CLASSES, ElpasoliteTable, check_class

__all__ = ["FRAMES", "Benchmark", "BenchmarkSettings", "run_benchmark"]

Floats = NDArray[np.float64]

SHOWN = (*METRICS, "training_js_distance", "rediscovered", "novel", "charge_neutral", "elmd_diversity")
"""Metrics of a row: `ClassMetrics` says what they are; training_js_distance is from the class in the training set."""
COUNTS = ("novel", "rediscovered", "repeated", "novel_right", "novel_neighbour", "coverage")
CURVE_POINTS = 25
ENERGY_BIN_EV = 0.2  # as in figure 7.5


@dataclass(frozen=True)
class BenchmarkSettings:
    """What is compared, and how.

    The truth is the one of the default `TruthSettings`.
    """

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {name: {} for name in MODELS})
    """Rows, as `study.MODELS` names them, each with the settings in which it differs from the generator's defaults."""
    fits: int = 10
    """Of each model, with the seeds `seed`, `seed` + 1, ..."""
    classes: tuple[int, ...] = (1,)
    """Energy classes that are asked for."""
    samples: int = 10_000
    """Independent draws per fit and class."""
    seed: int = 0
    """Of the first fit; its draws have this plus `study.SAMPLE_SEED`."""
    training_rows: int | None = None
    """How many rows each fit learns, drawn at random with its seed; None for all."""
    both_orders: bool = True
    """Whether each compound is learned with A and B exchanged as well."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(dict.fromkeys(self.classes)))
        if not self.models:
            raise SettingsError(f"Name at least one model: {', '.join(MODELS)}.")
        for name, least in (("fits", 1), ("samples", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} = {getattr(self, name)} is out of its range: at least {least}.")
        if self.training_rows is not None and self.training_rows < 2:
            raise SettingsError(
                f"training_rows = {self.training_rows} is out of its range: at least 2, or none for all."
            )
        if not self.classes or not set(self.classes) <= set(range(1, N_CLASSES + 1)):
            raise SettingsError(f"classes = {list(self.classes)} is out of its range: numbers from 1 to {N_CLASSES}.")
        self.complete()  # refuses models and settings that do not exist

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BenchmarkSettings:
        """Build settings from a mapping, e.g. parsed JSON; what does not exist or has a wrong type is a ValueError."""
        check_names(cls, values)
        whole = [values.get(name, 1) for name in ("fits", "samples", "seed")]
        whole += [] if values.get("training_rows") is None else [values["training_rows"]]
        classes = values.get("classes", [1])
        models = values.get("models", {"random": {}})
        if not isinstance(classes, list | tuple) or not all(type(one) is int for one in [*whole, *classes]):
            raise SettingsError("fits, samples, seed and training_rows must be whole numbers, classes a list of such.")
        if not isinstance(models, Mapping) or not all(isinstance(one, Mapping) for one in models.values()):
            raise SettingsError("models must map names to settings.")
        if not isinstance(values.get("both_orders", True), bool):
            raise SettingsError("both_orders must be true or false.")
        return cls(**values)

    def complete(self) -> dict[str, dict[str, Any]]:
        """Return all settings of each model, as values that JSON can hold."""
        return {name: self.settings_of(name).to_dict() for name in self.models}

    def settings_of(self, model: str) -> GeneratorSettings:
        """Return the settings of a model."""
        return model_settings(model, self.models[model], self.classes)

    def fits_of(self, model: str) -> list[Fit]:
        """Return the fits of a model."""
        settings = self.settings_of(model)
        seeds = [self.seed + number for number in range(self.fits)]
        return [Fit(model, settings, self.training_rows, seed, self.both_orders) for seed in seeds]


FRAMES = ("metrics", "fits", "saturation", "js_matrix", "elements", "energies")
"""The tables of a `Benchmark`, and the names of their files."""


@dataclass(frozen=True)
class Benchmark:
    """What came out; shares and distances are means over the fits, with their standard deviations in ``_std``.

    Attributes
    ----------
    metrics
        A row per class and model: ``class``, ``samples``, ``model``, ``fits``, ``fits_failed`` (that gave hardly
        anything valid), ``updates``, and the metrics; then the thesis's own rows (``thesis_...``), where it has some of
        this table.
    fits
        The same of each fit, with its ``seed``.
    saturation
        A row per class, model and ``n_valid``: counts as `saturation_curve` says.
    js_matrix
        JS distances of the classes of a ``set`` (truth or training) to those of the truth, ``truth_class_1`` ...
        (figure 7.2); nan for an empty class.
    elements
        A row per class, ``source`` (truth, training or a model), ``site`` and ``element``: its ``share`` of the site.
    energies
        A row per class, source and bin of 0.2 eV/atom: ``share`` of the different compositions, by their energies in
        the truth; of ``training`` all rows, by their own energies.
    summary
        Settings, seeds, versions, hash of the data, class counts.
    """

    metrics: pd.DataFrame
    fits: pd.DataFrame
    saturation: pd.DataFrame
    js_matrix: pd.DataFrame
    elements: pd.DataFrame
    energies: pd.DataFrame
    summary: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write a CSV file per table, and ``metrics.json`` with the summary, the metrics and the fits."""
        for name in FRAMES:
            with atomic_path(folder / f"{name}.csv") as temporary:
                getattr(self, name).to_csv(temporary, index=False, float_format="%.6g")
        records = {name: json.loads(getattr(self, name).to_json(orient="records")) for name in ("metrics", "fits")}
        write_json(folder / "metrics.json", {**self.summary, **records})


def run_benchmark(
    table: ElpasoliteTable,
    settings: BenchmarkSettings,
    folder: Path,
    *,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Benchmark:
    """Fit what is not finished, ask each fit for the classes, and compare.

    Parameters
    ----------
    table
        What is learned, and what the truth is made of.
    settings
        What is compared.
    folder
        Where finished work is kept: trained generators and what was measured of them.
    device
        Where networks are trained, as torch names it.
    say
        Called with lines of progress.

    Raises
    ------
    GenerativeError
        If a class is empty in the table.
    CheckpointError
        If a file of finished work is damaged.
    """
    for number in settings.classes:
        check_class(number, table.counts)
    study = Study(table, folder, device=device, say=say)
    found = {
        (model, number): rows for model in settings.models for number, rows in _measure(study, settings, model).items()
    }
    return _collect(study, settings, found)


def _measure(study: Study, settings: BenchmarkSettings, model: str) -> dict[int, list[dict[str, Any]]]:
    """Return what was measured of the fits of a model, by class."""
    fits = settings.fits_of(model)

    def file(fit: Fit, number: int) -> Path:
        return study.path(f"{fit.key}-class{number}-{settings.samples}.json")

    wanted = [fit for fit in fits if not all(file(fit, number).exists() for number in settings.classes)]
    study.train(
        [fit for fit in wanted if not (study.path(fit.key) / JSON_FILE).exists()],
        lambda fit, generator, _: generator.save(study.path(fit.key)),
        resume=True,
    )
    for fit in wanted:
        generator = model_type(model).load(study.path(fit.key))
        for number in settings.classes:
            if not file(fit, number).exists():
                seed = SAMPLE_SEED + fit.seed
                write_json(file(fit, number), _measure_class(study, generator, number, settings.samples, seed))
        study.say(f"{model}: fit with seed {fit.seed} measured")
    return {number: [_read(file(fit, number)) for fit in fits] for number in settings.classes}


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not {"metrics", "saturation", "elements", "energies"} <= set(content) and "error" not in content:
        raise CheckpointError(f"{path} does not hold what is measured of a fit: remove it.")
    return content


def _measure_class(study: Study, generator: Generator, number: int, samples: int, seed: int) -> dict[str, Any]:
    counter = SampleCounter(study.truth, study.table)
    sizes = np.unique(np.ceil(np.linspace(0, samples, CURVE_POINTS + 1)[1:]).astype(int)).tolist()
    chunks = generator.chunks(number, samples, seed)
    try:
        curve = saturation_curve(chunks, number, study.truth, study.table, sizes, counter=counter)
    except GenerativeError as error:  # hardly anything valid
        study.say(f"{generator.name}, seed {generator.seed}: {error}")
        return {"error": str(error)}
    elements = counter.element_distribution()
    training = site_distribution(study.table.codes_of_class(number))
    metrics = counter.metrics(number).to_dict() | {"training_js_distance": js_distance(elements, training)}
    return {
        "metrics": metrics,
        "saturation": curve.to_dict(orient="list"),
        "elements": elements.tolist(),
        "energies": _energy_shares(study, study.truth.energies[np.flatnonzero(counter.counts)]).tolist(),
        "versions": versions(),
    }


def _energy_edges(study: Study) -> Floats:
    """Return the edges of the bins of energies, from the lowest to the highest of truth and table."""
    truth, table = study.truth.energies, study.table.energies_ev_per_atom
    low = min(float(np.nanmin(truth)), float(table.min()))
    high = max(float(np.nanmax(truth)), float(table.max()))
    return ENERGY_BIN_EV * np.arange(np.floor(low / ENERGY_BIN_EV), np.floor(high / ENERGY_BIN_EV) + 2)


def _energy_shares(study: Study, energies: Any) -> Floats:
    counts, _ = np.histogram(np.asarray(energies, dtype=np.float64), _energy_edges(study))
    shares: Floats = counts / max(int(counts.sum()), 1)
    return shares


def _collect(
    study: Study, settings: BenchmarkSettings, found: Mapping[tuple[str, int], list[dict[str, Any]]]
) -> Benchmark:
    """Put what was measured into tables."""
    good = {key: [one for one in rows if "error" not in one] for key, rows in found.items()}
    metrics = []
    for number in settings.classes:
        first = {"class": number, "samples": settings.samples}
        for model in settings.models:
            own = good[model, number]
            counts = {"fits": len(own), "fits_failed": settings.fits - len(own)}
            updates = getattr(settings.settings_of(model), "updates", 0)
            row = statistics([one["metrics"] for one in own], SHOWN)
            metrics.append({**first, "model": model, **counts, "updates": updates, **row})
        whole = settings.training_rows is None and settings.both_orders
        if whole and tuple(study.table.counts.tolist()) == THESIS_CLASS_COUNTS:  # on other data they say nothing
            metrics += [{**first, **row} for row in thesis_rows(number, settings.samples)]
    fits = [
        {"class": number, "model": model, "seed": fit.seed, **one.get("metrics", {}), "error": one.get("error")}
        for (model, number), rows in found.items()
        for fit, one in zip(settings.fits_of(model), rows, strict=True)
    ]
    return Benchmark(
        metrics=pd.DataFrame(metrics),
        fits=pd.DataFrame(fits).drop(columns="requested", errors="ignore"),
        saturation=_saturation(good),
        js_matrix=_js_matrix(study),
        elements=_elements(study, settings, good),
        energies=_energies(study, settings, good),
        summary=_summary(study, settings, good),
    )


def _saturation(good: Mapping[tuple[str, int], list[dict[str, Any]]]) -> pd.DataFrame:
    rows = [
        {"class": number, "model": model, "n_valid": n_valid}
        | statistics([{name: one["saturation"][name][index] for name in COUNTS} for one in own], COUNTS)
        for (model, number), own in good.items()
        if own
        for index, n_valid in enumerate(own[0]["saturation"]["n_valid"])
    ]
    return pd.DataFrame(rows)


def _js_matrix(study: Study) -> pd.DataFrame:
    classes = range(1, N_CLASSES + 1)
    truth = [study.truth.element_distribution(number) for number in classes]
    training = [site_distribution(study.table.codes[study.table.classes == number]) for number in classes]
    rows = [
        {"set": name, "class": number}
        | {f"truth_class_{k}": js_distance(p, q) for k, q in zip(classes, truth, strict=True)}
        for name, spreads in (("truth", truth), ("training", training))
        for number, p in zip(classes, spreads, strict=True)
    ]
    return pd.DataFrame(rows)


def _elements(
    study: Study, settings: BenchmarkSettings, good: Mapping[tuple[str, int], list[dict[str, Any]]]
) -> pd.DataFrame:
    places = {"site": np.repeat(list(SITES), len(ELEMENTS)), "element": list(ELEMENTS) * len(SITES)}
    known = {
        number: {
            "truth": study.truth.element_distribution(number),
            "training": site_distribution(study.table.codes_of_class(number)),
        }
        for number in settings.classes
    }
    return _shares("elements", places, known, settings, good)


def _energies(
    study: Study, settings: BenchmarkSettings, good: Mapping[tuple[str, int], list[dict[str, Any]]]
) -> pd.DataFrame:
    edges = _energy_edges(study)
    bins = {"lower_ev_per_atom": edges[:-1], "upper_ev_per_atom": edges[1:]}
    known = {
        "truth": _energy_shares(study, study.truth.energies[np.isfinite(study.truth.energies)]),
        "training": _energy_shares(study, study.table.energies_ev_per_atom),
    }
    return _shares("energies", bins, dict.fromkeys(settings.classes, known), settings, good)


def _shares(
    kind: str,
    places: Mapping[str, Any],
    known: Mapping[int, Mapping[str, Floats]],
    settings: BenchmarkSettings,
    good: Mapping[tuple[str, int], list[dict[str, Any]]],
) -> pd.DataFrame:
    """Return a row per class, source and place: what is known of truth and training set, then the models' means."""
    frames = []
    for number in settings.classes:
        sources = {name: [values] for name, values in known[number].items()}
        sources |= {model: [one[kind] for one in good[model, number]] for model in settings.models}
        for source, shares in sources.items():
            if shares:
                mean, std = _mean_and_std(shares)
                columns = {"class": number, "source": source, **places, "share": mean.ravel(), "share_std": std.ravel()}
                frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _mean_and_std(values: Sequence[Any]) -> tuple[Floats, Floats]:
    """Return mean and standard deviation over the first axis; the latter is nan for one value."""
    stacked = np.asarray(values, dtype=np.float64)
    std = stacked.std(axis=0, ddof=1) if len(stacked) > 1 else np.full(stacked.shape[1:], np.nan)
    return stacked.mean(axis=0), std


def _summary(
    study: Study, settings: BenchmarkSettings, good: Mapping[tuple[str, int], list[dict[str, Any]]]
) -> dict[str, Any]:
    table, used = study.table, dict[str, set[str]]()
    for rows in good.values():
        for one in rows:
            for name, version in one["versions"].items():
                used.setdefault(name, set()).add(version)
    seeds = [settings.seed + number for number in range(settings.fits)]
    return {
        "settings": {**asdict(settings), "models": settings.complete()},
        "seeds": {"fits": seeds, "draws": [SAMPLE_SEED + seed for seed in seeds]},
        "device": study.device,
        "versions": {name: ", ".join(sorted(found)) for name, found in used.items()},
        "data": {
            "table_sha256": table.sha256,
            "rows": len(table.codes),
            "compounds": table.n_compounds,
            "class_counts": table.counts.tolist(),
            "class_edges_ev_per_atom": table.edges.tolist(),
        },
        "truth": {"settings": study.truth.settings.to_dict(), "class_counts": study.truth.counts.tolist()},
    }
