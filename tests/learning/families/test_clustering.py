from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from aiida_perovskite.learning.families import FamilyDataError, FamilySettings
from aiida_perovskite.learning.families.clustering import k_means, scan_clusters, silhouettes

SETTINGS = FamilySettings(k_max=7, gap_references=5)


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    centres = [[0, 0, 0], [8, 0, 0], [0, 9, 0], [0, 0, 10]]
    return make_blobs([120, 90, 60, 30], centers=centres, cluster_std=0.7, random_state=0)


def test_every_rule_finds_four_clear_clusters(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = blobs
    scan = scan_clusters(scores, SETTINGS)
    assert scan.choices == {"silhouette": 4, "elbow": 4, "gap_statistic": 4}
    assert scan.frame.loc[scan.frame["chosen"], "k"].tolist() == [4]
    assert adjusted_rand_score(truth, scan.clusterings[4].labels) == 1.0
    # Numbered by falling size.
    assert np.bincount(scan.clusterings[4].labels).tolist() == [120, 90, 60, 30]


def test_the_gap_statistic_finds_one_cluster_where_there_is_one() -> None:
    settings = FamilySettings(k_max=7, gap_references=20)
    scan = scan_clusters(np.random.default_rng(0).normal(size=(300, 3)), settings)
    assert scan.choices["gap_statistic"] == 1


def test_silhouettes_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(1500, 3))  # more rows than one chunk
    labellings = [k_means(scores, k, 1, 0).labels for k in (2, 5)]
    labellings.append(np.r_[0, np.ones(1499, int)])  # a cluster of one row
    labellings.append(random.choice([0, 3], 1500))  # numbers without rows
    for labels, found in zip(labellings, silhouettes(scores, labellings), strict=True):
        np.testing.assert_allclose(found, silhouette_samples(scores, labels), atol=1e-9)


def test_inertia_is_the_sum_of_squared_distances_to_the_centres(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    found = k_means(blobs[0], 4, 3, 0)
    assert found.inertia == pytest.approx(((blobs[0] - found.centres[found.labels]) ** 2).sum())
    np.testing.assert_array_equal(found.assign(blobs[0]), found.labels)


@pytest.mark.parametrize("scores", [np.arange(7.0)[:, None], np.repeat(np.arange(7.0), 5)[:, None]])
def test_too_few_different_rows_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(FamilyDataError, match="too few for 7 clusters"):
        scan_clusters(scores, SETTINGS)
