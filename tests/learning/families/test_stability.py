from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import make_blobs

from aiida_perovskite.learning.families import FamilySettings, reduce_dimensions
from aiida_perovskite.learning.families.clustering import scan_clusters
from aiida_perovskite.learning.families.descriptor import Descriptor
from aiida_perovskite.learning.families.stability import measure_stability, summarise_stability

SETTINGS = FamilySettings(k_max=6, gap_references=2, seed_runs=4, bootstrap_runs=8, n_init=3)


def descriptor(values: np.ndarray) -> Descriptor:
    return Descriptor(values, tuple(f"column_{number}" for number in range(values.shape[1])))


def stability(values: np.ndarray, others: dict[str, np.ndarray] | None = None, **kwargs) -> tuple[pd.DataFrame, int]:
    reduction = reduce_dimensions(descriptor(values))
    scan = scan_clusters(reduction.scores, SETTINGS)
    named = {name: descriptor(other) for name, other in (others or {}).items()}
    return measure_stability(descriptor(values), reduction, scan, SETTINGS, others=named, **kwargs), scan.k


def test_clear_clusters_are_found_again_and_another_network_s_are_not() -> None:
    values, truth = make_blobs(200, 4, centers=[[0] * 4, [6, 0, 0, 0], [0, 7, 0, 0]], random_state=0)
    shifted = make_blobs(200, 4, centers=[[3] * 4, [3, 9, 3, 3], [3, 3, 9, 3]], random_state=0)[0]
    unrelated = np.random.default_rng(0).normal(size=values.shape)
    table, k = stability(values, {"alike": shifted, "unlike": unrelated})
    summary = summarise_stability(table, k)
    assert k == len(set(truth)) == 3
    for kind, runs in (("seed", 4), ("bootstrap", 8)):
        assert summary[kind]["n_runs"] == summary[kind]["same_k"] == runs
        assert summary[kind]["ari_min"] > 0.97
    members = table[table["kind"] == "member"].set_index("run")
    assert members["ari"]["alike"] > 0.97
    assert abs(members["ari"]["unlike"]) < 0.1


def test_clusters_of_noise_do_not_survive_resampling() -> None:
    values = np.random.default_rng(1).normal(size=(150, 3))
    table, k = stability(values)
    summary = summarise_stability(table, k)["bootstrap"]
    assert summary["ari_mean"] < 0.7
    assert summary["same_k"] < 8


def test_both_orders_of_a_compound_are_drawn_together() -> None:
    """Rows that are copies of one block leave nothing new to a bootstrap of whole compounds, whatever is drawn."""
    half = make_blobs(60, 3, centers=3, random_state=2)[0]
    seen: list[str] = []
    table, _ = stability(np.vstack([half, half]), copies=2, progress=seen.append)
    assert len(seen) == len(table) == 12
    from aiida_perovskite.learning.families.stability import _samples

    for sample in _samples(120, 2, SETTINGS):
        np.testing.assert_array_equal(sample[:60] + 60, sample[60:])
        assert len(set(sample[:60])) < 60
