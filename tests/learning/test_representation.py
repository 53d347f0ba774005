from __future__ import annotations

import numpy as np
import pytest

from aiida_perovskite.chemistry import Composition
from aiida_perovskite.learning import EncodingError, encode


def test_each_element_stands_at_its_place_with_its_coefficient():
    grid = encode(["Cs2AgBiBr6"])
    assert grid.shape == (1, 3, 5, 17)
    assert grid.dtype == np.float32
    # (channel, period - 2, group - 1)
    expected = {(0, 4, 0): 2, (1, 3, 10): 1, (1, 4, 14): 1, (2, 2, 16): 6}
    assert {place: grid[0][place] for place in zip(*map(tuple, np.nonzero(grid[0])), strict=True)} == expected


@pytest.mark.parametrize(
    ("formula", "place"),
    [("Cs2LiAlF6", (1, 0, 0)), ("Rb2BeGaCl6", (1, 0, 1)), ("Cs2ScNaI6", (1, 2, 2)), ("Cs2HfMgCl6", (1, 4, 3))],
)
def test_places_at_the_corners_of_the_table(formula, place):
    assert encode([formula])[0][place] == 1


def test_swap_and_spelling_and_type_make_no_difference():
    spellings = ["Cs2AgBiBr6", "Cs2BiAgBr6", "AgBiCs2Br6", Composition.parse("Cs2AgBiBr6")]
    grids = encode(spellings)
    assert (grids == grids[0]).all()


@pytest.mark.parametrize("symbol", ["H", "La", "Eu", "Xe", "U"])
def test_elements_without_a_place_are_refused_by_name(symbol):
    with pytest.raises(EncodingError, match=rf"\b{symbol}\b.*no place"):
        encode([f"Cs2{symbol}AgCl6"])


def test_nothing_encodes_to_nothing():
    assert encode([]).shape == (0, 3, 5, 17)
