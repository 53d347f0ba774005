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
from numpy.typing import NDArray
from torch import Tensor, nn

from ..checkpoint import CheckpointError, read_tensors, write_tensors
from ..training import Progress
from .batched import Adam, MemberRandom, initialise
from .space import GenerativeError
from .table import ElpasoliteTable

__all__ = ["Fits", "Objective", "Plan", "Updater", "cosine_rates", "join_tables", "optimise"]

Ints = NDArray[np.int64]

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
    betas: tuple[float, float] = (0.9, 0.999)
    """Of Adam."""


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


def join_tables(tables: Sequence[ElpasoliteTable], seeds: Sequence[int], settings: Any) -> tuple[Fits, Ints, Ints]:
    """Put the rows of the distinct tables one after the other.

    Returns
    -------
    tuple
        Fits of a member per table and seed, each on the rows of its table; codes (N,) and classes (N,) of all rows.
    """
    digests = [table.sha256 for table in tables]
    distinct = dict(zip(digests, tables, strict=True))
    ends = np.cumsum([len(table.codes) for table in distinct.values()]).tolist()
    starts = dict(zip(distinct, [0, *ends], strict=False))
    fits = Fits(
        seeds=list(seeds),
        sizes=[len(table.codes) for table in tables],
        offsets=[starts[digest] for digest in digests],
        fingerprint=hashlib.sha256(json.dumps([digests, settings.to_dict()]).encode()).hexdigest(),
    )
    codes = np.concatenate([table.codes for table in distinct.values()])
    return fits, codes, np.concatenate([table.classes for table in distinct.values()])


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
    updater_type: type[Updater] | None = None,
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
    updater_type
        What an update is, where it is more than one step along the gradient of the losses.

    Raises
    ------
    GenerativeError
        If a loss or a weight is no longer a number. The state from before that is left as it was.
    CheckpointError
        If `workdir` holds the state of another training, or a damaged one.
    """
    initialise(objective.net, fits.seeds)
    updater = (updater_type or Updater)(objective, len(fits.seeds), plan, device)
    random = MemberRandom(fits.seeds, device)
    state = None if workdir is None else _State(workdir / f"{name}.safetensors", _identity(fits, plan, device))
    update = 0 if state is None else state.restore(updater, random)
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
        _check_numbers(updater, fits.seeds, name, update, len(plan.rates))
        clock.report(update, updater.losses)
        if state is not None and (update == len(plan.rates) or time.monotonic() - saved > _SAVE_S):
            state.save(updater, random, update)
            saved = time.monotonic()


class Updater:
    """One update of all members, as operations or as a recorded graph of them.

    This one is a step of Adam along the gradient of the losses. Others override `begin`, `_run` and `state`.

    Parameters
    ----------
    objective, plan
        What, and how.
    members
        Number of members.
    device
        Where the objective's net is.
    net
        What `adam` trains: the objective's net, unless it is a part of it.
    """

    def __init__(
        self, objective: Any, members: int, plan: Plan, device: torch.device, net: nn.Module | None = None
    ) -> None:
        self.objective = objective
        self.adam = Adam(net or objective.net, plan.rates, betas=plan.betas, weight_decay=plan.weight_decay)
        self.rows = torch.zeros(members, plan.batch_size, dtype=torch.int64, device=device)
        self.noise = torch.zeros(members, plan.batch_size, objective.noise_width, device=device)
        self.losses = torch.zeros(members, device=device)
        self.run: Callable[[], None] = self._run

    def update(self, update: int, rows: Tensor, noise: Tensor) -> None:
        """Do an update, counted from 0."""
        self.begin(update)
        self.rows.copy_(rows)
        self.noise.copy_(noise)
        self.run()

    def state(self) -> dict[str, Tensor]:
        """Return what an update changes: a training goes on from these tensors."""
        return {"weights": self.adam.weights, "mean": self.adam.mean, "square": self.adam.square}

    def begin(self, update: int) -> None:
        """Do what is different from update to update and so cannot be recorded."""
        self.adam.begin(update)

    def _run(self) -> None:
        losses = self.objective.losses(self.rows, self.noise)
        losses.sum().backward()
        self.losses.copy_(losses.detach())
        self.adam.step()

    def capture(self) -> None:
        """Record an update on the GPU; the weights stay what they were."""
        kept = {name: tensor.clone() for name, tensor in self.state().items()}
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._run()
        for name, tensor in self.state().items():
            tensor.copy_(kept[name])
        self.run = graph.replay


class _State:
    """The file from which a training resumes."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity

    def save(self, updater: Updater, random: MemberRandom, update: int) -> None:
        tensors = {name: tensor.cpu() for name, tensor in updater.state().items()} | {"random": random.state()}
        write_tensors(self.path, tensors, {"identity": self.identity, "update": str(update)})

    def restore(self, updater: Updater, random: MemberRandom) -> int:
        """Take up the state, if there is one; return the number of updates done."""
        if not self.path.exists():
            return 0
        tensors, metadata = read_tensors(self.path)
        if metadata.get("identity") != self.identity:
            raise CheckpointError(
                f"{self.path.name} in {self.path.parent} belongs to a training with other data, settings, device or "
                "versions: remove it or choose another folder."
            )
        for name, tensor in updater.state().items():
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


def _check_numbers(updater: Updater, seeds: Sequence[int], name: str, update: int, updates: int) -> None:
    """Raise `GenerativeError` if a loss, or at the end a weight, is no longer a number."""
    lost = ~torch.isfinite(updater.losses)
    whole = update < updates or all(bool(torch.isfinite(tensor).all()) for tensor in updater.state().values())
    if whole and not lost.any():
        return
    which = ", ".join(str(seed) for seed, one in zip(seeds, lost.tolist(), strict=True) if one) or "unknown"
    raise GenerativeError(
        f"The training of {name} (seeds of the networks: {which}) diverged: at update {update} of {updates} its loss "
        "or its weights are no longer numbers. Nothing was saved; choose a smaller learning rate."
    )


def _identity(fits: Fits, plan: Plan, device: torch.device) -> str:
    parts: list[Any] = [fits.fingerprint, list(fits.seeds), list(fits.sizes), list(fits.offsets), list(plan.rates)]
    parts += [plan.batch_size, plan.weight_decay, plan.betas, device.type, torch.__version__, np.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
