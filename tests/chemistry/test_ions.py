"""Charges, unpaired electrons and radii against chemistry that is known."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from aiida_perovskite.chemistry import (
    HALIDES,
    TOXIC_ELEMENTS,
    Charges,
    Composition,
    charge_assignments,
    halide_space,
    is_charge_balanced,
    is_open_shell,
    likely_charges,
    shannon_radius,
    unpaired_electrons,
)

ONE = ["Li", "Na", "K", "Rb", "Cu", "Ag", "Au", "In", "Tl"]
TWO = ["Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Hg", "Ge", "Sn", "Pb"]
THREE = ["Al", "Ga", "In", "Tl", "Sc", "Y", "B", "As", "Sb", "Bi"]


def closed_shell_compounds() -> list[tuple[Composition, Charges]]:
    """The space of the shipped gaps: +1 with +3 or +2 with +2, as its card states it."""
    pairs = [(a, b, 1, 3) for a in ONE for b in THREE if a != b] + [(a, b, 2, 2) for a, b in combinations(TWO, 2)]
    found = []
    for c in ("Cs", "Rb"):
        for d in HALIDES:
            for a, b, charge_a, charge_b in pairs:
                if c not in (a, b):
                    composition = Composition(a, b, c, d)
                    charges = (charge_a, charge_b) if composition.a == a else (charge_b, charge_a)
                    found.append((composition, Charges(*charges, 1, -1)))
    return found


def test_all_closed_shell_compounds_balance_as_their_dataset_says() -> None:
    compounds = closed_shell_compounds()
    assert len({composition for composition, _ in compounds}) == 1096
    for composition, charges in compounds:
        assignments = charge_assignments(composition)
        assert charges in assignments
        # In with Tl is listed both ways; everything else has the stated charges first.
        assert assignments[0] == charges or {composition.a, composition.b} == {"In", "Tl"}
        assert not is_open_shell(composition, charges)


@pytest.mark.parametrize(
    ("formula", "charges"),
    [
        ("Cs2AgBiBr6", (1, 3)),
        ("Cs2InTlCl6", (3, 1)),
        ("Cs2AuTlCl6", (1, 3)),
        ("Rb2AgIrBr6", (1, 3)),
        ("Rb2AgRhBr6", (1, 3)),
        ("Rb2AuMoBr6", (1, 3)),
        ("Cs2CrInI6", (3, 1)),
        ("Cs2NaCrI6", (3, 1)),
        ("Rb2CuFeCl6", (1, 3)),
        ("Cs2NiSnI6", (2, 2)),
        ("Cs2MnNbI6", (2, 2)),
        ("Cs2PbSnI6", (2, 2)),
    ],
)
def test_the_first_assignment(formula: str, charges: tuple[int, int]) -> None:
    assert charge_assignments(Composition.parse(formula))[0][:2] == charges


@pytest.mark.parametrize("formula", ["Cs2NaKBr6", "Cs2AlScCl6", "Cs2InZnCl6", "Cs2GaMgI6", "Cs2AgZnI6", "Cs2NaZnF6"])
def test_compounds_that_do_not_balance(formula: str) -> None:
    """In+2 and Ga+2 are averages of two ions, Ag+2 is no ion beside iodide."""
    assert not is_charge_balanced(Composition.parse(formula))


def test_charges_of_all_7056_add_up() -> None:
    for composition in halide_space():
        for charges in charge_assignments(composition):
            assert charges.a + charges.b + 2 * charges.c + 6 * charges.d == 0


def test_other_anions_balance_too() -> None:
    assert charge_assignments(Composition.parse("Ba2MgWO6"))[0] == (2, 6, 2, -2)


def test_own_oxidation_states_take_the_place_of_the_tables() -> None:
    composition = Composition.parse("Cs2InTlCl6")
    assert charge_assignments(composition, {"In": [1], "Tl": [3]}) == [(1, 3, 1, -1)]
    assert not is_charge_balanced(composition, {"In": [3], "Tl": [3]})


def test_likely_charges_exist_even_where_nothing_balances() -> None:
    assert likely_charges(Composition.parse("Cs2NaKBr6")) == (1, 1, 1, -1)


def test_the_toxic_set_is_the_documented_one() -> None:
    assert {"As", "Be", "Cd", "Hg", "Pb", "Tl"} == TOXIC_ELEMENTS


@pytest.mark.parametrize(
    ("element", "charge", "unpaired"),
    [
        *[("Cr", 3, 3), ("Cr", 2, 4), ("Mn", 2, 5), ("Fe", 2, 4), ("Fe", 3, 5), ("Co", 2, 3), ("Ni", 2, 2)],
        *[("Cu", 2, 1), ("Cu", 1, 0), ("Zn", 2, 0), ("Ti", 3, 1), ("V", 2, 3), ("Sc", 3, 0)],
        *[("Rh", 3, 0), ("Ir", 3, 0), ("Ir", 4, 1), ("Ru", 3, 1), ("Ru", 4, 2), ("Mo", 3, 3), ("Nb", 3, 2)],
        *[("Ag", 1, 0), ("Ag", 2, 1), ("Pd", 2, 2), ("Hg", 1, 1), ("Hg", 2, 0)],
        *[("Bi", 3, 0), ("Bi", 5, 0), ("Sn", 2, 0), ("Tl", 1, 0), ("In", 2, 1), ("Ga", 1, 0)],
        *[
            ("Cs", 1, 0),
            ("Ba", 2, 0),
            ("Br", -1, 0),
            ("O", -2, 0),
            ("Eu", 2, 7),
            ("Gd", 3, 7),
            ("Ce", 4, 0),
            ("La", 3, 0),
        ],
    ],
)
def test_unpaired_electrons(element: str, charge: int, unpaired: int) -> None:
    assert unpaired_electrons(element, charge) == unpaired


def test_an_ion_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="no ion of charge"):
        unpaired_electrons("Na", 3)


@pytest.mark.parametrize(
    ("element", "charge", "coordination", "radius"),
    [
        *[("Cs", 1, 12, 1.88), ("Rb", 1, 12, 1.72), ("Ag", 1, 6, 1.15), ("Bi", 3, 6, 1.03), ("In", 3, 6, 0.80)],
        *[("F", -1, 6, 1.33), ("Cl", -1, 6, 1.81), ("Br", -1, 6, 1.96), ("I", -1, 6, 2.20), ("Sn", 2, 6, 1.15)],
        # high spin where there are two
        *[("Fe", 2, 6, 0.78), ("Fe", 3, 6, 0.645), ("Mn", 2, 6, 0.83), ("Co", 2, 6, 0.745), ("Ni", 3, 6, 0.60)],
        # nearest coordination
        *[("Ag", 1, 12, 1.28), ("Pd", 1, 6, 0.59)],
        # tetrahedral, not square-planar
        ("Cu", 2, 4, 0.57),
        # in the machine-learned extension only
        ("Nb", 2, 6, 0.884),
    ],
)
def test_radii(element: str, charge: int, coordination: int, radius: float) -> None:
    assert shannon_radius(element, charge, coordination) == pytest.approx(radius)


def test_an_ion_in_no_table_has_no_radius() -> None:
    assert math.isnan(shannon_radius("Ru", 2, 6))
