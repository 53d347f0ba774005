"""Errors of the gap network and of every baseline, by nested five-fold cross-validation.

``python benchmarks/gap_models.py --file mp-abc2d6-legacy2023=PATH`` writes ``results/gap_models.csv`` and
``results/gap_learning_curve.csv``. Of each outer fold the network sees the other four only: on a part of them the
training settings are chosen among `CHOICES`, on all of them the intervals are calibrated by an inner cross-validation,
and on all of them the final ensemble is trained. What is finished is kept in ``--work`` and not computed again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiida_perovskite.datasets import load_dataset
from aiida_perovskite.learning import baselines, encode
from aiida_perovskite.learning.calibration import Calibration
from aiida_perovskite.learning.checkpoint import atomic_path, write_json
from aiida_perovskite.learning.ensemble import Ensemble
from aiida_perovskite.learning.gap_model import GapModel
from aiida_perovskite.learning.metrics import error_metrics, interval_metrics
from aiida_perovskite.learning.rows import assign_folds
from aiida_perovskite.learning.settings import TrainingSettings
from aiida_perovskite.learning.training import Task, TrainingData, train_members

RESULTS = Path(__file__).parent / "results"
FOLDS, SEED = 5, 2026
HYBRID, PBE = "halide-gaps-gpaw", "mp-abc2d6-legacy2023"
# The network's settings that compete on the training folds; what is not named is as `TrainingSettings` has it.
CHOICES: tuple[dict[str, Any], ...] = ({"dropout": 0.1}, {"dropout": 0.05})
CURVE = CHOICES[0]  # of the networks that are not chosen for: the learning curve and the pretraining
VALIDATED = 1  # networks per choice, each on its own random quarter of the training rows
NETWORKS = {"members": 3, "folds": 3, "fold_members": 2}  # fewer than a campaign's, since each outer fold has its own
SHARES = (0.125, 0.25, 0.5, 1.0)  # of the training folds, in the learning curve

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Compounds and targets of one dataset."""

    name: str
    formulas: list[str]
    targets_ev: Floats

    def rows(self, chosen: NDArray[Any]) -> Table:
        """Return some of the rows."""
        names = np.array(self.formulas)[chosen].tolist()
        return replace(self, formulas=names, targets_ev=self.targets_ev[chosen])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", action="append", default=[], metavar="DATASET=PATH", help="a dataset's file")
    parser.add_argument("--work", type=Path, default=Path("gap-models"), help="folder of what is finished")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--epochs", type=int, default=TrainingSettings().epochs)
    parser.add_argument("--threads", type=int, help="worker threads; no influence on the result")
    options = parser.parse_args()
    files = dict(entry.split("=", 1) for entry in options.file)
    hybrid = read(HYBRID, files)
    pbe = read(PBE, files)
    study = Study((hybrid, pbe), options.work, options.epochs, options.threads)
    variants = [
        *((table, model, "") for table in (hybrid, pbe) for model in baselines.BASELINES),
        (hybrid, "cnn", ""),
        (pbe, "cnn", ""),
        (hybrid, "cnn_pretrained", "pbe"),
    ]
    for table, model, start in variants:
        study.cross_validate(table, model, pbe if start else None)
        write(options.output / "gap_models.csv", study.errors)
    for table in (hybrid, pbe):
        study.learning_curve(table)
        write(options.output / "gap_learning_curve.csv", study.curve)


