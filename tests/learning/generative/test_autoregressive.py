"""The autoregressive model: a distribution over the space, symmetric in A and B, that follows the classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from smooth_elpasolites import smooth_energies, smooth_table

from aiida_perovskite.learning.generative.autoregressive import (
    Autoregressive,
    EnergyNetwork,
    _log_density,
    _log_likelihood,
    _places,
)
from aiida_perovskite.learning.generative.settings import AutoregressiveSettings
from aiida_perovskite.learning.generative.space import in_space, space_codes, swap
from aiida_perovskite.learning.generative.table import energy_classes

SMALL = AutoregressiveSettings(members=4, folds=2, width=16, updates=300, batch_size=256)


@pytest.fixture(scope="module")
def fitted() -> Autoregressive:
    return Autoregressive.fit(smooth_table(1500), SMALL, seed=3)


def test_the_likelihood_is_a_distribution_over_the_space(fitted: Autoregressive) -> None:
    codes = space_codes()
    logarithm = fitted.log_probability(codes, 2)
    assert np.exp(logarithm).sum() == pytest.approx(1, abs=1e-6)
    assert np.array_equal(logarithm, fitted.log_probability(swap(codes), 2))
    probabilities = fitted.class_probabilities(codes[:1000])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_samples_are_drawn_evenly_from_the_likeliest(fitted: Autoregressive) -> None:
    n = 200_000
    codes = fitted.sample(1, n, seed=0)
    assert in_space(codes).all()
    unique, counts = np.unique(codes, return_counts=True)
    expected = n * np.exp(fitted.log_probability(unique, 1))
    assert np.all(np.abs(counts - expected) < 6 * np.sqrt(expected) + 6)
    # The table of the space, by which they are chosen, is what the networks say.
    some = np.concatenate([unique, np.random.default_rng(0).choice(space_codes(), 20_000)])
    chances = fitted.class_probabilities(some)[:, 0]
    among = np.isfinite(fitted.log_probability(some, 1))
    assert among[: len(unique)].all()
    assert not among.all()
    assert chances[among].min() > chances[~among].max() - 1e-5
    expected_of_class = fitted.expected(1)
    assert expected_of_class["compositions"] == len(unique)  # so many draws leave none out
    assert expected_of_class["precision"] == pytest.approx(chances[: len(unique)].mean(), rel=1e-3)
    assert expected_of_class["coverage"] * expected_of_class["class_size"] == pytest.approx(
        expected_of_class["precision"] * expected_of_class["compositions"]
    )


def test_samples_are_of_the_class_that_was_asked_for(fitted: Autoregressive) -> None:
    for energy_class in (3, 8):
        codes = fitted.sample(energy_class, 2000, seed=0)
        found = energy_classes(smooth_energies(codes), fitted.edges)
        assert np.mean(found == energy_class) > 0.6
        assert len(np.unique(codes)) > 1000


def test_with_shuffled_classes_nothing_is_learned() -> None:
    table = smooth_table(1500)
    fooled = Autoregressive.fit(table.with_shuffled_energies(1), SMALL, seed=3)
    codes = fooled.sample(3, 5000, seed=0)
    prior = np.mean(energy_classes(smooth_energies(space_codes()), table.edges) == 3)
    precision = np.mean(energy_classes(smooth_energies(codes), table.edges) == 3)
    assert precision < 2 * prior


def test_same_seed_same_samples_and_a_round_trip_through_files(fitted: Autoregressive, tmp_path: Path) -> None:
    again = Autoregressive.fit(smooth_table(1500), SMALL, seed=3)
    codes = fitted.sample(4, 300, seed=5)
    assert np.array_equal(codes, again.sample(4, 300, seed=5))
    assert not np.array_equal(codes, fitted.sample(4, 300, seed=6))
    fitted.save(tmp_path)
    loaded = Autoregressive.load(tmp_path)
    assert np.array_equal(codes, loaded.sample(4, 300, seed=5))
    assert loaded.held_out == fitted.held_out


def test_likelihood_of_a_class_is_the_difference_of_two_logistics() -> None:
    output = torch.tensor([[[4.0, 0.4], [9.9, 1.6], [0.2, 1.0], [12.0, 0.2]]], dtype=torch.float64)
    for energy_class in range(1, 11):
        classes = torch.full((1, 4), energy_class)
        found = _log_likelihood(output, classes)
        edges = (torch.tensor([energy_class - 0.5, energy_class + 0.5])[:, None] - output[0, :, 0]) / output[0, :, 1]
        lower, upper = torch.sigmoid(edges)
        expected = (upper if energy_class < 10 else 1.0) - (lower if energy_class > 1 else 0.0)
        torch.testing.assert_close(found[0].exp(), expected, rtol=1e-8, atol=1e-14)
        assert torch.isfinite(found).all()


def test_energies_have_their_place_on_the_axis_of_classes() -> None:
    table = smooth_table(300)
    places = _places(table)
    assert np.array_equal(np.clip(np.floor(places + 0.5), 1, 10), table.classes)
    widths = np.diff(table.edges)
    inside = table.edges[table.classes - 1] + (places - table.classes + 0.5) * widths[table.classes - 1]
    np.testing.assert_allclose(inside, table.energies_ev_per_atom, atol=1e-5)


def test_density_is_the_slope_of_the_chance_below() -> None:
    output = torch.tensor([[[4.0, 0.4], [9.9, 1.6]]], dtype=torch.float64)
    places = torch.tensor([[4.3, 7.0]], dtype=torch.float64)
    below = [torch.sigmoid((places + step - output[..., 0]) / output[..., 1]) for step in (-1e-5, 1e-5)]
    torch.testing.assert_close(_log_density(output, places).exp(), (below[1] - below[0]) / 2e-5, rtol=1e-6, atol=0)


def test_class_labels_alone_will_do() -> None:
    fitted = Autoregressive.fit(smooth_table(1500), replace(SMALL, labels="classes"), seed=3)
    codes = fitted.sample(3, 2000, seed=0)
    assert np.mean(energy_classes(smooth_energies(codes), fitted.edges) == 3) > 0.6


def test_swapping_a_and_b_changes_no_bit() -> None:
    net = EnergyNetwork(2, SMALL)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    elements = torch.tensor([[1, 2, 3, 4], [30, 7, 12, 0]])
    swapped = elements[:, [1, 0, 2, 3]]
    assert torch.equal(*(net(net.inputs(rows).expand(2, -1, -1)) for rows in (elements, swapped)))
