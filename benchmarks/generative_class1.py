"""Generators of elpasolites of the lowest energy class, against the truth: the thesis's minority-class study.

``python benchmarks/generative_class1.py --data FILE`` writes ``results/generative_class1.csv``; with ``--sizes`` also
``results/generative_training_size.csv``. With ``--choices vae`` or ``--choices autoregressive`` it compares settings
of a network by what the training set can say of them, and writes ``results/generative_vae_choices.csv`` or the like.
FILE is the table of the dataset elpasolite-prl2016. It needs no installation: from a bare checkout, with
``PYTHONPATH=.``, it runs wherever torch, numpy, scipy, pandas, scikit-learn and safetensors are. Networks train on
``--device``; the rest takes a minute on a CPU. What is finished is kept in ``--work`` and not computed again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aiida_perovskite.learning.checkpoint import atomic_path, write_json
from aiida_perovskite.learning.generative import GenerativeError, Truth, TruthSettings, generator_type, selection
from aiida_perovskite.learning.generative.autoregressive import Autoregressive
from aiida_perovskite.learning.generative.baselines import EnrichmentSettings
from aiida_perovskite.learning.generative.generator import Generator, GeneratorSettings
from aiida_perovskite.learning.generative.metrics import class_metrics
from aiida_perovskite.learning.generative.table import ElpasoliteTable
from aiida_perovskite.learning.generative.vae import VAE

RESULTS = Path(__file__).parent / "results"
CLASS, SAMPLES = 1, 10_000  # tables 7.5 and 7.6
SIZES = (250, 500, 1000, 2000, 5000, 10_000)  # rows, each compound in both orders
SAMPLE_SEED = 1_000  # the draws of fit n have the seed SAMPLE_SEED + n
METRICS = ("precision", "precision_neighbour", "coverage", "coverage_neighbour", "js_distance", "unique")
NEURAL = ("vae", "autoregressive")
ENRICHMENTS = {f"enrich_{n}": EnrichmentSettings(n_triples=n) for n in (25, 50, 100)}
MODELS = (*NEURAL, "independent", *ENRICHMENTS, "enumeration", "evolution", "random")

# Tables 7.5 (mean of 50 fits) and 7.6 (50 draws) of the thesis: the metrics in the order of METRICS, their spreads.
THESIS: dict[str, tuple[int, tuple[float, ...], tuple[float, ...]]] = {
    "thesis_vae": (10_000, (0.83, 0.16, 0.54, 0.05, 0.16), (0.01, 0.01, 0.02, 0.00, 0.01)),
    "thesis_gan": (200_000, (0.66, 0.28, 0.62, 0.10, 0.16), (0.02, 0.01, 0.01, 0.01, 0.01)),
    "thesis_rl": (800_000, (0.69, 0.30, 0.53, 0.04, 0.20), (0.08, 0.07, 0.03, 0.01, 0.03)),
    "thesis_enrich_25": (0, (0.41, np.nan, 0.09, np.nan, 0.36), (np.nan,) * 5),
    "thesis_enrich_50": (0, (0.33, np.nan, 0.15, np.nan, 0.34), (np.nan,) * 5),
    "thesis_enrich_100": (0, (0.30, np.nan, 0.25, np.nan, 0.32), (np.nan,) * 5),
}

# What the thesis leaves open of the VAE, one at a time and some together; what is not named is as `VAESettings` has it.
VAE_CHOICES: tuple[dict[str, Any], ...] = (
    {},
    {"activation": "relu"},
    {"activation": "elu"},
    {"activation": "gelu"},
    {"activation": "silu"},
    {"activation": "tanh"},
    {"norm": "after_activation"},
    {"variance": "softplus"},
    {"class_scale": 3.0},
    {"input_range": "closed"},
    {"activation": "silu", "norm": "after_activation"},
    {"activation": "tanh", "norm": "after_activation"},
)
AUTOREGRESSIVE_CHOICES: tuple[dict[str, Any], ...] = (
    {},
    {"activation": "relu"},
    {"width": 256},
    {"hidden_layers": 3},
    {"element_scale": 0.0},
    {"element_scale": 0.3},
    {"least_width": 0.1},
    {"dropout": 0.0},
    {"dropout": 0.1},
    {"dropout": 0.3},
    {"weight_decay": 0.1},
    {"weight_decay": 3.0},
    {"learning_rate": 1e-3},
    {"updates": 1_000},
    {"updates": 4_000},
)
CHOICES = {"vae": VAE_CHOICES, "autoregressive": AUTOREGRESSIVE_CHOICES}


@dataclass(frozen=True)
class Job:
    """One fit: which model, on how many rows (None: all, or all but a tenth), with which seed of fit and subset."""

    model: str
    settings: GeneratorSettings
    size: int | None
    fit: int
    without_tenth: bool = False

    @property
    def key(self) -> str:
        """A name for the file of what came out."""
        digest = hashlib.sha256(json.dumps(self.settings.to_dict(), sort_keys=True).encode()).hexdigest()[:8]
        size = "tenth-out" if self.without_tenth else self.size or "all"
        return f"{self.model}-{digest}-{size}-{self.fit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the file of elpasolite-prl2016")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto: where networks train")
    parser.add_argument("--fits", type=int, default=10)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--sizes", action="store_true", help="also smaller training sets")
    parser.add_argument("--choices", choices=NEURAL, help="only compare settings of this network")
    parser.add_argument("--choice-fits", type=int, default=3, help="fits per choice")
    parser.add_argument("--together", type=int, help="networks' fits trained at once; by default all on a GPU, else 5")
    parser.add_argument("--updates", type=int, help="shorter or longer trainings of the networks, to try things")
    parser.add_argument("--work", type=Path, default=Path("generative-class1"), help="folder of what is finished")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    study = Study(options)
    if options.choices:
        rows = study.choices(options.choices, options.choice_fits)
        write(options.output / f"generative_{options.choices}_choices.csv", rows)
        return
    models = options.models.split(",")
    rows = study.rows(models, [None], options.fits)
    write(options.output / "generative_class1.csv", [*rows, *thesis_rows()])
    if options.sizes:
        rows = study.rows(models, [*SIZES, None], options.fits)
        write(options.output / "generative_training_size.csv", rows)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a table as a whole, and print it."""
    frame = pd.DataFrame(rows)
    print(frame.to_string(index=False, float_format="%.4f"), flush=True)
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.5g")


