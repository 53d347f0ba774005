"""Decomposition enthalpies: hand-made numbers, every subset of phases by brute force, and pymatgen's hull."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_perovskite.chemistry.phases import atom_counts
from aiida_perovskite.photovoltaics.stability import PhaseEnergy, decomposition_enthalpy

ENERGIES = {"Cs2AgBiBr6": -1.0, "CsBr": -1.5, "AgBr": -0.4, "BiBr3": -0.6}
# (4 x -1.5 + 2 x -0.4 + 4 x -0.6 + 10) / 10 eV
BY_HAND = 80.0
PHASES = ("CsBr", "AgBr", "BiBr3", "Cs3Bi2Br9", "CsAgBr2", "Cs2AgBr3", "Cs3BiBr6", "Cs", "Ag", "Bi", "Br2", "CsBr3")
ELEMENTS = ("Ag", "Bi", "Br", "Cs")


@pytest.mark.parametrize(
    "reaction",
    [
        "binary",
        "2 CsBr + AgBr + BiBr3",
        "Cs2AgBiBr6 -> 2 CsBr + AgBr + BiBr3",
        "2 AgBiCs2Br6 → 4 CsBr + Ag2Br2 + 2BiBr3",
        ["BiBr3", "CsBr", "BrAg"],
        {"Cs2Br2": 1, "AgBr": 1, "BiBr3": 1.0},
        None,
    ],
)
def test_every_way_to_state_the_binaries_is_one_reaction(reaction: object) -> None:
    energies = {"BiAgCs2Br6": -1.0, "Cs4Br4": -1.5, "AgBr": -0.4, "Bi2Br6": -0.6, "NaCl": -2.0}
    result = decomposition_enthalpy("AgBiCs2Br6", energies, reaction)
    assert result.mev_per_atom == pytest.approx(BY_HAND)
    assert result.products == pytest.approx({"CsBr": 2, "AgBr": 1, "BiBr3": 1})
    assert result.kind == ("convex hull" if reaction is None else "stated")
    assert (result.phases, result.missing, result.limit) == (("AgBr", "BiBr3", "CsBr"), (), "")
    assert (result.stable, result.verdict) == (True, "stable")
    assert set(result.reaction.split(" -> ")[1].split(" + ")) == {"2 CsBr", "AgBr", "BiBr3"}


@pytest.mark.parametrize(
    ("own", "verdict"),
    [(-0.92 - 1e-6, "stable"), (-0.92, "metastable"), (-0.871, "metastable"), (-0.869, "unstable")],
)
def test_verdicts(own: float, verdict: str) -> None:
    # Binary fractions do not hit 0 exactly: the products' energy per atom, taken from the function itself.
    zero = -0.92 + decomposition_enthalpy("Cs2AgBiBr6", ENERGIES | {"Cs2AgBiBr6": -0.92}, "binary").mev_per_atom / 1000
    result = decomposition_enthalpy("Cs2AgBiBr6", ENERGIES | {"Cs2AgBiBr6": zero + own + 0.92}, "binary")
    assert result.verdict == verdict
    assert decomposition_enthalpy("Cs2AgBiBr6", ENERGIES, metastable_mev_per_atom=-10.0).verdict == "stable"


def brute_force(own: float, energies: dict[str, float]) -> float:
    """Try every set of at most four phases that can balance, and take the lowest energy."""
    target = np.array([1.0, 1.0, 6.0, 2.0])
    best = math.inf
    for size in range(1, 5):
        for chosen in combinations(energies, size):
            counts = [atom_counts(name) for name in chosen]
            matrix = np.array([[count.get(element, 0) for count in counts] for element in ELEMENTS], dtype=float)
            moles = np.linalg.lstsq(matrix, target, rcond=None)[0]
            if moles.min() < -1e-9 or np.abs(matrix @ moles - target).max() > 1e-9:
                continue
            per_formula = [energies[name] * sum(count.values()) for name, count in zip(chosen, counts, strict=True)]
            best = min(best, float(moles @ per_formula) / 10)
    return 1000 * (best - own)


@settings(max_examples=25)
@given(
    st.lists(st.floats(-3, 3), min_size=len(PHASES) + 1, max_size=len(PHASES) + 1),
    st.sampled_from([0.0, 1.0, 1e5]),
)
def test_the_linear_programme_finds_what_brute_force_finds(values: list[float], total_energy: float) -> None:
    own, *others = values
    expected = brute_force(own, dict(zip(PHASES, others, strict=True)))
    # Total energies of atoms cancel, however large.
    atoms = dict(zip(ELEMENTS, total_energy * np.array([-1.4, -5.9, -0.7, -2.1]), strict=True))

    def total(name: str, energy: float) -> float:
        counts = atom_counts(name)
        return energy + sum(count * atoms[element] for element, count in counts.items()) / sum(counts.values())

    energies = {name: total(name, energy) for name, energy in zip(PHASES, others, strict=True)}
    result = decomposition_enthalpy("Cs2AgBiBr6", {**energies, "AgBiCs2Br6": total("Cs2AgBiBr6", own)})
    assert result.mev_per_atom == pytest.approx(expected, abs=1e-4)


def test_the_hull_is_that_of_pymatgen(shared_folder: Path) -> None:
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    from aiida_perovskite.datasets import load_dataset

    table = load_dataset(
        "competing-phases-halides",
        shared_folder / "data/competing-phases-halides/mp2019_halide_formation_energies.csv",
    ).frame
    energies = dict(zip(table["formula"], table["formation_energy_ev_per_atom"], strict=True))
    for compound in ("Cs2AgBiBr6", "Cs2AgInCl6", "Rb2NaScF6", "Cs2InBiCl6", "Cs2AuAuCl6", "Cs2TiPdI6", "Cs2KBiCl6"):
        if compound not in energies:
            continue
        elements = set(atom_counts(compound))
        system = {name: energy for name, energy in energies.items() if set(atom_counts(name)) <= elements}
        system |= dict.fromkeys(elements, 0.0)
        entries = [
            PDEntry(Composition(name), energy * Composition(name).num_atoms)
            for name, energy in system.items()
            if name != compound
        ]
        hull = PhaseDiagram(entries).get_hull_energy_per_atom(Composition(compound))
        result = decomposition_enthalpy(compound, system)
        assert result.mev_per_atom == pytest.approx(1000 * (hull - energies[compound]), abs=1e-4), compound
        # The binaries are one of the mixtures that the hull chooses from.
        assert result.mev_per_atom <= decomposition_enthalpy(compound, system, "binary").mev_per_atom + 1e-9


def test_what_is_not_known_is_said_and_is_no_number() -> None:
    missing_product = decomposition_enthalpy("Cs2AgBiBr6", {"Cs2AgBiBr6": -1, "CsBr": -1, "AgBr": -1}, "binary")
    assert missing_product.mev_per_atom is None
    assert (missing_product.missing, missing_product.verdict, missing_product.stable) == (("BiBr3",), "unknown", None)
    assert "no energy is given for BiBr3" in missing_product.limit
    no_mixture = decomposition_enthalpy("Cs2AgBiBr6", {"Cs2AgBiBr6": -1, "CsBr": -1, "AgBr": -1})
    assert no_mixture.mev_per_atom is None
    assert no_mixture.reaction == ""
    assert "no combination" in no_mixture.limit
    partial = decomposition_enthalpy("Cs2AgBiBr6", ENERGIES, expected=["CsBr", "Cs3Bi2Br9"])
    assert partial.mev_per_atom == pytest.approx(BY_HAND)
    assert partial.missing == ("Cs3Bi2Br9",)
    assert "upper bound" in partial.limit
    no_charges = decomposition_enthalpy("Cs2NaKBr6", {"Cs2NaKBr6": -1.0}, "binary")
    assert no_charges.mev_per_atom is None
    assert "no likely charges" in no_charges.limit


@pytest.mark.parametrize(
    ("energies", "reaction", "words"),
    [
        ({"CsBr": -1.0}, None, "no energy is given for Cs2AgBiBr6 itself"),
        (ENERGIES | {"Cs2Br2": -1.0}, None, r"CsBr is given twice \(once as Cs2Br2\)"),
        (ENERGIES | {"CsBr": math.nan}, None, "the energy of CsBr is nan"),
        (ENERGIES | {"CsBr": "low"}, None, "the energy of CsBr is 'low'"),
        (ENERGIES | {"CsBx": -1.0}, None, "'CsBx' is no formula"),
        (ENERGIES, "CsBr + AgBr + BiBr3", "does not balance: 6 Br before, 5 after"),
        (ENERGIES, {"CsBr": 2, "AgBr": 1, "BiBr3": 2}, "does not balance: 1 Bi before, 2 after"),
        (ENERGIES, {"CsBr": 2, "AgBr": 1, "BiBr3": -1}, "positive number"),
        (ENERGIES, {"CsBr": 2, "AgBr": 1, "BiBr3": "1"}, "positive number"),
        (ENERGIES, "2 CsBr + AgBr + 1/0 BiBr3", "cannot read '1/0 BiBr3'"),
        (ENERGIES, "0 Cs2AgBiBr6 -> 2 CsBr", "does not start from Cs2AgBiBr6"),
        (ENERGIES, ["CsBr", "AgBr"], "no product holds Bi"),
        (ENERGIES, ["CsBr", "AgBr", "BiBr2"], "no amounts of CsBr, AgBr, BiBr2 balance"),
        (ENERGIES, [*PHASES[:4]], "more than one ratio"),
        (ENERGIES, ["Cs3Bi2Br9", "AgBr", "BiBr3"], "would have to take up BiBr3"),
        (ENERGIES, ["Cs2AgBiBr6"], "among the products of its own"),
        (ENERGIES, "2 CsBr and AgBr", "cannot read '2 CsBr and AgBr'"),
        (ENERGIES, "Cs2AgInBr6 -> 2 CsBr", "does not start from Cs2AgBiBr6"),
    ],
)
def test_what_makes_no_sense_is_refused(energies: dict[str, float], reaction: object, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        decomposition_enthalpy("Cs2AgBiBr6", energies, reaction)
    assert "\n" not in str(caught.value)


def test_energies_of_two_methods_are_refused() -> None:
    def with_method(name: str, functional: str = "PBE") -> PhaseEnergy:
        return PhaseEnergy(name, ENERGIES[name], "gpaw", "fast", functional)

    energies = {name: with_method(name) for name in ENERGIES}
    result = decomposition_enthalpy("Cs2AgBiBr6", energies, "binary")
    assert result.mev_per_atom == pytest.approx(BY_HAND)
    assert result.method == ("gpaw", "fast", "PBE")
    with pytest.raises(ValueError, match=r"Cs2AgBiBr6 \(gpaw, fast, PBE\) and AgBr \(gpaw, fast, HSE06\)"):
        decomposition_enthalpy("Cs2AgBiBr6", energies | {"AgBr": with_method("AgBr", "HSE06")})
    with pytest.raises(ValueError, match="a plain number"):
        decomposition_enthalpy("Cs2AgBiBr6", energies | {"AgBr": -0.4})
    with pytest.raises(ValueError, match="the energy given for AgBr is that of CsBr"):
        decomposition_enthalpy("Cs2AgBiBr6", energies | {"AgBr": with_method("CsBr")})
