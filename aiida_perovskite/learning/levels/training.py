"""Training of level networks: many together, on processor or GPU, reproducible, resumable after a kill.

All tasks (networks of an ensemble, of folds, of splits) advance together in one module with an axis of members. Every
epoch's shuffling follows from the seed, the task and the epoch alone, so there is no state of random numbers to keep.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checkpoint import CheckpointError, read_tensors, write_tensors
from ..training import STATE_FILE, Clock, Progress, reproducible
from .network import LevelNetwork, reference_tensor
from .settings import LevelSettings

__all__ = ["LevelProblem", "LevelTask", "LevelTrainingResult", "choose_device", "train_networks"]

_REPORTS = 50
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class LevelProblem:
    """What there is to learn from.

    Attributes
    ----------
    sites
        Numbers of the elements on A, B, C, D, shape (N, 4).
    targets_ev
        Gaps, shape (N,).
    reference_ev
        Reference HOMO and LUMO of each element, shape (E, 2); nan where there is none.
    features
        Descriptors of the elements, shape (E, P), or None.
    """

    sites: Rows
    targets_ev: NDArray[np.float64]
    reference_ev: NDArray[np.float64]
    features: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class LevelTask:
    """One network to train: its name, its seed, the rows it learns from, and those that choose its epoch."""

    name: str
    seed: int
    rows: Rows
    held_out: Rows
    prior_weight: float | None = None
    """Weight of the prior where it is not that of the settings."""


@dataclass(frozen=True)
class LevelTrainingResult:
    """Trained networks (members in the order of the tasks), and one row of history per report and task."""

    network: LevelNetwork
    history: list[dict[str, Any]]
    best_epoch: list[int]


def choose_device(name: str) -> torch.device:
    """Return the device for 'cpu', 'cuda' or 'auto' (a GPU where there is one); ValueError if it is not to be had."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"There is no device {name!r}: choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("No GPU was found by torch on this machine: choose the device cpu.")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def train_networks(
    problem: LevelProblem,
    tasks: Sequence[LevelTask],
    settings: LevelSettings,
    *,
    progress: Progress | None = None,
    workdir: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> LevelTrainingResult:
    """Train one network per task, all together.

    Parameters
    ----------
    problem, tasks, settings
        What to learn from, by which networks, and how.
    progress
        Called with a line of text some fifty times.
    workdir
        Folder for the state: a training that was killed resumes there and ends with the same weights.
    device
        'cpu', 'cuda', or 'auto'.
    threads
        Number of threads of torch while it trains; by default as it is.

    Raises
    ------
    CheckpointError
        If `workdir` holds the state of another training, or a damaged one.
    """
    target = choose_device(device)
    if target.type == "cuda":  # what torch asks for to multiply matrices reproducibly
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(threads or before)
    torch.set_float32_matmul_precision("high")  # TF32 in a GPU's products: enough to train by; no effect elsewhere
    try:
        with reproducible():
            run = _Run(problem, tasks, settings, target)
            run.advance_to_end(progress, workdir)
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)
    return run.finish()


