"""Prediction with trained networks, for spaces of thousands to millions of compositions.

The pictures of a space have most of their patches in common: a 2x2 window of the periodic table holds at most a few
elements, and a convolution gives every window with the same content the same activations, wherever it lies. So each
convolution is computed once per distinct window of the whole space (`shared_patches`), which is exact: for the 7,056
halides 1,062 windows instead of 84,672 in the last one. Matrix products always have the same shape (`_BLOCK` rows), so
that a compound's prediction does not depend, to the last bit, on what else is predicted beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .cnn import NEGATIVE_SLOPE, PeriodicTableCNN

__all__ = ["Ensemble", "Member", "shared_patches", "worker_threads"]

_BLOCK = 256
_CHUNK = 8192
_WINDOWS = ((2, 2), (2, 2), (2, 2), (2, 2), (1, 2))

Ids = NDArray[np.int64]


def worker_threads(threads: int | None) -> ThreadPoolExecutor:
    """Return a pool whose threads each compute alone: results then do not depend on how many there are.

    Parameters
    ----------
    threads
        Number of threads; by default as many as torch would use (OMP_NUM_THREADS is obeyed).
    """
    return ThreadPoolExecutor(max(1, threads or torch.get_num_threads()), initializer=_start_worker)


def _start_worker() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@dataclass(frozen=True)
class Member:
    """One trained network and the scale of its targets: eV = output * scale_ev + offset_ev."""

    net: PeriodicTableCNN
    offset_ev: float
    scale_ev: float


class Ensemble:
    """Networks that answer together.

    Parameters
    ----------
    members
        Trained networks.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)

    def predict(self, grids: NDArray[np.float32], threads: int | None = None) -> NDArray[np.float64]:
        """Predict the target of each encoding.

        Parameters
        ----------
        grids
            Encodings, shape (N, 3, 5, 17).
        threads
            Number of worker threads.

        Returns
        -------
        numpy.ndarray
            eV, shape (members, N).
        """
        outputs = [np.empty((len(self.members), 0))]
        with worker_threads(threads) as pool:
            for start in range(0, len(grids), _CHUNK):
                patches = shared_patches(grids[start : start + _CHUNK])
                outputs.append(np.stack(list(pool.map(partial(_predict_member, patches=patches), self.members))))
        return np.concatenate(outputs, axis=1)


@dataclass(frozen=True)
class _Patches:
    """Distinct windows per convolution: what the first one sees, and which rows of the layer before the others join."""

    first: Tensor
    sources: tuple[Tensor, ...]
    last: Tensor


def shared_patches(grids: NDArray[np.float32]) -> _Patches:
    """Find the distinct windows of encodings (N, 3, 5, 17) under each convolution."""
    ids, values = _cells(grids)
    sources: list[Ids] = []
    for height, width in _WINDOWS:
        out_height, out_width = ids.shape[1] - height + 1, ids.shape[2] - width + 1
        taps = [ids[:, i : i + out_height, j : j + out_width] for i in range(height) for j in range(width)]
        joined = taps[0]
        for tap in taps[1:]:
            joined = _join(joined, tap)
        ids = joined
        representatives = np.empty(int(ids.max()) + 1, dtype=np.int64)
        representatives[ids.ravel()] = np.arange(ids.size)
        sources.append(np.stack([tap.reshape(-1)[representatives] for tap in taps], axis=1))
    first = values[sources[0]].transpose(0, 2, 1).reshape(len(sources[0]), -1)
    return _Patches(torch.from_numpy(first), tuple(map(torch.from_numpy, sources[1:])), torch.from_numpy(ids[:, 0]))


def _cells(grids: NDArray[np.float32]) -> tuple[Ids, NDArray[np.float32]]:
    """Return a number per cell and distinct content, shape (N, 5, 17), and the three channels of each content."""
    numbers = np.zeros(grids.shape, dtype=np.int64)
    filled = grids != 0
    numbers[filled] = 1 + np.unique(grids[filled], return_inverse=True)[1]
    ids = _join(_join(numbers[:, 0], numbers[:, 1]), numbers[:, 2])
    values = np.empty((int(ids.max()) + 1, grids.shape[1]), dtype=np.float32)
    values[ids.ravel()] = grids.transpose(0, 2, 3, 1).reshape(-1, grids.shape[1])
    return ids, values


def _join(first: Ids, second: Ids) -> Ids:
    """Return a number per distinct pair of the entries of two arrays."""
    keys = first * (int(second.max()) + 1) + second
    return pd.factorize(keys.ravel())[0].astype(np.int64).reshape(keys.shape)


def _predict_member(member: Member, patches: _Patches) -> NDArray[np.float64]:
    with torch.inference_mode():
        net, table = member.net, patches.first
        for index, convolution in enumerate(net.convolutions):
            weight = cast(Tensor, convolution.weight)
            matrix = weight.flatten(1) if index == 0 else weight.permute(0, 2, 3, 1).flatten(1)
            rows = table if index == 0 else table[patches.sources[index - 1]].flatten(1)
            table = functional.leaky_relu(_affine(rows, matrix, cast(Tensor, convolution.bias)), NEGATIVE_SLOPE)
        hidden = table[patches.last].transpose(1, 2).flatten(1)
        for dense, norm in zip(net.dense[:-1], net.norms, strict=True):
            rows = _affine(hidden, cast(Tensor, dense.weight), cast(Tensor, dense.bias))
            hidden = functional.leaky_relu(norm(rows), NEGATIVE_SLOPE)
        last = net.dense[-1]
        output = _affine(hidden, cast(Tensor, last.weight), cast(Tensor, last.bias))[:, 0]
    return output.double().numpy() * member.scale_ev + member.offset_ev


def _affine(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return rows @ weight.T + bias, in products of `_BLOCK` rows each (zeros fill the last)."""
    padded = functional.pad(rows, (0, 0, 0, -len(rows) % _BLOCK))
    output = torch.empty(len(padded), len(weight))
    for start in range(0, len(padded), _BLOCK):
        torch.addmm(bias, padded[start : start + _BLOCK], weight.t(), out=output[start : start + _BLOCK])
    return output[: len(rows)]
