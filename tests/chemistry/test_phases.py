"""Competing phases: formulas, structure types and the structures built from them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase.neighborlist import neighbor_list

from aiida_perovskite.chemistry import HALIDE_METALS, Composition, starting_radius
from aiida_perovskite.chemistry.phases import (
    PROTOTYPES,
    Prototype,
    atom_counts,
    binary_decomposition,
    build_structure,
    competing_compositions,
    ionic_charges,
    phase_structures,
    reduced_formula,
)

# Ions that a type is known for: element on C, on M.
NAMESAKES = {"calomel": ("", "Hg"), "BCl3": ("", "B"), "SiF4": ("", "Sn"), "KBrF4": ("Cs", "Au")}


@pytest.mark.parametrize("prototype", PROTOTYPES, ids=lambda prototype: prototype.name)
def test_a_structure_type_is_what_it_says(prototype: Prototype) -> None:
    c, m = NAMESAKES.get(prototype.name, ("Cs", "In"))
    elements = {"C": c, "M": m, "D": "Br"}
    formula = reduced_formula("".join(f"{elements[role]}{count}" for role, count in prototype.counts.items()))
    charges = ionic_charges(formula, "Br")
    radii = {element: starting_radius(element, charge) for element, charge in charges.items()}
    atoms, neighbours = build_structure(prototype, elements, radii)
    symmetry = spglib.get_symmetry_dataset(
        (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=1e-3
    )
    assert symmetry.number == prototype.space_group
    assert reduced_formula(atoms.get_chemical_formula()) == formula
    assert len(atoms) <= 28
    assert neighbours >= 1
    # Cations and halides touch, none overlap, and like ions keep apart.
    first, second, distances = neighbor_list("ijd", atoms, 6.0)
    symbols = np.array(atoms.get_chemical_symbols())
    opposite = (symbols[first] == "Br") != (symbols[second] == "Br")
    ratios = distances / [radii[a] + radii[b] for a, b in zip(symbols[first], symbols[second], strict=True)]
    assert ratios[opposite].min() == pytest.approx(1.0)
    assert ratios.min() > 0.6
    assert distances[(symbols[first] == "Br") & (symbols[second] == "Br")].min() > 0.75 * 2 * radii["Br"]
    volume_of_ions = sum(4 / 3 * np.pi * radii[symbol] ** 3 for symbol in symbols)
    assert 0.15 < volume_of_ions / atoms.get_volume() < 1.2


@pytest.mark.parametrize(
    ("formula", "first", "among"),
    [
        ("CsBr", "CsCl", {"rock salt"}),
        ("NaCl", "rock salt", {"CsCl"}),
        ("CuBr", "zincblende", set()),
        ("TlI", "CsCl", {"TlI"}),
        ("Br3Bi", "BiI3", {"AlCl3", "UCl3"}),
        ("AlF3", "FeF3", {"BiI3"}),
        ("SnCl2", "cotunnite", {"HgCl2"}),
        ("PdCl2", "BeCl2", {"CuCl2"}),
        ("Cs2SnCl6", "K2PtCl6", {"K2GeF6"}),
        ("CsAgBr2", "CsAgBr2", {"KFeS2"}),
        ("CsPbI3", "NH4CdCl3", {"perovskite", "GdFeO3", "CsNiCl3"}),
        ("Cs3Bi2Br9", "Cs3Bi2Br9", {"Cs3Cr2Cl9"}),
        ("Bi4Cs6Br18", "Cs3Bi2Br9", set()),
    ],
)
def test_known_polymorphs_are_offered(formula: str, first: str, among: set[str]) -> None:
    structures = phase_structures(formula)
    names = [name for name, _ in structures]
    assert names[0] == first
    assert among <= set(names)
    assert 1 <= len(names) <= 6
    assert all(reduced_formula(atoms.get_chemical_formula()) == reduced_formula(formula) for _, atoms in structures)
    assert len(phase_structures(formula, most=1)) == 1


def test_large_cells_can_be_left_out_and_the_next_fitting_type_takes_their_place() -> None:
    assert {name for name, _ in phase_structures("CsBiBr4", most=3)} == {"TlAlF4", "CsAlCl4", "KBrF4"}
    small = phase_structures("CsBiBr4", most=3, max_atoms=16)
    assert [name for name, atoms in small] == ["TlAlF4", "KBrF4"]
    assert phase_structures("Cs2AgBr3", max_atoms=16) == [], "its only type has 24 atoms"


def test_either_cation_is_tried_as_the_large_one_only_where_sizes_are_close() -> None:
    def large(formula: str) -> set[str]:
        return {name.partition(" with ")[2].partition(" ")[0] for name, _ in phase_structures(formula, most=99)}

    assert large("AgBiBr4") == {"Ag", "Bi"}
    assert large("CsBiBr4") == {""}
    # Two Cs and one Ag fit no type in which Ag were the large cation.
    assert "CsCu2I3" not in [name for name, _ in phase_structures("Cs2AgI3")]


@pytest.mark.parametrize("formula", ["Ag2Br3", "Cs2AgBiBr6", "CsBr7", "MgO", "Cs2Cl2Br2", "Br2"])
def test_without_a_type_there_is_no_structure(formula: str) -> None:
    assert phase_structures(formula) == []


def test_binaries_of_the_halide_space_have_structures() -> None:
    """Each metal beside partners that leave it each of its charges."""
    formulas = {
        formula
        for metal, partner, d in product(HALIDE_METALS, ("Na", "Zn", "In", "Tl"), "FI")
        if metal != partner
        for formula in binary_decomposition(Composition(metal, partner, "Cs", d))
        if metal != "Cs"
    }
    assert len(formulas) > 100
    assert {formula for formula in formulas if not phase_structures(formula, most=1)} == set()


def test_competitors_of_a_compound() -> None:
    compound = Composition.parse("Cs2AgBiBr6")
    phases = competing_compositions(compound)
    assert [(phase.formula, phase.source) for phase in phases[:3]] == [
        ("CsBr", "binary"),
        ("AgBr", "binary"),
        ("BiBr3", "binary"),
    ]
    formulas = [phase.formula for phase in phases]
    assert {"Cs3Bi2Br9", "CsAgBr2", "Cs2AgBr3", "Cs3BiBr6"} <= set(formulas)
    assert len(formulas) == len(set(formulas))
    for formula in formulas:
        charges = ionic_charges(formula, "Br")
        assert sum(count * charges[element] for element, count in atom_counts(formula).items()) == 0
        assert phase_structures(formula)


def test_known_competitors_are_those_of_the_elements() -> None:
    known = ["Br3Bi", "Cs2BiAgBr6", "Cs6Bi4Br18", "CsAgBr2", "CsAg", "Br2", "NaBr", "AgBi3Cs7Br17"]
    found = competing_compositions(Composition.parse("Cs2AgBiBr6"), known)
    assert [phase.formula for phase in found] == [
        "CsBr",
        "AgBr",
        "BiBr3",
        "Cs3Bi2Br9",
        "CsAgBr2",
        reduced_formula("AgBi3Cs7Br17"),
    ]
    assert {phase.source for phase in found[3:]} == {"known"}


def test_structures_cover_most_known_competitors(shared_folder: Path) -> None:
    """A figure rather than a promise: how many of the known phases around a compound could be computed."""
    from aiida_perovskite.datasets import load_dataset

    file = shared_folder / "data/competing-phases-halides/mp2019_halide_formation_energies.csv"
    known = load_dataset("competing-phases-halides", file).frame["formula"]
    for compound in ("Cs2AgBiBr6", "Cs2AgInCl6", "Rb2NaScF6"):
        phases = competing_compositions(Composition.parse(compound), known)
        built = [phase for phase in phases if phase_structures(phase.formula, most=1)]
        assert len(built) >= 0.4 * len(phases), (compound, [phase.formula for phase in phases])


@pytest.mark.parametrize(
    ("formula", "reaction"),
    [
        ("Cs2AgBiBr6", {"CsBr": 2, "AgBr": 1, "BiBr3": 1}),
        ("Rb2SnGeI6", {"RbI": 2, "GeI2": 1, "SnI2": 1}),
        ("Ba2MgWO6", {"BaO": 2, "MgO": 1, "WO3": 1}),
        ("Cs2NaKBr6", {}),
    ],
)
def test_binary_decomposition(formula: str, reaction: dict[str, float]) -> None:
    assert binary_decomposition(Composition.parse(formula)) == reaction


@pytest.mark.parametrize(
    ("text", "reduced"),
    [("BrAg", "AgBr"), ("AgBiCs2Br6", "Cs2AgBiBr6"), ("Cs6 Bi4 Br18", "Cs3Bi2Br9"), ("Cs2Ag(BiBr6)", "Cs2AgBiBr6")],
)
def test_spellings_of_one_phase(text: str, reduced: str) -> None:
    assert reduced_formula(text) == reduced


@pytest.mark.parametrize(
    "text", ["", "CsXx", "cs2", "Cs0.5Br", "CsBr+", "Cs1e400Br", "Cs0Br0", "(" * 50_000, f"Cs{10**60}Br"]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no formula"):
        reduced_formula(text)


def test_brackets_are_multiplied_out() -> None:
    """A formula is part of the labels of links, in which AiiDA allows letters and digits only."""
    from aiida_perovskite.chemistry import Composition, halide_space
    from aiida_perovskite.chemistry.phases import competing_compositions, reduced_formula

    assert reduced_formula("Sb(AuCl2)3") == "SbAu3Cl6"
    assert reduced_formula("InCu3Cl6") == reduced_formula("In(CuCl2)3")
    compounds = [*halide_space()[::97], Composition.parse("AuSbRb2Cl6")]
    names = {phase.formula for compound in compounds for phase in competing_compositions(compound)}
    assert names
    assert all(name.isalnum() for name in names)
