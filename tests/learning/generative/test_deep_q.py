"""The policies of deep Q-learning: what they learn, and that samples are exactly theirs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from killed_fit import assert_it_ends_with_the_same_weights
from smooth_elpasolites import smooth_energies, smooth_table

from aiida_perovskite.learning.generative.deep_q import STEPS, DeepQ, QNetwork, _Objective
from aiida_perovskite.learning.generative.settings import DeepQSettings
from aiida_perovskite.learning.generative.space import (
    GROUPS,
    N_GROUPS,
    N_ROWS,
    ROWS,
    GenerativeError,
    encode,
    in_space,
    scale,
    space_codes,
)
from aiida_perovskite.learning.generative.table import energy_classes
from aiida_perovskite.learning.generative.testing import GeneratorTests
from aiida_perovskite.learning.settings import SettingsError

CPU = torch.device("cpu")
SMALL = DeepQSettings(classes=(3, 8), hidden_layers=2, width=64, learning_rate=2e-3, batch_size=250, updates=1500)


class TestDeepQ(GeneratorTests):
    generator_type = DeepQ
    settings: ClassVar[DeepQSettings] = DeepQSettings(
        classes=tuple(range(1, 11)), hidden_layers=1, width=8, learning_rate=1e-3, batch_size=50, updates=20
    )


@pytest.fixture(scope="module")
def fitted() -> DeepQ:
    return DeepQ.fit(smooth_table(1500), SMALL, seed=3)


def test_the_defaults_are_those_of_the_thesis() -> None:
    settings = DeepQSettings()
    shapes = [tuple(layer.weight.shape[1:]) for layer in QNetwork(1, settings).net.layers]  # type: ignore[union-attr, index]
    assert shapes == [(16, 512), *[(512, 512)] * 4, (512, 8)]
    assert (settings.learning_rate, settings.batch_size, settings.updates) == (1e-5, 250, 800_000)
    assert (settings.discount, settings.target_period, settings.beta) == (0.999, 10, 5.0)
    for classes in ((), (1, 1), (0,), (1.5,)):
        with pytest.raises(SettingsError, match="classes"):
            DeepQSettings.from_dict({"classes": classes})


@pytest.mark.parametrize("state", ["scaled", "one_hot"])
def test_a_network_sees_what_is_written_and_nothing_more(state: str) -> None:
    net = QNetwork(1, DeepQSettings(hidden_layers=1, width=16, state=state))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    codes = np.random.default_rng(0).choice(space_codes(), 50)
    elements = encode(codes)
    actions = torch.from_numpy(np.stack([ROWS[elements] - 1, GROUPS[elements] - 1], -1).reshape(1, 50, STEPS))
    if state == "scaled":
        np.testing.assert_allclose(net.entries[torch.arange(STEPS), actions][0, ..., 0], scale(codes), atol=1e-6)
    for step in range(STEPS):
        steps = torch.full((1, 50), step)
        other = actions.clone()
        other[..., step:] = 0
        values = net(actions, steps)
        assert torch.equal(values, net(other, steps))
        if step:
            other[..., step - 1] = 1 - other[..., step - 1].clamp(max=1)
            assert not torch.isclose(values, net(other, steps)).all(-1).any()
        exists = values > -1e6
        assert exists.sum(-1).eq(N_GROUPS if step % 2 else N_ROWS).all()


def test_the_loss_is_that_of_equation_4_8() -> None:
    table, settings = smooth_table(50), DeepQSettings(hidden_layers=1, width=8)
    net, target = QNetwork(2, settings), QNetwork(2, settings)
    for parameter in [*net.parameters(), *target.parameters()]:
        torch.nn.init.normal_(parameter)
    objective = _Objective(net, settings, table.codes, table.classes, [4, 5], CPU)
    objective.target = target
    rows = torch.tensor([[0, 11, 15, 79], [7, 8, 23, 40]])
    losses = objective.losses(rows, torch.empty(0))
    for member, wanted in enumerate((4, 5)):
        terms = []
        for row in rows[member].tolist():
            composition, step = divmod(row, STEPS)
            elements = encode(table.codes[composition])
            actions = np.stack([ROWS[elements] - 1, GROUPS[elements] - 1], -1).ravel()
            state = torch.from_numpy(actions).expand(2, 1, STEPS)
            value = net(state, torch.full((2, 1), step))[member, 0, actions[step]]
            if step == STEPS - 1:
                goal = 1.0 if table.classes[composition] == wanted else -1.0
            else:
                goal = 0.999 * float(target(state, torch.full((2, 1), step + 1))[member, 0].detach().max())
            terms.append((float(value.detach()) - goal) ** 2)
        assert float(losses[member].detach()) == pytest.approx(np.mean(terms), rel=1e-4)


def test_probabilities_are_the_products_of_the_eight_choices(fitted: DeepQ) -> None:
    chances = fitted.probabilities(8)
    assert chances.shape == space_codes().shape
    assert 0 < chances.sum() < 1  # the rest are empty cells and repeated elements
    some = np.random.default_rng(0).choice(len(chances), 20, replace=False)
    elements = encode(space_codes()[some])
    actions = torch.from_numpy(np.stack([ROWS[elements] - 1, GROUPS[elements] - 1], -1).reshape(20, STEPS))
    product = np.ones(20)
    for step in range(STEPS):
        values = fitted.net(actions.expand(2, -1, -1), torch.full((2, 20), step))[1]
        taken = torch.softmax(5 * values.double(), -1).gather(-1, actions[:, step : step + 1])
        product *= taken[:, 0].numpy()
    np.testing.assert_allclose(chances[some], product, rtol=1e-4)


def test_samples_follow_the_probabilities(fitted: DeepQ) -> None:
    codes = fitted.sample(3, 100_000, seed=0)
    assert in_space(codes).all()
    chances = fitted.probabilities(3)
    expected = len(codes) * chances / chances.sum()
    counts = np.bincount(np.searchsorted(space_codes(), codes), minlength=len(chances))
    common = np.argsort(expected)[-50:]
    assert np.all(np.abs(counts[common] - expected[common]) < 6 * np.sqrt(expected[common]))


def test_samples_are_of_the_class_that_was_asked_for(fitted: DeepQ) -> None:
    table = smooth_table(1500)
    truth = energy_classes(smooth_energies(space_codes()), table.edges)
    for energy_class in (3, 8):
        chances = fitted.probabilities(energy_class)
        precision = chances[truth == energy_class].sum() / chances.sum()
        assert precision > 0.7  # 0.1 of the space is in each class
    even = DeepQ.fit(table, DeepQSettings(hidden_layers=1, width=8, updates=1, beta=0.0), 0).probabilities(1)
    assert np.ptp(even) == pytest.approx(0, abs=1e-12)  # beta = 0 draws at random


def test_with_shuffled_classes_nothing_is_learned() -> None:
    table = smooth_table(1500)
    truth = energy_classes(smooth_energies(space_codes()), table.edges)
    chances = DeepQ.fit(table.with_shuffled_energies(1), SMALL, seed=3).probabilities(3)
    assert chances[truth == 3].sum() / chances.sum() < 2 * np.mean(truth == 3)


def test_a_class_without_a_policy_is_refused(fitted: DeepQ) -> None:
    with pytest.raises(GenerativeError, match=r"for energy class 5, only for 3, 8: train one with 5 among"):
        fitted.sample(5, 10, seed=0)


def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks of 10 updates and a target that is renewed every 7: it must be kept, too.
    settings = DeepQSettings(hidden_layers=1, width=16, updates=30, learning_rate=1e-2, target_period=7)
    assert_it_ends_with_the_same_weights(DeepQ, settings, tmp_path, monkeypatch)


def test_several_fits_are_each_as_if_alone() -> None:
    tables = [smooth_table(300), smooth_table(200, seed=1)]
    settings = DeepQSettings(classes=(4, 5), hidden_layers=1, width=16, updates=30, batch_size=50)
    together = DeepQ.fit_many(tables, settings, [1, 2])
    for table, seed, one in zip(tables, [1, 2], together, strict=True):
        for name, tensor in DeepQ.fit(table, settings, seed).net.state_dict().items():
            torch.testing.assert_close(one.net.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(GenerativeError, match=r"training of rl .* diverged"):
        DeepQ.fit(smooth_table(200), DeepQSettings(hidden_layers=1, width=16, learning_rate=1e30, updates=100), 0)
