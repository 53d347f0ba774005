"""The three factors against published numbers, and the table that describes a space."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiida_perovskite.chemistry import (
    Composition,
    bartel_factor,
    describe,
    goldschmidt_factor,
    halide_space,
    octahedral_factor,
    shannon_radius,
)

# t and tau as printed, with two decimals, in table S2 of Bartel et al., Sci. Adv. 5, eaav0693 (2019).
PUBLISHED = {
    "Cs2CuGaCl6": (1.04, 4.32),
    "Cs2CuInBr6": (0.99, 4.24),
    "Cs2AgGaI6": (0.94, 4.31),
    "Cs2AgInCl6": (0.94, 3.79),
    "Cs2AgInBr6": (0.93, 3.95),
    "Rb2CuInI6": (0.93, 4.60),
    "Rb2AgInI6": (0.87, 4.36),
    "K2AgGaCl6": (0.91, 4.05),
    "Cs2NaSbCl6": (0.97, 3.86),
    "Cs2KBiCl6": (0.87, 4.01),
    "Cs2AgBiCl6": (0.90, 3.82),
    "Cs2AgBiBr6": (0.89, 3.96),
    "Cs2AgBiI6": (0.88, 4.18),
    "Ba2BiNbO6": (0.95, 3.55),
    "Ca2BiVO6": (0.89, 4.17),
}


def test_factors_agree_with_the_published_ones() -> None:
    table = describe([Composition.parse(formula) for formula in PUBLISHED])
    assert table["charge_balanced"].all()
    expected = np.array(list(PUBLISHED.values()))
    # half a unit of the last printed digit, and a little for what they rounded themselves
    np.testing.assert_allclose(table["goldschmidt_factor"], expected[:, 0], atol=0.0051)
    np.testing.assert_allclose(table["bartel_factor"], expected[:, 1], atol=0.0051)


def test_the_formulas_on_cs2agbibr6() -> None:
    r_c, r_ab, r_d = 1.88, (1.15 + 1.03) / 2, 1.96
    assert octahedral_factor(r_ab, r_d) == pytest.approx(1.09 / 1.96)
    assert goldschmidt_factor(r_c, r_ab, r_d) == pytest.approx(3.84 / (math.sqrt(2) * 3.05))
    assert bartel_factor(r_c, r_ab, r_d, 1) == pytest.approx(
        1.96 / 1.09 - (1 - (1.88 / 1.09) / math.log(1.88 / 1.09)), abs=1e-12
    )
    assert f"{bartel_factor(r_c, r_ab, r_d, 1):.3f}" == "3.962"


def test_factors_are_vectorised_and_nan_where_undefined() -> None:
    radius_c = np.array([1.88, 1.09, 1.0, np.nan, 1.88, 1.88])
    radius_ab = np.array([1.09, 1.09, 1.09, 1.09, 0.0, -0.1])
    with np.errstate(all="raise"):
        tau = bartel_factor(radius_c, radius_ab, 1.96, 1)
        mu = octahedral_factor(radius_ab, 1.96)
        t = goldschmidt_factor(radius_c[:, None], radius_ab[None, :], 1.96)
    assert np.isnan(tau).tolist() == [False, True, True, True, True, True]
    assert np.isnan(mu).tolist() == [False, False, False, False, True, True]
    assert t.shape == (6, 6)


def test_the_halide_space_is_described_row_by_row() -> None:
    space = halide_space()
    table = describe(space)
    assert {column.shape for column in table.values()} == {(7056,)}
    assert table["formula"].tolist() == [composition.formula for composition in space]
    total = table["charge_a"] + table["charge_b"] + 2 * table["charge_c"] + 6 * table["charge_d"]
    assert (total == 0).all()
    balanced = table["charge_balanced"]
    assert ((table["charge_d"] == -1) == balanced).all()
    assert not table["open_shell"][~balanced].any()
    assert np.isnan(table["bartel_factor"][~balanced]).all()
    unknown = balanced & np.isnan(table["octahedral_factor"])
    ions = [set(zip(table[k][unknown], table[f"charge_{k}"][unknown], strict=True)) for k in "ab"]
    without_radius = {("Ru", 2), ("Ir", 2), ("Rh", 2), ("Mo", 2), ("Rh", 1), ("Y", 1), ("Mn", 1)}
    assert {ion for ion in ions[0] | ions[1] if np.isnan(shannon_radius(*ion, 6))} == without_radius


def test_one_compound_and_none() -> None:
    table = describe([Composition.parse("Cs2NaKBr6"), Composition.parse("Cs2AgFeCl6")])
    assert table["charge_balanced"].tolist() == [False, True]
    assert table["open_shell"].tolist() == [False, True]
    assert table["charge_a"].tolist() == [0, 1]
    assert describe([])["formula"].shape == (0,)
