"""The Wasserstein generative adversarial network with gradient penalty of the thesis (SPEC 4.2).

A generator maps a standard normal, joined to the one-hot class, to the 8 scaled rows and groups of a composition. A
critic, which sees them with the class, learns to score rows of the table higher than what the generator makes of the
same classes; its gradient is held near 1 between the two. Samples are decoded as the variational autoencoder's are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .batched import Adam, Perceptron, member_weights, resolve_device
from .generator import Generator, Progress
from .settings import GANSettings
from .space import SITES, scale, unscale
from .table import N_CLASSES, ElpasoliteTable
from .training import Plan, Updater, join_tables, optimise

__all__ = ["GAN", "GANNetwork"]

Ints = NDArray[np.int64]
_ENTRIES = 2 * len(SITES)
_BLOCK = 32_768  # samples decoded at a time: 64 MiB of activations
_SMALLEST = 1e-12  # added to a squared length, whose root has no gradient at 0


class GANNetwork(nn.Module):
    """Generators and critics of M members.

    Parameters
    ----------
    members
        M.
    settings
        Their shape.
    """

    def __init__(self, members: int, settings: GANSettings) -> None:
        super().__init__()
        hidden = [settings.width] * settings.hidden_layers
        self.generator = Perceptron(
            members, [settings.latent + N_CLASSES, *hidden, _ENTRIES], settings.activation, settings.norm
        )
        self.critic = Perceptron(members, [_ENTRIES + N_CLASSES, *hidden, 1], settings.activation, settings.norm)

    def generate(self, latent: Tensor, classes: Tensor) -> Tensor:
        """Return entries (M, N, 8), each in (-1, 1), of latent points and one-hot classes (M, N, 10)."""
        return torch.tanh(self.generator(torch.cat([latent, classes], dim=-1)))

    def score(self, entries: Tensor, classes: Tensor) -> Tensor:
        """Return what the critic says, (M, N), of entries (M, N, 8) with classes (M, N, 10)."""
        scores: Tensor = self.critic(torch.cat([entries, classes], dim=-1))[..., 0]
        return scores

    def penalty(self, real: Tensor, fake: Tensor, classes: Tensor, places: Tensor) -> Tensor:
        """Return (|gradient of the score| - 1)^2, (M, N), at places (M, N) from 0 to 1 between fake and real entries.

        The gradient is with respect to the entries, not to the class.
        """
        between = torch.lerp(fake, real, places[..., None]).requires_grad_()
        scores = self.score(between, classes)
        (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        return ((gradient.square().sum(-1) + _SMALLEST).sqrt() - 1).square()


class GAN(Generator):
    """A trained conditional Wasserstein GAN."""

    name = "gan"
    settings_type = GANSettings
    settings: GANSettings
    net: GANNetwork

    @classmethod
    def _fit_many(
        cls,
        tables: Sequence[ElpasoliteTable],
        settings: GANSettings,
        seeds: Sequence[int],
        progress: Progress | None,
        workdir: Path | None,
        device: str,
    ) -> list[GAN]:
        place = resolve_device(device)
        fits, codes, classes = join_tables(tables, seeds, settings)
        net = GANNetwork(len(seeds), settings).to(place)
        objective = _Objective(net, settings, codes, classes, place)
        plan = Plan(
            [settings.learning_rate] * settings.updates,
            settings.batch_size * (settings.critic_steps + 1),
            betas=settings.adam_betas,
        )
        optimise(objective, fits, plan, place, name=cls.name, progress=progress, workdir=workdir, updater_type=_Duel)
        fitted = []
        for member, (table, seed) in enumerate(zip(tables, seeds, strict=True)):
            generator = cls._blank(table, settings, seed)
            generator._restore(member_weights(net, slice(member, member + 1)), {})
            fitted.append(generator)
        return fitted

    def _tensors(self) -> dict[str, Tensor]:
        return dict(self.net.state_dict())

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        self.net = GANNetwork(1, self.settings).requires_grad_(False)
        self.net.load_state_dict(tensors)

    @torch.inference_mode()
    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        parts = []
        for start in range(0, n, _BLOCK):
            count = min(_BLOCK, n - start)
            latent = torch.from_numpy(random.standard_normal((1, count, self.settings.latent), dtype=np.float32))
            classes = torch.from_numpy(_one_hot(np.full(count, energy_class)))[None]
            parts.append(unscale(self.net.generate(latent, classes)[0].numpy()))
        return np.concatenate(parts)


class _Objective:
    """The losses of critic and generator (equation 4.4), at the rows of a batch with their noise.

    The noise of a row is a latent point, then a normal number that says how far between fake and real the gradient is
    penalised.
    """

    def __init__(
        self, net: GANNetwork, settings: GANSettings, codes: Ints, classes: Ints, device: torch.device
    ) -> None:
        self.net, self.settings = net, settings
        self.entries = torch.from_numpy(scale(codes)).to(device)
        self.classes = torch.from_numpy(_one_hot(classes)).to(device)
        self.noise_width = settings.latent + 1

    def critic_losses(self, rows: Tensor, noise: Tensor) -> Tensor:
        """Return fake minus real score plus weighted penalty, the mean of each member (M,)."""
        real, classes = self.entries[rows], self.classes[rows]
        with torch.no_grad():
            fake = self.net.generate(noise[..., :-1], classes)
        # One pass for both: a batch is small, and each operation costs more to start than to do.
        scores = self.net.score(torch.cat([real, fake], dim=1), torch.cat([classes, classes], dim=1))
        of_real, of_fake = scores.chunk(2, dim=1)
        penalty = self.net.penalty(real, fake, classes, torch.special.ndtr(noise[..., -1]))
        return (of_fake - of_real + self.settings.gradient_penalty * penalty).mean(-1)

    def losses(self, rows: Tensor, noise: Tensor) -> Tensor:
        """Return minus the score of what the generator makes of the classes of rows, the mean of each member (M,)."""
        classes = self.classes[rows]
        return -self.net.score(self.net.generate(noise[..., :-1], classes), classes).mean(-1)


class _Duel(Updater):
    """Some steps of the critic, each with rows of its own, then one of the generator."""

    objective: _Objective

    def __init__(self, objective: _Objective, members: int, plan: Plan, device: torch.device) -> None:
        super().__init__(objective, members, plan, device, objective.net.generator)
        self.steps = objective.settings.critic_steps
        rates = np.repeat(plan.rates, self.steps).tolist()
        self.critic_adam = Adam(objective.net.critic, rates, betas=plan.betas)
        self.critic_sizes = self.critic_adam.schedule.view(len(plan.rates), self.steps, -1)
        self.sizes_now = self.critic_sizes[0].clone()

    def state(self) -> dict[str, Tensor]:
        critic = {"weights": self.critic_adam.weights, "mean": self.critic_adam.mean, "square": self.critic_adam.square}
        return super().state() | {f"critic_{name}": tensor for name, tensor in critic.items()}

    def begin(self, update: int) -> None:
        super().begin(update)
        self.sizes_now.copy_(self.critic_sizes[update])

    def _run(self) -> None:
        critic = self.objective.net.critic
        batches = zip(self.rows.chunk(self.steps + 1, dim=1), self.noise.chunk(self.steps + 1, dim=1), strict=True)
        for step, (rows, noise) in enumerate(batches):
            if step < self.steps:
                losses = self.objective.critic_losses(rows, noise)
                losses.sum().backward()  # type: ignore[no-untyped-call]
                self.critic_adam.now.copy_(self.sizes_now[step])
                self.critic_adam.step()
                continue
            critic.requires_grad_(False)
            self.objective.losses(rows, noise).sum().backward()  # type: ignore[no-untyped-call]
            critic.requires_grad_(True)
            self.adam.step()
            self.losses.copy_(losses.detach())  # the critic's: without the penalty, minus a distance of distributions


def _one_hot(classes: Ints) -> NDArray[np.float32]:
    return np.eye(N_CLASSES, dtype=np.float32)[classes - 1]
