from __future__ import annotations

import numpy as np

from aiida_perovskite.learning.baselines import BASELINES, cross_validate, site_one_hots
from aiida_perovskite.learning.representation import encode
from aiida_perovskite.learning.rows import assign_folds


def test_one_hots_keep_the_sites_apart_and_a_and_b_together():
    features = site_one_hots(encode(["Cs2RbAgBr6", "Cs2AgRbBr6", "Rb2CsAgBr6"]))
    assert (features[0] == features[1]).all()
    assert not (features[0] == features[2]).all()
    assert features.sum(axis=1).tolist() == [4.0, 4.0, 4.0]


def test_every_baseline_but_the_mean_learns_additive_gaps(table):
    target = table["gap_ev"].to_numpy()
    predicted = cross_validate(table["formula"], target, assign_folds(len(table), 4, seed=0))
    errors = {name: np.abs(values - target).mean() for name, values in predicted.items()}
    assert set(errors) == set(BASELINES)
    assert all(errors[name] < errors["mean"] for name in errors if name != "mean")
