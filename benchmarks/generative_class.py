"""Generators of elpasolites of an energy class, against the truth: the thesis's minority and majority classes.

``python benchmarks/generative_class.py --data FILE`` writes ``results/generative_class1.csv``, with
``--energy-class 5`` ``results/generative_class5.csv``, with ``--energy-class 1 5`` both from the same fits; with
``--sizes`` also ``results/generative_training_size.csv``.
With ``--choices vae``, ``gan`` or ``autoregressive`` it compares settings of a network by what the training set can
say of them, and writes ``results/generative_vae_choices.csv`` or the like; for the autoregressive model nothing else is
computed. Rows of models that are not asked for stay as they are. FILE is the table of the dataset elpasolite-prl2016.
It needs no installation: from a bare checkout, with ``PYTHONPATH=.``, it runs wherever torch, numpy, scipy, pandas,
scikit-learn and safetensors are. Networks train on ``--device``; the rest takes a minute on a CPU. Each fit is put into
``results/generative_class1_fits.csv`` or the like when it is finished, and not computed again; a training that was
killed goes on where it was.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kept_table import KeptTable

from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.learning.generative import GenerativeError, selection
from aiida_perovskite.learning.generative.autoregressive import Autoregressive
from aiida_perovskite.learning.generative.generator import Generator, GeneratorSettings
from aiida_perovskite.learning.generative.metrics import class_metrics
from aiida_perovskite.learning.generative.settings import AutoregressiveSettings
from aiida_perovskite.learning.generative.study import (
    METRICS,
    MODELS,
    NEURAL,
    SAMPLE_SEED,
    Fit,
    Study,
    model_settings,
    statistics,
    thesis_rows,
)
from aiida_perovskite.learning.generative.table import ElpasoliteTable
from aiida_perovskite.learning.generative.vae import VAE

RESULTS = Path(__file__).parent / "results"
SAMPLES = {1: 10_000, 5: 25_000_000}  # by class, as in tables 7.5 and 7.7
KEYS = ("fit", "data", "device")  # of the tables of fits
SIZES = (250, 500, 1000, 2000, 5000, 10_000)  # rows, each compound in both orders

# What the thesis leaves open of the VAE: changes of this base, one at a time and some together. What is not named is as
# `VAESettings` has it.
VAE_BASE: dict[str, Any] = {
    "activation": "leaky_relu",
    "norm": "before_activation",
    "variance": "log_variance",
    "class_scale": 1.0,
    "input_range": "open",
}
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
    # Half the squared error, as in the likelihood of a normal distribution, is the same as twice the divergence.
    {"kl_weight": 0.2},
    {"kl_weight": 0.2, "input_range": "closed"},
    {"kl_weight": 0.4, "input_range": "closed"},
)
# What the thesis leaves open of the GAN, at a tenth of its updates and ten times its rate: four minutes of a core each.
GAN_BASE: dict[str, Any] = {
    "learning_rate": 1e-4,
    "updates": 20_000,
    "critic_steps": 5,
    "adam_betas": (0.9, 0.999),
    "activation": "relu",
    "norm": "none",
    "initial": "fan_in",
}
GAN_CHOICES: tuple[dict[str, Any], ...] = (
    {},
    {"norm": "before_activation"},
    {"critic_steps": 1},
    {"activation": "silu"},
    {"adam_betas": (0.5, 0.9)},
    {"initial": "glorot"},
)
CHOICES = {"vae": (VAE_BASE, VAE_CHOICES), "gan": (GAN_BASE, GAN_CHOICES)}
# What the search for the defaults of the autoregressive model came down to: changes of this base, one at a time. Less
# weight decay has the highest likelihood. With 8 folds each row is judged by one network, with 4 by two together, and
# yet as well: a network learns more from more rows. Both became defaults.
AUTOREGRESSIVE_BASE: dict[str, Any] = {
    "members": 8,
    "folds": 4,
    "labels": "energies",
    "embedding": 64,
    "hidden_layers": 2,
    "width": 128,
    "activation": "gelu",
    "element_scale": 0.3,
    "least_width": 0.02,
    "dropout": 0.02,
    "learning_rate": 3e-3,
    "weight_decay": 0.1,
    "batch_size": 512,
    "updates": 2_000,
}
AUTOREGRESSIVE_CHOICES: tuple[dict[str, Any], ...] = (
    {},
    {"dropout": 0.0},
    {"dropout": 0.05},
    {"weight_decay": 0.03},
    {"weight_decay": 0.3},
    {"least_width": 0.01},
    {"least_width": 0.05},
    {"activation": "silu"},
    {"element_scale": 0.1},
    {"element_scale": 1.0},
    {"updates": 1_000},
    {"folds": 8},
    # The best of the trials with classes alone, from which less can be learned before a network is too sure.
    {"labels": "classes", "updates": 1_000, "dropout": 0.1, "weight_decay": 1.0, "least_width": 0.05},
)


@dataclass(frozen=True)
class Job(Fit):
    """A fit, perhaps on all rows but a tenth."""

    without_tenth: bool = False

    @property
    def rows(self) -> str:
        """What the key says of the training rows."""
        return "tenth-out" if self.without_tenth else super().rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the file of elpasolite-prl2016")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto: where networks train")
    parser.add_argument(
        "--energy-class", type=int, nargs="+", choices=SAMPLES, default=[1], help="1 of few, 5 of most rows"
    )
    parser.add_argument("--fits", type=int, default=10)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--sizes", action="store_true", help="also smaller training sets")
    parser.add_argument("--choices", choices=(*CHOICES, "autoregressive"), help="only compare settings of this network")
    parser.add_argument("--choice-fits", type=int, default=3, help="fits per choice")
    parser.add_argument("--together", type=int, help="fits of a network trained at once; default all on a GPU, else 1")
    parser.add_argument("--updates", type=int, help="shorter or longer trainings of the networks, to try things")
    parser.add_argument("--work", type=Path, default=Path("generative-class"), help="folder of the truth")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.choices == "autoregressive":  # chosen before there is a truth
        write(options.output / "generative_autoregressive_choices.csv", autoregressive_choices(options))
        return
    study = Comparison(options)
    if options.choices:
        rows = study.choices(options.choices, options.choice_fits)
        write(options.output / f"generative_{options.choices}_choices.csv", rows)
        return
    models = options.models.split(",")
    for number in options.energy_class:
        rows = study.rows(models, [None], options.fits, number)
        write_models(options.output / f"generative_class{number}.csv", rows, thesis_rows(number, SAMPLES[number]))
    if options.sizes:
        rows = study.rows(models, [*SIZES, None], options.fits, options.energy_class[0])
        write_models(options.output / "generative_training_size.csv", rows, [])


def write_models(path: Path, rows: list[dict[str, Any]], thesis: list[dict[str, Any]]) -> None:
    """Replace the rows of some models in a table, keep those of others that it has, and put the thesis's last."""
    new = {row["model"] for row in (*rows, *thesis)}
    old = pd.read_csv(path).to_dict("records") if path.exists() else []
    rows = [*(row for row in old if row["model"] not in new), *rows]
    order = {name: number for number, name in enumerate(MODELS)}
    write(path, [*sorted(rows, key=lambda row: order.get(row["model"], len(order))), *thesis])


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a table as a whole, and print it."""
    frame = pd.DataFrame(rows)
    print(frame.to_string(index=False, float_format="%.4f"), flush=True)
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.5g")


def read_table(path: Path) -> ElpasoliteTable:
    """Return what is learned."""
    frame = pd.read_csv(path, keep_default_na=False)
    energies = frame["formation_energy_eV_per_atom"].astype(float)
    return ElpasoliteTable.from_rows(frame["A"], frame["B"], frame["C"], frame["D"], energies)


def autoregressive_choices(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row per choice of settings: the likelihood of the classes of held-out rows, and how many of them are.

    Chosen is the one with the highest likelihood. Nothing that is computed here knows the truth.
    """
    table = read_table(options.data)
    rows = []
    for choice in AUTOREGRESSIVE_CHOICES:
        settings = AutoregressiveSettings(**{**AUTOREGRESSIVE_BASE, **choice})
        start = time.process_time()
        fits = [Autoregressive.fit(table, settings, seed, device=options.device) for seed in range(options.choice_fits)]
        row = name_of(choice, "base") | {
            "fits": len(fits),
            "cpu_s_per_fit": (time.process_time() - start) / options.choice_fits,
        }
        row |= statistics([fit.held_out for fit in fits], ("log_likelihood",))
        expected = np.mean([fit.held_out["expected_rows"] for fit in fits], axis=0).tolist()
        row |= {f"expected_rows_{number}": expected[number - 1] for number in (1, 2, 3)}
        rows.append(row | {f"rows_{number}": int(table.counts[number - 1]) for number in (1, 2, 3)})
        print(rows[-1], flush=True)
    best = int(np.argmax([row["log_likelihood"] for row in rows]))
    return [row | {"chosen": index == best} for index, row in enumerate(rows)]


