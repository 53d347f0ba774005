"""Band gaps from formulas: a trained ensemble with calibrated intervals, and everything it was trained from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from . import baselines
from .calibration import Calibration, cross_intervals
from .checkpoint import (
    CheckpointError,
    frame_columns,
    read_model_files,
    require_network,
    tensor_hash,
    versions,
    write_json,
    write_tensors,
)
from .cnn import ARCHITECTURE, LAYERS, PeriodicTableCNN
from .ensemble import Ensemble, Member
from .metrics import error_metrics, interval_metrics
from .representation import as_compositions, encode
from .rows import assign_folds, canonical_rows, data_hash, seen_elements
from .settings import TrainingSettings
from .training import STATE_FILE, Progress, Task, TrainingData, TrainingResult, train_members

__all__ = ["JSON_FILE", "TENSOR_FILE", "GapModel"]

TENSOR_FILE = "model.safetensors"
JSON_FILE = "model.json"
_FORMAT = 1
_CONFIDENCE = 0.9

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class GapModel:
    """An ensemble of `PeriodicTableCNN` trained on one target, with intervals calibrated by cross-validation.

    Make one with `GapModel.train` or `GapModel.load`. The final networks are trained on all rows; beside them, networks
    are trained on all but one fold, for each fold, with the same settings. Only these held-out predictions enter
    errors, coverage and calibration, so no row vouches for itself, and no training row is given up for calibration.

    Attributes
    ----------
    settings
        How it was trained.
    target
        Name of the target column.
    ensemble
        The final networks.
    cross_validation
        One row per training compound: formula, target_ev, gap_ev, std_ev, lower_ev, upper_ev (confidence 0.9,
        calibrated on the other folds), fold. All predictions were made by networks that did not see the row.
    history
        One row per report and network: task, member, epoch, learning_rate, training_loss, held_out_mae_ev.
    learning_curve
        One row per share of the training folds: share, n_training, members (networks per fold), mae_ev, rmse_ev.
    metrics
        mae_ev, rmse_ev, interval_coverage_90, interval_width_ev, n, and `baselines` with errors of the same folds.
    seen
        Site (ab, c, d) -> elements that training saw there.
    data_sha256
        Hash of the canonical training rows (sorted by formula).
    versions
        Of this package, torch, numpy, and Python's libraries that shape the result.
    pretrained_on
        data_sha256 of the model whose weights were the start, or None.
    """

    settings: TrainingSettings
    target: str
    ensemble: Ensemble
    cross_validation: pd.DataFrame
    seen: dict[str, list[str]]
    data_sha256: str
    metrics: dict[str, Any] = field(default_factory=dict)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    learning_curve: pd.DataFrame = field(default_factory=pd.DataFrame)
    versions: dict[str, str] = field(default_factory=dict)
    pretrained_on: str | None = None

    def __post_init__(self) -> None:
        frame = self.cross_validation
        residual = frame["target_ev"].to_numpy(float) - frame["gap_ev"].to_numpy(float)
        self._calibration = Calibration(residual, frame["std_ev"].to_numpy(float))

    @classmethod
    def train(
        cls,
        formulas: Iterable[str],
        targets_ev: Iterable[float],
        settings: TrainingSettings | None = None,
        *,
        target: str = "gap_ev",
        initial: GapModel | None = None,
        progress: Progress | None = None,
        workdir: str | Path | None = None,
        threads: int | None = None,
    ) -> GapModel:
        """Train, cross-validate and calibrate a model. The order of the rows does not matter.

        Parameters
        ----------
        formulas
            Compounds in any spelling that `Composition.parse` reads.
        targets_ev
            Their gaps in eV.
        settings
            How to train; defaults to `TrainingSettings()`.
        target
            Name of the target column, kept in the checkpoint.
        initial
            A model (e.g. of PBE gaps) whose weights are the start of every network, instead of random weights.
        progress
            Called with a line of text some fifty times.
        workdir
            Folder in which the training keeps its state: called again after a kill, it resumes there.
        threads
            Number of worker threads; no influence on the result.

        Returns
        -------
        GapModel

        Raises
        ------
        TrainingDataError
            If a target is not a number, a compound is listed twice, or there are too few rows.
        CheckpointError
            If `workdir` holds the state of another training.
        """
        settings = settings or TrainingSettings()
        formulas, targets = canonical_rows(formulas, targets_ev)
        fold = assign_folds(len(formulas), settings.folds, settings.seed)
        result = train_members(
            TrainingData(encode(formulas), targets),
            _tasks(fold, settings),
            settings,
            initial=[member.net for member in initial.ensemble.members] if initial else None,
            progress=progress,
            workdir=None if workdir is None else Path(workdir),
            threads=threads,
        )
        frame = _cross_validate(result, formulas, targets, fold, settings, threads)
        model = cls(
            settings=settings,
            target=target,
            ensemble=Ensemble([result.members[f"final.{member}"] for member in range(settings.members)]),
            cross_validation=frame,
            seen=seen_elements(formulas),
            data_sha256=data_hash(formulas, targets, target),
            metrics=_metrics(frame, settings.seed),
            history=pd.DataFrame(result.history),
            learning_curve=_learning_curve(result, formulas, targets, fold, settings, threads),
            versions=versions(),
            pretrained_on=initial.data_sha256 if initial else None,
        )
        return model

    def predict(
        self,
        formulas: Iterable[str],
        *,
        confidence: float = _CONFIDENCE,
        window_ev: tuple[float, float] | None = None,
        threads: int | None = None,
    ) -> pd.DataFrame:
        """Predict gaps. A compound and its A/B swap get the same row, bit by bit.

        Parameters
        ----------
        formulas
            Compounds (text or `Composition`).
        confidence
            Share of compounds, drawn like the training rows, whose gap the interval is to hold; between 0 and 1.
        window_ev
            Lower and upper end of a window of gaps, in eV; without it `probability_in_window` is nan.
        threads
            Number of worker threads; no influence on the result.

        Returns
        -------
        pandas.DataFrame
            formula (canonical), gap_ev (ensemble mean, not below 0), std_ev (spread of the ensemble), lower_ev,
            upper_ev, probability_in_window, in_domain (training saw each element on its site, A and B being one site).
        """
        if not 0 < confidence < 1:
            raise ValueError(f"The confidence {confidence} must lie between 0 and 1, e.g. 0.9.")
        if window_ev is not None and not window_ev[0] < window_ev[1]:
            raise ValueError(f"The window {window_ev} must run from its lower to its upper end.")
        compositions = as_compositions(formulas)
        outputs = self.ensemble.predict(encode(compositions), threads)
        mean, std = outputs.mean(axis=0), outputs.std(axis=0, ddof=1)
        lower, upper = self._calibration.interval(mean, std, confidence)
        nothing = np.full(len(mean), math.nan)
        return pd.DataFrame(
            {
                "formula": [composition.formula for composition in compositions],
                "gap_ev": np.maximum(mean, 0.0),
                "std_ev": std,
                "lower_ev": lower,
                "upper_ev": upper,
                "probability_in_window": (
                    nothing if window_ev is None else self._calibration.probability(mean, std, window_ev)
                ),
                "in_domain": [self._in_domain(item.a, item.b, item.c, item.d) for item in compositions],
            }
        )

    def _in_domain(self, a: str, b: str, c: str, d: str) -> bool:
        return {a, b} <= set(self.seen["ab"]) and c in self.seen["c"] and d in self.seen["d"]

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `model.json` into a folder, which is made if need be."""
        folder = Path(folder)
        tensors = {
            f"member-{number}/{name}": tensor
            for number, member in enumerate(self.ensemble.members)
            for name, tensor in member.net.state_dict().items()
        }
        digest = tensor_hash(tensors)
        write_tensors(folder / TENSOR_FILE, tensors, {"weights_sha256": digest})
        write_json(
            folder / JSON_FILE,
            {
                "format": _FORMAT,
                "architecture": ARCHITECTURE,
                "layers": LAYERS,
                "weights_sha256": digest,
                "settings": self.settings.to_dict(),
                "seed": self.settings.seed,
                "target": self.target,
                "scales": [[member.offset_ev, member.scale_ev] for member in self.ensemble.members],
                "seen_elements": self.seen,
                "data_sha256": self.data_sha256,
                "split": {
                    formula: int(fold) for formula, fold in self.cross_validation[["formula", "fold"]].to_numpy()
                },
                "cross_validation": frame_columns(self.cross_validation),
                "history": frame_columns(self.history),
                "learning_curve": frame_columns(self.learning_curve),
                "metrics": self.metrics,
                "versions": self.versions,
                "pretrained_on": self.pretrained_on,
            },
        )

    @classmethod
    def load(cls, safetensors_path: str | Path, json_path: str | Path) -> GapModel:
        """Read a model that `save` wrote.

        Raises
        ------
        CheckpointError
            If a file is missing or damaged, the two do not belong together, or they hold another architecture.
        """
        expected = {"format": _FORMAT, "architecture": ARCHITECTURE, "layers": LAYERS}
        content, tensors = read_model_files(Path(safetensors_path), Path(json_path), expected)
        try:
            return cls._from_content(content, tensors)
        except (KeyError, TypeError, RuntimeError, AttributeError, OverflowError, ValueError) as error:
            raise CheckpointError(f"{json_path} does not describe a model of this version ({error}).") from None

    @classmethod
    def _from_content(cls, content: dict[str, Any], tensors: dict[str, torch.Tensor]) -> GapModel:
        require_network(tensors, {})
        held_out = pd.DataFrame(content["cross_validation"])
        numbers = [*held_out[["target_ev", "gap_ev", "std_ev"]].to_numpy(float).flat, *np.ravel(content["scales"])]
        if len(content["scales"]) < 2 or not len(held_out) or not np.isfinite(np.array(numbers, float)).all():
            raise CheckpointError("scales or cross_validation are not those of an ensemble")
        members = []
        for number, (offset_ev, scale_ev) in enumerate(content["scales"]):
            net = PeriodicTableCNN()
            prefix = f"member-{number}/"
            net.load_state_dict(
                {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            )
            members.append(Member(net.eval().requires_grad_(False), offset_ev, scale_ev))
        return cls(
            settings=TrainingSettings.from_dict(content["settings"]),
            target=str(content["target"]),
            ensemble=Ensemble(members),
            cross_validation=held_out,
            seen={site: list(map(str, content["seen_elements"][site])) for site in ("ab", "c", "d")},
            data_sha256=content["data_sha256"],
            metrics=content["metrics"],
            history=pd.DataFrame(content["history"]),
            learning_curve=pd.DataFrame(content["learning_curve"]),
            versions=content["versions"],
            pretrained_on=content["pretrained_on"],
        )


def _tasks(fold: Ints, settings: TrainingSettings) -> list[Task]:
    everything = np.arange(len(fold))
    tasks = [Task("final", member, everything, everything[:0]) for member in range(settings.members)]
    for number in range(settings.folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        tasks += [Task(f"fold-{number}", member, train, test) for member in range(settings.fold_members)]
        shuffled = np.random.default_rng([settings.seed, number]).permutation(train)
        for share in settings.learning_curve:
            rows = np.sort(shuffled[: max(1, round(share * len(train)))])
            tasks.append(Task(f"share-{share:g}-fold-{number}", 0, rows, test))
    return tasks


def _held_out(
    result: TrainingResult, pattern: str, members: int, formulas: Sequence[str], fold: Ints, threads: int | None
) -> tuple[Floats, Floats]:
    """Mean and spread, in eV, of each row's prediction by networks that did not see it."""
    grids = encode(formulas)
    mean, std = np.empty(len(fold)), np.empty(len(fold))
    for number in np.unique(fold):
        name = pattern.format(number)
        rows = fold == number
        ensemble = Ensemble([result.members[f"{name}.{member}"] for member in range(members)])
        outputs = ensemble.predict(grids[rows], threads)
        mean[rows], std[rows] = outputs.mean(axis=0), outputs.std(axis=0, ddof=1 if members > 1 else 0)
    return mean, std


def _cross_validate(
    result: TrainingResult,
    formulas: Sequence[str],
    targets: Floats,
    fold: Ints,
    settings: TrainingSettings,
    threads: int | None,
) -> pd.DataFrame:
    mean, std = _held_out(result, "fold-{}", settings.fold_members, formulas, fold, threads)
    lower, upper = cross_intervals(targets, mean, std, fold, _CONFIDENCE)
    return pd.DataFrame(
        {
            "formula": list(formulas),
            "target_ev": targets,
            "gap_ev": mean,
            "std_ev": std,
            "lower_ev": lower,
            "upper_ev": upper,
            "fold": fold,
        }
    )


def _learning_curve(
    result: TrainingResult,
    formulas: Sequence[str],
    targets: Floats,
    fold: Ints,
    settings: TrainingSettings,
    threads: int | None,
) -> pd.DataFrame:
    """Errors of one network per fold at each share, and at 1 those of the ensemble as well."""
    points = [(share, 1, f"share-{share:g}-fold-{{}}") for share in sorted(settings.learning_curve)]
    points += [(1.0, 1, "fold-{}"), (1.0, settings.fold_members, "fold-{}")]
    rows = []
    for share, members, pattern in points:
        predicted, _ = _held_out(result, pattern, members, formulas, fold, threads)
        n_training = round(share * len(fold) * (1 - 1 / settings.folds))
        errors = error_metrics(targets, np.maximum(predicted, 0.0))
        rows.append({"share": share, "n_training": n_training, "members": members, **errors})
    return pd.DataFrame(rows)


def _metrics(frame: pd.DataFrame, seed: int) -> dict[str, Any]:
    targets, fold = frame["target_ev"].to_numpy(float), frame["fold"].to_numpy(np.int64)
    intervals = interval_metrics(targets, frame["lower_ev"], frame["upper_ev"])
    predictions = baselines.cross_validate(frame["formula"], targets, fold, seed)
    return {
        "n": len(frame),
        **error_metrics(targets, np.maximum(frame["gap_ev"], 0.0)),
        "interval_coverage_90": intervals["interval_coverage"],
        "interval_width_ev": intervals["interval_width_ev"],
        "baselines": {name: error_metrics(targets, predicted) for name, predicted in predictions.items()},
    }


def state_file(workdir: str | Path) -> Path:
    """Where a training in `workdir` keeps its state; it may be removed once the model is saved."""
    return Path(workdir) / STATE_FILE