def thesis_rows() -> list[dict[str, Any]]:
    """Return the thesis's own numbers as rows of the table."""
    rows = []
    for model, (updates, means, stds) in THESIS.items():
        row: dict[str, Any] = {"model": model, "fits": 50, "updates": updates}
        for metric, mean, std in zip(METRICS, [*means, np.nan], [*stds, np.nan], strict=True):
            row |= {metric: mean, f"{metric}_std": std}
        rows.append(row)
    return rows


class Study:
    """The table, the truth, and the finished fits."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.start = time.perf_counter()
        self.device, self.updates, self.together = options.device, options.updates, options.together
        frame = pd.read_csv(options.data, keep_default_na=False)
        energies = frame["formation_energy_eV_per_atom"].astype(float)
        self.table = ElpasoliteTable.from_rows(frame["A"], frame["B"], frame["C"], frame["D"], energies)
        # On a GPU random numbers are others than on a CPU, and what another table gave is not taken for this.
        self.work = options.work / f"{self.table.sha256[:8]}-{self.device}"
        self.truth = self.make_truth()
        self.say(f"truth: {self.truth.counts.tolist()}")

    def say(self, line: str) -> None:
        """Print a line of progress."""
        print(f"{time.perf_counter() - self.start:6.0f} s  {line}", flush=True)

    def make_truth(self) -> Truth:
        """Return the truth, from the work folder if it is there."""
        folder = self.work / "truth"
        if not (folder / "truth.json").exists():
            Truth.fit(self.table, TruthSettings(cross_validate=False)).save(folder)
        return Truth.load(folder)

    def settings(self, model: str) -> GeneratorSettings:
        """Return the settings of a row of the table: the defaults, but for the number of triples."""
        if model in ENRICHMENTS:
            return ENRICHMENTS[model]
        settings = generator_type(model).settings_type()
        return replace(settings, updates=self.updates) if self.updates and model in NEURAL else settings

    def rows(self, models: Sequence[str], sizes: Sequence[int | None], fits: int) -> list[dict[str, Any]]:
        """Return a row per model and size: means and standard deviations over the fits."""
        jobs = [
            Job(model, self.settings(model), size, fit) for model in models for size in sizes for fit in range(fits)
        ]
        for model in models:
            self.run([job for job in jobs if job.model == model])
        rows = []
        for model in models:
            for size in sizes:
                found = [self.kept(job) for job in jobs if job.model == model and job.size == size]
                row = {"model": model} | ({"training_rows": size or len(self.table.codes)} if len(sizes) > 1 else {})
                row |= {"fits": sum("unique" in one for one in found)}
                # A small training set may hold nothing of the class; such a fit cannot be asked for it.
                row |= {"fits_without_class": sum("unique" not in one for one in found)} if len(sizes) > 1 else {}
                row |= {"updates": getattr(self.settings(model), "updates", 0)}
                rows.append(row | statistics(found, METRICS))
        return rows

    def choices(self, model: str, fits: int) -> list[dict[str, Any]]:
        """Return a row per choice of settings.

        The columns up to `chosen` are of the training set alone, and `chosen` follows from them: the VAE's as in
        section 7.4 of the thesis, the other by the likelihood of held-out rows. The truth comes after, to report.
        """
        rows = []
        for choice in CHOICES[model]:
            jobs = [Job(model, replace(self.settings(model), **choice), None, fit) for fit in range(fits)]
            tenth_out = [replace(jobs[0], without_tenth=True)] if model == "vae" else []
            self.run(jobs + tenth_out)
            found = [self.kept(job) for job in jobs]
            row = {"choice": "; ".join(f"{k} {v}" for k, v in choice.items()) or "defaults", "fits": fits}
            row |= statistics(found, ("training_js_distance", "unique", "rediscovered"))
            if model == "vae":
                row |= {f"held_out_{name}": value for name, value in self.kept(tenth_out[0]).items()}
            else:
                row |= statistics(found, ("held_out_log_likelihood", "sharpness"))
            rows.append((row, statistics(found, METRICS[:-1])))
        if model == "vae":
            best = selection.knee([row["training_js_distance"] for row, _ in rows], [row["unique"] for row, _ in rows])
        else:
            best = int(np.argmax([row["held_out_log_likelihood"] for row, _ in rows]))
        return [row | {"chosen": index == best} | truth for index, (row, truth) in enumerate(rows)]

    def run(self, jobs: list[Job]) -> None:
        """Fit what is not finished, many at once, and keep what is measured of it."""
        missing = [job for job in jobs if not self.path(job).exists()]
        together = self.together or (len(missing) if self.device != "cpu" else 5)
        for start in range(0, len(missing), max(together, 1)):
            part = missing[start : start + together]
            tables = [self.training_table(job) for job in part]
            kind = generator_type("enrichment" if part[0].model in ENRICHMENTS else part[0].model)
            fitted = kind.fit_many(
                tables, part[0].settings, [job.fit for job in part], progress=self.say, device=self.device
            )
            for job, table, generator in zip(part, tables, fitted, strict=True):
                write_json(self.path(job), self.measure(generator, job, table))
            self.say(f"{part[0].model}: {start + len(part)} of {len(missing)} fits measured")

    def training_table(self, job: Job) -> ElpasoliteTable:
        """Return what a fit learns from; all models have the same subsets."""
        if job.without_tenth:
            return selection.held_out_split(self.table, 10, job.fit)[0]
        return self.table if job.size is None else self.table.subset(job.size // 2, seed=job.fit)

    def measure(self, generator: Generator, job: Job, table: ElpasoliteTable) -> dict[str, Any]:
        """Return the metrics of a fit, or how well a VAE without a tenth of the rows brings these back."""
        if job.without_tenth and isinstance(generator, VAE):
            _, codes, classes = selection.held_out_split(self.table, 10, job.fit)
            return generator.reconstruction(codes, classes, job.fit)
        if not table.counts[CLASS - 1]:
            return {}
        try:
            codes = generator.sample(CLASS, SAMPLES, SAMPLE_SEED + job.fit)
        except GenerativeError as error:  # hardly anything valid
            self.say(f"{job.key}: {error}")
            return {}
        found = class_metrics(codes, CLASS, self.truth, table, extra=False).to_dict()
        found |= selection.training_quantities(codes, table, CLASS)
        if isinstance(generator, Autoregressive):
            found |= {"held_out_log_likelihood": generator.held_out["log_likelihood"], "sharpness": generator.sharpness}
        return found

    def path(self, job: Job) -> Path:
        """Return the file of a fit's metrics."""
        return self.work / "fits" / f"{job.key}.json"

    def kept(self, job: Job) -> dict[str, Any]:
        """Return a fit's metrics."""
        return dict(json.loads(self.path(job).read_text(encoding="utf-8")))


def statistics(found: Sequence[dict[str, Any]], metrics: Sequence[str]) -> dict[str, float]:
    """Return mean and standard deviation of each metric over the fits that have it."""
    row = {}
    for metric in metrics:
        values = [one[metric] for one in found if metric in one]
        row[metric] = float(np.mean(values)) if values else float("nan")
        row[f"{metric}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return row


if __name__ == "__main__":
    main()
