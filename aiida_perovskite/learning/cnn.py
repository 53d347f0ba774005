"""The network of SPEC 2.2: convolutions over the periodic table, then dense layers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .representation import GRID_SHAPE
from .settings import TrainingSettings

__all__ = ["ARCHITECTURE", "LAYERS", "NEGATIVE_SLOPE", "PeriodicTableCNN", "TrainingSettings"]

NEGATIVE_SLOPE = 0.2
_CHANNELS = 100
_KERNELS = ((2, 2), (2, 2), (2, 2), (2, 2), (1, 2))
_DENSE = (1200, 200, 200, 200, 1)

ARCHITECTURE = "PeriodicTableCNN"
"""Name of the network in checkpoints."""

LAYERS: dict[str, Any] = {
    "input": list(GRID_SHAPE),
    "channels": _CHANNELS,
    "kernels": [list(kernel) for kernel in _KERNELS],
    "dense": list(_DENSE),
    "activation": f"LeakyReLU({NEGATIVE_SLOPE})",
    "norm": "LayerNorm in the dense part",
}
"""What a checkpoint must agree with to be loaded into this network."""


class PeriodicTableCNN(nn.Module):
    """Four 2x2 and one 1x2 convolutions with 100 channels each, then dense layers 1200-200-200-200-1.

    A convolution is followed by LeakyReLU and dropout, a dense layer by layer norm, LeakyReLU and dropout; the last
    layer is plain. Without padding the 5x17 grid shrinks to 1x12, so that 1200 numbers enter the dense part.

    Parameters
    ----------
    dropout
        Chance that an activation is dropped in training.
    """

    def __init__(self, dropout: float = 0.25) -> None:
        super().__init__()
        self.dropout = dropout
        inputs = (GRID_SHAPE[0], *[_CHANNELS] * (len(_KERNELS) - 1))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(size, _CHANNELS, kernel) for size, kernel in zip(inputs, _KERNELS, strict=True)
        )
        self.dense = nn.ModuleList(nn.Linear(size, out) for size, out in pairwise(_DENSE))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in _DENSE[1:-1])

    def forward(self, grid: Tensor) -> Tensor:
        """Map encodings, shape (N, 3, 5, 17), to scaled targets, shape (N,)."""
        hidden = grid
        for convolution in self.convolutions:
            hidden = self._drop(functional.leaky_relu(convolution(hidden), NEGATIVE_SLOPE))
        hidden = hidden.flatten(1)
        for dense, norm in zip(self.dense[:-1], self.norms, strict=True):
            hidden = self._drop(functional.leaky_relu(norm(dense(hidden)), NEGATIVE_SLOPE))
        return torch.squeeze(self.dense[-1](hidden), 1)

    def _drop(self, hidden: Tensor) -> Tensor:
        return functional.dropout(hidden, self.dropout, self.training)
