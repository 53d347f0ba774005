"""Spaces hold every compound once."""

from __future__ import annotations

from itertools import islice, permutations
from typing import Any

import pytest

from aiida_perovskite.chemistry import (
    HALIDE_METALS,
    Composition,
    CompositionError,
    enumerate_space,
    halide_space,
    space_from_settings,
)


def test_the_halide_space_has_7056_compounds() -> None:
    space = halide_space()
    assert len(HALIDE_METALS) == 43
    assert len(space) == len(set(space)) == 7056
    assert Composition.parse("Cs2AgBiBr6") in space
    assert all(len(set(composition.elements)) == 4 for composition in space)


def test_a_general_space_equals_brute_force() -> None:
    symbols_ab, symbols_c, symbols_d = ["Na", "Cs", "Ag", "Cl", "Bi", "Na"], ["Cs", "K", "Na"], ["Cl", "O", "K"]
    brute_force = {
        Composition(a, b, c, d)
        for a, b in permutations(set(symbols_ab), 2)
        for c in symbols_c
        for d in symbols_d
        if len({a, b, c, d}) == 4
    }
    space = list(enumerate_space(symbols_ab, symbols_c, symbols_d))
    assert len(space) == len(brute_force)
    assert set(space) == brute_force


def test_the_main_group_space_is_walked_lazily_to_its_end() -> None:
    text = """H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Ga Ge As Se Br Kr Rb Sr In Sn Sb Te I Xe Cs Ba Tl Pb
    Bi"""
    symbols = text.split()
    assert len(list(islice(enumerate_space(symbols, symbols, symbols), 10))) == 10
    assert sum(1 for _ in enumerate_space(symbols, symbols, symbols)) == 39 * 38 * 37 * 36 // 2


def test_what_is_no_element_is_refused_at_once() -> None:
    with pytest.raises(CompositionError, match="Xx"):
        enumerate_space(["Ag", "Xx"], ["Cs"], ["Br"])
    with pytest.raises(CompositionError, match="list of element symbols"):
        enumerate_space("AgBi", ["Cs"], ["Br"])


def test_a_space_from_settings() -> None:
    assert space_from_settings({"preset": "halide"}) == halide_space()
    small = {"ab_elements": ["Ag", "Bi"], "c_elements": ["Cs"], "d_elements": ["Br"]}
    assert space_from_settings(small) == [Composition.parse("Cs2AgBiBr6")]


@pytest.mark.parametrize(
    "settings", [{}, {"preset": "oxide"}, {"ab_elements": ["Ag"]}, {"preset": "halide", "c_elements": ["Cs"]}]
)
def test_settings_that_name_no_space(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="space"):
        space_from_settings(settings)
