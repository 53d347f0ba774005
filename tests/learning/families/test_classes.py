from __future__ import annotations

import pandas as pd
import pytest

from aiida_perovskite.chemistry import ELEMENTS
from aiida_perovskite.learning.families.classes import anion_kind, describe_elements, ion_class, shell_filling


@pytest.mark.parametrize(
    ("symbol", "charge", "expected"),
    [
        ("Cs", 1, "alkali metals"),
        ("Ba", 2, "alkaline earths"),
        ("Ti", 4, "d metals with an empty d shell"),
        ("Ti", 3, "d metals with an open d shell"),
        ("Co", 3, "d metals with an open d shell"),
        ("Ag", 1, "d metals with a full d shell"),
        ("Zn", 2, "d metals with a full d shell"),
        ("La", 3, "lanthanides"),
        ("U", 4, "actinides"),
        ("In", 3, "p-block metals"),
        ("In", 1, "p-block metals with a lone pair"),
        ("Bi", 3, "p-block metals with a lone pair"),
        ("Sb", 5, "p-block metals"),
        ("N", 0, "non-metals"),
        ("P", 5, "non-metals"),
    ],
)
def test_ions_have_the_class_a_chemist_would_give(symbol: str, charge: int, expected: str) -> None:
    assert ion_class(symbol, charge) == expected


@pytest.mark.parametrize(
    ("symbol", "charge", "expected"),
    [("Fe", 3, ("d", 5)), ("Cu", 2, ("d", 9)), ("Gd", 3, ("f", 7)), ("Lu", 3, ("f", 14)), ("Pb", 2, ("p", 2))],
)
def test_shells_hold_the_electrons_that_the_charge_leaves(symbol: str, charge: int, expected: tuple[str, int]) -> None:
    assert shell_filling(symbol, charge) == expected


def test_open_shells_of_compounds_follow_from_their_likely_charges() -> None:
    sites = pd.DataFrame(
        [("Ag", "Bi", "Cs", "Br"), ("Fe", "Mo", "Sr", "O"), ("Gd", "Na", "Cs", "Cl"), ("La", "Na", "Cs", "Cl")],
        columns=list("abcd"),
    )
    found = describe_elements(sites)
    assert found["open_d"].tolist() == [False, True, False, False]
    assert found["open_f"].tolist() == [False, False, True, False]
    assert found["class_d"].tolist() == ["bromides", "oxides", "chlorides", "chlorides"]
    assert found.loc[0, ["class_a", "class_b", "class_c"]].tolist() == [
        "d metals with a full d shell",
        "p-block metals with a lone pair",
        "alkali metals",
    ]


def test_every_element_has_a_class_on_every_site() -> None:
    for symbol in ELEMENTS:
        assert ion_class(symbol, 0)
        assert ion_class(symbol, 7)
        assert anion_kind(symbol)
