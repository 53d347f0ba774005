"""The regression, and the energies and classes of the whole space made with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiida_perovskite.learning import CheckpointError, SettingsError
from aiida_perovskite.learning.generative import Truth, TruthSettings
from aiida_perovskite.learning.generative.kernel_ridge import KernelRidge
from aiida_perovskite.learning.generative.space import (
    GROUPS,
    ROWS,
    GenerativeError,
    encode,
    in_space,
    space_codes,
    swap,
)
from aiida_perovskite.learning.generative.table import N_CLASSES
from aiida_perovskite.learning.generative.testing import small_table

SIGMA, REGULARISATION = 10.0, 0.01


def features(codes: np.ndarray) -> np.ndarray:
    return np.concatenate([ROWS[encode(codes)], GROUPS[encode(codes)]], axis=1).astype(float)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth.fit(small_table(), TruthSettings(sigma=SIGMA, regularisation=REGULARISATION))


def test_the_factorised_regression_is_that_of_scikit_learn(truth: Truth) -> None:
    from sklearn.kernel_ridge import KernelRidge as Reference

    codes, energies = small_table().rows_as_stored
    reference = Reference(alpha=REGULARISATION, kernel="laplacian", gamma=1 / SIGMA)
    reference.fit(features(codes), energies - energies.mean())
    asked = np.random.default_rng(1).choice(space_codes(), 2000, replace=False)
    expected = reference.predict(features(asked)) + energies.mean()
    model = KernelRidge.fit(codes, energies, SIGMA, REGULARISATION)
    assert model.predict(asked) == pytest.approx(expected, abs=1e-9)
    assert truth.energies[asked] == pytest.approx(expected, abs=1e-5)


def test_leave_one_out_errors_are_those_of_leaving_one_out(truth: Truth) -> None:
    codes, energies = small_table().rows_as_stored
    _, errors = KernelRidge.fit_with_errors(codes, energies, SIGMA, REGULARISATION)
    assert truth.cross_validated_mae_ev_per_atom == pytest.approx(np.abs(errors).mean())
    distances = np.abs(features(codes)[:, None] - features(codes)).sum(axis=-1)
    kernel = np.exp(-distances / SIGMA) + REGULARISATION * np.eye(len(codes))
    centred = energies - energies.mean()
    for row in (0, 17):
        others = np.arange(len(codes)) != row
        predicted = kernel[row, others] @ np.linalg.solve(kernel[np.ix_(others, others)], centred[others])
        assert errors[row] == pytest.approx(centred[row] - predicted)


def test_the_symmetric_regression_is_that_of_both_orders() -> None:
    table = small_table(150)
    rows = table.one_order
    once = KernelRidge.fit(table.codes[rows], table.energies_ev_per_atom[rows], SIGMA, REGULARISATION, symmetric=True)
    twice = KernelRidge.fit(table.codes, table.energies_ev_per_atom, SIGMA, REGULARISATION)
    np.testing.assert_allclose(once.space, twice.space, atol=1e-9)
    codes = space_codes()[::997]
    assert once.predict(codes) == pytest.approx(once.predict(swap(codes)), abs=1e-12)


def test_energies_and_classes_cover_the_space_and_nothing_else(truth: Truth) -> None:
    codes = np.arange(39**4)
    assert np.array_equal(np.isfinite(truth.energies), in_space(codes))
    assert np.array_equal(truth.classes > 0, in_space(codes))
    assert truth.counts.sum() == len(space_codes())
    low = truth.codes_of_class(1)
    assert (truth.energies[low] <= truth.edges[1] + 1e-6).all()
    assert truth.energies[low].min() < truth.edges[0], "energies below the training range belong to class 1"
    top = truth.codes_of_class(N_CLASSES)
    assert (truth.energies[top] >= truth.edges[-2] - 1e-6).all()


def test_the_matrix_of_distances_is_one_of_distances(truth: Truth) -> None:
    matrix = truth.js_matrix()
    assert matrix.shape == (10, 10)
    assert np.array_equal(matrix, matrix.T)
    assert np.array_equal(np.diag(matrix), np.zeros(10))
    assert (matrix[0, 1:] > 0).all()
    assert truth.element_distribution(5).sum(axis=1) == pytest.approx(np.ones(4))


def test_a_saved_truth_is_the_same(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path)
    loaded = Truth.load(tmp_path)
    assert np.array_equal(loaded.energies, truth.energies, equal_nan=True)
    assert np.array_equal(loaded.classes, truth.classes)
    assert np.array_equal(loaded.edges, truth.edges)
    assert (loaded.settings, loaded.data_sha256) == (truth.settings, truth.data_sha256)
    assert loaded.cross_validated_mae_ev_per_atom == truth.cross_validated_mae_ev_per_atom
    (tmp_path / "truth.npz").write_bytes((tmp_path / "truth.npz").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        Truth.load(tmp_path)
    (tmp_path / "truth.npz").unlink()
    with pytest.raises(CheckpointError, match="There is no file"):
        Truth.load(tmp_path)
    (tmp_path / "truth.json").write_text('{"format": 1, "elements": ["H"]}')
    with pytest.raises(CheckpointError, match="no truth of this space"):
        Truth.load(tmp_path)


def test_settings_and_tables_that_will_not_do(truth: Truth) -> None:
    with pytest.raises(SettingsError, match="sigma = 0"):
        TruthSettings(sigma=0.0)
    with pytest.raises(SettingsError, match="Unknown training settings colour; known are sigma"):
        TruthSettings.from_dict({"colour": 1})
    with pytest.raises(SettingsError, match="sigma = '1' must be of type float"):
        TruthSettings.from_dict({"sigma": "1"})
    with pytest.raises(GenerativeError, match="other edges than those of the truth"):
        truth.check_table(small_table(100))
    with pytest.raises(GenerativeError, match="not positive definite"):
        KernelRidge.fit(np.array([27, 27]), np.array([0.0, 1.0]), 1.0, -1.0)
    truth.check_table(small_table().subset(20, seed=0))