class _Run:
    """Networks in training: weights, optimiser, best weights so far."""

    def __init__(
        self, problem: LevelProblem, tasks: Sequence[LevelTask], settings: LevelSettings, device: torch.device
    ) -> None:
        self.problem, self.tasks, self.settings, self.device = problem, tasks, settings, device
        features = problem.features if settings.element_features else None
        seeds = [int(_sequence(settings, task).generate_state(1)[0]) for task in tasks]
        self.network = LevelNetwork(
            settings, len(problem.reference_ev), seeds, features, problem.reference_ev if settings.anchored else None
        ).to(device)
        self.parameters = dict(self.network.named_parameters())
        self.optimiser = torch.optim.AdamW(
            self.parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        for parameter in self.parameters.values():
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            self.optimiser.state[parameter] = {"step": torch.zeros((), device=device), **moments}
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.best = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.best_mae = torch.full((len(tasks),), math.inf, device=device)
        self.best_epoch = torch.zeros(len(tasks), dtype=torch.int64, device=device)
        self.sites = torch.from_numpy(problem.sites).to(device)
        self.targets = torch.from_numpy(problem.targets_ev.astype(np.float32)).to(device)
        self.known = torch.from_numpy(np.isfinite(problem.reference_ev)).to(device)
        self.reference = reference_tensor(problem.reference_ev, settings).to(device)
        weights = [settings.prior_weight if task.prior_weight is None else task.prior_weight for task in tasks]
        self.prior_weights = torch.tensor(weights, dtype=torch.float32, device=device)
        self.held_out = _padded([task.held_out for task in tasks], device)

    def advance_to_end(self, progress: Progress | None, workdir: Path | None) -> None:
        """Train to the last epoch, from wherever the state in `workdir` is."""
        state = None if workdir is None else _State(workdir / STATE_FILE, self)
        epoch, self.history = (0, []) if state is None else state.restore()
        epochs, clock = self.settings.epochs, Clock(epoch, self.settings.epochs)
        stride = max(1, epochs // _REPORTS)
        while epoch < epochs:
            stop = min(epoch + stride, epochs)
            losses = torch.stack([self._epoch(number) for number in range(epoch, stop)])
            epoch = stop
            rows = self._report(epoch, losses.mean(dim=0))
            self.history += rows
            if state is not None:
                state.save(epoch)
            if progress is not None:
                progress(clock.line(epoch, rows))

    def _epoch(self, epoch: int) -> Tensor:
        """Train one epoch and return the mean loss of each network, shape (M,)."""
        for group in self.optimiser.param_groups:
            group["lr"] = _learning_rate(self.settings, epoch)
        torch.manual_seed(_seed(self.settings.seed, epoch))  # of dropout
        self.network.train()
        batches, weights = self._batches(epoch)
        total = torch.zeros(len(self.tasks), device=self.device)
        for index, weight in zip(batches, weights, strict=True):
            loss = self._loss(index, weight)
            self.optimiser.zero_grad()
            loss.sum().backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            if self.settings.averaging:
                self._average()
            total += loss.detach()
        if (epoch + 1) % self.settings.validate_every == 0 or epoch + 1 == self.settings.epochs:
            self._validate(epoch + 1)
        return total / len(batches)

    def _batches(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Return rows (K, M, B) of an epoch's batches and weights of the same shape, 0 where a batch is shorter."""
        n_batches = max(math.ceil(len(task.rows) / self.settings.batch_size) for task in self.tasks)
        orders = []
        for task in self.tasks:
            random = np.random.default_rng([*_words(self.settings, task), epoch])
            orders.append(np.array_split(random.permutation(task.rows), n_batches))
        index, mask = _padded([batch for batches in zip(*orders, strict=True) for batch in batches], self.device)
        shape = (n_batches, len(self.tasks), -1)
        return index.view(shape), mask.view(shape)

    def _loss(self, index: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of each network on its batch, shape (M,)."""
        settings = self.settings
        sites, targets = self.sites[index], self.targets[index]
        levels = self.network.levels(sites)
        error = levels.gap_ev - targets
        if settings.censored:
            error = torch.where(targets > 0, error, error.clamp(min=0.0))
        if settings.loss == "huber":
            size, delta = error.abs(), settings.huber_delta_ev
            loss = torch.where(size <= delta, error.square(), delta * (2 * size - delta))
        else:
            loss = error.square()
        both = torch.stack([levels.homo_ev, levels.lumo_ev], dim=-1)
        distance = (both - self.network.drawn_to(self.reference[sites])).square() * self.known[sites]
        loss = loss + self.prior_weights[:, None] * distance.sum(dim=(-1, -2))
        return (loss * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)

    def _average(self) -> None:
        with torch.no_grad():
            means: list[Tensor] = list(self.average.values())
            values: list[Tensor] = list(self.parameters.values())
            torch._foreach_lerp_(means, values, 1 - self.settings.averaging)

    def _current(self) -> dict[str, Tensor]:
        """Return the weights that would be kept if training ended now."""
        if self.settings.averaging:
            return self.average
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    def _validate(self, epoch: int) -> None:
        """Keep the weights of the networks that predict their held-out rows better than ever before."""
        index, mask = self.held_out
        if index.shape[1] == 0:
            self._keep(torch.ones_like(self.best_mae, dtype=torch.bool), epoch)
            return
        self.network.eval()
        with torch.no_grad():
            weights = self._current()
            gaps = torch.func.functional_call(self.network, weights, (self.sites[index],))
            error = (gaps.clamp(min=0.0) - self.targets[index]).abs()
            mae = (error * mask).sum(dim=1) / mask.sum(dim=1)
        better = mae < self.best_mae
        self.best_mae = torch.where(better, mae, self.best_mae)
        self._keep(better, epoch)

    def _keep(self, better: Tensor, epoch: int) -> None:
        self.best_epoch[better] = epoch
        for name, weight in self._current().items():
            chosen = better.view(-1, *[1] * (weight.dim() - 1))
            self.best[name].copy_(torch.where(chosen, weight, self.best[name]))

    def _report(self, epoch: int, losses: Tensor) -> list[dict[str, Any]]:
        if not torch.isfinite(losses).all():
            raise ValueError("The training diverged (the loss is not a number): lower the learning rate.")
        values = zip(self.tasks, losses.tolist(), self.best_mae.tolist(), strict=True)
        return [
            {
                "task": task.name,
                "epoch": epoch,
                "learning_rate": _learning_rate(self.settings, epoch - 1),
                "training_loss": loss,
                "held_out_mae_ev": mae if math.isfinite(mae) else math.nan,
            }
            for task, loss, mae in values
        ]

    def finish(self) -> LevelTrainingResult:
        """Return the networks with their best weights."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.best[name])
        network = self.network.to("cpu").eval().requires_grad_(False)
        return LevelTrainingResult(network, self.history, self.best_epoch.tolist())

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes, by name; shared, not copied."""
        tensors = {"best_mae": self.best_mae, "best_epoch": self.best_epoch}
        for name, parameter in self.parameters.items():
            tensors |= {f"{name}/weight": parameter.detach(), f"{name}/average": self.average[name]}
            tensors |= {f"{name}/best": self.best[name]}
            tensors |= {f"{name}/{moment}": tensor for moment, tensor in self.optimiser.state[parameter].items()}
        return tensors


class _State:
    """The one file from which a training resumes."""

    def __init__(self, path: Path, run: _Run) -> None:
        self.path, self.run, self.fingerprint = path, run, _fingerprint(run)

    def save(self, epoch: int) -> None:
        header = {"fingerprint": self.fingerprint, "epoch": epoch, "history": self.run.history}
        tensors = {name: tensor.cpu() for name, tensor in self.run.tensors().items()}
        write_tensors(self.path, tensors, {"state": json.dumps(header)})

    def restore(self) -> tuple[int, list[dict[str, Any]]]:
        if not self.path.exists():
            return 0, []
        tensors, metadata = read_tensors(self.path)
        header = json.loads(metadata.get("state", "{}"))
        if header.get("fingerprint") != self.fingerprint:
            raise CheckpointError(
                f"{self.path.name} in {self.path.parent} belongs to a training with other data, settings or versions: "
                "remove it or choose another folder."
            )
        for name, tensor in self.run.tensors().items():
            tensor.copy_(tensors[name])
        return int(header["epoch"]), list(header["history"])


def _padded(rows: Sequence[Rows], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return rows as one array (number, longest), filled up with row 0, and what is real as 1, filling as 0."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    index = np.zeros(mask.shape, dtype=np.int64)
    if mask.any():
        index[mask] = np.concatenate(rows)
    return torch.from_numpy(index).to(device), torch.from_numpy(mask.astype(np.float32)).to(device)


def _learning_rate(settings: LevelSettings, epoch: int) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))
    return settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * cosine


def _words(settings: LevelSettings, task: LevelTask) -> list[int]:
    return [settings.seed, task.seed, *task.name.encode()]


def _sequence(settings: LevelSettings, task: LevelTask) -> np.random.SeedSequence:
    return np.random.SeedSequence(_words(settings, task))


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _fingerprint(run: _Run) -> str:
    problem = run.problem
    digest = hashlib.sha256(json.dumps([run.settings.to_dict(), torch.__version__, np.__version__]).encode())
    for array in (problem.sites, problem.targets_ev, problem.reference_ev, problem.features):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    for task in run.tasks:
        digest.update(f"{task.name} {task.seed} {task.prior_weight} ".encode())
        digest.update(task.rows.tobytes() + task.held_out.tobytes())
    return digest.hexdigest()
