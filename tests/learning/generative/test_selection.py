"""Settings are chosen without the truth, and the quantities that choose them are what they say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_perovskite.learning.generative.selection import (
    compound_folds,
    held_out_log_likelihood,
    knee,
    likeliest,
    pareto_front,
)
from aiida_perovskite.learning.generative.space import GenerativeError, space_codes, swap

BLOCKED = ("aiida", "crepes", "pooch", "pymatgen", "smact")
BLIND = (
    "search",
    "selection",
    "vae",
    "gan",
    "deep_q",
    "neural",
    "autoregressive",
    "generator",
    "training",
    "table",
    "space",
)

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


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1))
def test_as_many_of_the_likeliest_are_taken_as_weigh_precision_and_coverage_best(
    chances: list[float], weight: float
) -> None:
    taken = likeliest(np.array(chances), weight)
    if not any(chances):
        assert taken == 0
        return

    def mean(number: int) -> float:
        inside = sum(sorted(chances)[-number:])
        return 1 / (weight / (inside / number) + (1 - weight) / (inside / sum(chances)))

    assert mean(taken) == pytest.approx(max(mean(number) for number in range(1, len(chances) + 1)))


def test_more_are_taken_the_less_precision_counts() -> None:
    chances = np.linspace(0, 1, 1000)
    sizes = [likeliest(chances, weight) for weight in (0.9, 2 / 3, 0.5, 0.1)]
    assert sizes == sorted(set(sizes))
    assert likeliest((chances > 0.7).astype(float), 0.5) == (chances > 0.7).sum()
    assert likeliest(np.full(50, 0.01), 2 / 3) == 50  # nothing is known: the whole space


def test_the_likelihood_of_certainty_is_one() -> None:
    classes = np.array([1, 10, 3])
    assert held_out_log_likelihood(np.eye(10)[classes - 1], classes) == pytest.approx(0)
    assert held_out_log_likelihood(np.full((3, 10), 0.1), classes) == pytest.approx(np.log(0.1))


def test_front_and_knee() -> None:
    distances, uniques = [0.1, 0.2, 0.3, 0.25, float("nan")], [100.0, 900.0, 1000.0, 800.0, 5000.0]
    assert pareto_front(distances, uniques) == [0, 1, 2]
    assert knee(distances, uniques) == 1
    with pytest.raises(GenerativeError, match="None of the models"):
        knee([float("nan")], [0.0])
