from __future__ import annotations

import numpy as np
import pytest

from aiida_perovskite.chemistry.solid_state_energy import gaps_of_sites
from aiida_perovskite.learning.levels.sse import fit_solid_state_energies

ENERGIES = np.array([-2.0, -3.0, -3.5, -7.0, -6.0, np.nan])  # three cations, two anions, one unknown


def test_fit_recovers_the_energies_that_made_the_gaps():
    random = np.random.default_rng(0)
    true = np.concatenate([random.uniform(-4, -1, 6), random.uniform(-8, -5, 3)])
    sites = np.array([[*random.permutation(6)[:3], random.integers(6, 9)] for _ in range(300)])
    targets = gaps_of_sites(true[sites], is_cation=true[sites] > -4.5).gap_ev
    start = true + random.normal(0, 0.3, 9)
    fit = fit_solid_state_energies(sites, targets, start)
    assert fit.n == 300
    assert fit.energies_ev.shape == true.shape
    assert fit.rmse_after_ev < 0.05 < fit.rmse_before_ev


def test_nothing_to_fit():
    with pytest.raises(ValueError, match="No compound"):
        fit_solid_state_energies(np.array([[0, 1, 2, 5]]), np.array([1.0]), ENERGIES)
