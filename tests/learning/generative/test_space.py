"""The space of codes, its scaling and its way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_perovskite.chemistry import CompositionError
from aiida_perovskite.learning.generative.space import (
    ELEMENTS,
    GROUPS,
    N_CODES,
    N_COMPOSITIONS,
    ROWS,
    GenerativeError,
    code_of,
    encode,
    formula_of,
    in_space,
    join,
    parse_code,
    scale,
    space_codes,
    swap,
    unscale,
)

CODES = space_codes()


def test_the_space_is_that_of_the_specification() -> None:
    from pymatgen.core import Element

    assert len(CODES) == N_COMPOSITIONS == 1_974_024
    elements = [Element(symbol) for symbol in ELEMENTS]
    assert [element.Z for element in elements] == sorted(element.Z for element in elements)
    assert [element.row for element in elements] == ROWS.tolist()
    # IUPAC's groups 13 to 18 are the main groups 3 to 8; helium is a noble gas.
    assert [element.group - 10 * (element.group > 2) for element in elements] == GROUPS.tolist()
    every = [element for element in Element if element.Z <= 83 and element.block in "sp"]
    assert {str(element) for element in every} == set(ELEMENTS)


@given(st.lists(st.integers(0, N_CODES - 1), max_size=50))
def test_what_is_scaled_comes_back_and_what_is_no_composition_does_not(numbers: list[int]) -> None:
    codes = np.array(numbers, dtype=np.int64)
    assert np.array_equal(join(encode(codes)), codes)
    valid = np.array([len(set(row)) == 4 for row in encode(codes).tolist()], dtype=bool)
    assert np.array_equal(in_space(codes), valid)
    assert np.array_equal(unscale(scale(codes)), np.where(valid, codes, -1))


def test_values_are_bin_centres_and_bins_are_equal() -> None:
    values = scale([code_of("H", "He", "Cs", "Bi")])
    assert values.dtype == np.float32
    row = [1 / 6 - 1, 11 / 6 - 1]
    assert values[0] == pytest.approx([row[0], 1 / 8 - 1, row[0], 15 / 8 - 1, row[1], 1 / 8 - 1, row[1], 9 / 8 - 1])
    half_bins = np.tile([1 / 6, 1 / 8], 4).astype(np.float32)
    codes = np.random.default_rng(0).choice(CODES, 500)
    for shift in (-0.999, 0.999):
        assert np.array_equal(unscale(scale(codes) + shift * half_bins), codes)


def test_saturated_values_are_in_the_outermost_bins_and_cells_without_element_are_invalid() -> None:
    hydrogen, helium = [-1.0, -1.0], [-1.0, 1.0]
    caesium, bismuth, nothing = [1.0, -1.0], [1.0, 0.1], [-1.0, 0.0]
    assert formula_of(int(unscale([*hydrogen, *helium, *caesium, *bismuth]))) == "HHeCs2Bi6"
    for wrong in (nothing, helium, [np.nan, 0.1], [1.0, 1.0]):
        assert unscale([*hydrogen, *helium, *caesium, *wrong]) == -1


def test_exchanging_a_and_b_twice_changes_nothing() -> None:
    codes = CODES[::1000]
    assert np.array_equal(encode(swap(codes)), encode(codes)[:, [1, 0, 2, 3]])
    assert np.array_equal(swap(swap(codes)), codes)
    assert not in_space([-1, N_CODES]).any()


def test_formulas_and_what_is_none() -> None:
    assert formula_of(code_of("Na", "Al", "K", "F")) == "NaAlK2F6"
    assert formula_of(parse_code("K2NaAlF6")) == "AlNaK2F6"
    with pytest.raises(GenerativeError, match="'Ag' is not one of the 39 main-group elements"):
        parse_code("Cs2AgBiBr6")
    with pytest.raises(GenerativeError, match="KKNa2F6 has an element on two sites"):
        code_of("K", "K", "Na", "F")
    with pytest.raises(CompositionError):
        parse_code("NaCl")
