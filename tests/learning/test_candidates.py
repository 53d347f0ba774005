"""Which compounds a screening can take."""

from __future__ import annotations

import pytest

from aiida_perovskite.chemistry import CompositionError
from aiida_perovskite.learning.candidates import NO_PLACE, NO_RADII, screenable


def test_each_compound_is_taken_once_or_refused_with_a_reason() -> None:
    taken, refused = screenable(["Cs2BiAgBr6", "Cs2AgBiBr6", "K2NaAlH6", "Cs2XeAgBr6", "Rb2GaNaK6", "Rb2NaAlF6"])
    assert [composition.formula for composition in taken] == ["AgBiCs2Br6", "AlNaRb2F6"]
    assert refused == {"AlNaK2H6": NO_PLACE, "AgXeCs2Br6": NO_PLACE, "GaNaRb2K6": NO_RADII}


def test_what_is_no_double_perovskite_is_named() -> None:
    with pytest.raises(CompositionError, match="CsBr"):
        screenable(["CsBr"])
