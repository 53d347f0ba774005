"""Solid-state energies fitted to computed gaps by gradient descent (SPEC 3, the baseline of the level network)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_perovskite.chemistry.solid_state_energy import CATION_THRESHOLD_EV, gaps_of_sites

__all__ = ["SseFit", "SseSettings", "fit_solid_state_energies"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class SseSettings:
    """How solid-state energies are fitted."""

    updates: int = 2000
    """Steps of Adam, each on all rows."""
    learning_rate: float = 0.02
    """Step in eV, annealed to zero along half a cosine."""
    threshold_ev: float = CATION_THRESHOLD_EV
    """An ion whose tabulated energy lies above is a cation, below an anion."""


@dataclass(frozen=True)
class SseFit:
    """Fitted energies (eV, shape (E,), nan where there was none to start from), and errors before and after (eV)."""

    energies_ev: Floats
    rmse_before_ev: float
    rmse_after_ev: float
    n: int


def fit_solid_state_energies(
    sites: Rows, targets_ev: Floats, energies_ev: Floats, settings: SseSettings | None = None
) -> SseFit:
    """Fit the energies of the elements to gaps; which elements are cations stays as the start says.

    Parameters
    ----------
    sites
        Indices of the sites' ions in `energies_ev`, shape (N, 4); an index of -1 is its last entry.
    targets_ev
        Gaps, shape (N,).
    energies_ev
        Where to start, shape (E,): tabulated energies, nan where there are none.

    Raises
    ------
    ValueError
        If no row has all four energies, a cation and an anion.
    """
    settings = settings or SseSettings()
    cation = energies_ev > settings.threshold_ev
    before = gaps_of_sites(energies_ev[sites], is_cation=cation[sites]).gap_ev
    usable = np.isfinite(before)
    if not usable.any():
        raise ValueError("No compound has a solid-state energy for all its elements, with a cation and an anion.")
    rows, targets = torch.from_numpy(sites[usable]), torch.from_numpy(targets_ev[usable])
    mask = torch.from_numpy(cation)[rows]
    energies = torch.from_numpy(np.nan_to_num(energies_ev)).requires_grad_(True)
    optimiser = torch.optim.Adam([energies], lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.updates)
    infinite = torch.tensor(torch.inf, dtype=energies.dtype)
    for _ in range(settings.updates):
        values = energies[rows]
        gap = torch.where(mask, values, infinite).amin(dim=1) - torch.where(mask, -infinite, values).amax(dim=1)
        optimiser.zero_grad()
        (gap - targets).square().mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    fitted = np.where(np.isnan(energies_ev), np.nan, energies.detach().numpy())
    after = gaps_of_sites(fitted[sites[usable]], is_cation=cation[sites[usable]]).gap_ev
    targets_ev = targets_ev[usable]
    return SseFit(fitted, _rmse(before[usable], targets_ev), _rmse(after, targets_ev), n=len(targets_ev))


def _rmse(predicted: Floats, targets: Floats) -> float:
    # A negative difference says that the bands overlap: no gap.
    return float(np.sqrt(np.mean((np.maximum(predicted, 0.0) - targets) ** 2)))
