"""Which site makes the gap, asked of the gradients instead of the attention.

Integrated gradients (M. Sundararajan, A. Taly, Q. Yan, PMLR 70, 3319, 2017) distribute the difference between the gap
of a compound and that of a baseline over the four sites, exactly: the attributions of a compound add up to it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .network import LevelNetwork

__all__ = ["integrated_gradients"]

_CHUNK = 128


def integrated_gradients(
    network: LevelNetwork, sites: NDArray[np.int64], member: int, steps: int = 32
) -> tuple[NDArray[np.float64], float]:
    """Return the share of each site in the gap of each compound, relative to the average compound.

    The path leads from the mean over the given compounds of each site's features straight to the compound's own.

    Parameters
    ----------
    network
        Trained networks.
    sites
        Numbers of the elements on A, B, C, D, shape (N, 4).
    member
        Which network to ask.
    steps
        Points of the Gauss-Legendre rule along the path.

    Returns
    -------
    tuple
        Attributions in eV, shape (N, 4), and the largest deviation in eV of their sum from the difference of the gaps,
        which says whether there were enough steps.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    with torch.no_grad():
        features = network.embed(torch.from_numpy(sites))
        baseline = features.mean(dim=1, keepdim=True)
        ends = network.from_features(features).gap_ev - network.from_features(baseline).gap_ev
    attributions = torch.zeros(features.shape[1:3], dtype=torch.float64)
    for start in range(0, len(sites), _CHUNK):
        part = features[:, start : start + _CHUNK]
        for node, weight in zip(nodes, weights, strict=True):
            gradient = _gradient(network, baseline + (part - baseline) * float(0.5 + 0.5 * node), member)
            shares = (gradient * (part - baseline)).sum(dim=-1)[member]
            attributions[start : start + _CHUNK] += 0.5 * float(weight) * shares.double()
    gaps = attributions.sum(dim=1) - ends[member].double()
    return attributions.numpy(), float(gaps.abs().max()) if len(gaps) else 0.0


def _gradient(network: LevelNetwork, features: Tensor, member: int) -> Tensor:
    point = features.detach().requires_grad_(True)
    gap = network.from_features(point).gap_ev[member].sum()
    return torch.autograd.grad(gap, point)[0]
