"""What generators have in common whose every fit is a network of its own, or a few."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..checkpoint import CheckpointError
from .base_settings import GeneratorSettings
from .batched import member_weights
from .generator import Generator
from .settings import GANSettings, VAESettings
from .table import N_CLASSES, ElpasoliteTable

__all__ = ["NeuralGenerator", "latent_points", "one_hot", "restored"]

Network = TypeVar("Network", bound=nn.Module)

_ACTIVATIONS = 2**24  # of a layer that are held at a time: 64 MiB


class NeuralGenerator(Generator):
    """A generator whose weights are all that it has learned."""

    net: Any

    @classmethod
    @abstractmethod
    def _network(cls, settings: Any, fits: int) -> nn.Module:
        """Return untrained networks for some fits, their members side by side."""

    @classmethod
    def _parted(
        cls, net: nn.Module, tables: Sequence[ElpasoliteTable], settings: GeneratorSettings, seeds: Sequence[int]
    ) -> list[Self]:
        """Return a generator per table and seed from what was trained together."""
        members = len(next(net.parameters())) // len(seeds)
        fitted = []
        for number, (table, seed) in enumerate(zip(tables, seeds, strict=True)):
            generator = cls._blank(table, settings, seed)
            generator._restore(member_weights(net, slice(number * members, (number + 1) * members)), generator._notes())
            fitted.append(generator)
        return fitted

    def _tensors(self) -> dict[str, Tensor]:
        return dict(self.net.state_dict())

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        self.net = restored(lambda: self._network(self.settings, 1), self.settings, tensors)


def restored(make: Callable[[], Network], settings: Any, tensors: Mapping[str, Tensor]) -> Network:
    """Return a network with weights that were read; `CheckpointError` if they are not its.

    It is made without its numbers first: a description of a few bytes may name any size.
    """
    described = 0
    if settings.hidden_layers <= len(tensors):
        with torch.device("meta"):
            described = sum(tensor.numel() for tensor in make().state_dict().values())
    if described != sum(tensor.numel() for tensor in tensors.values()):
        raise CheckpointError("The weights are not those of the network that is described.")
    net = make()
    net.requires_grad_(False)
    net.load_state_dict(tensors)
    return net


def latent_points(n: int, settings: GANSettings | VAESettings, random: np.random.Generator) -> Iterator[Tensor]:
    """Yield `n` standard normal points in blocks (1, some, latent)."""
    block = max(1, _ACTIVATIONS // settings.width)
    for start in range(0, n, block):
        shape = (1, min(block, n - start), settings.latent)
        yield torch.from_numpy(random.standard_normal(shape, dtype=np.float32))


def one_hot(classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return classes (N,) as rows (N, 10) with a 1 each."""
    return np.eye(N_CLASSES, dtype=np.float32)[classes - 1]
