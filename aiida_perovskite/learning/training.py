"""Training of many networks together: reproducible, in parallel threads, resumable after a kill.

The networks of the final ensemble, of every fold and of the learning curve are `Task`s that differ in their rows and
their seed. They advance together, some epochs at a time, one worker thread each; then one line of progress is reported
and the whole state is written to one file. A member's arithmetic and random numbers are its own, so neither the number
of threads nor an interruption changes a single bit of its weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .checkpoint import CheckpointError, read_tensors, write_tensors
from .cnn import PeriodicTableCNN
from .ensemble import Member, worker_threads
from .kernels import dropout_masks, grid_columns, training_forward
from .settings import TrainingSettings

__all__ = [
    "STATE_FILE",
    "Clock",
    "Progress",
    "Task",
    "TrainingData",
    "TrainingResult",
    "reproducible",
    "train_members",
]

STATE_FILE = "training_state.safetensors"
_REPORTS = 50
_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}

Progress = Callable[[str], None]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """One network to train.

    Parameters
    ----------
    name
        What the network is for, e.g. ``'final'`` or ``'fold-3'``.
    member
        Number of the network among those of this name.
    rows
        Rows of the table it trains on.
    held_out
        Rows whose error is followed during training, and never trained on; may be empty.
    """

    name: str
    member: int
    rows: Rows
    held_out: Rows

    @property
    def key(self) -> str:
        """Name and number in one word."""
        return f"{self.name}.{self.member}"


@dataclass(frozen=True)
class TrainingData:
    """Encodings (N, 3, 5, 17) and targets in eV (N)."""

    grids: NDArray[np.float32]
    targets_ev: NDArray[np.float64]


@dataclass(frozen=True)
class TrainingResult:
    """Trained networks by task key, and one row of history per report and task."""

    members: dict[str, Member]
    history: list[dict[str, Any]]


def train_members(
    data: TrainingData,
    tasks: Sequence[Task],
    settings: TrainingSettings,
    *,
    initial: Sequence[PeriodicTableCNN] | None = None,
    progress: Progress | None = None,
    workdir: Path | None = None,
    threads: int | None = None,
) -> TrainingResult:
    """Train one network per task.

    Parameters
    ----------
    data, tasks, settings
        What to train on, and how.
    initial
        Networks to start from (member m starts from network m modulo their number) instead of random weights.
    progress
        Called with a line of text some fifty times.
    workdir
        Folder for the state; a training that was killed resumes from there, and ends with the weights that it would
        have had without the interruption.
    threads
        Number of worker threads.

    Raises
    ------
    CheckpointError
        If `workdir` holds the state of another training, or a damaged one.
    """
    columns = grid_columns(torch.from_numpy(data.grids))
    with reproducible():
        runs = [_Run(task, data, settings, initial) for task in tasks]
    state = None if workdir is None else _State(workdir / STATE_FILE, _fingerprint(data, tasks, settings, runs))
    epoch, history = (0, []) if state is None else state.restore(runs)
    stride = max(1, settings.epochs // _REPORTS)
    clock = Clock(epoch, settings.epochs)
    with reproducible(), worker_threads(threads) as pool:
        while epoch < settings.epochs:
            stop = min(epoch + stride, settings.epochs)
            rows = list(pool.map(methodcaller("advance", columns, epoch, stop), runs))
            epoch, history = stop, history + rows
            if state is not None:
                state.save(runs, epoch, history)
            if progress is not None:
                progress(clock.line(epoch, rows))
    return TrainingResult({run.task.key: run.finish() for run in runs}, history)


class _Run:
    """One network in training: weights, optimiser, random numbers."""

    def __init__(
        self, task: Task, data: TrainingData, settings: TrainingSettings, initial: Sequence[PeriodicTableCNN] | None
    ) -> None:
        self.task, self.settings = task, settings
        seeds = np.random.SeedSequence([settings.seed, task.member, *task.name.encode()])
        self.random = np.random.Generator(np.random.SFC64(seeds))
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        self.net = PeriodicTableCNN(settings.dropout)
        if initial:
            self.net.load_state_dict(initial[task.member % len(initial)].state_dict())
        self.optimiser = torch.optim.Adam(
            self.net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        for parameter in self.net.parameters():
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            self.optimiser.state[parameter] = {"step": torch.zeros(()), **moments}
        self.average = [torch.zeros_like(parameter) for parameter in self.net.parameters()]
        targets = data.targets_ev[task.rows]
        self.offset_ev, self.scale_ev = float(targets.mean()), float(targets.std()) or 1.0
        self.targets = torch.from_numpy(((data.targets_ev - self.offset_ev) / self.scale_ev).astype(np.float32))

    def advance(self, columns: Tensor, start: int, stop: int) -> dict[str, Any]:
        """Train from epoch `start` to epoch `stop` and return a row of history."""
        losses = [self._epoch(columns, epoch) for epoch in range(start, stop)]
        return {
            "task": self.task.name,
            "member": self.task.member,
            "epoch": stop,
            "learning_rate": self._learning_rate(stop - 1),
            "training_loss": float(np.mean(losses)),
            "held_out_mae_ev": self._held_out_mae(columns),
        }

    def _epoch(self, columns: Tensor, epoch: int) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate(epoch)
        rows = self.random.permutation(self.task.rows)
        loss_of, total = _LOSSES[self.settings.loss], 0.0
        for batch in np.array_split(rows, math.ceil(len(rows) / self.settings.batch_size)):
            masks = dropout_masks(self.random, self.settings.dropout, len(batch))
            index = torch.from_numpy(batch)
            loss = loss_of(training_forward(self.net, columns[:, :, index], masks), self.targets[index])
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            total += float(loss.detach()) * len(batch)
        if epoch >= self._first_averaged:
            share = 1 / (epoch - self._first_averaged + 1)
            for mean, parameter in zip(self.average, self.net.parameters(), strict=True):
                mean.lerp_(parameter.detach(), share)
        return total / len(rows)

    @property
    def _first_averaged(self) -> int:
        return self.settings.epochs - round(self.settings.averaged_fraction * self.settings.epochs)

    def _learning_rate(self, epoch: int) -> float:
        settings = self.settings
        cosine = 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))
        return settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * cosine

    def _held_out_mae(self, columns: Tensor) -> float:
        if not len(self.task.held_out):
            return math.nan
        with torch.no_grad():
            index = torch.from_numpy(self.task.held_out)
            error = training_forward(self.net, columns[:, :, index], None) - self.targets[index]
            return float(error.abs().mean()) * self.scale_ev

    def finish(self) -> Member:
        """Return the trained network, with averaged weights if the settings ask for them."""
        if self.settings.averaged_fraction > 0:
            with torch.no_grad():
                for mean, parameter in zip(self.average, self.net.parameters(), strict=True):
                    parameter.copy_(mean)
        return Member(self.net.eval().requires_grad_(False), self.offset_ev, self.scale_ev)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes, by name, except the random numbers; the tensors are shared, not copied."""
        tensors: dict[str, Tensor] = {}
        for (name, parameter), mean in zip(self.net.named_parameters(), self.average, strict=True):
            moments = self.optimiser.state[parameter]
            tensors |= {f"{self.task.key}/{name}/weight": parameter.detach(), f"{self.task.key}/{name}/average": mean}
            tensors |= {f"{self.task.key}/{name}/{moment}": tensor for moment, tensor in moments.items()}
        return tensors


