from __future__ import annotations

import numpy as np
import pytest

from aiida_perovskite.learning.families import FamilyDataError, reduce_dimensions
from aiida_perovskite.learning.families.descriptor import Descriptor


def descriptor(values: np.ndarray) -> Descriptor:
    return Descriptor(values, tuple(f"column_{number}" for number in range(values.shape[1])))


def test_a_known_plane_is_found_with_signs_that_no_row_order_changes() -> None:
    random = np.random.default_rng(0)
    axes = np.array([[0.6, -0.8, 0.0, 0.0], [0.0, 0.0, 0.28, 0.96]])
    values = random.normal(size=(300, 2)) * [3.0, 1.0] @ axes + [1.0, 2.0, 3.0, 4.0]
    found = reduce_dimensions(descriptor(values), components=3)
    np.testing.assert_allclose(found.explained_variance_ratio[:2].sum(), 1.0)
    np.testing.assert_allclose(found.components[0], [-0.6, 0.8, 0.0, 0.0], atol=0.1)
    np.testing.assert_allclose(found.components[1], [0.0, 0.0, 0.28, 0.96], atol=0.1)
    np.testing.assert_allclose(found.project(values), found.scores)
    shuffled = reduce_dimensions(descriptor(values[::-1]), components=3)
    np.testing.assert_allclose(shuffled.components[:2], found.components[:2], atol=1e-9)
    np.testing.assert_allclose(shuffled.scores[::-1, :2], found.scores[:, :2], atol=1e-9)


def test_columns_of_other_units_count_alike_once_standardised() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(500, 3)) * [1000.0, 1.0, 1e-3]
    plain = reduce_dimensions(descriptor(values))
    assert plain.explained_variance_ratio[0] > 0.999
    even = reduce_dimensions(descriptor(values), standardise=True)
    assert even.explained_variance_ratio.max() < 0.45
    np.testing.assert_allclose(even.project(values), even.scores)


def test_one_constant_column_is_fine_and_nothing_but_constants_is_not() -> None:
    values = np.column_stack([np.full(10, 1 / 3), np.arange(10.0)])
    found = reduce_dimensions(descriptor(values), standardise=True)
    np.testing.assert_allclose(found.components, [[0.0, 1.0]], atol=1e-12)
    with pytest.raises(FamilyDataError, match="same for all rows"):
        reduce_dimensions(descriptor(np.full((10, 2), 1 / 3)))
