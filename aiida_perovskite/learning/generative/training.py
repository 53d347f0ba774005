"""The training loop of the neural generators: many fits as one, on CPU or GPU, resumable after a kill."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoint import CheckpointError, read_tensors, write_tensors
from ..training import Progress
from .batched import Adam, MemberRandom, initialise

__all__ = ["Fits", "Objective", "Plan", "cosine_rates", "optimise"]

# Random numbers are drawn for a block of updates at a time. Its length does not depend on how many members there are,
# since a member is to draw the same ones alone and with others.
_BLOCK_NUMBERS = 2**20  # of a member: 4 MiB of noise
_MOST_UPDATES_A_BLOCK = 100  # between two looks at the clock
_REPORT_S = 5.0
_SAVE_S = 30.0
_WARM_UP = 3  # updates before a CUDA graph is captured, as torch advises


@dataclass(frozen=True)
class Plan:
    """How an optimisation runs."""

    rates: Sequence[float]
    """Step size of each update."""
    batch_size: int
    """Rows per update and member."""
    weight_decay: float = 0.0
    """Decoupled, of the linear layers' weights."""


@dataclass(frozen=True)
class Fits:
    """Which members are trained, and on what.

    Parameters
    ----------
    seeds
        One per member.
    sizes, offsets
        Member m trains on the rows `offsets[m]` to `offsets[m] + sizes[m]` of what the objective holds.
    fingerprint
        Says which training this is, so that it is not taken up from the state of another one.
    """

    seeds: Sequence[int]
    sizes: Sequence[int]
    offsets: Sequence[int]
    fingerprint: str


class Objective(Protocol):
    """What is minimised: a net with a leading member dimension, and its losses."""

    noise_width: int
    """Standard normals that the losses want per row."""

    @property
    def net(self) -> nn.Module:
        """What is trained."""

    def losses(self, rows: Tensor, noise: Tensor) -> Tensor:
        """Return the mean loss of each member, shape (M,), at rows (M, N) with noise (M, N, noise_width)."""


def cosine_rates(rate: float, updates: int) -> list[float]:
    """Return step sizes that fall from `rate` to 0 along a half cosine."""
    return [0.5 * rate * (1 + math.cos(math.pi * update / updates)) for update in range(updates)]


def optimise(
    objective: Objective,
    fits: Fits,
    plan: Plan,
    device: torch.device,
    *,
    name: str,
    progress: Progress | None = None,
    workdir: Path | None = None,
    cuda_graph: bool = True,
) -> None:
    """Train the objective's net, whose initial weights are drawn here, too.

    Parameters
    ----------
    objective, fits, plan
        What, on what, and how.
    device
        Where the net and what the objective holds already are.
    name
        Of the state file, and the first word of a line of progress.
    progress
        Called with a line every few seconds.
    workdir
        Folder for the state: a training that was killed resumes there, and ends with the weights that it would have
        had.
    cuda_graph
        On a GPU, record one update and replay it, instead of launching its hundred kernels one by one.

    Raises
    ------
    CheckpointError
        If `workdir` holds the state of another training, or a damaged one.
    """
    initialise(objective.net, fits.seeds)
    adam = Adam(objective.net, plan.rates, weight_decay=plan.weight_decay)
    random = MemberRandom(fits.seeds, device)
    state = None if workdir is None else _State(workdir / f"{name}.safetensors", _identity(fits, plan, device))
    update = 0 if state is None else state.restore(adam, random)
    updater = _Updater(objective, adam, len(fits.seeds), plan.batch_size, device)
    if cuda_graph and device.type == "cuda" and update < len(plan.rates):
        updater.capture()
    block = _BLOCK_NUMBERS // (plan.batch_size * max(1, objective.noise_width))
    block = max(1, min(_MOST_UPDATES_A_BLOCK, block))
    clock = _Clock(name, update, len(plan.rates), progress)
    saved = time.monotonic()
    while update < len(plan.rates):
        # A block ends at multiples of its length, so that a resumed training draws the same numbers.
        count = min(block, len(plan.rates) - update)
        rows = random.rows(fits.sizes, fits.offsets, count, plan.batch_size)
        noise = random.normal(count, plan.batch_size, objective.noise_width)
        for step in range(count):
            updater.update(update + step, rows[step], noise[step])
        update += count
        clock.report(update, updater.losses)
        if state is not None and (update == len(plan.rates) or time.monotonic() - saved > _SAVE_S):
            state.save(adam, random, update)
            saved = time.monotonic()


