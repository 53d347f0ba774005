"""Off-line deep Q-learning of compositions, one policy per energy class: the RL model of the thesis (SPEC 4.2).

A composition is written in 8 steps: row and group of A, of B, of C, of D. A state is what is written so far. The last
step of a row of the table is rewarded by 1 if its class is the policy's, and by -1 if not; all others by 0. A network
learns the value Q of each next row or group from these transitions alone, against a copy of itself that follows
every few updates (equation 4.8). The policy takes an action with a chance that grows as exp(beta Q).

There are few states, so nothing is walked through to sample: the chance of each composition is the product of those
of its 8 actions, computed once for all states that lead to one. Draws from it are what is left of the policy's own
when empty cells and repeated elements are discarded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .batched import Perceptron, member_weights, resolve_device
from .generator import Progress
from .neural import NeuralGenerator
from .settings import DeepQSettings
from .space import GROUPS, N_ELEMENTS, N_GROUPS, N_ROWS, ROWS, SITES, GenerativeError, encode, space_codes
from .table import ElpasoliteTable, check_class
from .training import Plan, Updater, join_tables, optimise

__all__ = ["STEPS", "DeepQ", "QNetwork"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

STEPS = 2 * len(SITES)
_ACTIONS = max(N_ROWS, N_GROUPS)
_BLOCK = 16_384  # states looked at at a time: 32 MiB of activations
_NEVER = -1e9  # value of an action that does not exist


class QNetwork(nn.Module):
    """Values of actions, of M members.

    Parameters
    ----------
    members
        M.
    settings
        Their shape.
    """

    forbidden: Tensor
    written: Tensor
    entries: Tensor

    def __init__(self, members: int, settings: DeepQSettings) -> None:
        super().__init__()
        hidden = [settings.width] * settings.hidden_layers
        sizes = np.tile([N_ROWS, N_GROUPS], len(SITES))[:, None]
        action = np.arange(_ACTIONS)
        scaled = ((2 * action + 1) / sizes - 1)[..., None]
        of_action = np.tile(np.eye(_ACTIONS), (STEPS, 1, 1)) if settings.state == "one_hot" else scaled
        for name, values in (
            ("entries", of_action),  # what the network sees of each action of each step
            ("forbidden", np.where(action < sizes, 0.0, _NEVER)),
            ("written", np.tri(STEPS, k=-1)),  # row t: which actions are written after t steps
        ):
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)
        inputs = STEPS * of_action.shape[-1] + STEPS
        self.net = Perceptron(members, [inputs, *hidden, _ACTIONS], settings.activation, settings.norm)

    def forward(self, actions: Tensor, steps: Tensor) -> Tensor:
        """Return the value of each next action, (M, N, 8); that of an action that does not exist is very low.

        Parameters
        ----------
        actions
            Row and group, from 0, on each site, (M, N, 8). What is not written yet is not looked at.
        steps
            How many are written, (M, N), from 0 to 7.
        """
        entries = self.entries[torch.arange(STEPS, device=actions.device), actions]
        seen = (entries * self.written[steps][..., None]).flatten(-2)
        position = functional.one_hot(steps, STEPS).to(seen.dtype)
        values: Tensor = self.net(torch.cat([seen, position], dim=-1))
        return values + self.forbidden[steps]


class DeepQ(NeuralGenerator):
    """Trained policies of some energy classes."""

    name = "rl"
    settings_type = DeepQSettings
    settings: DeepQSettings
    net: QNetwork
    device = torch.device("cpu")
    _kept: dict[int, Floats]

    @classmethod
    def _fit_many(
        cls,
        tables: Sequence[ElpasoliteTable],
        settings: DeepQSettings,
        seeds: Sequence[int],
        progress: Progress | None,
        workdir: Path | None,
        device: str,
    ) -> list[DeepQ]:
        place = resolve_device(device)
        classes = settings.classes
        fits, codes, of_rows = join_tables(tables, seeds, settings)
        fits = replace(
            fits,
            seeds=[_member_seed(seed, number) for seed in seeds for number in classes],
            sizes=[STEPS * size for size in fits.sizes for _ in classes],
            offsets=[STEPS * offset for offset in fits.offsets for _ in classes],
        )
        net = cls._network(settings, len(seeds)).to(place)
        objective = _Objective(net, settings, codes, of_rows, list(classes) * len(seeds), place)
        plan = Plan([settings.learning_rate] * settings.updates, settings.batch_size, betas=settings.adam_betas)
        optimise(
            objective, fits, plan, place, name=cls.name, progress=progress, workdir=workdir, updater_type=_Following
        )
        fitted = cls._parted(net, tables, settings, seeds)
        for generator in fitted:
            generator.device = place
        return fitted

    @classmethod
    def _network(cls, settings: DeepQSettings, fits: int) -> QNetwork:
        return QNetwork(fits * len(settings.classes), settings)

    def probabilities(self, energy_class: int) -> Floats:
        """Return the chance that the policy of a class writes each composition of `space_codes`, shape (1974024,).

        What is missing to 1 are empty cells and repeated elements.

        Raises
        ------
        GenerativeError
            If the class was empty in the training, or no policy was trained for it.
        """
        check_class(energy_class, self.class_counts)
        if energy_class not in self.settings.classes:
            raise GenerativeError(
                f"No policy was trained for energy class {energy_class}, only for "
                f"{', '.join(map(str, self.settings.classes))}: train one with {energy_class} among its `classes`."
            )
        member = self.settings.classes.index(energy_class)
        net = QNetwork(1, self.settings).requires_grad_(False)
        net.load_state_dict(member_weights(self.net, slice(member, member + 1)))
        net.to(self.device)
        prefixes, chances = np.empty((1, 0), dtype=np.int64), np.ones(1)
        for _ in SITES:
            new = np.ones((len(prefixes), N_ELEMENTS), dtype=bool)
            np.put_along_axis(new, prefixes, False, axis=1)
            of_next = np.concatenate(list(_element_chances(net, prefixes, self.settings.beta)))
            chances = (chances[:, None] * of_next)[new]
            rows, elements = np.nonzero(new)
            prefixes = np.column_stack([prefixes[rows], elements])
        return chances

    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        if energy_class not in self._kept:
            self._kept[energy_class] = np.cumsum(self.probabilities(energy_class))
        cumulative = self._kept[energy_class]
        chosen = np.searchsorted(cumulative, random.random(n) * cumulative[-1], side="right")
        codes: Ints = space_codes()[chosen]
        return codes

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        super()._restore(tensors, notes)
        self._kept = {}


class _Objective:
    """The squared difference of equation 4.8. Row 8 n + t of what is learned from is step t of composition n."""

    noise_width = 0

    def __init__(
        self,
        net: QNetwork,
        settings: DeepQSettings,
        codes: Ints,
        classes: Ints,
        wanted: Sequence[int],
        device: torch.device,
    ) -> None:
        self.net, self.target = net, net
        self.discount, self.target_period = settings.discount, settings.target_period
        self.actions = torch.from_numpy(_actions(encode(codes))).to(device)
        self.classes = torch.from_numpy(classes).to(device)
        self.wanted = torch.tensor(wanted, device=device)[:, None]

    def losses(self, rows: Tensor, noise: Tensor) -> Tensor:
        compositions, steps = rows // STEPS, rows % STEPS
        actions, final = self.actions[compositions], steps == STEPS - 1
        reward = torch.where(self.classes[compositions] == self.wanted, 1.0, -1.0)
        with torch.no_grad():
            future = self.target(actions, (steps + 1).clamp(max=STEPS - 1)).amax(-1)
        wanted = torch.where(final, reward, self.discount * future)
        taken = actions.gather(-1, steps[..., None])
        values: Tensor = self.net(actions, steps).gather(-1, taken)[..., 0]
        return (values - wanted).square().mean(-1)


class _Following(Updater):
    """A step of Adam, and every few steps the target network becomes a copy of what is trained."""

    def __init__(self, objective: _Objective, members: int, plan: Plan, device: torch.device) -> None:
        super().__init__(objective, members, plan, device)
        self.period = objective.target_period
        self.target = objective.target = deepcopy(objective.net).requires_grad_(False)

    def state(self) -> dict[str, Tensor]:
        return super().state() | {f"target.{name}": tensor for name, tensor in self.target.named_parameters()}

    def begin(self, update: int) -> None:
        super().begin(update)
        if update % self.period == 0:
            with torch.no_grad():
                for copy, value in zip(self.target.parameters(), self.objective.net.parameters(), strict=True):
                    copy.copy_(value)


@torch.inference_mode()
def _element_chances(net: QNetwork, prefixes: Ints, beta: float) -> Iterator[Floats]:
    """Yield the chance of each element to come next, (n, 39), after blocks of n of some prefixes (N, sites so far)."""
    device = net.entries.device
    site = prefixes.shape[1]
    actions = np.zeros((len(prefixes), STEPS), dtype=np.int64)
    actions[:, : 2 * site] = _actions(prefixes)
    for block in torch.split(torch.from_numpy(actions).to(device), _BLOCK // N_ROWS):
        states = block.repeat_interleave(N_ROWS, dim=0)
        states[:, 2 * site] = torch.arange(N_ROWS, device=device).repeat(len(block))
        row, group = (_chances(net, some, step, beta) for some, step in ((block, 2 * site), (states, 2 * site + 1)))
        cells = row[:, :N_ROWS, None] * group.view(len(block), N_ROWS, N_GROUPS)
        yield cells[:, ROWS - 1, GROUPS - 1].cpu().numpy()


def _chances(net: QNetwork, actions: Tensor, step: int, beta: float) -> Tensor:
    steps = torch.full((1, len(actions)), step, device=actions.device)
    return torch.softmax(beta * net(actions[None], steps)[0].double(), dim=-1)


def _actions(elements: Ints) -> Ints:
    """Return row and group, from 0, of each element in turn, (N, 2 S), of elements (N, S)."""
    pairs: Ints = np.stack([ROWS[elements] - 1, GROUPS[elements] - 1], axis=-1).reshape(len(elements), -1)
    return pairs


def _member_seed(seed: int, energy_class: int) -> int:
    return int(np.random.SeedSequence([seed, energy_class]).generate_state(1)[0])
