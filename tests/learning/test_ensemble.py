from __future__ import annotations

import numpy as np
import pytest
import torch

from aiida_perovskite.chemistry import halide_space
from aiida_perovskite.learning import PeriodicTableCNN, encode
from aiida_perovskite.learning.ensemble import Ensemble, Member


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    torch.manual_seed(0)
    return Ensemble([Member(PeriodicTableCNN().eval(), 1.0 + number, 2.0) for number in range(2)])


@pytest.fixture(scope="module")
def grids() -> np.ndarray:
    return encode(halide_space()[::17])


def test_shared_patches_give_what_the_network_gives(ensemble, grids):
    output = ensemble.predict(grids)
    assert output.shape == (2, len(grids))
    with torch.no_grad():
        for member, row in zip(ensemble.members, output, strict=True):
            expected = member.net(torch.from_numpy(grids)).numpy() * member.scale_ev + member.offset_ev
            np.testing.assert_allclose(row, expected, atol=2e-5)


def test_company_order_and_threads_change_no_bit(ensemble, grids):
    together = ensemble.predict(grids, threads=2)
    order = np.random.default_rng(0).permutation(len(grids))
    assert (ensemble.predict(grids[order], threads=1) == together[:, order]).all()
    for index in order[:10]:
        assert (ensemble.predict(grids[index : index + 1]) == together[:, index : index + 1]).all()


def test_coefficients_that_are_no_integers_are_not_confused(ensemble):
    grid = encode(["Cs2AgBiBr6"])
    mixed = grid.copy()
    mixed[0, 1, 3, 10], mixed[0, 1, 2, 10] = 0.5, 0.5
    output = ensemble.predict(np.concatenate([grid, mixed]))
    with torch.no_grad():
        expected = ensemble.members[0].net(torch.from_numpy(mixed)).numpy() * 2.0 + 1.0
    np.testing.assert_allclose(output[0, 1:], expected, atol=2e-5)
    assert output[0, 0] != output[0, 1]


def test_nothing_predicts_to_nothing(ensemble):
    assert ensemble.predict(encode([])).shape == (2, 0)
