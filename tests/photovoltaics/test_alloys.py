"""Gaps of alloys: the sign of the bowing, and its fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_perovskite.photovoltaics.alloys import alloy_gap, fit_bowing


def test_negative_bowing_bows_down() -> None:
    """The convention of the thesis, in which the middle moves by b/4."""
    assert alloy_gap(0.5, 2.0, 1.0, -0.4) == pytest.approx(1.4)
    assert alloy_gap([0.0, 1.0], 2.0, 1.0, -0.4).tolist() == [2.0, 1.0]
    assert alloy_gap(0.5, 0.3, 0.3, -4.0) == 0.0


@given(st.floats(0, 5), st.floats(0, 5), st.floats(0, 2))
def test_fit_finds_what_made_the_data(gap_0: float, gap_1: float, bowing: float) -> None:
    """With the ends fitted, and with one or both of them given."""
    x = np.array([0.0, 0.2, 0.4, 0.7, 1.0])
    gaps = alloy_gap(x, gap_0, gap_1, bowing)
    for ends in ((None, None), (gap_0, None), (None, gap_1), (gap_0, gap_1)):
        fit = fit_bowing(x, gaps, *ends)
        assert (fit.gap_0_ev, fit.gap_1_ev, fit.bowing_ev) == pytest.approx((gap_0, gap_1, bowing), abs=1e-9)
        assert fit.rmse_ev < 1e-9


def test_standard_error_is_that_of_least_squares() -> None:
    """One parameter: sqrt(residual variance / sum of squares), computed by hand; unknown without a spare point."""
    fit = fit_bowing([0.5, 0.5], [1.4, 1.5], 2.0, 1.0)
    assert fit.bowing_ev == pytest.approx(-0.2)
    assert fit.bowing_error_ev == pytest.approx(math.sqrt(0.005 / 0.125))
    assert math.isnan(fit_bowing([0.5], [1.4], 2.0, 1.0).bowing_error_ev)


def test_nonsense_is_refused() -> None:
    """Percent for shares, points that cannot tell, lists of different lengths."""
    with pytest.raises(ValueError, match="x must lie between 0 and 1, but 25"):
        alloy_gap(25, 2.0, 1.0)
    with pytest.raises(ValueError, match="2 different shares do not determine 3 parameters"):
        fit_bowing([0.0, 0.5, 0.5], [2.0, 1.5, 1.5])
    with pytest.raises(ValueError, match="one length"):
        fit_bowing([0.0, 0.5], [2.0])
    with pytest.raises(ValueError, match="gap_ev must be finite and not negative, but nan"):
        fit_bowing([0.5], [math.nan], 2.0, 1.0)
