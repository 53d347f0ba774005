"""The conditional variational autoencoder of the thesis (SPEC 4.2): rows and groups of the four sites as real numbers.

An encoder maps the 8 scaled rows and groups, joined to the one-hot class, to mean and variance of a latent Gaussian;
a decoder maps a latent point, joined to the class, back to the 8 numbers. A sample is a decoded standard normal,
rounded to the nearest cells of the periodic table; where a cell is empty or an element repeats, it is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .batched import Perceptron, resolve_device
from .generator import Progress
from .neural import NeuralGenerator, latent_points, one_hot
from .settings import VAESettings
from .space import N_GROUPS, N_ROWS, SITES, scale, unscale
from .table import N_CLASSES, ElpasoliteTable
from .training import Plan, join_tables, optimise

__all__ = ["VAE", "VAENetwork"]

Ints = NDArray[np.int64]
_ENTRIES = 2 * len(SITES)


class VAENetwork(nn.Module):
    """Encoders and decoders of M members.

    Parameters
    ----------
    members
        M.
    settings
        Their shape.
    """

    def __init__(self, members: int, settings: VAESettings) -> None:
        super().__init__()
        hidden = [settings.width] * settings.hidden_layers
        inputs, latent = _ENTRIES + N_CLASSES, settings.latent
        self.settings = settings
        self.encoder = Perceptron(members, [inputs, *hidden, 2 * latent], settings.activation, settings.norm)
        self.decoder = Perceptron(members, [latent + N_CLASSES, *hidden, _ENTRIES], settings.activation, settings.norm)

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance, both (M, N, latent), of entries and class (M, N, 8 + 10)."""
        mean, spread = self.encoder(inputs).chunk(2, dim=-1)
        limit = self.settings.log_variance_limit
        if self.settings.variance == "softplus":
            spread = 2 * functional.softplus(spread).clamp(min=1e-9).log()
        return mean, spread.clamp(-limit, limit)

    def decode(self, latent: Tensor, classes: Tensor) -> Tensor:
        """Return the entries (M, N, 8), each in (-1, 1), of latent points and one-hot classes (M, N, 10)."""
        return torch.tanh(self.decoder(torch.cat([latent, classes], dim=-1)))

    def losses(self, inputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summed squared error, and the divergence from the standard normal, of each row: both (M, N)."""
        mean, log_variance = self.encode(inputs)
        latent = torch.addcmul(mean, noise, torch.exp(0.5 * log_variance))
        entries, classes = inputs[..., :_ENTRIES], inputs[..., _ENTRIES:]
        error = (self.decode(latent, classes) - entries).square().sum(-1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
        return error, divergence


class VAE(NeuralGenerator):
    """A trained conditional variational autoencoder."""

    name = "vae"
    settings_type = VAESettings
    settings: VAESettings
    net: VAENetwork

    @classmethod
    def _fit_many(
        cls,
        tables: Sequence[ElpasoliteTable],
        settings: VAESettings,
        seeds: Sequence[int],
        progress: Progress | None,
        workdir: Path | None,
        device: str,
    ) -> list[VAE]:
        place = resolve_device(device)
        net = VAENetwork(len(seeds), settings).to(place)
        fits, codes, classes = join_tables(tables, seeds, settings)
        plan = Plan([settings.learning_rate] * settings.updates, settings.batch_size)
        objective = _Objective(net, torch.from_numpy(_inputs(codes, classes, settings)).to(place))
        optimise(objective, fits, plan, place, name=cls.name, progress=progress, workdir=workdir)
        return cls._parted(net, tables, settings, seeds)

    @classmethod
    def _network(cls, settings: VAESettings, fits: int) -> VAENetwork:
        return VAENetwork(fits, settings)

    @torch.inference_mode()
    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        parts = []
        for latent in latent_points(n, self.settings, random):
            classes = torch.from_numpy(_classes(np.full(latent.shape[1], energy_class), self.settings))[None]
            entries = self.net.decode(latent, classes)[0].numpy()
            parts.append(unscale(entries / _stretch(self.settings)))
        return np.concatenate(parts)

    @torch.inference_mode()
    def reconstruction(self, codes: Ints, classes: Ints, seed: int) -> dict[str, float]:
        """Measure how well rows, e.g. held out ones, come back through the latent space.

        Returns
        -------
        dict
            squared_error (sum over the 8 entries), divergence, both means over the rows, and share_recovered: the share
            of rows whose composition is decoded exactly.
        """
        inputs = torch.from_numpy(_inputs(codes, classes, self.settings))[None]
        random = np.random.default_rng(seed)
        shape = (1, len(codes), self.settings.latent)
        noise = torch.from_numpy(random.standard_normal(shape, dtype=np.float32))
        error, divergence = self.net.losses(inputs, noise)
        mean, _ = self.net.encode(inputs)
        entries = self.net.decode(mean, inputs[..., _ENTRIES:])[0].numpy() / _stretch(self.settings)
        return {
            "squared_error": float(error.mean()),
            "divergence": float(divergence.mean()),
            "share_recovered": float((unscale(entries) == codes).mean()),
        }


class _Objective:
    """Reconstruction plus weighted divergence (equation 4.2)."""

    def __init__(self, net: VAENetwork, inputs: Tensor) -> None:
        self.net, self.inputs = net, inputs
        self.noise_width = net.settings.latent

    def losses(self, rows: Tensor, noise: Tensor) -> Tensor:
        error, divergence = self.net.losses(self.inputs[rows], noise)
        return (error + self.net.settings.kl_weight * divergence).mean(-1)


def _inputs(codes: Ints, classes: Ints, settings: VAESettings) -> NDArray[np.float32]:
    """Return scaled entries joined to one-hot classes, (N, 8 + 10)."""
    return np.concatenate([scale(codes) * _stretch(settings), _classes(classes, settings)], axis=1)


def _classes(classes: Ints, settings: VAESettings) -> NDArray[np.float32]:
    return one_hot(classes) * np.float32(settings.class_scale)


def _stretch(settings: VAESettings) -> NDArray[np.float32]:
    """Return the factor of each entry that puts the outermost bins at -1 and 1, or leaves them where they are."""
    if settings.input_range == "open":
        return np.ones(_ENTRIES, dtype=np.float32)
    return np.tile(np.array([N_ROWS / (N_ROWS - 1), N_GROUPS / (N_GROUPS - 1)], dtype=np.float32), len(SITES))