class _State:
    """The file from which a training resumes: one file, so that it is never half of an old and half of a new state."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def save(self, runs: Sequence[_Run], epoch: int, history: list[dict[str, Any]]) -> None:
        tensors: dict[str, Tensor] = {}
        for run in runs:
            tensors |= run.tensors()
        randoms = {run.task.key: _random_to_json(run.random) for run in runs}
        header = {"fingerprint": self.fingerprint, "epoch": epoch, "history": history, "random": randoms}
        write_tensors(self.path, tensors, {"state": json.dumps(header)})

    def restore(self, runs: Sequence[_Run]) -> tuple[int, list[dict[str, Any]]]:
        if not self.path.exists():
            return 0, []
        tensors, metadata = read_tensors(self.path)
        header = json.loads(metadata.get("state", "{}"))
        if header.get("fingerprint") != self.fingerprint:
            raise CheckpointError(
                f"{self.path.name} in {self.path.parent} belongs to a training with other data, settings or versions: "
                "remove it or choose another folder."
            )
        for run in runs:
            for name, tensor in run.tensors().items():
                tensor.copy_(tensors[name])
            run.random.bit_generator.state = _random_from_json(header["random"][run.task.key])
        return int(header["epoch"]), list(header["history"])


class Clock:
    """Words a line of progress: speed, losses, time left."""

    def __init__(self, epoch: int, epochs: int) -> None:
        self.first, self.epochs, self.start = epoch, epochs, time.monotonic()

    def line(self, epoch: int, rows: list[dict[str, Any]]) -> str:
        """Return the line for the rows of history of one report."""
        speed = (epoch - self.first) / max(time.monotonic() - self.start, 1e-9)
        loss = np.mean([row["training_loss"] for row in rows])
        held_out = [row["held_out_mae_ev"] for row in rows if not math.isnan(row["held_out_mae_ev"])]
        error = f", held-out MAE {np.mean(held_out):.3f} eV" if held_out else ""
        return (
            f"epoch {epoch}/{self.epochs}: {len(rows)} networks, {speed:.2f} epochs/s, loss {loss:.4f}{error}, "
            f"{(self.epochs - epoch) / speed:.0f} s left"
        )


@contextmanager
def reproducible() -> Iterator[None]:
    """Let torch choose deterministic algorithms, and leave its global random numbers as they were."""
    before = torch.are_deterministic_algorithms_enabled()
    options: Any = torch.utils.deterministic
    filled = options.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    options.fill_uninitialized_memory = False  # guards against bugs, at the price of a pass over every new tensor
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(before)
        options.fill_uninitialized_memory = filled


def _fingerprint(data: TrainingData, tasks: Sequence[Task], settings: TrainingSettings, runs: Sequence[_Run]) -> str:
    digest = hashlib.sha256(json.dumps([settings.to_dict(), torch.__version__, np.__version__]).encode())
    for array in (data.grids, data.targets_ev):
        digest.update(array.tobytes())
    for task, run in zip(tasks, runs, strict=True):
        digest.update(f"{task.key} {task.rows.tolist()} {task.held_out.tolist()}".encode())
        for parameter in run.net.parameters():
            digest.update(parameter.detach().numpy().tobytes())
    return digest.hexdigest()


def _random_to_json(random: np.random.Generator) -> dict[str, Any]:
    state = dict(random.bit_generator.state)
    return state | {"state": {"state": [int(word) for word in state["state"]["state"]]}}


def _random_from_json(state: dict[str, Any]) -> dict[str, Any]:
    return state | {"state": {"state": np.array(state["state"]["state"], dtype=np.uint64)}}