def read(name: str, files: dict[str, str]) -> Table:
    """Read a dataset, sorted by formula; of the Materials Project's the compounds of the halide space."""
    dataset = load_dataset(name, files.get(name))
    frame = dataset.frame.sort_values("formula")
    if "in_halide_space" in frame:
        frame = frame[frame["in_halide_space"]]
    return Table(name, frame["formula"].tolist(), frame[dataset.target].to_numpy(float))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a table as a whole."""
    with atomic_path(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.4f")


class Study:
    """The finished rows, and the parts of which they are made."""

    def __init__(self, tables: Sequence[Table], work: Path, epochs: int, threads: int | None) -> None:
        self.work, self.epochs, self.threads = work, epochs, threads
        # What was computed with other rules or data is not taken for this.
        contents = [(table.name, table.formulas, table.targets_ev.tolist()) for table in tables]
        rules = (CHOICES, VALIDATED, NETWORKS, SHARES, FOLDS, SEED, epochs, TrainingSettings(), contents)
        self.fingerprint = hashlib.sha256(repr(rules).encode()).hexdigest()[:12]
        self.errors: list[dict[str, Any]] = []
        self.curve: list[dict[str, Any]] = []

    def kept(self, name: str, compute: Any) -> dict[str, Any]:
        """Return what ``compute`` returned the last time, or let it work and keep the answer."""
        path = self.work / self.fingerprint / f"{name}.json"
        if not path.exists():
            start = time.perf_counter()
            write_json(path, compute())
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        return dict(json.loads(path.read_text()))

    def cross_validate(self, table: Table, model: str, start: Table | None) -> None:
        """Add the row of one model on one dataset."""
        predictions = {key: np.empty(len(table.formulas)) for key in ("gap_ev", "lower_ev", "upper_ev")}
        chosen = []
        for number, train, test in outer_folds(table):
            job = (table.rows(train), table.rows(test))
            if model.startswith("cnn"):
                initial = None if start is None else self.pretrained(start, table)
                name = f"{table.name}/{model}-fold-{number}"
                answer = self.kept(name, lambda job=(*job, initial): self.network(*job))
            else:
                answer = self.kept(f"{table.name}/baselines-fold-{number}", lambda job=job: all_baselines(*job))[model]
            for key, values in predictions.items():
                values[test] = answer[key]
            chosen.append(answer.get("settings"))
        row = {"dataset": table.name, "model": model, "split": f"{FOLDS}-fold, seed {SEED}", "n": len(table.formulas)}
        row |= error_metrics(table.targets_ev, predictions["gap_ev"])
        intervals = interval_metrics(table.targets_ev, predictions["lower_ev"], predictions["upper_ev"])
        row |= {"interval_coverage_90": intervals["interval_coverage"]}
        row |= {"interval_width_ev": intervals["interval_width_ev"]}
        row["chosen_on_training_folds"] = "; ".join(json.dumps(c) for c in chosen if c) or "fixed"
        self.errors.append(row)
        print({key: row[key] for key in ("dataset", "model", "mae_ev", "interval_coverage_90")}, flush=True)

    def network(self, train: Table, test: Table, initial: GapModel | None) -> dict[str, Any]:
        """Choose settings, train, calibrate and predict; nothing but the formulas of ``test`` is used."""
        choice = self.choose(train, initial)
        fitted = GapModel.train(
            train.formulas, train.targets_ev, self.settings(choice), initial=initial, threads=self.threads
        )
        answer = fitted.predict(test.formulas, confidence=0.9, threads=self.threads)
        columns = {key: answer[key].tolist() for key in ("gap_ev", "lower_ev", "upper_ev")}
        return {**columns, "settings": choice, "inner_mae_ev": fitted.metrics["mae_ev"]}

    def settings(self, choice: dict[str, Any]) -> TrainingSettings:
        """Return the settings of a choice."""
        return TrainingSettings.from_dict({"epochs": self.epochs, "seed": SEED, **NETWORKS, **choice})

    def choose(self, train: Table, initial: GapModel | None) -> dict[str, Any]:
        """Return the settings with the smallest error on held-out quarters of the training rows."""
        quarters = assign_folds(len(train.formulas), 4, SEED)
        grids = encode(train.formulas)
        tasks = [
            Task("choice", k, np.flatnonzero(quarters != k), np.flatnonzero(quarters == k)) for k in range(VALIDATED)
        ]
        errors = []
        for choice in CHOICES:
            members = self.train(train, tasks, self.settings(choice), initial)
            predicted = [Ensemble([members[task.key]]).predict(grids[task.held_out])[0] for task in tasks]
            targets = [train.targets_ev[task.held_out] for task in tasks]
            errors.append(np.abs(np.concatenate(predicted) - np.concatenate(targets)).mean())
        return dict(CHOICES[int(np.argmin(errors))])

    def train(self, table: Table, tasks: list[Task], settings: TrainingSettings, initial: GapModel | None) -> Any:
        """Return trained networks by the key of their task."""
        return train_members(
            TrainingData(encode(table.formulas), table.targets_ev),
            tasks,
            settings,
            initial=[member.net for member in initial.ensemble.members] if initial else None,
            threads=self.threads,
        ).members

    def pretrained(self, start: Table, table: Table) -> GapModel:
        """Return networks of the compounds that ``table`` does not hold, so that none of its rows is known to them."""
        folder = self.work / self.fingerprint / f"{start.name}-without-{table.name}"
        files = folder / "model.safetensors", folder / "model.json"
        if not files[1].exists():
            other = start.rows(~np.isin(start.formulas, table.formulas))
            print(f"pretraining on {len(other.formulas)} compounds", flush=True)
            model = GapModel.train(other.formulas, other.targets_ev, self.settings(CURVE), threads=self.threads)
            model.save(folder)
        return GapModel.load(*files)

    def learning_curve(self, table: Table) -> None:
        """Add the errors of one network, and of the baselines, trained on shares of the training folds."""
        for share in SHARES:
            predicted = {name: np.empty(len(table.formulas)) for name in ("cnn", *baselines.BASELINES)}
            sizes = []
            for number, train, test in outer_folds(table):
                part = np.sort(np.random.default_rng([SEED, number]).permutation(train)[: round(share * len(train))])
                sizes.append(len(part))
                job = (table.rows(part), table.rows(test))
                answer = self.kept(f"{table.name}/curve-{share:g}-{number}", lambda job=job: self.one_network(*job))
                for name, values in predicted.items():
                    values[test] = answer[name]
            for name, values in predicted.items():
                row = {"dataset": table.name, "model": name, "n_training": round(np.mean(sizes))}
                self.curve.append({**row, **error_metrics(table.targets_ev, values)})

    def one_network(self, train: Table, test: Table) -> dict[str, Any]:
        """Predict by one network and by every baseline."""
        rows = Task("curve", 0, np.arange(len(train.formulas)), np.arange(0))
        member = self.train(train, [rows], self.settings(CURVE), None)[rows.key]
        gap = np.maximum(Ensemble([member]).predict(encode(test.formulas))[0], 0.0)
        return {"cnn": gap.tolist(), **{name: values.tolist() for name, values in fit_and_predict(train, test).items()}}


def all_baselines(train: Table, test: Table) -> dict[str, Any]:
    """Fit the baselines; their intervals come from an inner cross-validation, like those of the network."""
    inner = assign_folds(len(train.formulas), FOLDS, SEED)
    held_out = baselines.cross_validate(train.formulas, train.targets_ev, inner, SEED)
    answers = {}
    for name, gap in fit_and_predict(train, test).items():
        calibration = Calibration(train.targets_ev - held_out[name], np.zeros(len(inner)))
        lower, upper = calibration.interval(gap, np.zeros(len(gap)), 0.9)
        answers[name] = {"gap_ev": gap.tolist(), "lower_ev": lower.tolist(), "upper_ev": upper.tolist()}
    return answers


def fit_and_predict(train: Table, test: Table) -> dict[str, Floats]:
    """Return the predictions of every baseline, in eV and not below 0."""
    features = baselines.site_one_hots(encode(train.formulas + test.formulas))
    known, asked = np.split(features, [len(train.formulas)])
    fitted = {name: make(SEED).fit(known, train.targets_ev) for name, make in baselines.BASELINES.items()}
    return {name: np.maximum(model.predict(asked), 0.0) for name, model in fitted.items()}


def outer_folds(table: Table) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield number, training rows and held-out rows of each fold."""
    fold = assign_folds(len(table.formulas), FOLDS, SEED)
    for number in range(FOLDS):
        yield number, np.flatnonzero(fold != number), np.flatnonzero(fold == number)


if __name__ == "__main__":
    main()
