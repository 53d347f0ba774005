"""Formulas as people type them, and what is refused."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_perovskite.chemistry import ELEMENTS, Composition, CompositionError

sites = st.lists(st.sampled_from(sorted(ELEMENTS)), min_size=4, max_size=4, unique=True)


@pytest.mark.parametrize(
    "text",
    ["Cs2AgBiBr6", "AgBiCs2Br6", "BiAgCs2Br6", "Cs2 Ag Bi Br6", " Br6Cs2Bi1Ag1\n", "Cs2Ag1BiBr6"],
)
def test_common_spellings_are_one_compound(text: str) -> None:
    composition = Composition.parse(text)
    assert composition == Composition("Ag", "Bi", "Cs", "Br")
    assert (composition.formula, composition.pretty) == ("AgBiCs2Br6", "Cs2AgBiBr6")
    assert composition.elements == ("Ag", "Bi", "Cs", "Br")


@settings(deadline=None)
@given(sites, st.permutations(range(4)), st.booleans())
def test_any_order_of_the_elements_gives_the_same_compound(
    symbols: list[str], order: list[int], explicit: bool
) -> None:
    composition = Composition(*symbols)
    one = "1" if explicit else ""
    tokens = [symbols[0] + one, symbols[1] + one, symbols[2] + "2", symbols[3] + "6"]
    assert Composition.parse("".join(tokens[place] for place in order)) == composition
    assert Composition.parse(composition.formula) == Composition.parse(composition.pretty) == composition


@settings(deadline=None)
@given(sites)
def test_swapping_a_and_b_changes_nothing(symbols: list[str]) -> None:
    a, b, c, d = symbols
    one, other = Composition(a, b, c, d), Composition(b, a, c, d)
    assert one == other
    assert hash(one) == hash(other)
    assert one.a < one.b
    assert copy.deepcopy(one) == one


fragments = st.sampled_from(["Cs", "Ag", "Bi", "Br", "Xx", "2", "6", "1", "0", "(", ")", "₂", "²", "-", ".", " ", "cs"])


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(fragments, max_size=12).map("".join)))
def test_garbage_is_parsed_or_refused_and_never_crashes(text: str) -> None:
    message = ""
    try:
        composition = Composition.parse(text)
    except CompositionError as error:
        message = str(error)
    if message:
        assert "expected four different elements" in message
        assert "\n" not in message
    else:
        assert Composition.parse(composition.formula) == composition


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("Cs2AgBiXx6", "Xx"),
        ("Cs2AgAgBr6", "Ag occurs twice"),
        ("Cs2AgBiBr5", "Br 5"),
        ("Cs2AgBr6", "no double perovskite"),
        ("CsPbBr3", "Br 3"),
        ("Cs4Ag2Bi2Br12", "Br 12"),
        ("Cs2(AgBi)Br6", "brackets"),
        ("Cs₂AgBiBr₆", "subscript"),
        ("cs2agbibr6", "'c'"),
        ("Cs2AgBiBr0", "'0'"),
        ("Cs2AgBiBr" + "6" * 5000, "no double perovskite"),
    ],
)
def test_the_message_names_the_trouble(text: str, names: str) -> None:
    with pytest.raises(CompositionError) as caught:
        Composition.parse(text)
    assert names in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("symbols", [("Ag", "Bi", "Cs", "Xx"), ("Ag", "Ag", "Cs", "Br"), ("Cs", "Bi", "Cs", "Br")])
def test_elements_that_make_no_double_perovskite(symbols: tuple[str, str, str, str]) -> None:
    with pytest.raises(CompositionError, match="expected four different elements"):
        Composition(*symbols)


def test_a_formula_must_be_text() -> None:
    with pytest.raises(CompositionError, match="must be text, not float"):
        Composition.parse(float("nan"))  # type: ignore[arg-type]  # what pandas gives for an empty cell