def name_of(choice: dict[str, Any], unchanged: str) -> dict[str, Any]:
    """Return the first column of a table of choices."""
    return {"choice": "; ".join(f"{k} {v}" for k, v in choice.items()) or unchanged}


class Comparison(Study):
    """The table, the truth, and the finished fits."""

    def __init__(self, options: argparse.Namespace) -> None:
        start = time.perf_counter()
        table = read_table(options.data)
        self.updates, self.classes = options.updates, options.energy_class
        self.fits = {
            number: KeptTable(options.output / f"generative_class{number}_fits.csv", *KEYS) for number in self.classes
        }

        def say(line: str) -> None:
            print(f"{time.perf_counter() - start:6.0f} s  {line}", flush=True)

        super().__init__(table, options.work, device=options.device, say=say, together=options.together)

    def settings(self, model: str) -> GeneratorSettings:
        """Return the settings of a row of the table, of networks with the number of updates asked for."""
        changes = {"updates": self.updates} if self.updates and model in NEURAL else {}
        return model_settings(model, changes, self.classes)

    def rows(
        self, models: Sequence[str], sizes: Sequence[int | None], fits: int, energy_class: int
    ) -> list[dict[str, Any]]:
        """Return a row per model and size: means and standard deviations over the fits."""
        jobs = [
            Job(model, self.settings(model), size, fit) for model in models for size in sizes for fit in range(fits)
        ]
        for model in models:
            self.run([job for job in jobs if job.model == model])
        rows = []
        for model in models:
            for size in sizes:
                found = [self.row(job, energy_class) for job in jobs if job.model == model and job.size == size]
                row = {"model": model} | ({"training_rows": size or len(self.table.codes)} if len(sizes) > 1 else {})
                row |= {"fits": sum("unique" in one for one in found)}
                # A small training set may hold nothing of the class; such a fit cannot be asked for it.
                row |= {"fits_without_class": sum("unique" not in one for one in found)} if len(sizes) > 1 else {}
                row |= {"updates": getattr(self.settings(model), "updates", 0)}
                rows.append(row | statistics(found, METRICS))
        return rows

    def choices(self, model: str, fits: int) -> list[dict[str, Any]]:
        """Return a row per choice of settings.

        The columns up to `chosen` are of the training set alone, and `chosen` follows from them as in section 7.4 of
        the thesis. The truth comes after, to report.
        """
        base, changes = CHOICES[model]
        rows = []
        for choice in changes:
            settings = replace(self.settings(model), **{**base, **choice})
            jobs = [Job(model, settings, None, fit) for fit in range(fits)]
            tenth_out = [replace(jobs[0], without_tenth=True)] if model == "vae" else []  # the only one that encodes
            self.run([*jobs, *tenth_out])
            found = [self.row(job) for job in jobs]
            row = name_of(choice, "base") | {"fits": fits}
            row |= statistics(found, ("training_js_distance", "unique", "rediscovered"))
            row |= {f"held_out_{name}": value for job in tenth_out for name, value in self.row(job).items()}
            rows.append((row, statistics(found, METRICS[:-1])))
        distances, uniques = ([row[name] for row, _ in rows] for name in ("training_js_distance", "unique"))
        best = selection.choose(distances, uniques, selection.THESIS_DISTANCE)
        return [row | {"chosen": index == best} | truth for index, (row, truth) in enumerate(rows)]

    def run(self, jobs: list[Job]) -> None:
        """Fit what is not finished, many at once, and keep what is measured of it."""

        def keep(job: Fit, generator: Generator, table: ElpasoliteTable) -> None:
            for number, fits in self.fits.items():
                named = dict(zip(KEYS, self.place(job), strict=True))
                fits.put(named | self.measure(generator, job, table, number), "%.6g")

        missing = [job for job in jobs if not all(fits.holds(*self.place(job)) for fits in self.fits.values())]
        self.train(missing, keep, resume=True)

    def place(self, fit: Fit) -> tuple[str, str, str]:
        """Return what names the fit in the tables: random numbers of a GPU are not those of a CPU."""
        return fit.key, self.table.sha256[:8], self.device

    def row(self, fit: Fit, energy_class: int | None = None) -> dict[str, Any]:
        """Return the metrics of a fit, for the first class if none is named."""
        return self.fits[energy_class or self.classes[0]].row(*self.place(fit))

    def training_table(self, fit: Fit) -> ElpasoliteTable:
        """Return what a fit learns from."""
        if isinstance(fit, Job) and fit.without_tenth:
            return selection.held_out_split(self.table, 10, fit.seed)[0]
        return super().training_table(fit)

    def measure(self, generator: Generator, job: Fit, table: ElpasoliteTable, wanted: int) -> dict[str, Any]:
        """Return the metrics of a fit, or how well a VAE without a tenth of the rows brings these back."""
        if isinstance(job, Job) and job.without_tenth and isinstance(generator, VAE):
            _, codes, classes = selection.held_out_split(self.table, 10, job.seed)
            return generator.reconstruction(codes, classes, job.seed)
        if not table.counts[wanted - 1]:
            return {}
        start = time.perf_counter()
        chunks = generator.chunks(wanted, SAMPLES[wanted], SAMPLE_SEED + job.seed)
        try:
            found = class_metrics(chunks, wanted, self.truth, table, extra=False).to_dict()
        except GenerativeError as error:  # hardly anything valid
            self.say(f"{job.key}: {error}")
            return {}
        row = {name: value for name, value in found.items() if not np.isnan(value)}
        row |= {"sampling_s": time.perf_counter() - start, "peak_memory_gib": peak_memory_gib()}
        if wanted == 1:  # by which settings are chosen
            codes = generator.sample(wanted, SAMPLES[wanted], SAMPLE_SEED + job.seed)
            row |= selection.training_quantities(codes, table, wanted)
        return row


def peak_memory_gib() -> float:
    """Return the largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
