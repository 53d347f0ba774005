"""The variational autoencoder learns, is reproducible, and is that of SPEC 4.2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from smooth_elpasolites import smooth_energies, smooth_table

from aiida_perovskite.learning.generative.selection import held_out_split, training_quantities
from aiida_perovskite.learning.generative.settings import VAESettings
from aiida_perovskite.learning.generative.space import in_space
from aiida_perovskite.learning.generative.table import energy_classes
from aiida_perovskite.learning.generative.vae import VAE, VAENetwork
from aiida_perovskite.learning.settings import SettingsError

SMALL = VAESettings(width=64, updates=600, batch_size=200)


@pytest.fixture(scope="module")
def fitted() -> VAE:
    return VAE.fit(smooth_table(1500), SMALL, seed=3)


def test_the_defaults_are_those_of_the_thesis() -> None:
    net = VAENetwork(1, VAESettings())
    shapes = [tuple(layer.weight.shape[1:]) for part in (net.encoder, net.decoder) for layer in part.layers]  # type: ignore[union-attr]
    assert shapes == [(18, 256), (256, 256), (256, 16), (18, 256), (256, 256), (256, 8)]
    settings = VAESettings()
    assert (settings.latent, settings.learning_rate, settings.batch_size) == (8, 1e-3, 500)
    assert (settings.updates, settings.kl_weight) == (10_000, 0.1)
    with pytest.raises(SettingsError, match="activation"):
        VAESettings(activation="step")


@pytest.mark.parametrize("variance", ["log_variance", "softplus"])
def test_divergence_is_that_of_the_gaussians(variance: str) -> None:
    net = VAENetwork(1, VAESettings(width=16, variance=variance))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    inputs = torch.randn(1, 5, 18)
    mean, log_variance = net.encode(inputs)
    _, found = net.losses(inputs, torch.zeros(1, 5, 8))
    gaussian = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    expected = torch.distributions.kl_divergence(gaussian, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(found, expected)


def test_samples_are_of_the_class_that_was_asked_for(fitted: VAE) -> None:
    # 600 updates of a small network: classes two apart must be told from each other.
    edges = fitted.edges
    for energy_class in (3, 8):
        codes = fitted.sample(energy_class, 2000, seed=0)
        assert len(codes) == 2000
        assert in_space(codes).all()
        found = energy_classes(smooth_energies(codes), edges)
        assert np.mean(np.abs(found - energy_class) <= 1) > 0.7
        assert len(np.unique(codes)) > 500


def test_same_seed_same_samples_and_a_round_trip_through_files(fitted: VAE, tmp_path: Path) -> None:
    again = VAE.fit(smooth_table(1500), SMALL, seed=3)
    codes = fitted.sample(4, 300, seed=5)
    assert np.array_equal(codes, again.sample(4, 300, seed=5))
    assert not np.array_equal(codes, fitted.sample(4, 300, seed=6))
    fitted.save(tmp_path)
    assert np.array_equal(codes, VAE.load(tmp_path).sample(4, 300, seed=5))


def test_fits_on_tables_of_several_sizes_train_together() -> None:
    tables = [smooth_table(300), smooth_table(200, seed=1)]
    settings = VAESettings(width=16, updates=30, batch_size=50)
    together = VAE.fit_many(tables, settings, [1, 2])
    for table, seed, one in zip(tables, [1, 2], together, strict=True):
        alone = VAE.fit(table, settings, seed)
        assert one.class_counts.tolist() == table.counts.tolist()
        for name, tensor in alone.net.state_dict().items():
            torch.testing.assert_close(one.net.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_held_out_rows_are_measured(fitted: VAE) -> None:
    table = smooth_table(400)
    rest, codes, classes = held_out_split(table, 4, 0)
    assert not np.isin(codes, rest.codes).any()
    assert len(rest.codes) + len(codes) == len(table.codes)
    found = fitted.reconstruction(codes, classes, seed=0)
    assert 0 < found["squared_error"] < 8 * 4
    assert found["divergence"] > 0
    same = training_quantities(table.codes_of_class(5), table, 5)
    assert same == {
        "training_js_distance": 0.0,
        "unique": table.counts[4],
        "rediscovered": table.counts[4],
    }
