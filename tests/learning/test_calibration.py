from __future__ import annotations

import numpy as np
import pytest

from aiida_perovskite.learning.calibration import Calibration, cross_intervals


@pytest.fixture
def noisy():
    """Targets whose noise is known to the 'ensemble': half the rows have three times the spread."""
    random = np.random.default_rng(3)
    std = np.where(np.arange(3000) % 2, 0.3, 0.1)
    predicted = random.uniform(2.0, 6.0, 3000)
    return predicted + random.normal(0, std), predicted, std


def test_intervals_hold_what_they_promise_and_widen_with_the_spread(noisy):
    target, predicted, std = noisy
    calibration = Calibration((target - predicted)[:1000], std[:1000])
    for confidence in (0.5, 0.9):
        lower, upper = calibration.interval(predicted[1000:], std[1000:], confidence)
        inside = (lower <= target[1000:]) & (target[1000:] <= upper)
        assert abs(inside.mean() - confidence) < 0.04
    width = upper - lower
    assert width[1::2].min() > 1.5 * width[::2].max()


def test_cross_intervals_hold_what_they_promise(noisy):
    target, predicted, std = (values[:600] for values in noisy)
    lower, upper = cross_intervals(target, predicted, std, np.arange(600) % 5, 0.9)
    assert abs(((lower <= target) & (target <= upper)).mean() - 0.9) < 0.05


def test_probabilities_are_those_of_the_noise(noisy):
    target, predicted, std = noisy
    calibration = Calibration(target - predicted, std)
    below, inside, above = (
        calibration.probability(np.array([2.0]), np.array([0.1]), window)[0]
        for window in [(0.0, 1.9), (1.9, 2.1), (2.1, 99.0)]
    )
    assert 0.0 < below < inside
    assert below + inside + above == pytest.approx(1.0)


def test_no_gap_is_below_zero():
    calibration = Calibration(np.linspace(-1, 1, 21), np.full(21, 0.1))
    lower, upper = calibration.interval(np.array([-3.0, 0.1]), np.array([0.1, 0.1]), 0.9)
    assert (lower == 0).all()
    assert upper[0] == 0 < upper[1]
    # A window that starts at 0 holds the metals as well.
    assert calibration.probability(np.array([-3.0]), np.array([0.1]), (0.0, 0.5))[0] == 1.0


def test_members_that_agree_exactly_give_intervals_of_constant_width():
    calibration = Calibration(np.linspace(-1, 1, 41), np.zeros(41))
    lower, upper = calibration.interval(np.array([3.0, 5.0]), np.zeros(2), 0.9)
    assert upper[0] - lower[0] == pytest.approx(upper[1] - lower[1]) != 0
