from __future__ import annotations

import numpy as np
import torch

from aiida_perovskite.learning.levels import LevelModel, integrated_gradients


def test_attributions_add_up_to_the_gap_above_that_of_the_mean_compound(model: LevelModel, table):
    sites = model.site_numbers(table["formula"])
    for member in range(model.n_members):
        shares, error = integrated_gradients(model.network, sites, member)
        features = model.network.embed(torch.from_numpy(sites))
        mean = model.network.from_features(features.mean(dim=1, keepdim=True)).gap_ev[member]
        gaps = model.network(torch.from_numpy(sites))[member]
        np.testing.assert_allclose(shares.sum(axis=1), (gaps - mean).double(), atol=5e-3)
        assert error < 5e-3


def test_a_site_that_never_changes_has_no_share(model: LevelModel, table):
    # All compounds of the table have Cs on C.
    shares, _ = integrated_gradients(model.network, model.site_numbers(table["formula"]), 0)
    np.testing.assert_allclose(shares[:, 2], 0, atol=1e-7)
    assert (np.abs(shares[:, [0, 1, 3]]).max(axis=0) > 0).all()
