"""Settings are chosen without the truth, and the quantities that choose them are what they say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_perovskite.learning.generative.selection import (
    choose_sharpness,
    compound_folds,
    held_out_log_likelihood,
    knee,
    overlap,
    pareto_front,
    sharpened,
)
from aiida_perovskite.learning.generative.space import GenerativeError, space_codes, swap

BLOCKED = ("aiida", "crepes", "pooch", "pymatgen", "smact")
BLIND = ("selection", "vae", "gan", "deep_q", "neural", "autoregressive", "generator", "training", "table", "space")

PROBE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Absent())
import importlib
for module in {modules}:
    importlib.import_module("aiida_perovskite.learning.generative." + module)
seen = [name for name in sys.modules if name.endswith((".truth", "generative.metrics"))]
assert not seen, seen
"""


def test_models_and_selection_load_neither_truth_nor_the_packages_a_cluster_lacks() -> None:
    code = PROBE.format(blocked=set(BLOCKED), modules=BLIND)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_compound_and_its_swap_are_of_one_fold() -> None:
    codes = np.random.default_rng(0).choice(space_codes(), 500, replace=False)
    folds = compound_folds(np.concatenate([codes, swap(codes)]), 4, 1)
    assert np.array_equal(folds[:500], folds[500:])
    assert np.ptp(np.bincount(compound_folds(codes, 4, 1))) <= 60
    with pytest.raises(GenerativeError, match="too few"):
        compound_folds(codes[:3], 4, 1)


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=30),
    st.data(),
)
def test_overlap_is_below_precision_and_coverage(weights: list[float], data: st.DataObject) -> None:
    inside = np.array(data.draw(st.lists(st.booleans(), min_size=len(weights), max_size=len(weights))))
    values = np.array(weights)
    found = overlap(values, inside)
    if values.sum() > 0 and inside.any():
        precision = values[inside].sum() / values.sum()
        coverage = (values[inside] > 0).sum() / inside.sum()
        assert found <= min(precision, coverage) + 1e-9
    else:
        assert found == 0
    if inside.any():
        assert overlap(inside.astype(float), inside) == pytest.approx(1)


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=20), st.floats(0.5, 3))
def test_sharpening_raises_the_odds_and_keeps_the_sum(chances: list[float], power: float) -> None:
    before = np.array([*chances, 0.0])
    after = sharpened(before, power)
    assert after.sum() == pytest.approx(before.sum(), rel=1e-6)
    assert after[-1] == 0
    odds, raised = (values[:-1] / (1 - values[:-1]) for values in (before, after))
    np.testing.assert_allclose(raised / raised[0], (odds / odds[0]) ** power, rtol=1e-5)
    assert np.array_equal(sharpened(before, 1.0), before)


def test_sharp_classes_are_chosen_where_blur_is_the_only_fault() -> None:
    # The order is right and only the width is wrong: the sharper, the better.
    position = np.linspace(0.5, 10.5, 400, endpoint=False)
    classes = np.clip(np.round(position).astype(int), 1, 10)
    edges = np.arange(1, 10) + 0.5
    below = 1 / (1 + np.exp(-(edges - position[:, None]) / 0.3))
    probabilities = np.diff(below, axis=1, prepend=0.0, append=1.0)
    overlaps = choose_sharpness(probabilities, classes, (1.0, 2.0, 8.0))
    assert overlaps[1.0] < overlaps[2.0] < overlaps[8.0]
    exact = np.eye(10)[classes - 1]
    assert held_out_log_likelihood(exact, classes) == pytest.approx(0)
    assert choose_sharpness(exact, classes, (1.0,))[1.0] == pytest.approx(1)


def test_front_and_knee() -> None:
    distances, uniques = [0.1, 0.2, 0.3, 0.25, float("nan")], [100.0, 900.0, 1000.0, 800.0, 5000.0]
    assert pareto_front(distances, uniques) == [0, 1, 2]
    assert knee(distances, uniques) == 1
    with pytest.raises(GenerativeError, match="None of the models"):
        knee([float("nan")], [0.0])
