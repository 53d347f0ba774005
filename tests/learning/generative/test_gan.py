"""The Wasserstein GAN is that of SPEC 4.2, its gradients are those of torch, and it learns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from killed_fit import assert_it_ends_with_the_same_weights
from smooth_elpasolites import smooth_energies, smooth_table
from torch import Tensor, nn

from aiida_perovskite.learning.generative.batched import MemberRandom, initialise
from aiida_perovskite.learning.generative.gan import GAN, GANNetwork, _Duel, _Objective
from aiida_perovskite.learning.generative.settings import GANSettings
from aiida_perovskite.learning.generative.space import GenerativeError, space_codes
from aiida_perovskite.learning.generative.table import energy_classes
from aiida_perovskite.learning.generative.testing import GeneratorTests
from aiida_perovskite.learning.generative.training import Plan
from aiida_perovskite.learning.settings import SettingsError

CPU = torch.device("cpu")
SMALL = GANSettings(width=64, learning_rate=2e-3, batch_size=64, updates=400, adam_betas=(0.5, 0.9))


class TestGAN(GeneratorTests):
    generator_type = GAN
    settings: ClassVar[GANSettings] = GANSettings(
        width=32, learning_rate=5e-3, batch_size=32, updates=40, adam_betas=(0.0, 0.9)
    )


def test_the_defaults_are_those_of_the_thesis() -> None:
    settings = GANSettings()
    net = GANNetwork(1, settings)
    shapes = [tuple(layer.weight.shape[1:]) for part in (net.generator, net.critic) for layer in part.layers]  # type: ignore[union-attr, index]
    assert shapes == [(18, 512), (512, 8), (18, 512), (512, 1)]
    assert (settings.latent, settings.learning_rate, settings.batch_size) == (8, 1e-5, 100)
    assert (settings.updates, settings.gradient_penalty, settings.critic_steps) == (200_000, 10.0, 5)
    with pytest.raises(SettingsError, match="adam_betas"):
        GANSettings(adam_betas=(0.9, 1.0))


def plain(net: GANNetwork, part: str, member: int) -> nn.Sequential:
    """Return a member's generator or critic as torch has it."""
    modules: list[nn.Module] = []
    for layer in getattr(net, part).layers:
        linear = nn.Linear(*layer.weight.shape[1:])
        linear.weight.data, linear.bias.data = layer.weight[member].detach().T.clone(), layer.bias[member, 0].detach()
        modules += [linear, nn.Tanh()]
    return nn.Sequential(*(modules if part == "generator" else modules[:-1]))


def update_as_torch(
    networks: Sequence[nn.Module],
    adams: list[torch.optim.Adam],
    settings: GANSettings,
    batches: list[tuple[Tensor, Tensor, Tensor]],
) -> None:
    """Do what an update is said to be, with the optimiser and the double backward pass of torch."""
    (generator, critic), (generator_adam, critic_adam) = networks, adams

    def make(noise: Tensor, classes: Tensor) -> Tensor:
        return generator(torch.cat([noise[:, :-1], classes], 1))

    def score(entries: Tensor, classes: Tensor) -> Tensor:
        return critic(torch.cat([entries, classes], 1))[:, 0]

    for real, classes, noise in batches[:-1]:
        fake = make(noise, classes).detach()
        place = torch.distributions.Normal(0.0, 1.0).cdf(noise[:, -1:])
        between = (place * real + (1 - place) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(score(between, classes).sum(), between, create_graph=True)
        loss = score(fake, classes) - score(real, classes)
        critic_adam.zero_grad()
        (loss + settings.gradient_penalty * (slope.norm(dim=1) - 1) ** 2).mean().backward()
        critic_adam.step()
    _, classes, noise = batches[-1]
    generator_adam.zero_grad()
    (-score(make(noise, classes), classes).mean()).backward()
    generator_adam.step()


def test_two_members_learn_as_two_networks_of_torch_would() -> None:
    table = smooth_table(100)
    settings = GANSettings(
        hidden_layers=2, width=16, batch_size=8, critic_steps=3, learning_rate=1e-2, activation="tanh"
    )
    net = GANNetwork(2, settings)
    initialise(net, [1, 2])
    theirs = [[plain(net, "generator", member), plain(net, "critic", member)] for member in range(2)]
    adams = [
        [torch.optim.Adam(one.parameters(), settings.learning_rate, settings.adam_betas) for one in networks]
        for networks in theirs
    ]
    objective = _Objective(net, settings, table.codes, table.classes, CPU)
    updates = 5
    plan = Plan([settings.learning_rate] * updates, 4 * settings.batch_size, betas=settings.adam_betas)
    duel, random = _Duel(objective, 2, plan, CPU), MemberRandom([1, 2], CPU)
    rows = random.rows([200, 200], [0, 0], updates, plan.batch_size)
    noise = random.normal(updates, plan.batch_size, objective.noise_width)
    for update in range(updates):
        duel.update(update, rows[update], noise[update])
        for member, networks in enumerate(theirs):
            batches = [
                (objective.inputs[some, :8], objective.inputs[some, 8:], number)
                for some, number in zip(rows[update, member].chunk(4), noise[update, member].chunk(4), strict=True)
            ]
            update_as_torch(networks, adams[member], settings, batches)
    for member, networks in enumerate(theirs):
        for part, network in zip(("generator", "critic"), networks, strict=True):
            for one, other in zip(plain(net, part, member).parameters(), network.parameters(), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_samples_are_of_the_class_that_was_asked_for() -> None:
    fitted = GAN.fit(smooth_table(1500), SMALL, seed=3)
    for energy_class in (3, 8):
        codes = fitted.sample(energy_class, 2000, seed=0)
        found = energy_classes(smooth_energies(codes), fitted.edges)
        assert np.mean(np.abs(found - energy_class) <= 1) > 0.6
        assert len(np.unique(codes)) > 500


def test_with_shuffled_classes_nothing_is_learned() -> None:
    table = smooth_table(1500)
    codes = GAN.fit(table.with_shuffled_energies(1), SMALL, seed=3).sample(3, 5000, seed=0)
    found = energy_classes(smooth_energies(codes), table.edges)
    prior = np.mean(energy_classes(smooth_energies(space_codes()), table.edges) == 3)
    assert np.mean(found == 3) < 2 * prior


def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = GANSettings(width=16, updates=30, batch_size=16, learning_rate=1e-3)
    assert_it_ends_with_the_same_weights(GAN, settings, tmp_path, monkeypatch)


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(GenerativeError, match=r"training of gan .* diverged"):
        GAN.fit(smooth_table(200), GANSettings(width=16, learning_rate=1e30, updates=300), 0)