class _Updater:
    """One update of all members, as operations or as a recorded graph of them."""

    def __init__(self, objective: Objective, adam: Adam, members: int, batch: int, device: torch.device) -> None:
        self.objective, self.adam = objective, adam
        self.rows = torch.zeros(members, batch, dtype=torch.int64, device=device)
        self.noise = torch.zeros(members, batch, objective.noise_width, device=device)
        self.losses = torch.zeros(members, device=device)
        self.run: Callable[[], None] = self._run

    def update(self, update: int, rows: Tensor, noise: Tensor) -> None:
        self.adam.begin(update)
        self.rows.copy_(rows)
        self.noise.copy_(noise)
        self.run()

    def _run(self) -> None:
        losses = self.objective.losses(self.rows, self.noise)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self.losses.copy_(losses.detach())
        self.adam.step()

    def capture(self) -> None:
        """Record an update on the GPU; the weights stay what they were."""
        kept = [tensor.clone() for tensor in self._changing()]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._run()
        for tensor, value in zip(self._changing(), kept, strict=True):
            tensor.copy_(value)
        self.run = graph.replay

    def _changing(self) -> list[Tensor]:
        return [self.adam.weights, self.adam.gradient, self.adam.mean, self.adam.square]


class _State:
    """The file from which a training resumes."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity

    def save(self, adam: Adam, random: MemberRandom, update: int) -> None:
        tensors = {"weights": adam.weights, "mean": adam.mean, "square": adam.square}
        tensors = {name: tensor.cpu() for name, tensor in tensors.items()} | {"random": random.state()}
        write_tensors(self.path, tensors, {"identity": self.identity, "update": str(update)})

    def restore(self, adam: Adam, random: MemberRandom) -> int:
        """Take up the state, if there is one; return the number of updates done."""
        if not self.path.exists():
            return 0
        tensors, metadata = read_tensors(self.path)
        if metadata.get("identity") != self.identity:
            raise CheckpointError(
                f"{self.path.name} in {self.path.parent} belongs to a training with other data, settings, device or "
                "versions: remove it or choose another folder."
            )
        for name, tensor in (("weights", adam.weights), ("mean", adam.mean), ("square", adam.square)):
            tensor.copy_(tensors[name])
        random.restore(tensors["random"])
        return int(metadata["update"])


class _Clock:
    """Says every few seconds how far a training is."""

    def __init__(self, name: str, update: int, updates: int, progress: Progress | None) -> None:
        self.name, self.first, self.updates, self.progress = name, update, updates, progress
        self.start = self.last = time.monotonic()

    def report(self, update: int, losses: Tensor) -> None:
        now = time.monotonic()
        if self.progress is None or (now - self.last < _REPORT_S and update < self.updates):
            return
        loss = float(losses.mean())  # waits for the GPU, so the time is taken after it
        speed = (update - self.first) / max(time.monotonic() - self.start, 1e-9)
        self.progress(
            f"{self.name}: update {update}/{self.updates}, {len(losses)} fits, loss {loss:.4f}, "
            f"{speed:.0f} updates/s, {(self.updates - update) / speed:.0f} s left"
        )
        self.last = now


def _identity(fits: Fits, plan: Plan, device: torch.device) -> str:
    parts: list[Any] = [fits.fingerprint, list(fits.seeds), list(fits.sizes), list(fits.offsets), list(plan.rates)]
    parts += [plan.batch_size, plan.weight_decay, device.type, torch.__version__, np.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
