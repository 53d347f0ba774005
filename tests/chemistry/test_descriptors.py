from __future__ import annotations

import numpy as np

from aiida_perovskite.chemistry import ELEMENTS
from aiida_perovskite.chemistry.descriptors import element_descriptors

# Beyond lawrencium pymatgen knows no electrons, and ionisation energies of 50 and 65 eV that no atom has.
SUPERHEAVY = frozenset(["Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"])


def test_all_elements_have_finite_descriptors():
    values = element_descriptors(sorted(ELEMENTS))
    assert values.shape == (118, 40)
    assert np.isfinite(values).all()


def test_descriptors_are_of_order_one():
    assert np.abs(element_descriptors(sorted(ELEMENTS - SUPERHEAVY))).max() <= 1.2


def test_columns_say_what_the_docstring_says():
    cl, br, ag = element_descriptors(["Cl", "Br", "Ag"])
    assert np.flatnonzero(cl[:18]).tolist() == [16]  # group 17
    assert np.flatnonzero(br[18:25]).tolist() == [3]  # period 4
    assert np.flatnonzero(ag[25:29]).tolist() == [2]  # d block
    np.testing.assert_allclose(cl[29:33], [1, 5 / 6, 0, 0])  # 3s2 3p5
    np.testing.assert_allclose(ag[29:33], [0.5, 0, 1, 0])  # 5s1 4d10
    assert cl[33] * 4 == 3.16  # Pauling
