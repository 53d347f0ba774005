"""The Wasserstein generative adversarial network with gradient penalty of the thesis (SPEC 4.2).

A generator maps a standard normal, joined to the one-hot class, to the 8 scaled rows and groups of a composition. A
critic, which sees them with the class, learns to score rows of the table higher than what the generator makes of the
same classes; its gradient is held near 1 between the two. Samples are decoded as the variational autoencoder's are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .batched import Adam, Perceptron, resolve_device
from .critic import PIECEWISE_LINEAR, SMALLEST_SQUARE, CriticGradient
from .generator import Progress
from .neural import NeuralGenerator, latent_points, one_hot
from .settings import GANSettings
from .space import SITES, scale, unscale
from .table import N_CLASSES, ElpasoliteTable
from .training import Plan, Updater, join_tables, optimise

__all__ = ["GAN", "GANNetwork"]

Ints = NDArray[np.int64]
_ENTRIES = 2 * len(SITES)


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
        shape = (settings.activation, settings.norm, settings.initial)
        self.generator = Perceptron(members, [settings.latent + N_CLASSES, *hidden, _ENTRIES], *shape)
        self.critic = Perceptron(members, [_ENTRIES + N_CLASSES, *hidden, 1], *shape)

    def generate(self, latent: Tensor, classes: Tensor) -> Tensor:
        """Return entries (M, N, 8), each in (-1, 1), of latent points and one-hot classes (M, N, 10)."""
        return torch.tanh(self.generator(torch.cat([latent, classes], dim=-1)))

    def score(self, inputs: Tensor) -> Tensor:
        """Return what the critic says, (M, N), of entries joined to classes (M, N, 8 + 10)."""
        scores: Tensor = self.critic(inputs)[..., 0]
        return scores

    def penalty(self, inputs: Tensor) -> Tensor:
        """Return (|gradient of the score with respect to the entries| - 1)^2, (M, N), at inputs (M, N, 8 + 10)."""
        inputs = inputs.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.score(inputs).sum(), inputs, create_graph=True)
        length = (gradient[..., :_ENTRIES].square().sum(-1) + SMALLEST_SQUARE).sqrt()
        return (length - 1).square()


class GAN(NeuralGenerator):
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
        return cls._parted(net, tables, settings, seeds)

    @classmethod
    def _network(cls, settings: GANSettings, fits: int) -> GANNetwork:
        return GANNetwork(fits, settings)

    @torch.inference_mode()
    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        parts = []
        for latent in latent_points(n, self.settings, random):
            classes = torch.from_numpy(one_hot(np.full(latent.shape[1], energy_class)))[None]
            parts.append(unscale(self.net.generate(latent, classes)[0].numpy()))
        return np.concatenate(parts)


class _Objective:
    """The losses of critic and generator (equation 4.4).

    The noise of a row is a latent point, then a normal number that says how far between fake and real the gradient is
    penalised.
    """

    def __init__(
        self, net: GANNetwork, settings: GANSettings, codes: Ints, classes: Ints, device: torch.device
    ) -> None:
        self.net, self.settings = net, settings
        self.inputs = torch.from_numpy(np.concatenate([scale(codes), one_hot(classes)], axis=1)).to(device)
        self.noise_width = settings.latent + 1

    def fake(self, real: Tensor, noise: Tensor) -> Tensor:
        """Return what the generator makes of the classes of rows, joined to these as the rows are, (M, N, 8 + 10)."""
        classes = real[..., _ENTRIES:]
        return torch.cat([self.net.generate(noise[..., :-1], classes), classes], dim=-1)

    @torch.no_grad()
    def rounds(self, rows: Tensor, noise: Tensor) -> Tensor:
        """Return what the critic sees in each of its steps: N real inputs, N fake, N between, (steps, M, 3 N, 18).

        The generator stands still meanwhile, so its part is done once for all of `rows`, (M, steps N).
        """
        real = self.inputs[rows]
        fake = self.fake(real, noise)
        between = torch.lerp(fake, real, torch.special.ndtr(noise[..., -1:]))
        parts = [torch.stack(part.chunk(self.settings.critic_steps, dim=1)) for part in (real, fake, between)]
        return torch.cat(parts, dim=2)

    def critic_gradient(self) -> Callable[[Tensor], Tensor]:
        """Return what adds the gradient of the critic's losses to its weights', and returns the losses (M,)."""
        settings = self.settings
        if settings.norm == "none" and settings.activation in PIECEWISE_LINEAR:
            critic = self.net.critic
            return CriticGradient(critic, settings.activation, _ENTRIES, settings.gradient_penalty).add

        def add(inputs: Tensor) -> Tensor:
            losses = self.critic_losses(inputs)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            return losses.detach()

        return add

    def critic_losses(self, inputs: Tensor) -> Tensor:
        """Return fake minus real score plus weighted penalty, the mean of each member (M,)."""
        inputs, between = inputs.tensor_split([2 * inputs.shape[1] // 3], dim=1)
        real, fake = self.net.score(inputs).chunk(2, dim=1)
        return (fake - real + self.settings.gradient_penalty * self.net.penalty(between)).mean(-1)

    def losses(self, rows: Tensor, noise: Tensor) -> Tensor:
        """Return minus the score of what the generator makes of the classes of rows, the mean of each member (M,)."""
        return -self.net.score(self.fake(self.inputs[rows], noise)).mean(-1)


class _Duel(Updater):
    """Some steps of the critic, each with rows of its own, then one of the generator."""

    objective: _Objective

    def __init__(self, objective: _Objective, members: int, plan: Plan, device: torch.device) -> None:
        super().__init__(objective, members, plan, device, objective.net.generator)
        steps = objective.settings.critic_steps
        self.critic_rows = steps * objective.settings.batch_size
        self.critic_adam = Adam(objective.net.critic, np.repeat(plan.rates, steps).tolist(), betas=plan.betas)
        self.critic_sizes = self.critic_adam.schedule.view(len(plan.rates), steps, -1)
        self.add_critic_gradient = objective.critic_gradient()
        self.sizes_now = self.critic_sizes[0].clone()

    def state(self) -> dict[str, Tensor]:
        critic = {"weights": self.critic_adam.weights, "mean": self.critic_adam.mean, "square": self.critic_adam.square}
        return super().state() | {f"critic_{name}": tensor for name, tensor in critic.items()}

    def begin(self, update: int) -> None:
        super().begin(update)
        self.sizes_now.copy_(self.critic_sizes[update])

    def _run(self) -> None:
        objective, first = self.objective, self.critic_rows
        rounds = objective.rounds(self.rows[:, :first], self.noise[:, :first])
        for sizes, inputs in zip(self.sizes_now, rounds, strict=True):
            losses = self.add_critic_gradient(inputs)
            self.critic_adam.now.copy_(sizes)
            self.critic_adam.step()
        objective.net.critic.requires_grad_(False)
        objective.losses(self.rows[:, first:], self.noise[:, first:]).sum().backward()  # type: ignore[no-untyped-call]
        objective.net.critic.requires_grad_(True)
        self.adam.step()
        self.losses.copy_(losses)  # the critic's: but for the penalty, minus a distance of distributions
